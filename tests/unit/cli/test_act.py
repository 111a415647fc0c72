"""Acting: nothing is sent, signed or executed that a person did not read and confirm; nothing is sent twice."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.errors import Executed
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision, Done, Planned
from aerodb.protocol.facts import Report, State
from aerodb.protocol.plan import Plan, Snapshot, plan_digest
from aerodb.protocol.signed import sign
from aerodb.transport.errors import AnswerMalformed, Interrupted, Refused, Unreachable
from tests.unit.cli.stage import Screen, Stage, key_bytes, stage_in

STOP = ("stop", "n3", "--reason", "tidy up")
CONFIRMATION = "POST /v1/requests/ID/confirmation"
ASK = "POST /v1/requests"
DECISION = "GET /v1/requests/ID"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


def replanned(change: Callable[[Plan], Plan]) -> Callable[[bytes], bytes]:
    """Return an alteration of an answer's plan that keeps every digest right: a lie that is consistent in itself."""

    def alter(body: bytes) -> bytes:
        planned = canonical.decode(body, Planned)
        plan = change(canonical.decode(planned.plan.encode(), Plan)).sealed()
        text = canonical.encode(plan).decode()
        return canonical.encode(msgspec.structs.replace(planned, plan=text, digest=plan_digest(text)))

    return alter


def asked_for(**changes: object) -> Callable[[bytes], bytes]:
    """Return an alteration of the request inside a plan."""
    replace = msgspec.structs.replace
    return replanned(lambda plan: replace(plan, request=replace(plan.request, **changes)))


def test_a_confirmed_action_is_sent_once_and_its_outcome_shown(stage: Stage) -> None:
    """The whole path: asked, read, confirmed by the node's name, signed over the plan's exact text, executed once."""
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 0
    assert len(stage.executed) == 1
    assert [path.rsplit("/", 1)[-1] for path in stage.posts()] == ["requests", "confirmation"]
    assert "Stop n3" in shown.plain
    assert "EXECUTED on n3, as signed by its agent" in shown.plain
    digest = plan_digest(stage.decisions[stage.executed[0]].plan or "")
    assert digest.removeprefix("sha256:")[:12] in shown.plain
    assert digest not in shown.plain


def test_all_of_a_plan_can_be_read_before_it_is_confirmed(stage: Stage) -> None:
    """A question mark shows what is folded, and asks again; it confirms nothing, and declines nothing."""
    shown = stage.run(*STOP, typed="?\nn3\n")
    assert (shown.code, len(stage.executed)) == (0, 1)
    before, _, after = shown.plain.partition("To confirm, type the node's name (n3): ")
    assert "type ? to see each, and every field of the plan" in before
    assert "commit point" not in before
    plan = canonical.decode((stage.decisions[stage.executed[0]].plan or "").encode(), Plan)
    whole = " ".join(after.split())
    for each in (*(verdict.evidence for verdict in plan.verdicts), plan.commit_point, *plan.failures, plan.snapshot):
        assert " ".join(each.split()) in whole
    assert after.index("commit point") < after.index("To confirm, type the node's name (n3): ")
    assert len(stage.posts()) == 2


def test_a_question_mark_alone_signs_nothing(stage: Stage) -> None:
    """Who reads all of it and then types nothing leaves it waiting."""
    assert stage.run(*STOP, typed="?\n").code == 1
    assert not stage.executed
    assert stage.posts() == ["/v1/requests"]


@pytest.mark.parametrize("typed", ["\n", "y\n", "yes\n", "N3\n", "n3 \n", " n3\n", "n2\n", "n33\n", "stop n3\n"])
def test_anything_but_the_exact_name_confirms_nothing(stage: Stage, typed: str) -> None:
    """Only the target's name, exactly, confirms; anything else declines: recorded, and never asked again."""
    shown = stage.run(*STOP, typed=typed)
    (request,) = stage.decisions
    assert shown.code == 1
    assert "DECLINED: recorded, and final. Nothing was executed." in shown.plain
    assert stage.posts() == ["/v1/requests", f"/v1/requests/{request}/decline"]
    assert not stage.executed
    again = stage.run("confirm", request, typed="n3\n")
    assert (again.code, "control.plan-not-pending" in again.err) == (1, True)
    assert "To confirm" not in again.out
    assert not stage.executed


def test_who_types_nothing_declines_nothing(stage: Stage) -> None:
    """Where the terminal ends without a word, the plan awaits its confirmation as before, and that is said."""
    shown = stage.run(*STOP, typed="")
    (request,) = stage.decisions
    assert (shown.code, f"aerodb confirm {request}" in shown.plain) == (1, True)
    assert stage.posts() == ["/v1/requests"]
    assert stage.run("confirm", request, typed="n3\n").code == 0


class CtrlC(Screen):
    """A keyboard at which a person presses Ctrl-C where something is to be typed."""

    def readline(self, _size: int | None = -1, /) -> str:  # type: ignore[override]
        """Stop the command."""
        raise KeyboardInterrupt


def test_who_stops_the_command_at_the_prompt_is_told_how_to_come_back(stage: Stage) -> None:
    """Ctrl-C declines nothing either, and says so as the end of the input does."""
    shown = stage.run(*STOP, stdin=CtrlC())
    (request,) = stage.decisions
    assert (shown.code, f"It still awaits: aerodb confirm {request}" in shown.plain) == (1, True)
    assert "Nothing was executed." in shown.err
    assert stage.posts() == ["/v1/requests"]
    assert stage.run("confirm", request, typed="n3\n").code == 0


def test_who_stops_while_the_plan_is_made_is_told_how_to_find_it(stage: Stage) -> None:
    """Whether it was made is not known here; if it was, it awaits."""
    stage.fail[ASK] = KeyboardInterrupt()
    shown = stage.run(*STOP)
    assert shown.code == 1
    assert re.search(r"If its plan was made, it awaits: aerodb confirm [0-9a-f-]{36}", shown.plain)


def test_nothing_is_said_to_be_sent_before_it_was(stage: Stage) -> None:
    """The line stands before the sending: a terminal that is closed there leaves a request that was not sent."""
    stage.fail[CONFIRMATION] = Unreachable("nobody listens")
    shown = stage.run(*STOP, typed="n3\n")
    assert "Signed. Sending it, once: n3 judges again, then acts." in shown.plain
    assert "Sent" not in shown.plain


def test_a_second_window_is_not_told_that_nothing_was_executed(stage: Stage) -> None:
    """What the first one had executed was executed: so the second one reads, whenever it comes."""
    stage.run(*STOP, typed="")
    (request,) = stage.decisions

    def first(body: bytes) -> bytes:
        del stage.alter[DECISION]
        assert stage.run("confirm", request, typed="n3\n").code == 0
        return body

    stage.alter[DECISION] = first
    shown = stage.run("confirm", request, typed="n3\n")
    assert "control.confirmation-replayed: the request was confirmed before; its outcome: executed" in shown.err
    for late in (shown, stage.run("confirm", request, typed="n3\n"), stage.run("decline", request)):
        assert late.code == 1
        assert "It was executed." in late.err
        assert "Nothing was executed" not in late.err + late.plain


def test_without_a_terminal_nothing_is_sent(stage: Stage) -> None:
    """A script cannot act, whatever it writes to stdin."""
    shown = stage.run(*STOP, typed="n3\n", terminal=False)
    assert shown.code == 5
    assert "input.terminal-missing" in shown.err
    assert "Nothing was executed." in shown.err
    assert not stage.sent


@pytest.mark.parametrize("option", ["--yes", "-y", "--force", "--no-confirm"])
def test_there_is_no_option_that_confirms(stage: Stage, option: str) -> None:
    """No option takes a person's place."""
    assert stage.run(*STOP, option, typed="n3\n").code == 2
    assert not stage.sent


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("stop", "n9", "--reason", "x"), "node"),
        (("stop", "n3", "--reason", "  "), "reason"),
        (("stop", "n3", "--reason", "x" * 501), "reason"),
        (("follow", "n2", "--upstream", "n2", "--reason", "x"), "arguments.upstream"),
        (("follow", "n2", "--upstream", "w1", "--reason", "x"), "arguments.upstream"),
    ],
)
def test_a_malformed_request_is_not_sent(stage: Stage, words: tuple[str, ...], field: str) -> None:
    """What is wrong in itself is said here, by its field, before anything is sent."""
    shown = stage.run(*words, typed="n3\n")
    assert shown.code == 2
    assert re.search(rf"field +{field}$", shown.err, re.MULTILINE)
    assert not stage.sent


@pytest.mark.parametrize(
    "words", [("stop", "n3"), ("stop", "--reason", "x"), ("follow", "n2", "--reason", "x"), ("unheard-of",)]
)
def test_a_missing_part_is_a_usage_error(stage: Stage, words: tuple[str, ...]) -> None:
    """A reason, a node and every argument are needed."""
    assert stage.run(*words).code == 2
    assert not stage.sent


def test_a_rejection_is_shown_and_asks_nothing(stage: Stage) -> None:
    """A rejected plan names its invariant, and no confirmation is asked for."""
    stage.change("n3", state=State.STOPPED)
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 1
    assert "VIOLATED running-fits" in shown.plain
    assert "To confirm" not in shown.plain
    assert len(stage.posts()) == 1


LIES: dict[str, Callable[[bytes], bytes]] = {
    "another target": asked_for(target="n1"),
    "another action": asked_for(action="start"),
    "another argument": asked_for(arguments={"for": "n1"}),
    "another reason": asked_for(reason="because"),
    "another operator": asked_for(operator="mallory"),
    "another request": asked_for(id="11111111-1111-4111-8111-111111111111"),
    "softer effects": replanned(lambda plan: msgspec.structs.replace(plan, effects=("Nothing much.",))),
    "a hidden loss": replanned(
        lambda plan: msgspec.structs.replace(plan, loss=msgspec.structs.replace(plan.loss, statement="None at all."))
    ),
    "a hidden note": replanned(lambda plan: msgspec.structs.replace(plan, notes=())),
    "a verdict more": replanned(lambda plan: msgspec.structs.replace(plan, verdicts=plan.verdicts[:-1])),
    "another configuration": replanned(lambda plan: msgspec.structs.replace(plan, configuration="sha256:" + "0" * 64)),
    "another snapshot": replanned(lambda plan: msgspec.structs.replace(plan, snapshot="sha256:" + "0" * 64)),
    "a digest of something else": lambda body: body.replace(b'"digest":"sha256:', b'"digest":"sha256:0', 1),
    "plan text changed": lambda body: body.replace(b"shuts down cleanly", b"shuts down quietly", 1),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_altered_plan_is_never_shown_for_signing(stage: Stage, lie: str) -> None:
    """A control plane that lies about a plan, even with every digest right, gets no signature."""
    stage.alter[ASK] = LIES[lie]
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code in {4, 6}
    assert "To confirm" not in shown.plain
    assert not any("confirmation" in path for path in stage.posts())


def test_an_accepted_plan_over_failing_facts_gets_no_signature(stage: Stage) -> None:
    """Verdicts are judged again here: a control plane cannot turn a rejection into an acceptance."""
    stage.change("n3", state=State.STOPPED)
    changes = replanned(
        lambda plan: msgspec.structs.replace(
            plan,
            accepted=True,
            verdicts=tuple(msgspec.structs.replace(each, result=plan.verdicts[0].result) for each in plan.verdicts),
        )
    )
    stage.alter[ASK] = lambda body: changes(body).replace(b'"accepted":false', b'"accepted":true', 1)
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 6
    assert "control.plan-unverified" in shown.err


def forged_snapshot(body: bytes) -> bytes:
    """Return a decision whose snapshot holds n1's report under a signature that is not n1's."""
    decision = canonical.decode(body, Decision)
    snapshot = canonical.decode((decision.snapshot or "").encode(), Snapshot)
    report = canonical.decode(snapshot.reports["n1"].document.encode(), Report)
    forged = sign(report, "n1", Ed25519PrivateKey.generate())
    changed = msgspec.structs.replace(snapshot, reports={**snapshot.reports, "n1": forged})
    text = canonical.encode(changed).decode()
    return canonical.encode(msgspec.structs.replace(decision, snapshot=text))


def without_snapshot(body: bytes) -> bytes:
    """Return a decision that shows no evidence."""
    return canonical.encode(msgspec.structs.replace(canonical.decode(body, Decision), snapshot=None))


@pytest.mark.parametrize("alter", [forged_snapshot, without_snapshot])
def test_a_plan_without_true_evidence_gets_no_signature(stage: Stage, alter: Callable[[bytes], bytes]) -> None:
    """Reports count only with their nodes' signatures, by the profile's own configuration; and they must be there."""
    stage.alter[DECISION] = alter
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 6
    assert "To confirm" not in shown.plain
    assert not stage.executed


def test_an_old_snapshot_gets_no_signature(stage: Stage) -> None:
    """A plan that rests on reports made for an earlier request is refused: the facts may have changed since."""
    stage.run(*STOP, typed="")
    earlier = next(iter(stage.decisions.values()))
    snapshot = canonical.decode((earlier.snapshot or "").encode(), Snapshot)
    digest = canonical.digest((earlier.snapshot or "").encode())
    stage.alter[ASK] = replanned(
        lambda plan: msgspec.structs.replace(
            plan,
            snapshot=digest,
            reports={name: each.digest for name, each in snapshot.reports.items() if name != "n3"},
        )
    )
    stage.alter[DECISION] = lambda body: canonical.encode(
        msgspec.structs.replace(canonical.decode(body, Decision), snapshot=earlier.snapshot)
    )
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 6
    assert "another request" in shown.err


@pytest.mark.parametrize(
    "failure",
    [
        Interrupted("no answer", executed="unknown"),
        AnswerMalformed("HTTP 502: bad gateway"),
        KeyboardInterrupt(),
        RuntimeError("a defect"),
        OSError(5, "the terminal went away"),
    ],
)
def test_whatever_fails_after_sending_is_unknown_and_never_sent_again(stage: Stage, failure: BaseException) -> None:
    """Once the confirmation is sent, no failure is taken for "not executed"; the way to ask is printed."""
    stage.fail[CONFIRMATION] = failure
    shown = stage.run(*STOP, typed="n3\n")
    request = next(iter(stage.decisions))
    assert shown.code == 3
    assert "Whether it was executed is unknown." in shown.err
    assert f"aerodb outcome {request}" in shown.err
    assert sum("confirmation" in path for path in stage.posts()) == 1
    assert "Traceback" not in shown.err


def test_a_garbled_answer_to_the_confirmation_is_unknown(stage: Stage) -> None:
    """An answer that cannot be read says nothing about what was executed."""
    stage.alter[CONFIRMATION] = lambda body: body[:-2]
    assert stage.run(*STOP, typed="n3\n").code == 3
    assert len(stage.executed) == 1


def test_what_was_not_sent_was_not_executed(stage: Stage) -> None:
    """An unreachable control plane is a transport failure, and nothing was executed."""
    stage.fail[CONFIRMATION] = Unreachable("nobody listens")
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 4
    assert "Nothing was executed." in shown.err


def test_an_interrupted_question_executed_nothing(stage: Stage) -> None:
    """Before the confirmation nothing can be executed, whatever the transport's error says."""
    stage.fail[ASK] = Interrupted("no answer", executed="unknown")
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 4
    assert "Nothing was executed." in shown.err


@pytest.mark.parametrize(("executed", "code"), [("not executed", 1), ("unknown", 3)])
def test_a_refusal_is_passed_on_as_it_was_said(stage: Stage, executed: Executed, code: int) -> None:
    """The server's code, message, invariants and its word on execution reach the person."""
    refused = Refused("the facts changed", executed=executed, invariants=("role-fits",))
    refused.code = "kernel.verdict-changed"
    stage.fail[CONFIRMATION] = refused
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == code
    assert "kernel.verdict-changed: the facts changed" in re.sub(r"\x1b\[[0-9;]*m", "", shown.err)
    assert "role-fits" in shown.err


@pytest.mark.parametrize(("result", "code"), [("executed", 0), ("not executed", 1), ("unknown", 3)])
def test_the_exit_code_is_the_outcome(stage: Stage, result: str, code: int) -> None:
    """Executed, not executed and unknown are told apart, now and when asked again."""
    stage.fails_with(result)
    assert stage.run(*STOP, typed="n3\n").code == code
    assert stage.run("outcome", stage.executed[0]).code == code
    assert stage.run("outcome", stage.executed[0], "--json", terminal=False).code == code


Alteration = Callable[[bytes], bytes]


def changed_outcome(**changes: object) -> Callable[[Stage], Alteration]:
    """Return what puts another document, truly signed by the target, in the outcome's place."""

    def alter(stage: Stage, body: bytes) -> bytes:
        done = canonical.decode(body, Done)
        assert done.outcome is not None
        signed = stage.outcome(done.outcome, **changes)
        said = {name: value for name, value in changes.items() if name == "result" and "plan" in changes}
        return canonical.encode(msgspec.structs.replace(done, outcome=signed, **said))

    return lambda stage: partial(alter, stage)


def unsigned(body: bytes) -> bytes:
    """Return the answer without the agent's signed document."""
    return canonical.encode(msgspec.structs.replace(canonical.decode(body, Done), outcome=None))


FORGERIES: dict[str, Callable[[Stage], Alteration]] = {
    "text changed": lambda _: lambda body: body.replace(b"was shut down cleanly", b"was shut down quietly"),
    "claimed without a signature": lambda _: unsigned,
    "of another request": changed_outcome(request="11111111-1111-4111-8111-111111111111"),
    "of another plan": changed_outcome(plan="sha256:" + "0" * 64),
    "of another node": changed_outcome(node="n1"),
    "of another cluster": changed_outcome(cluster="cluster-2"),
    "says otherwise": changed_outcome(result="not executed"),
}


@pytest.mark.parametrize("lie", FORGERIES)
@pytest.mark.parametrize("later", [False, True])
def test_a_forged_outcome_proves_nothing(stage: Stage, lie: str, *, later: bool) -> None:
    """Only the target's signature over this request, plan and result counts; else it is unknown, and says so."""
    if later:
        stage.run(*STOP, typed="n3\n")
        stage.alter["POST /v1/requests/ID/outcome"] = FORGERIES[lie](stage)
        shown = stage.run("outcome", stage.executed[0])
    else:
        stage.alter[CONFIRMATION] = FORGERIES[lie](stage)
        shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 6
    assert "EXECUTED on" not in shown.plain
    assert "Whether it was executed is unknown." in shown.err


@pytest.mark.parametrize(("result", "code"), [("executed", 6), ("not executed", 1), ("unknown", 3)])
def test_only_what_was_not_executed_may_name_no_plan(stage: Stage, result: str, code: int) -> None:
    """An agent that was never shown the plan can say that nothing was executed, but not that something was."""
    stage.run(*STOP, typed="n3\n")
    stage.alter["POST /v1/requests/ID/outcome"] = changed_outcome(plan="", result=result)(stage)
    assert stage.run("outcome", stage.executed[0]).code == code


def test_asking_for_an_outcome_that_nobody_gives_leaves_it_unknown(stage: Stage) -> None:
    """A question that was not even sent does not make an action "not executed"."""
    stage.run(*STOP, typed="n3\n")
    stage.fail["POST /v1/requests/ID/outcome"] = Unreachable("nobody listens")
    shown = stage.run("outcome", stage.executed[0])
    assert shown.code == 3
    assert "Nothing was executed" not in shown.err


def test_a_key_that_is_not_enrolled_signs_nothing(stage: Stage) -> None:
    """A key other than the enrolled one is refused here, and nothing is sent."""
    (stage.profile / "id_ed25519").write_bytes(key_bytes(Ed25519PrivateKey.generate()))
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 2
    assert "input.signing-key-unusable" in shown.err
    assert not stage.executed


def test_without_a_key_and_without_an_agent_nothing_is_sent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no key file is, the ssh-agent is asked; where there is none, nothing is confirmed."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (stage.profile / "id_ed25519").unlink()
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 4
    assert "transport.ssh-agent-unavailable" in shown.err
    assert len(stage.posts()) == 1


def test_a_key_file_is_left_alone_where_the_agent_is_asked_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """--ssh-agent never falls back to the file."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert stage.run(*STOP, "--ssh-agent", typed="n3\n").code == 4
    assert not stage.executed


def test_a_reason_is_recorded_in_its_normal_form(stage: Stage) -> None:
    """A reason typed with combining characters is asked in Unicode normal form C."""
    assert stage.run("stop", "n3", "--reason", "cafe\u0301", typed="n3\n").code == 0
    assert next(iter(stage.decisions.values())).line.reason == "caf\u00e9"


def test_each_request_has_an_id_of_its_own(stage: Stage) -> None:
    """No id is used twice."""
    for _ in range(3):
        stage.run(*STOP, typed="")
    ids = [headers["Idempotency-Key"] for _, path, headers in stage.sent if path == "/v1/requests"]
    assert len(set(ids)) == len(ids) == 3
