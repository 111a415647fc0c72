"""The log's backup is put back: what is lost is stated, and only a signed act that names it has a node accept it."""

import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.audit.findings import RESTORATION
from aerodb.audit.note import stated_size
from aerodb.audit.record import read_record
from aerodb.audit.store import Log, judge_folder
from aerodb.audit.trust import Trust
from aerodb.errors import AeroError
from aerodb.local.person import Person
from aerodb.protocol import canonical
from aerodb.protocol.api import Agreement, GapFound
from aerodb.protocol.holdings import open_holdings
from aerodb.protocol.marks import mark_of
from aerodb.protocol.plan import Outcome, Plan
from aerodb.protocol.signed import Signed
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.explain import LOOK_ID
from tests.faults.conftest import Running
from tests.faults.dying import dying_agent
from tests.faults.hostile import Hostile, log_key
from tests.faults.people import REASON, Api, order_of
from tests.faults.restoring import restored_log, seen_by_all, start_control, stop_control
from tests.faults.test_log_views import BEHIND, agreements, operator
from tests.faults.waiting import wait_until
from tests.unit.audit.forging import STRANGER

COMMAND = re.compile(r"aerodb ((?:audit accept|accept-log \S+) --seen \S+ --restored \S+)")


def found(running: Running) -> GapFound:
    """Return what nodes hold and the log lacks."""
    return canonical.decode(running.api.client.get("/v1/audit/gap"), GapFound)


def code_of(running: Running, target: str, arguments: Mapping[str, str], action: str = "accept-log") -> str:
    """Return with which code a request is refused before there is a plan."""
    with pytest.raises(AeroError) as error:
        running.api.ask(action, target, **arguments)
    assert error.value.executed == "not executed"
    return error.value.code


def _wait_for_more(asked: list[str]) -> None:
    """Return when more was asked than now."""
    before = len(asked)
    wait_until(lambda: len(asked) > before)


def test_backups_of_a_log_that_the_control_plane_writes(fresh: Running) -> None:
    """Made by a process of their own while requests are recorded: each verifies whole, of what there was at one moment.

    The control plane is not held up, takes its log for its own all the while, and seals it when it ends.
    """
    ends, asked = threading.Event(), list[str]()

    def asks() -> None:
        while not ends.is_set():
            asked.append(fresh.api.ask("stop", "n3").request)

    asking = threading.Thread(target=asks)
    asking.start()
    me, sizes, root = operator(fresh), list[int](), fresh.layout.root
    try:
        for number in range(3):
            _wait_for_more(asked)
            made = me.types("audit", "backup", str(root / f"{number}.db"), "--folder", str(fresh.layout.control))
            assert made.code == 0, made.text
            sizes.append(int(made.text.partition("size and root: ")[2].partition(":")[0]))
    finally:
        ends.set()
        asking.join()
    assert sizes == sorted(set(sizes)), sizes
    assert fresh.api.status().log_writable
    for number, size in enumerate(sizes):
        verified = me.types("audit", "verify", str(root / f"{number}.db"))
        assert (verified.code, f"VERIFIED: {size} record" in verified.text) == (0, True), verified.text
    compared = me.types("audit", "verify", str(root / "2.db"), "--against", str(root / "0.db"))
    assert (compared.code, "this log extends" in compared.text) == (0, True), compared.text
    stop_control(fresh)
    assert (fresh.layout.control / "log" / "seal.json").exists()


def _found_out_where_it_is_another(running: Running, folder: Path) -> None:
    """The log that was restored verifies; the same records behind another first one name a beginning that is not."""
    trust, genuine = Trust(clusters=(running.cluster,)), running.layout.control / "log"
    with Log(genuine, running.cluster.origin, log_key(running)) as log:
        records, blobs = [read_record(data) for _, data in log.records()], dict(log.blobs())
    assert judge_folder(genuine, trust).whole
    with Log.create(folder, running.cluster.origin, log_key(running)) as other:
        for number, record in enumerate(records):
            other.append(replace(record, at="2020-01-01T00:00:00.000Z") if number == 0 else record, blobs)
    faults = judge_folder(folder, trust).meaning.faults
    assert {fault.part for fault in faults} >= {RESTORATION}, faults


def test_the_whole_day(fresh: Running, tmp_path: Path) -> None:
    """As an operator lives it: back up in use, lose records, put it back, read what is lost, accept it, go on.

    Until the last node has accepted it nothing else is planned. What nodes did stays done: their ids stay used. The
    log tells for ever what was given up, by whom, and that is verified.
    """
    me, api = operator(fresh), fresh.api
    api.do("stop", "n3")
    file, control = fresh.layout.root / "monday.backup", fresh.layout.control
    folder = ("--folder", str(control))
    made = me.types("audit", "backup", str(file), *folder)
    assert made.code == 0, made.text
    restored = re.search(r"size and root: (\S+)", made.text)
    assert restored is not None
    lost = [api.do("start", "n3").request, api.do("checkpoint", "n2").request]
    orders = [order_of(api, request, 0) for request in lost]
    assert me.types("status").code == 0
    assert me.types("audit", "restore", str(file), *folder).code != 0  # It is in use.
    stop_control(fresh)
    back = me.types("audit", "restore", str(file), *folder)
    assert (back.code, "records 3 to 10 are not in it" in back.text) == (0, True), back.text
    start_control(fresh)
    assert code_of(fresh, "n1", {}, "checkpoint") == BEHIND
    stated = me.types("audit", "gap", "--restored", restored[1])
    assert stated.code == 6, stated.text
    assert all(request in stated.text for request in lost), stated.text
    assert "at most: records 3 to" in stated.text, stated.text
    proposed = COMMAND.findall(stated.text.replace("\n", " "))
    assert [each.split()[:2] for each in proposed] == [["audit", "accept"], ["accept-log", "n2"], ["accept-log", "n3"]]
    too_early = me.types(*proposed[1].split(), "--reason", REASON)
    assert (too_early.code, BEHIND in too_early.text, "this profile" in too_early.text) == (6, True, True)
    assert me.types(*proposed[0].split(), answer="no").code == 1
    assert me.types(*proposed[0].split()).code == 0
    first = me.types(*proposed[1].split(), "--reason", REASON)
    assert (first.code, "EXECUTED" in first.text, "gave up" in first.text) == (0, True, True), first.text
    assert code_of(fresh, "n1", {}, "checkpoint") in {BEHIND, "control.log-forked"}  # n3 has not.
    assert me.types(*proposed[2].split(), "--reason", REASON).code == 0
    assert me.types("checkpoint", "n1", "--reason", REASON).code == 0
    assert set(agreements(api.status()).values()) == {Agreement.CONSISTENT}
    for order in orders:  # What is lost in the log is not lost where it was done.
        target = canonical.decode(order.plan.encode(), Plan).request.target
        with pytest.raises(AeroError) as error:
            fresh.impostor.run(target, order)
        assert (error.value.code, error.value.executed) == ("kernel.request-duplicate", "executed")
    auditor = Person(fresh.layout.profile("auditor"), lambda _: None, colour=False)
    verified = auditor.types("audit", "verify")
    assert (verified.code, verified.text.count("the log was restored")) == (0, 2), verified.text
    document = auditor.types("audit", "verify", "--json")
    assert document.text.count('"said":"the log was restored') == 2, document.text
    again = me.types("audit", "gap")
    assert (again.code, all(request in again.text for request in lost)) == (0, True), again.text
    stop_control(fresh)
    _found_out_where_it_is_another(fresh, tmp_path / "log")


MISTAKEN, REJECTED = "control.gap-mistaken", "in-charge holds; gap-named violated"


def _mistakes(log: Mapping[str, str], other: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Return gaps that are none, each with how it is refused."""
    (size, root), (seen_size, seen_root) = log["restored"].split(":"), log["seen"].split(":")
    return {
        f"{REJECTED}: another log than it saw": {**log, "seen": other["seen"]},
        f"{REJECTED}: another size than it saw": {**log, "seen": f"{int(seen_size) + 1}:{seen_root}"},
        f"{MISTAKEN}: more restored than there is": {**log, "restored": f"99:{root}"},
        f"{MISTAKEN}: another root": {**log, "restored": f"{size}:{seen_root}"},
        f"{MISTAKEN}: another size": {**log, "restored": f"{int(size) - 1}:{root}"},
    }


def refused_how(running: Running, target: str, arguments: Mapping[str, str]) -> str:
    """Return how a gap is refused: by an error's code, or by the verdict of a plan."""
    try:
        planned = running.api.ask("accept-log", target, **arguments)
    except AeroError as error:
        return error.code
    verdicts = canonical.decode(planned.plan.encode(), Plan).verdicts
    return "; ".join(f"{each.invariant} {each.result}" for each in verdicts)


def test_only_the_gap_that_there_is(fresh: Running) -> None:
    """A gap that the node does not remember, or that is not this log's, is planned for nobody; one is accepted once.

    Not for an auditor or with another's key, not where nothing is missing, and not twice: neither the same order again,
    nor the same gap in a new request. What was refused changes nothing.
    """
    fresh.api.do("stop", "n3")
    done = restored_log(fresh, lambda: [fresh.api.do("start", "n3"), fresh.api.do("checkpoint", "n2")])
    named, before = done.named("n3"), seen_by_all(fresh)
    for what, gap in _mistakes(named, done.named("n2")).items():
        assert refused_how(fresh, "n3", gap) == what.partition(":")[0], what
    with pytest.raises(AeroError) as error:
        fresh.api.ask("accept-log", "n3", seen="nonsense", restored=named["restored"])
    assert error.value.code == "input.mark-malformed"
    with pytest.raises(AeroError) as error:
        Api(fresh.layout, "auditor").ask("accept-log", "n3", **named)
    assert error.value.code == "control.role-denied"
    assert code_of(fresh, "n1", named) == "control.gap-mistaken"  # It has seen nothing.
    planned = fresh.api.ask("accept-log", "n3", **named)
    with pytest.raises(AeroError) as error:
        fresh.api.confirm(planned, sign_with_key(STRANGER, planned.plan.encode()))
    assert error.value.executed == "not executed"
    assert seen_by_all(fresh) == before
    assert fresh.api.confirm(planned).result == "executed"
    seen = fresh.impostor.seen("n3")
    with pytest.raises(AeroError) as error:
        fresh.impostor.run("n3", order_of(fresh.api, planned.request, seen))
    assert (error.value.code, error.value.executed) == ("kernel.request-duplicate", "executed")
    assert code_of(fresh, "n3", named) == "control.gap-mistaken"
    assert {**seen_by_all(fresh), "n3": None} == {**before, "n3": None}
    fresh.api.do("accept-log", "n2", **done.named("n2"))
    fresh.api.do("checkpoint", "n3")


def _forked(running: Running, at: int, size: int) -> Hostile:
    """Take over with the stolen keys, and put a log in the place of the real one that is another from `at` on."""
    folder = running.layout.control / "log"
    with Log(folder, running.cluster.origin, log_key(running)) as log:
        records, blobs = [read_record(data) for _, data in log.records()], dict(log.blobs())
    shutil.rmtree(folder)
    (running.layout.control / "log.head").unlink()
    with Log.create(folder, running.cluster.origin, log_key(running)) as forged:
        for number in range(size):
            record = records[min(number, len(records) - 1)]
            forged.append(record if number < at else replace(record, reason=f"a lie, number {number}"), blobs)
    return Hostile(running)


def test_a_fork_that_is_not_named_is_refused_by_the_node(fresh: Running) -> None:
    """Every key of the control plane's is stolen, and the operator is fooled into signing that little was lost.

    The node saw the log at 2, 5 and 8 records. A log that is another from record 4 on is refused as the one that was
    restored at 6, since the node saw 5 of it; and refused as one that begins with 4 others. It is accepted only as what
    it is: everything from record 4 on is given up, and the node signs that.
    """
    for action in ("stop", "start", "checkpoint"):
        fresh.api.do(action, "n3")
    assert fresh.impostor.seen("n3") == 8
    stop_control(fresh)
    with Log(fresh.layout.control / "log", fresh.cluster.origin, log_key(fresh)) as real:
        genuine = {size: str(mark_of(size, real.root_at(size))) for size in (4, 6, 8)}
    hostile = _forked(fresh, at=4, size=12)
    lie = str(mark_of(6, hostile.log.root_at(6)))
    assert str(mark_of(4, hostile.log.root_at(4))) == genuine[4]

    def sent(begins: str, **changes: object) -> Outcome:
        plan, snapshot = hostile.plan(hostile.request("accept-log", "n3", seen=genuine[8], restored=begins))
        return fresh.impostor.run("n3", replace(hostile.order(plan, snapshot), **changes))

    for refused, what in (
        (sent(lie), "does not extend the 5"),
        (sent(genuine[6]), "does not begin with what the request names"),
        (sent(genuine[4], restored=()), "does not begin with what the request names"),
        (sent(genuine[4], consistency=()), "does not extend the 2"),
    ):
        assert (refused.result, refused.code) == ("not executed", "kernel.log-rewritten"), refused
        assert what in refused.message, refused.message
        assert fresh.impostor.seen("n3") == 8
    stop = hostile.send(*hostile.plan(hostile.request("stop", "n3"))) if hostile.log.size >= 8 else None
    assert stop is None or stop.code == "kernel.log-rewritten"
    accepted = sent(genuine[4])
    assert accepted.result == "executed", accepted
    assert any(f"gave up the log {genuine[8]}" in each and "records 4 to 7" in each for each in accepted.evidence)
    body = fresh.impostor.agent("n3").get(f"/v1/holdings?nonce={LOOK_ID}")
    held = open_holdings(fresh.cluster, "n3", canonical.decode(body, Signed), LOOK_ID)
    assert [stated_size(each.checkpoint) for each in held.given_up] == [8]
    hostile.close()


def test_a_request_whose_confirmation_is_lost_and_that_was_never_ended(fresh: Running) -> None:
    """An agent died in the midst of it, and the log has lost it: it is listed, and ended by asking for its outcome."""
    planned = list[str]()

    def cut_off() -> None:
        asked = fresh.api.ask("checkpoint", "n3")
        planned.append(asked.request)
        with dying_agent(fresh, "n3", 1):
            fresh.api.confirm(asked)

    fresh.api.do("stop", "n2")
    done = restored_log(fresh, cut_off)
    lost = {each.held.request: each for each in found(fresh).lost}
    assert (lost[planned[0]].node, lost[planned[0]].held.outcome, lost[planned[0]].log) == ("n3", None, "")
    fresh.api.do("accept-log", "n3", **done.named("n3"))
    assert not fresh.api.ask("checkpoint", "n3").accepted
    asked = operator(fresh).types("outcome", planned[0])
    assert (asked.code, "NOT EXECUTED" in asked.text) == (1, True), asked.text
    fresh.api.do("checkpoint", "n3")
