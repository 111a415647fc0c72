"""Enrolling, and confirming what was asked in the browser: checked here, typed by a person, sent once."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.protocol import canonical, webauthn
from aerodb.protocol.api import Ask, Decision, Planned
from aerodb.protocol.authenticator import fingerprint, short_name
from aerodb.protocol.change import read_step, step_text
from aerodb.protocol.credentials import Authenticator, AuthenticatorList
from aerodb.protocol.plan import Plan
from aerodb.protocol.webauthn import Endorsement
from aerodb.protocol.words import words_of
from tests.unit.cli.stage import Shown, Stage, stage_in
from tests.unit.protocol.authenticator import SoftAuthenticator, enrolling

REQUEST = "22222222-2222-4222-8222-222222222222"
REASON = ("--reason", "a new key")
LISTED = "GET /v1/authenticators"
DECISION = "GET /v1/requests/ID"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


@pytest.fixture
def pending(stage: Stage) -> Authenticator:
    """Return an authenticator of alice's that awaits its enrolment."""
    return stage.register(SoftAuthenticator())


def enrol(stage: Stage, *words: str, typed: str = "n1\n", terminal: bool = True) -> Shown:
    """Have the primary enrol an authenticator, as alice does."""
    return stage.run("configure", "n1", "--enrol-authenticator", *words, *REASON, typed=typed, terminal=terminal)


def take(stage: Stage, node: str) -> Shown:
    """Have a node take the next version, as alice does."""
    return stage.run("configure", node, "--take", *REASON, typed=f"{node}\n")


def enrolled(stage: Stage, node: str = "n1") -> list[tuple[str, str, bool]]:
    """Return credential, key and whether it is revoked of all that a node's own version enrols."""
    newest = stage.room.houses[node].agent._versions.chain.newest
    return [(each.credential, each.public_key, each.revoked) for each in newest.enrolled]


def test_an_authenticator_is_enrolled_by_a_plan_that_shows_it(stage: Stage, pending: Authenticator) -> None:
    """Whose it is, its key, its words, what its maker may do, and who could have lied; then who takes it next."""
    shown = enrol(stage, pending.name)
    assert shown.code == 0, shown.err
    key = canonical.decode(pending.endorsement.encode(), Endorsement).public_key
    assert enrolled(stage) == [(pending.credential, key, False)]
    text = " ".join(shown.plain.split())
    for said in (
        f"Authenticator {pending.name} of alice", pending.fingerprint, pending.credential, "never copied",
        words_of(canonical.digest(pending.endorsement.encode())), "Whoever served that page could have put a key",
        "Not taken everywhere yet", "aerodb configure n2 --take",
    ):  # fmt: skip
        assert said in text, said
    assert enrolled(stage, "n2") == []
    assert take(stage, "n2").code == 0
    assert enrolled(stage, "n2") == enrolled(stage)


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "yes\n"])
def test_anything_but_the_nodes_name_enrols_nothing(stage: Stage, pending: Authenticator, typed: str) -> None:
    """Nothing is signed; the plan awaits, or is declined."""
    assert enrol(stage, pending.name, typed=typed).code == 1
    assert enrolled(stage) == []
    assert not any(path.endswith("/confirmation") for path in stage.posts())


def test_without_a_terminal_nothing_is_enrolled_or_confirmed(stage: Stage, pending: Authenticator) -> None:
    """A script can do neither."""
    assert enrol(stage, pending.name, terminal=False).code == 5
    assert stage.run("confirm", REQUEST, typed="n3\n", terminal=False).code == 5
    assert not stage.sent


def test_which_credential_is_meant_must_be_clear(stage: Stage, pending: Authenticator) -> None:
    """Another name, somebody else's, one that is enrolled already, one that nobody registered: nothing is guessed."""
    other = stage.register(SoftAuthenticator("EdDSA", identity=b"two"))
    for words, code in (
        (("00000000",), "credential"),
        ((pending.name, "--of", "bob"), "credential"),
        (("",), "change"),
    ):
        shown = enrol(stage, *words)
        assert (shown.code, stage.posts()) == (2, [])
        assert f"input.{code}-unclear" in shown.err
    assert pending.name in enrol(stage, "00000000").err
    assert enrol(stage, other.credential).code == 0
    assert "input.credential-unclear" in enrol(stage, other.name).err
    for words in ((pending.name,), ("00000000",), (other.name, "--of", "bob")):
        assert "input.credential-unclear" in revoke(stage, *words).err


def revoke(stage: Stage, *words: str) -> Shown:
    """Have the primary revoke an authenticator, as alice does."""
    return stage.run("configure", "n1", "--revoke-authenticator", *words, *REASON, typed="n1\n")


def test_one_is_revoked_by_itself_and_for_good(stage: Stage, pending: Authenticator) -> None:
    """The other goes on; where the revocation does not hold yet is said; it is never enrolled again."""
    other = stage.register(SoftAuthenticator("EdDSA", identity=b"two"))
    for each in (pending, other):
        assert enrol(stage, each.name).code == 0
    shown = revoke(stage, pending.name)
    assert shown.code == 0, shown.err
    assert "what it could confirm there, it still can" in " ".join(shown.plain.split())
    assert [ended for _, _, ended in enrolled(stage)] == [True, False]
    assert "input.change-refused" in revoke(stage, pending.name).err
    assert "input.credential-unclear" in enrol(stage, pending.name).err


@pytest.mark.parametrize(
    "words",
    [
        ("--of", "alice", "--take"), ("--enrol-authenticator", "x", "--take"),
        ("--enrol-authenticator", "x", "--role", "auditor"),
        ("--enrol-authenticator", "x", "--revoke-authenticator", "y"), ("--revoke", "alice", "--of", "alice"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(stage: Stage, words: tuple[str, ...]) -> None:
    """One change a version."""
    shown = stage.run("configure", "n1", *words, *REASON, typed="n1\n")
    assert (shown.code, stage.posts()) == (2, [])
    assert "input.change-unclear" in shown.err


def lying(**changes: str) -> Callable[[bytes], bytes]:
    """Return an alteration of the listed endorsement's content."""

    def alter(body: bytes) -> bytes:
        (listed,) = canonical.decode(body, AuthenticatorList).authenticators
        endorsement = canonical.decode(listed.endorsement.encode(), Endorsement)
        text = canonical.encode(msgspec.structs.replace(endorsement, **changes)).decode()
        return canonical.encode(AuthenticatorList(authenticators=(msgspec.structs.replace(listed, endorsement=text),)))

    return alter


LIES: dict[str, Callable[[bytes], bytes]] = {
    "another cluster": lying(cluster="cluster-2"),
    "another operator": lying(operator="mallory"),
    "another origin": lying(origin="http://evil.example"),
    "another relying party": lying(rp_id="evil.example"),
    "another credential": lying(credential="AAAA"),
    "no key": lying(public_key="AAAA"),
    "no canonical text": lambda body: body.replace(b'"endorsement":"{', b'"endorsement":"{ '),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_this_persons_own_is_never_asked_for(stage: Stage, pending: Authenticator, lie: str) -> None:
    """The text is held against the profile's own configuration, whatever the list beside it says."""
    stage.alter[LISTED] = LIES[lie]
    shown = enrol(stage, pending.name)
    assert (shown.code, stage.posts()) == (6, [])
    assert "control.credential-unverified" in shown.err


def test_a_control_plane_that_lists_a_key_of_its_own_fools_who_does_not_compare(
    stage: Stage, pending: Authenticator
) -> None:
    """So the warning is true: it lies in all parts alike, and the plan shows its key and its words, not one's own."""
    thief = SoftAuthenticator("EdDSA", identity=b"thief")
    key = webauthn.public_text(thief.private.public_key())

    def lie(body: bytes) -> bytes:
        (listed,) = canonical.decode(body, AuthenticatorList).authenticators
        own = replace(canonical.decode(listed.endorsement.encode(), Endorsement), public_key=key)
        shown = replace(listed, endorsement=canonical.encode(own).decode(), fingerprint=fingerprint(key))
        return canonical.encode(AuthenticatorList(authenticators=(shown,)))

    stage.alter[LISTED] = lie
    shown = enrol(stage, pending.name)
    text = " ".join(shown.plain.split())
    assert (shown.code, enrolled(stage)) == (0, [(pending.credential, key, False)])
    assert "Whoever served that page could have put a key of their own in its place." in text
    assert fingerprint(key) in text
    assert pending.fingerprint not in text
    assert words_of(canonical.digest(pending.endorsement.encode())) not in text


def another_key(body: bytes) -> bytes:
    """Return a plan as whole as it was, for a key of the control plane's own."""
    planned = canonical.decode(body, Planned)
    plan = canonical.decode(planned.plan.encode(), Plan)
    step = read_step(plan.request.arguments["change"], "change")
    key = SoftAuthenticator("EdDSA", identity=b"thief")
    named = replace(step.change, after=enrolling(key, "alice").after)
    forged = replace(plan.request, arguments={"change": step_text(replace(step, change=named))})
    return canonical.encode(replace(planned, plan=canonical.encode(replace(plan, request=forged).sealed()).decode()))


def test_a_plan_for_another_key_is_not_signed(stage: Stage, pending: Authenticator) -> None:
    """What was read here is what is asked for, and what the plan must name."""
    stage.alter["POST /v1/requests"] = another_key
    shown = enrol(stage, pending.name)
    assert "control.plan-unverified" in shown.err
    assert enrolled(stage) == []


def test_authenticators_are_listed_by_the_chain_and_the_nodes_reports(stage: Stage) -> None:
    """None; what awaits, with what to type; where it holds, and where not yet; what is revoked; and as JSON."""
    assert "Nobody has an authenticator yet" in stage.run("authenticators").plain
    pending = stage.register(SoftAuthenticator("RS256"))
    shown = stage.run("authenticators", terminal=False)
    assert pending.fingerprint in shown.out
    typed = shown.out.partition("Awaits its enrolment: aerodb ")[2].splitlines()[0]
    document = stage.run("authenticators", "--json", terminal=False).out.encode().removesuffix(b"\n")
    assert canonical.decode(document, AuthenticatorList).authenticators == (pending,)
    assert stage.run(*shlex.split(typed), typed="n1\n").code == 0  # As it stands.
    there, _, typed = stage.run("authenticators").plain.partition("on n1; not yet on n2, n3, w1: aerodb ")
    assert there
    assert stage.run(*shlex.split(typed)[:5], typed="n2\n").code == 0
    for node in ("n3", "w1"):
        assert take(stage, node).code == 0
    listed = stage.run("authenticators").plain
    assert "on n1, n2, n3, w1" in listed
    assert "--take" not in listed
    told = stage.run("configuration").plain
    assert f"authenticator {pending.name}  {pending.fingerprint}" in told
    assert revoke(stage, pending.name).code == 0
    listed = stage.run("authenticators").plain
    assert 'on n2, n3, w1, until the change is taken there: aerodb configure n2 --take --reason "..."' in listed
    unheld = f"On n2 version 3 does not hold yet (revoke-authenticator {pending.name} of alice): what it could confirm"
    assert unheld in " ".join(stage.run("configuration").plain.split())
    stage.alter[LISTED] = lambda _: canonical.encode(AuthenticatorList(authenticators=()))
    assert "revoked" in stage.run("authenticators").plain  # It is the chain's word, and not the control plane's.


@pytest.fixture
def asked(stage: Stage) -> str:
    """Return a request that alice made elsewhere."""
    body = canonical.encode(Ask(action="stop", target="n3", arguments={}, reason="from the browser"))
    stage.post("/v1/requests", body, {"Idempotency-Key": REQUEST})
    stage.sent.clear()
    return REQUEST


def test_a_request_from_elsewhere_is_confirmed_here(stage: Stage, asked: str) -> None:
    """The same plan, computed again here, and the same typing; then it is known, and is not confirmed again."""
    shown = stage.run("confirm", asked, typed="n3\n")
    assert shown.code == 0, shown.err
    assert stage.executed == [asked]
    assert "from the browser" in shown.plain
    again = stage.run("confirm", asked, typed="n3\n")
    assert (again.code, stage.executed) == (1, [asked])
    assert "control.plan-not-pending" in again.err


def test_anything_but_the_nodes_name_confirms_no_request(stage: Stage, asked: str) -> None:
    """It declines the plan, and nothing else is sent."""
    assert stage.run("confirm", asked, typed="yes\n").code == 1
    assert stage.posts() == [f"/v1/requests/{asked}/decline"]


def decided(**changes: object) -> Callable[[bytes], bytes]:
    """Return an alteration of a decision."""
    return lambda body: canonical.encode(msgspec.structs.replace(canonical.decode(body, Decision), **changes))


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (decided(plan=None), "control.plan-not-pending"),
        (decided(snapshot=None), "control.plan-unverified"),
        (decided(plan="{}"), "control.plan-unverified"),
        (lambda body: body.replace(b"from the browser", b"from the bowser!"), "control.plan-unverified"),
    ],
)
def test_a_plan_that_does_not_verify_is_not_signed(
    stage: Stage, asked: str, alter: Callable[[bytes], bytes], code: str
) -> None:
    """What the control plane shows is believed in nothing."""
    stage.alter[DECISION] = alter
    shown = stage.run("confirm", asked, typed="n3\n")
    assert code in shown.err
    assert not stage.posts()


def test_short_names_are_of_the_credential(pending: Authenticator) -> None:
    """The listed name is what this machine computes."""
    assert pending.name == short_name(pending.credential)
