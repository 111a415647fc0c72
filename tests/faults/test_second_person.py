"""A second person on a running cluster, by the command line: both sign, or nothing happens, whoever is killed."""

import re
from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from aerodb.audit.record import decode_record
from aerodb.errors import AeroError
from aerodb.protocol.plan import Order
from aerodb.protocol.words import whole_words_of
from tests.faults.conftest import Running
from tests.faults.people import Api, order_of
from tests.faults.test_configure import asked, configured, second_operator, typed

REASON = ("--reason", "two people")


def everywhere(running: Running, *change: str) -> None:
    """Have one operator make a version on the primary, which asks for nobody else before, and take it elsewhere."""
    configured(running, "operator", "n1", *change)
    for node in ("n2", "n3"):
        configured(running, "operator", node, "--take")


def signed_first(running: Running, *words: str) -> str:
    """Ask for something as the operator, who reads the plan and signs it; return the request's id."""
    shown = typed(running, "operator", *words, *REASON, answer=words[1])
    assert (shown.code, "AWAITS A SECOND PERSON" in shown.plain) == (8, True), shown.plain + shown.err
    return asked(running)[0]


def by_two(running: Running, *words: str) -> str:
    """Do something as the operator, and then the auditor, who is one too; return the request's id."""
    request = signed_first(running, *words)
    shown = typed(running, "auditor", "confirm", request, answer=words[1])
    assert (shown.code, "EXECUTED" in shown.plain) == (0, True), shown.plain + shown.err
    return request


def stopped(running: Running) -> bool:
    """Tell whether the PostgreSQL of n3 is down."""
    instance = running.impostor.facts("n3").instance
    return instance is not None and instance.state != "running"


def sent_again(running: Running, request: str, **changes: object) -> str:
    """Send the order of a request to n3 as a control plane might; return the code of the refusal."""
    order: Order = order_of(Api(running.layout), request, running.impostor.seen("n3"))
    record = decode_record(order.record.encode())
    assert record.seconded is not None
    with pytest.raises(AeroError) as error:
        running.impostor.run("n3", replace(order, **{"second": record.seconded, **changes}))
    return error.value.code


def test_two_people_or_nothing(fresh: Running, tmp_path: Path) -> None:
    """The first signature alone stops nothing, and lapses with a killed control plane; two stop the node.

    The node itself refuses what a control plane sends with one of them. The rule is dropped by two, and an auditor with
    version 1's words verifies the log and each request's evidence.
    """
    second_operator(fresh)
    everywhere(fresh, "--second-person", "running")
    request = signed_first(fresh, "stop", "n3")
    assert not stopped(fresh)
    assert "awaits a second person" in typed(fresh, "auditor", "requests").plain
    alone = typed(fresh, "operator", "confirm", request, answer="n3")
    assert (alone.code, "you have signed it; it awaits a second person: auditor" in alone.err) == (1, True), alone.err
    fresh.stage.kill("control")
    fresh.restart_control()
    lapsed = typed(fresh, "auditor", "confirm", request, answer="n3")
    assert (lapsed.code, "control.plan-not-pending" in lapsed.err) == (1, True), lapsed.err
    assert not stopped(fresh)

    request = by_two(fresh, "stop", "n3")
    assert stopped(fresh)
    assert sent_again(fresh, request, second=UNSET) == "kernel.second-missing"
    assert sent_again(fresh, request) == "kernel.request-duplicate"
    told = typed(fresh, "auditor", "show", request, "--full").plain
    assert re.search(r'"second":\{"operator":"auditor"', told)

    alone = typed(fresh, "operator", "configure", "n1", "--revoke", "auditor", *REASON, answer="n1")
    assert (alone.code, "fewer than two operators" in alone.err) == (2, True), alone.plain + alone.err
    by_two(fresh, "configure", "n1", "--no-second-person", "running")
    assert "asked for nothing" in typed(fresh, "auditor", "configuration").plain

    words = " ".join(whole_words_of(fresh.layout.cluster().digest))
    for each in (request, asked(fresh)[0]):
        file = str(tmp_path / f"{each}.json")
        assert typed(fresh, "auditor", "audit", "evidence", each, "--output", file).code == 0
        checked = typed(fresh, "auditor", "audit", "verify", file, "--trust", words)
        assert (checked.code, "auditor signed exactly this plan" in checked.plain) == (0, True), checked.plain
    verified = typed(fresh, "auditor", "audit", "verify", str(fresh.layout.control / "log"), "--trust", words)
    assert verified.code == 0, verified.plain + verified.err
