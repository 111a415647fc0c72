"""Endorsing, and confirming what was asked in the browser: checked here, typed by a person, sent once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aerodb.protocol import canonical, webauthn
from aerodb.protocol.api import Ask, Decision
from aerodb.protocol.credentials import Authenticator, AuthenticatorList
from aerodb.protocol.sshkey import of_public
from aerodb.protocol.sshsig import CREDENTIAL_NAMESPACE, verify
from aerodb.protocol.webauthn import Endorsement
from aerodb.protocol.words import words_of
from tests.unit.cli.stage import Stage, stage_in
from tests.unit.protocol.authenticator import SoftAuthenticator

REQUEST = "22222222-2222-4222-8222-222222222222"
LISTED = "GET /v1/authenticators"
DECISION = "GET /v1/requests/ID"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


@pytest.fixture
def pending(stage: Stage) -> Authenticator:
    """Return an authenticator of alice's that awaits her endorsement."""
    return stage.register(SoftAuthenticator())


def test_an_endorsement_is_shown_typed_signed_and_sent_once(stage: Stage, pending: Authenticator) -> None:
    """What is signed is the exact text, in its own namespace; the words and the fingerprint are computed here."""
    shown = stage.run("endorse", typed=f"{pending.name}\n")
    assert shown.code == 0, shown.err
    assert stage.posts() == [f"/v1/authenticators/{pending.credential}/endorsement"]
    (endorsed,) = stage.authenticators.mine(stage.person)
    assert endorsed.state == "endorsed"
    key = of_public(stage.own.public_key())
    verify(endorsed.signature, pending.endorsement.encode(), key, CREDENTIAL_NAMESPACE)
    for text in (pending.fingerprint, words_of(canonical.digest(pending.endorsement.encode())), pending.credential):
        assert text in shown.plain


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "yes\n"])
def test_anything_but_the_short_name_endorses_nothing(stage: Stage, pending: Authenticator, typed: str) -> None:
    """Nothing is signed, nothing is sent."""
    shown = stage.run("endorse", pending.name, typed=typed)
    assert shown.code == 1
    assert "Nothing was signed." in shown.plain
    assert not stage.posts()


def test_without_a_terminal_nothing_is_endorsed_or_confirmed(stage: Stage, pending: Authenticator) -> None:
    """A script can do neither."""
    assert stage.run("endorse", typed=f"{pending.name}\n", terminal=False).code == 5
    assert stage.run("confirm", REQUEST, typed="n3\n", terminal=False).code == 5
    assert not stage.sent


def test_which_credential_is_meant_must_be_clear(stage: Stage, pending: Authenticator) -> None:
    """None, two, or another name: nothing is guessed."""
    other = stage.register(SoftAuthenticator("EdDSA", identity=b"two"))
    for words in (("endorse",), ("endorse", "00000000")):
        shown = stage.run(*words, typed=f"{pending.name}\n")
        assert shown.code == 2
        assert "input.credential-unclear" in shown.err
        assert pending.name in shown.err
    assert stage.run("endorse", other.credential, typed=f"{other.name}\n").code == 0
    assert stage.run("endorse", typed=f"{pending.name}\n").code == 0
    assert "none" in stage.run("endorse").err


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
def test_what_is_not_this_persons_own_is_never_signed(stage: Stage, pending: Authenticator, lie: str) -> None:
    """The text is held against the profile's own configuration, whatever the list beside it says."""
    stage.alter[LISTED] = LIES[lie]
    shown = stage.run("endorse", typed=f"{pending.name}\n")
    assert (shown.code, stage.posts()) == (6, [])
    assert "control.endorsement-unverified" in shown.err


def test_authenticators_are_listed(stage: Stage) -> None:
    """None, one, and as JSON."""
    assert "no authenticator yet" in stage.run("authenticators").plain
    pending = stage.register(SoftAuthenticator("RS256"))
    shown = stage.run("authenticators", terminal=False)
    assert pending.fingerprint in shown.out
    assert "RS256" in shown.out
    document = stage.run("authenticators", "--json", terminal=False).out.encode().removesuffix(b"\n")
    assert canonical.decode(document, AuthenticatorList).authenticators == (pending,)


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
    assert pending.name == webauthn.short_name(pending.credential)
