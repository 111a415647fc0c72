"""Procedures at the terminal, walked by typing what is printed and nothing else, in front of the real control plane."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from aerodb.protocol.procedure import Procedure
from tests.unit.cli.stage import Shown, Stage, stage_in

TICKET = "CHG-7 move to new hardware"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield three nodes and a witness, their control plane, and alice at her terminal."""
    with stage_in(tmp_path) as made:
        yield made


def laid(stage: Stage, *words: str, reason: str = TICKET) -> Procedure:
    """Return a procedure as alice's command gets it."""
    option = ["--reason", reason] if reason else []
    shown = stage.run("procedure", *words, *option, "--json", terminal=False)
    assert shown.code == 0, shown.err
    return canonical.decode(shown.out.encode().strip(), Procedure)


def printed(stage: Stage, *words: str, reason: str = TICKET) -> str:
    """Return what alice sees of a procedure."""
    shown = stage.run("procedure", *words, "--reason", reason)
    assert shown.code == 0, shown.err
    return shown.plain


def commands(text: str, order: int = 1) -> list[str]:
    """Return the lines of an order that are to be typed, as they stand there."""
    parts = re.split(r"^Order \d+ of \d+: .*$", text, flags=re.MULTILINE)
    part = parts[order] if len(parts) > 1 else text
    return [line.strip() for line in part.splitlines() if line.startswith("    aerodb ")]


def types(stage: Stage, line: str) -> Shown:
    """Type a printed line, and the node's name where it is asked for."""
    program, *words = shlex.split(line)
    assert program == "aerodb"
    return stage.run(*words, typed=f"{words[1]}\n")


def states(found: Procedure, order: int = 1) -> list[str]:
    """Return how each step of an order is judged."""
    return [step.state for step in found.orders[order - 1].steps]


def walk(stage: Stage, *words: str, order: int = 1) -> list[Procedure]:
    """Walk an order by what is printed, and return the procedure as it was laid out before each line, and after all."""
    count = len(commands(printed(stage, *words), order))
    before = [laid(stage, *words)]
    for at in range(count):
        chosen = order if at == 0 else 1  # Once an order is begun, the others cannot be walked any more.
        line = commands(printed(stage, *words), chosen)[at]
        step = before[-1].orders[chosen - 1].steps[at]
        assert (step.state, step.accepted) == ("judged now", True), step
        shown = types(stage, line)
        assert shown.code == 0, shown.plain + shown.err
        now = laid(stage, *words)
        assert states(now) == ["done"] * (at + 1) + states(now)[at + 1 :]
        assert "done" not in states(now)[at + 1 :]
        done = now.orders[0].steps[at].done
        assert done is not None
        recorded = stage.run("show", done.request, "--full").plain
        assert f'"at":"{done.at}"' in recorded
        assert f'"reason":"{TICKET}","request":"{done.request}","result":"executed"' in recorded
        before.append(now)
    return before


@pytest.mark.parametrize("order", [1, 2])
def test_a_whole_switchover_is_walked_by_the_printed_lines(stage: Stage, order: int) -> None:
    """Each line is accepted, and becomes done; all were foreseen to be; writes are as they were foreseen."""
    walked = walk(stage, "switchover", "n1", "n2", order=order)
    first = walked[0].orders[order - 1]
    assert all(step.accepted for step in first.steps)
    assert len(walked[0].orders) == 2
    assert [len(each.orders) for each in walked[1:]] == [1] * len(first.steps)
    for step, after in zip(first.steps, walked[1:], strict=True):
        assert step.writes is not None
        assert step.writes.headline == after.writes.headline
    assert printed(stage, "switchover", "n1", "n2").startswith("Switchover from n1 to n2: 5 of 5 requests done\n")


def test_a_switchover_that_is_signed_ahead_is_walked_too(stage: Stage) -> None:
    """It is said how, as it is typed; each of the two is done by a request that names the other."""
    for line in commands(printed(stage, "switchover", "n1", "n2"))[:2]:
        assert types(stage, line).code == 0
    text = " ".join(printed(stage, "switchover", "n1", "n2").split())
    said = re.search(r"Step 4 can be signed before step 3, so that nobody reads while writes wait: (.*?)\. It is", text)
    assert said is not None, text
    held = types(stage, said[1])
    assert held.code == 8, held.plain + held.err
    first = re.search(r"aerodb demote n1 --for n2 --then \S+", held.plain)
    assert first is not None
    assert types(stage, f'{first[0]} --reason "{TICKET}"').code == 0
    found = laid(stage, "switchover", "n1", "n2")
    assert states(found) == ["done", "done", "done", "done", "judged now"]
    assert "can be signed before" not in printed(stage, "switchover", "n1", "n2")


@pytest.mark.parametrize("order", [1, 2])
def test_a_whole_failover_is_walked_by_the_printed_lines(stage: Stage, order: int) -> None:
    """Also once the promotion has made its candidate the holder of the newest grant: the way stays the same."""
    stage.change("n1", state=State.CRASHED, senders=())
    stage.missing["n1"] = "it is gone"
    for name in ("n2", "n3"):
        stage.change(name, receiver=None)
    walked = walk(stage, "failover", "n2", order=order)
    first = walked[0].orders[order - 1]
    assert all(step.accepted for step in first.steps)
    promoted = next(at for at, step in enumerate(first.steps) if step.action == "promote")
    assert walked[promoted].writes.acknowledged == "no"
    assert walked[promoted + 1].writes.acknowledged == ("yes" if order == 1 else "no")
    assert walked[-1].writes.acknowledged == "yes"


def test_an_election_is_given_up_by_the_printed_lines(stage: Stage) -> None:
    """What was fenced is known from the nodes at first, and from the log once the primary is renewed."""
    assert types(stage, 'aerodb fence n3 --for n2 --reason "a mistake"').code == 0
    walked = walk(stage, "give-up-election")
    assert [step.action for step in walked[0].orders[0].steps] == ["fence", "fence", "renew", "follow"]
    assert {each.writes.acknowledged for each in walked} == {"yes"}
    refused = stage.run("procedure", "give-up-election", "--reason", "another ticket")
    assert (refused.code, "no election stands" in refused.err) == (2, True)


def test_maintenance_and_return_are_walked_by_the_printed_lines(stage: Stage) -> None:
    """A standby is stopped and started; one that was detached follows, and then a copy is no order any more."""
    walk(stage, "maintenance", "n3")
    assert types(stage, 'aerodb fence n3 --for n1 --reason "a mistake"').code == 0
    assert types(stage, 'aerodb fence w1 --for n1 --reason "a mistake"').code == 0
    assert types(stage, 'aerodb renew n1 --reason "a mistake"').code == 0
    walked = walk(stage, "return", "n3")
    assert [each.order for each in walked[0].orders] == [
        "with the data that it has", "with a new copy of the primary's data",
    ]  # fmt: skip
    assert [step.action for order in walked[1].orders for step in order.steps] == ["follow"]


def test_nothing_is_asked_for_and_nothing_recorded(stage: Stage) -> None:
    """However often a procedure is laid out, the log and the nodes stay as they are."""
    size = stage.log.size
    for words in (("switchover", "n1", "n2"), ("failover", "n2"), ("return", "n3"), ("maintenance", "n1")):
        assert printed(stage, *words) == printed(stage, *words)
    assert stage.log.size == size
    assert stage.posts() == []


def test_only_the_same_ticket_marks_a_line_as_done(stage: Stage) -> None:
    """Another reason, one that merely contains it, other letters, or none marks nothing; nor does another argument."""
    line = commands(printed(stage, "switchover", "n1", "n2"))[0]
    assert types(stage, line).code == 0
    assert states(laid(stage, "switchover", "n1", "n2"))[0] == "done"
    for reason in ("CHG-7", f"{TICKET}!", TICKET.lower(), ""):
        assert "done" not in states(laid(stage, "switchover", "n1", "n2", reason=reason)), reason
    assert "done" not in states(laid(stage, "switchover", "n1", "n3"))


def test_what_was_not_executed_is_not_done(stage: Stage) -> None:
    """A plan that was declined, or rejected, marks no line."""
    line = commands(printed(stage, "switchover", "n1", "n2"))[0]
    program, *words = shlex.split(line)
    assert program == "aerodb"
    assert stage.run(*words, typed="nothing\n").code == 1
    assert states(laid(stage, "switchover", "n1", "n2"))[0] == "judged now"


@pytest.mark.parametrize(
    "reason", ["it's $HOME", 'say "no"', "a `date` for you", "back\\slash", "what!", "plain", "Überlauf"]
)
def test_a_printed_line_is_one_request_whatever_the_ticket(stage: Stage, reason: str) -> None:
    """The shell gives the reason back as it is, and the line becomes done by being typed."""
    line = commands(printed(stage, "switchover", "n1", "n2", reason=reason))[0]
    assert shlex.split(line)[-1] == reason
    assert types(stage, line).code == 0
    assert states(laid(stage, "switchover", "n1", "n2", reason=reason))[0] == "done"


def test_a_node_that_answers_nobody_is_said_to_be_what_is_missing(stage: Stage) -> None:
    """Its step is not judged, nor what rests on it; it is said why, and no command is left out."""
    stage.missing["n3"] = "the cable is cut"
    text = printed(stage, "switchover", "n1", "n2")
    assert "1 ○ not judged yet: n3 gives no report: transport.unreachable: the cable is cut" in text
    assert "2 ○ not judged yet: rests on step 1" in text
    assert len(commands(text)) == 5


def test_a_rejection_is_foretold_with_its_evidence(stage: Stage) -> None:
    """The invariant, and what it rests on, stand beneath the line that would be rejected."""
    stage.change("n3", drift=("primary_conninfo",))
    text = printed(stage, "switchover", "n1", "n2")
    assert "1 ■ judged now: would be REJECTED by receiver-known" in text
    assert "VIOLATED receiver-known: changed behind the agent's back on n3: primary_conninfo" in " ".join(text.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("switchover", "n1", "n1"), "changes nothing"),
        (("switchover", "n1", "w1"), "w1 is a witness"),
        (("switchover", "n1", "n9"), "n9"),
        (("failover", "n1"), "n1 holds the newest grant itself"),
        (("return", "n1"), "n1 holds the newest grant"),
        (("maintenance", "w1"), "w1 is a witness"),
        (("give-up-election",), "no election stands"),
        (("maintenance", "n3", "--reason", "two\nlines"), "characters that can be seen"),
        (("maintenance", "n3", "--reason", "x" * 501), "at most 500 characters"),
    ],
)
def test_what_fits_no_procedure_is_refused_with_the_reason(stage: Stage, words: tuple[str, ...], said: str) -> None:
    """As input that is wrong: nothing is laid out."""
    shown = stage.run("procedure", *words)
    assert (shown.code, said in shown.err, shown.plain) == (2, True, ""), shown.err


def test_a_procedure_of_something_else_is_refused(stage: Stage) -> None:
    """What is shown is what was asked for."""
    other = stage.get("/v1/procedures/switchover?primary=n1&successor=n3")
    stage.alter["GET /v1/procedures/switchover"] = lambda _: other
    assert stage.run("procedure", "switchover", "n1", "n2").code == 6


def test_the_maintenance_of_a_primary_names_the_other_way(stage: Stage) -> None:
    """It stops writes, which is said; to move the primary first is a procedure of its own, and no node is chosen."""
    text = printed(stage, "maintenance", "n1")
    assert "Writes STOP: no primary; last known n1, term 1" in text
    assert "Writes are back" in text
    said = " ".join(text.split())
    assert "aerodb procedure switchover n1 n2 or aerodb procedure switchover n1 n3" in said


def test_without_utf_8_the_marks_are_plain(stage: Stage) -> None:
    """Every mark has a plain one, and the words are the same."""
    from aerodb.views.procedure import procedure_lines

    found = laid(stage, "switchover", "n1", "n2")
    drawn, plain = ([line.text for line in procedure_lines(found, draws=draws)] for draws in (True, False))
    assert all(line.isascii() for line in plain)
    assert [line.split(": ")[1:] for line in drawn] == [line.split(": ")[1:] for line in plain]
