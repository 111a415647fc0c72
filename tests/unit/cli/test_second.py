"""A second person at the terminal: the requester signs, then another operator, after the same checks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.audit.record import decode_record, encode_record
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision
from aerodb.protocol.sshsig import sign_with_key
from tests.unit.cli.stage import Stage, key_bytes, stage_in

RULE = ("configure", "n1", "--second-person", "running", "--reason", "two people")
STOP = ("stop", "n3", "--reason", "maintenance")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane of two operators, whose nodes ask for a second person to run anything."""
    with stage_in(tmp_path, "bob") as made:
        assert made.run(*RULE, typed="n1\n").code == 0
        assert made.run("configure", "n3", "--take", "--reason", "two people", typed="n3\n").code == 0
        yield made


def last(stage: Stage) -> str:
    """Return the id of the newest request."""
    return stage._requests()[-1]


def states(stage: Stage) -> str:
    """Return what the list of requests shows."""
    return stage.run("requests").plain


def test_the_requester_signs_and_is_told_who_signs_next(stage: Stage) -> None:
    """Nothing is sent; the plan names who could be the second person, and the list shows that one is awaited."""
    shown = stage.run(*STOP, typed="n3\n")
    assert shown.code == 8, shown.plain + shown.err
    assert "A SECOND PERSON must sign this plan after alice" in shown.plain
    assert "Could: bob." in " ".join(shown.plain.split())
    assert "AWAITS A SECOND PERSON: your signature is recorded. Nothing was sent, or executed." in shown.plain
    assert f"aerodb confirm {last(stage)}" in shown.plain
    assert "awaits a second person" in states(stage)
    assert last(stage) not in stage.executed
    again = stage.run("confirm", last(stage), typed="n3\n")
    assert (again.code, "it awaits a second person: bob" in again.err) == (1, True)


def test_another_operator_signs_the_same_plan_and_it_is_executed(stage: Stage) -> None:
    """After it was computed again on their own machine, shown whole, and the node's name was typed."""
    stage.run(*STOP, typed="n3\n")
    stage.sits("bob")
    shown = stage.run("confirm", last(stage), typed="n3\n")
    assert shown.code == 0, shown.plain + shown.err
    assert "You sign second, after alice." in shown.plain
    assert "Computed again on this machine from the nodes' signed reports: the same bytes." in shown.plain
    assert "EXECUTED" in shown.plain
    assert last(stage) in stage.executed
    told = stage.run("show", last(stage), "--full").plain
    assert '"second":{"operator":"bob"' in told.replace("\n", "")


def test_who_does_not_sign_changes_nothing(stage: Stage) -> None:
    """Another word than the node's name is no decline by the second person: the plan waits on."""
    stage.run(*STOP, typed="n3\n")
    stage.sits("bob")
    shown = stage.run("confirm", last(stage), typed="no\n")
    assert (shown.code, "Not signed, and nothing is recorded" in shown.plain) == (1, True)
    assert "awaits a second person" in states(stage)
    stage.sits("alice")
    declined = stage.run("decline", last(stage))
    assert (declined.code, "DECLINED" in declined.plain) == (0, True)


def test_who_cannot_sign_second_is_told_who_could(tmp_path: Path) -> None:
    """Before they are asked to type anything, and before anything is read for them: here somebody who audits now."""
    with stage_in(tmp_path, "bob", "dora") as stage:
        role = ("--re-role", "dora", "--role", "auditor")
        for node, words in (("n1", role), ("n3", ("--take",)), ("n1", RULE[2:4]), ("n3", ("--take",))):
            shown = stage.run("configure", node, *words, "--reason", "people change", typed=f"{node}\n")
            assert shown.code == 0, shown.plain + shown.err
        assert stage.run(*STOP, typed="n3\n").code == 8
        stage.sits("dora")
        before = len(stage.sent)
        shown = stage.run("confirm", last(stage), typed="n3\n")
        assert (shown.code, "type the node's name" in shown.plain) == (1, False)
        assert "dora cannot sign after alice by version 3 of the configuration; who could: bob" in shown.err
        assert not any("sensitive" in path for _, path, _ in stage.sent[before:])


def test_what_lapsed_is_said_to_have(stage: Stage) -> None:
    """A plan that its node left behind while it waited: why nobody can sign it any more, and what to do."""
    stage.run(*STOP, typed="n3\n")
    waits = last(stage)
    words = ("configure", "n1", "--enrol", "zoe", "--role", "auditor", "--reason", "she audits")
    for node, change in (("n1", words), ("n3", ("configure", "n3", "--take", "--reason", "she audits"))):
        stage.sits("alice")
        stage.run(*change, typed=f"{node}\n")
        stage.sits("bob")
        assert stage.run("confirm", last(stage), typed=f"{node}\n").code == 0
    shown = stage.run("confirm", waits, typed="n3\n")
    assert (shown.code, "type the node's name" in shown.plain) == (1, False)
    assert "its state: lapsed: its node has taken another version of the configuration since" in shown.err
    assert "ask anew" in shown.err


def test_who_cannot_sign_is_told_that_the_plan_waits(stage: Stage) -> None:
    """A key that is not the enrolled one signs nothing, and declines nothing: that the plan waits is said."""
    path = stage.profile / "id_ed25519"
    path.write_bytes(key_bytes(stage.room.people["bob"]))
    shown = stage.run(*STOP, typed="n3\n")
    assert (shown.code, "is not the key that alice is enrolled with" in shown.err) == (2, True)
    assert f"Nothing was signed. The plan still awaits its confirmation: aerodb confirm {last(stage)}" in shown.plain


def test_the_second_person_of_a_change_is_told_who_takes_it_next(stage: Stage) -> None:
    """They complete it, so it is they who have what comes next in front of them; the requester has gone."""
    words = ("configure", "n1", "--enrol", "zoe", "--role", "auditor", "--reason", "she audits")
    assert "Not taken everywhere yet" not in stage.run(*words, typed="n1\n").plain
    stage.sits("bob")
    shown = stage.run("confirm", last(stage), typed="n1\n")
    assert shown.code == 0, shown.plain + shown.err
    for node in ("n2", "n3"):
        assert f'  aerodb configure {node} --take --reason "..."' in shown.plain
    told = " ".join(stage.run("configuration").plain.split())
    assert "3 enrols zoe as auditor, without a key alice and bob, " in told  # Both who made it.


def test_nobody_signs_second_what_was_not_signed_first(stage: Stage) -> None:
    """A plan that its requester left waiting is theirs alone."""
    stage.run(*STOP, typed="")
    stage.sits("bob")
    shown = stage.run("confirm", last(stage), typed="n3\n")
    assert (shown.code, "alice asked for this, not bob" in shown.err) == (1, True)


@pytest.mark.parametrize("lie", ["none", "a stranger's"])
def test_the_first_signature_is_verified_here(stage: Stage, lie: str) -> None:
    """A control plane that says that the requester has signed, and cannot show it, gets no second signature."""
    stage.run(*STOP, typed="" if lie == "none" else "n3\n")

    def altered(data: bytes) -> bytes:
        decision = canonical.decode(data, Decision)
        records = decision.records
        if lie != "none":
            record = decode_record(records[-1].record.encode())
            forged = sign_with_key(stage.room.people["bob"], (decision.plan or "").encode())
            text = encode_record(replace(record, signature=forged)).decode()
            records = (*records[:-1], replace(records[-1], record=text))
        line = replace(decision.line, state="awaits a second person")
        return canonical.encode(replace(decision, line=line, records=records))

    stage.alter["GET /v1/requests/ID"] = altered
    stage.sits("bob")
    shown = stage.run("confirm", last(stage), typed="n3\n")
    assert (shown.code, "no signature of alice over this plan" in shown.err) == (6, True)
    assert not any(post.endswith("confirmation") for post in stage.posts()[-1:])


def test_what_is_asked_is_shown(stage: Stage) -> None:
    """`configuration` names every action that needs two people; a change of it is one of them."""
    shown = stage.run("configuration").plain
    assert "asks for a second person for actions of the class running" in shown
    listed = shown.partition("Second person")[2].partition("Taken")[0].split()
    assert {"stop", "start", "configure"} <= set(listed)
    assert {"fence", "promote", "reclone"}.isdisjoint(listed)


def test_the_rule_is_dropped_by_two(stage: Stage) -> None:
    """By the requester's signature, and the second person's over it; the newest version then asks for nothing."""
    words = ("configure", "n1", "--no-second-person", "running", "--reason", "one is enough")
    assert "AWAITS A SECOND PERSON" in stage.run(*words, typed="n1\n").plain
    stage.sits("bob")
    assert stage.run("confirm", last(stage), typed="n1\n").code == 0
    assert "asked for nothing" in stage.run("configuration").plain


@pytest.mark.parametrize(
    "words", [("--second-person", "everything"), ("--second-person", "data", "--no-second-person", "running")]
)
def test_what_is_no_class_or_no_single_change_is_not_sent(stage: Stage, words: tuple[str, ...]) -> None:
    """It is refused where it is typed."""
    before = stage.posts()
    assert stage.run("configure", "n1", *words, "--reason", "people change", typed="n1\n").code == 2
    assert stage.posts() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--second-person", "running"),
            "that is so already of running; the classes that take two people now: running",
        ),
        (("--no-second-person", "data"), "that is so already of data; the classes that take two people now: running"),
    ],
)
def test_what_is_so_already_is_said_to_be(stage: Stage, words: tuple[str, ...], said: str) -> None:
    """Asking for what is asked for, or no more for what is not: it names what is asked for now."""
    shown = stage.run("configure", "n1", *words, "--reason", "people change", typed="n1\n")
    assert (shown.code, said in shown.err) == (2, True), shown.err
    assert "the classes that take two people now: running" in shown.err
