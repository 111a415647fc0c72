"""Signed ahead, as it is typed: the promotion first, which is held; then the demotion, which runs both."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from aerodb.audit.turns import UNTOLD
from aerodb.protocol import canonical
from aerodb.protocol.ahead import read_earlier
from aerodb.protocol.api import Decision, Done, Status
from aerodb.protocol.plan import plan_digest
from aerodb.protocol.words import words_of
from tests.unit.cli.stage import Shown, Stage, stage_in

WHY = ("--reason", "maintenance")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane, and a witness that has pledged to n2."""
    with stage_in(tmp_path) as made:
        assert made.run("fence", "w1", "--for", "n2", *WHY, typed="w1\n").code == 0
        yield made


def first_command(shown: Shown) -> list[str]:
    """Return the words of the command that a held order's screen says to type next."""
    found = re.search(r"  aerodb (demote n1 --for n2 --then \S+ --reason .*)", shown.plain)
    assert found, shown.plain
    words = shlex.split(found[1])
    assert words[-2:] == list(WHY)
    return words


def _lines(stage: Stage) -> list[dict[str, object]]:
    """Return the lines of the list of requests."""
    found: list[dict[str, object]] = json.loads(stage.get("/v1/requests"))["requests"]
    return found


def held(stage: Stage) -> list[str]:
    """Have n2 hold its promotion; return the command that comes first."""
    shown = stage.run("promote", "n2", "--after", "demote:n1", *WHY, typed="n2\n")
    assert shown.code == 8, shown.plain + shown.err
    assert "12 of 16 invariants hold, and 4 are foreseen" in shown.plain
    assert "Sending it, once: n2 judges again, then holds it until its turn." in shown.plain
    assert "HELD, by its node's own signed report" in shown.plain
    assert "n2 holds the order in memory. It runs right after demote n1 is executed" in shown.plain
    return first_command(shown)


def test_a_switchover_in_two_commands(stage: Stage) -> None:
    """What follows is shown with its digest words before the name is typed, and its outcome beside the first one's."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    assert "awaits its turn" in stage.run("requests").plain
    status = " ".join(stage.run("status").plain.split())
    first = read_earlier(stage.decisions[later].line.arguments["after"]).request
    said = f"n2 holds the order to promote (request {later}), until demote n1 is executed by the request {first}"
    assert f"{said}, and by no other" in status
    shown = stage.run(*words, typed="n1\n")
    assert shown.code == 0, shown.plain + shown.err
    text = stage.decisions[later].plan
    assert text is not None
    before, typed, after = shown.plain.partition("To confirm, type")
    assert typed
    assert f"its words     {words_of(plan_digest(text))}" in before.partition("THEN, WITHOUT ANOTHER QUESTION")[2]
    assert "EXECUTED on n1" in after.partition("Then promote n2:")[0]
    assert "EXECUTED on n2" in after.partition("Then promote n2:")[2]
    assert stage.run("status").plain.splitlines()[0].startswith("\N{BLACK SQUARE} Writes: waiting at n2")


def test_who_stops_waiting_is_told_what_follows(stage: Stage) -> None:
    """After the last confirmation the promotion follows, whether or not its answer is waited for."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    stage.fail["POST /v1/requests/ID/confirmation"] = KeyboardInterrupt()
    shown = stage.run(*words, typed="n1\n")
    assert shown.code == 3
    assert f"once it is executed, n2 runs the order that it holds, too: aerodb outcome {later}" in shown.err


def test_what_names_no_plan_that_waits_is_refused_before_anything_is_asked(stage: Stage) -> None:
    """Another node, another digest, a request that there is not, one that comes after nothing."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    fence = next(iter(stage.decisions))
    asked = len(stage.decisions)
    for target, then in (("n3", later), ("n1", f"{later}:sha256:{'0' * 64}"), ("n1", fence), ("n1", "nothing")):
        shown = stage.run("demote", target, "--for", "n2", "--then", then, *WHY, typed=f"{target}\n")
        assert shown.code not in (0, 8), (target, then)
        assert "Nothing was executed" in shown.err
    assert len(stage.decisions) == asked


def test_a_declined_promotion_is_dropped(stage: Stage) -> None:
    """Recorded, and final; the demotion that names it is a rejection then."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    assert stage.run("outcome", later).code != 0
    shown = stage.run("decline", later)
    assert (shown.code, "NOT EXECUTED: recorded, and final" in shown.plain) == (0, True)
    refused = stage.run(*words, typed="n1\n")
    assert (refused.code, "REJECTED: Successor holds" in refused.plain) == (1, True)


@pytest.mark.parametrize("why", ["rejected", "declined"])
def test_where_the_first_one_is_no_more_it_is_said_what_becomes_of_the_held_order(stage: Stage, why: str) -> None:
    """Its id is used: at once, and at each further try; the order is withdrawn; then both are asked for anew."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    if why == "rejected":
        stage.missing["n3"] = stage.missing["n2"] = "frozen"
    first = stage.run(*words, typed="not\n")
    said = f"has no other turn, and is withdrawn: aerodb show {later}"
    assert (first.code, said in first.plain) == (1, True)
    stage.missing.clear()
    again = stage.run(*words, typed="n1\n")
    assert (again.code, said in again.err) == (1, True)
    assert stage.run("decline", later).code == (0 if why == "rejected" else 1)
    assert stage.run(*held(stage), typed="n1\n").code == 0


def test_a_control_plane_that_says_held_is_not_believed(stage: Stage) -> None:
    """Only the node's own signed report shows that it holds the order: of that request, by that plan."""

    def lies(body: bytes) -> bytes:
        done = canonical.decode(body, Done)
        return canonical.encode(msgspec.structs.replace(done, outcome=None))

    stage.alter["POST /v1/requests/ID/confirmation"] = lies
    shown = stage.run("promote", "n2", "--after", "demote:n1", *WHY, typed="n2\n")
    assert shown.code == 6
    assert "is not what it has signed" in shown.err


def test_what_follows_is_shown_as_it_was_named_or_nothing_is_signed(stage: Stage) -> None:
    """The plan of the request after is held against the digest in this one's plan."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    seen = []

    def other(body: bytes) -> bytes:
        decision = canonical.decode(body, Decision)
        if decision.line.request != later or decision.plan is None:
            return body
        seen.append(decision)
        if len(seen) == 1:
            return body
        return canonical.encode(msgspec.structs.replace(decision, plan=decision.plan.replace("maintenance", "else")))

    stage.alter["GET /v1/requests/ID"] = other
    asked = len(stage.sent)
    shown = stage.run(*words, typed="n1\n")
    assert shown.code == 6, shown.plain
    assert not [path for _, path, _ in stage.sent[asked:] if path.endswith("/confirmation")]


def test_it_verifies_as_it_is_read_offline(stage: Stage, tmp_path: Path) -> None:
    """While it is held, nothing is said to be begun; then the whole log holds, and so does each one's evidence."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    rows = [line for line in stage.run("audit", "gap").plain.splitlines() if later in line]
    assert ["given to be held" in line and "not begun" in line for line in rows] == [True]
    assert stage.run(*words, typed="n1\n").code == 0
    log, evidence = tmp_path / "log.jsonl", tmp_path / "evidence.json"
    assert stage.run("audit", "export", "--output", str(log)).code == 0
    shown = stage.run("audit", "verify", str(log))
    assert shown.code == 0, shown.plain + shown.err
    assert "1 turn" in shown.plain
    assert stage.run("audit", "evidence", later, "--output", str(evidence)).code == 0
    shown = stage.run("audit", "verify", str(evidence))
    assert shown.code == 0, shown.plain + shown.err
    assert "its turn came: the agent of n1 signed that it executed demote n1" in shown.plain
    assert UNTOLD in shown.plain


def test_asked_for_its_outcome_a_held_order_is_said_to_be_held(stage: Stage) -> None:
    """By its node's signed report: what it waits for, and how to drop it; never "unknown", and never "ask again"."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    shown = stage.run("outcome", later)
    assert shown.code == 8, shown.plain + shown.err
    assert "HELD, by its node's own signed report" in shown.plain
    assert "It runs right after demote n1 is executed" in shown.plain
    assert f"To have it dropped: aerodb decline {later}" in shown.plain
    assert first_command(shown) == words
    assert "unknown" not in (shown.plain + shown.err).lower()
    found = canonical.decode(stage.run("outcome", later, "--json").plain.strip().encode(), Done)
    assert (found.request, found.result, found.outcome is not None) == (later, "held", True)


def test_an_order_that_no_node_signs_to_hold_is_not_said_to_be_held(stage: Stage) -> None:
    """What a control plane says is held against the node's report; where that shows nothing, it is unknown."""
    words = held(stage)
    later = words[words.index("--then") + 1]

    def another(body: bytes) -> bytes:
        status = canonical.decode(body, Status)
        snapshot = msgspec.structs.replace(status.snapshot, reports={})
        return canonical.encode(msgspec.structs.replace(status, snapshot=snapshot))

    stage.alter["GET /v1/status"] = another
    shown = stage.run("outcome", later)
    assert shown.code == 3, shown.plain + shown.err
    assert "HELD" not in shown.plain
    assert "Whether it was executed is unknown" in shown.err


def test_a_held_order_that_another_one_drops_is_said_by_the_call_that_drops_it(stage: Stage) -> None:
    """As its node has signed it; what the control plane alone says of it is not shown as what became of it."""
    words = held(stage)
    later = words[words.index("--then") + 1]
    shown = stage.run("checkpoint", "n2", *WHY, typed="n2\n")
    assert shown.code == 0, shown.plain
    said = f"n2 held the order of request {later}, and has dropped it: NOT EXECUTED (kernel.order-dropped)."
    assert said in " ".join(shown.plain.split())
    later = held(stage)[-3]

    def lies(body: bytes) -> bytes:
        done = canonical.decode(body, Done)
        dropped = tuple(msgspec.structs.replace(each, result="executed") for each in done.dropped or ())
        return canonical.encode(msgspec.structs.replace(done, dropped=dropped))

    stage.alter["POST /v1/requests/ID/confirmation"] = lies
    shown = stage.run("checkpoint", "n2", *WHY, typed="n2\n")
    assert shown.code == 0, shown.plain + shown.err
    assert f"What became of request {later} is not shown" in " ".join(shown.plain.split())


def test_a_request_is_named_by_how_its_id_begins(stage: Stage) -> None:
    """As lists show it: to see it, to ask for it, and to have it follow; what begins several ids names none."""
    words = held(stage)
    at = words.index("--then") + 1
    later = words[at]
    assert f"request {later}" in stage.run("show", later[:8]).plain
    assert f"aerodb decline {later}" in stage.run("outcome", later[:8]).plain
    assert stage.run(*words[:at], later[:8], *words[at + 1 :], typed="n1\n").code == 0
    unknown = stage.run("show", "0000-none")
    assert "request-unknown" in unknown.err
    several = {
        "requests": [{**each, "request": "abcd" + str(each["request"])[4:]} for each in _lines(stage)],
        "next": None,
    }
    stage.alter["GET /v1/requests"] = lambda _: canonical.encode(several)
    refused = stage.run("show", "abcd")
    assert (refused.code, "input.request-ambiguous" in refused.err) == (2, True)
