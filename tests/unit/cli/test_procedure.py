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


def at_of(found: Procedure, order: str) -> int:
    """Return which of the orders is the one that is walked: what is different in it is said while there are others."""
    return next((at for at, each in enumerate(found.orders, 1) if each.order == order), 1)


def walk(stage: Stage, *words: str, order: int = 1) -> list[Procedure]:
    """Walk an order by what is printed, and return the procedure as it was laid out before each line, and after all."""
    before = [laid(stage, *words)]
    name, count = before[0].orders[order - 1].order, len(before[0].orders[order - 1].steps)
    for at in range(count):
        chosen = at_of(before[-1], name)
        line = commands(printed(stage, *words), chosen)[at]
        step = before[-1].orders[chosen - 1].steps[at]
        assert (step.state, step.accepted) == ("judged now", True), step
        held = "--after" in line
        shown = types(stage, line)
        assert shown.code == (8 if held else 0), shown.plain + shown.err
        now = laid(stage, *words)
        chosen = at_of(now, name)
        passed = states(now, chosen)[: at + 1]
        assert passed == ["done"] * at + ["held"] if held else ["done"] * (at + 1)
        assert not {"done", "held"} & set(states(now, chosen)[at + 1 :])
        for each in now.orders[chosen - 1].steps[: at + (0 if held else 1)]:
            assert each.done is not None
            recorded = stage.run("show", each.done.request, "--full").plain
            assert f'"at":"{each.done.at}"' in recorded
            assert f'"reason":"{TICKET}","request":"{each.done.request}","result":"executed"' in recorded
        before.append(now)
    return before


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_whole_switchover_is_walked_by_the_printed_lines(stage: Stage, order: int) -> None:
    """Each line is accepted, and becomes held or done; all were foreseen to be; writes are as they were foreseen."""
    walked = walk(stage, "switchover", "n1", "n2", order=order)
    first = walked[0].orders[order - 1]
    assert all(step.accepted for step in first.steps)
    assert [each.order for each in walked[0].orders] == [
        "standbys move to n2 beforehand; the promotion is signed ahead",
        "standbys move to n2 beforehand; in two confirmations",
        "standbys move once n2 is promoted; the promotion is signed ahead",
    ]
    for step, after in zip(first.steps, walked[1:], strict=True):
        assert step.writes is not None
        assert step.writes.headline == after.writes.headline
    assert printed(stage, "switchover", "n1", "n2").startswith("Switchover from n1 to n2: 5 of 5 requests done\n")


def until_held(stage: Stage) -> str:
    """Walk the first order of a switchover until its promotion is held; return that request."""
    for _ in range(3):
        found = laid(stage, "switchover", "n1", "n2").orders[0].steps
        at = next(at for at, step in enumerate(found) if step.state == "judged now")
        assert types(stage, commands(printed(stage, "switchover", "n1", "n2"))[at]).code in (0, 8)
    return laid(stage, "switchover", "n1", "n2").orders[0].steps[2].held


def test_the_way_that_is_signed_ahead_is_laid_out_and_knows_what_is_held(stage: Stage) -> None:
    """The promotion stands before the demotion; once it is held, the demotion stands with its id, judged with it."""
    text = printed(stage, "switchover", "n1", "n2")
    lines = [line.partition(" --reason")[0] for line in commands(text)]
    assert lines[2:4] == ["aerodb promote n2 --after demote:n1", "aerodb demote n1 --for n2 --then REQUEST"]
    said = " ".join(text.split())
    assert "pledges-kept, election-quorum, commit-quorum, wal-prefix only once the next line is executed" in said
    assert "Writes meanwhile: none from the shutdown of n1 until n2 is promoted; nobody reads then." in said
    assert "Writes meanwhile: none for as long as somebody reads the plan to promote n2, and signs it." in said
    later = until_held(stage)
    text = printed(stage, "switchover", "n1", "n2")
    assert "3 \N{BLACK DIAMOND} held by n2, as that has signed" in text
    assert f"request {later}" in " ".join(text.split())
    assert f'aerodb demote n1 --for n2 --then {later} --reason "{TICKET}"' in commands(text)
    found = laid(stage, "switchover", "n1", "n2")
    assert [each.order for each in found.orders] == ["standbys move to n2 beforehand; the promotion is signed ahead"]
    holds = {each.invariant: each.evidence for each in found.orders[0].steps[3].verdicts}["successor-holds"]
    assert holds == "n2 holds the order to promote, for term 2 and this request"
    assert types(stage, commands(text)[3]).code == 0
    done = commands(printed(stage, "switchover", "n1", "n2"))
    assert done[2].startswith("aerodb promote n2 --after demote:n1 --reason")
    assert done[3].startswith(f"aerodb demote n1 --for n2 --then {later} --reason")


def test_a_demotion_that_was_refused_before_it_had_a_plan_is_asked_for_again(stage: Stage) -> None:
    """Its id is used by nothing: what is held has its turn still, and the same line stands there."""
    until_held(stage)
    line = commands(printed(stage, "switchover", "n1", "n2"))[3]
    stage.missing["n1"] = "a cable"
    assert types(stage, line).code != 0
    del stage.missing["n1"]
    text = printed(stage, "switchover", "n1", "n2")
    assert "no turn any more" not in text
    assert commands(text)[3] == line
    assert types(stage, line).code == 0


def test_a_demotion_that_awaits_its_confirmation_is_confirmed_and_not_asked_for_again(stage: Stage) -> None:
    """Its id is used: asked for anew it would be refused. What awaits stands as it is typed."""
    later = until_held(stage)
    line = commands(printed(stage, "switchover", "n1", "n2"))[3]
    program, *words = shlex.split(line)
    assert program == "aerodb"
    assert "It still awaits" in stage.run(*words, typed="").plain
    again = commands(printed(stage, "switchover", "n1", "n2"))
    first = re.fullmatch(r"aerodb confirm (\S+)", again[3])
    assert first is not None
    assert stage.run("confirm", first[1], typed="n1\n").code == 0
    assert stage.decisions[later].line.state == "executed"


def test_what_is_held_without_a_turn_is_not_gone_on_with(stage: Stage) -> None:
    """Another demotion was executed: what is held is named, with the way to drop it."""
    later = until_held(stage)
    assert types(stage, f'aerodb demote n1 --for n2 --reason "{TICKET}"').code == 0
    text = printed(stage, "switchover", "n1", "n2")
    assert f"n2 holds the order of request {later}, which has no turn any more: aerodb decline {later}" in " ".join(
        text.split()
    )
    assert "held by n2" not in text
    line = next(line for line in commands(text) if "promote n2" in line)
    assert "--after" not in line
    assert types(stage, line).code == 0
    assert "no turn any more" not in printed(stage, "switchover", "n1", "n2")


def test_what_was_declined_is_asked_for_anew_with_what_follows(stage: Stage) -> None:
    """The demotion was declined, and the held promotion withdrawn with it: both stand there to be asked for again."""
    later = until_held(stage)
    program, *words = shlex.split(commands(printed(stage, "switchover", "n1", "n2"))[3])
    assert program == "aerodb"
    assert stage.run(*words, typed="not\n").code == 1
    assert stage.decisions[later].line.state == "not executed"
    text = printed(stage, "switchover", "n1", "n2")
    assert "no turn any more" not in text
    assert "held by n2" not in text
    assert "--after demote:n1" in next(line for line in commands(text) if "promote n2" in line)


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
