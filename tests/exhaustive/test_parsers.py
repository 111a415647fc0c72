"""Every parser of text from outside, against any text at all: it parses, or refuses with an error of ours.

Nothing of Python's own gets out (of Unicode, of numbers too long, of nesting): it would be an internal failure to
whoever called, for a text that somebody merely sent.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from starlette.requests import Request

from aerodb import registration
from aerodb.api.routes import ENDPOINTS
from aerodb.audit import adding, export, note, proof, record, search, tree, verify
from aerodb.audit.checks import check_confirmation
from aerodb.audit.cosignature import cosign, cosigned, cosigners, known_keys, only_by, with_lines
from aerodb.audit.evidence import Evidence
from aerodb.cli import paths
from aerodb.cli.verification import read_plan
from aerodb.errors import AeroError
from aerodb.kernel import locks
from aerodb.kernel.seen import LogSeen
from aerodb.logwitness.judging import judged, origin_of
from aerodb.logwitness.memory import Signing, nothing_yet, read_memory
from aerodb.protocol import canonical, confirmation, sshkey, sshsig, webauthn
from aerodb.protocol.base64text import from_base64
from aerodb.protocol.chain import founded
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Report
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Confirmation, Order, Outcome, Plan
from aerodb.protocol.signed import Signed, open_signed
from aerodb.protocol.vkey import COSIGNATURE, parse_verifier_key
from aerodb.rules import explain, serving
from aerodb.transport.door import peer_of
from aerodb.transport.outside import ServicePlace
from aerodb.transport.problem import problem_bytes, read_answer, refused_by
from aerodb.transport.tls import caller_of
from aerodb.views import ocsf
from aerodb.web.forms import form_of, query_of
from aerodb.web.pages.requests import path_of
from tests.unit.kernel.test_agent import ADA, CLUSTER, GENUINE, SHOWN
from tests.unit.protocol.authenticator import SoftAuthenticator

PLACES = 60
PLAN = canonical.decode(GENUINE.plan.encode(), Plan)
UNSEEN = LogSeen(size=0, checkpoint="")
RECORD = record.decode_record(GENUINE.record.encode())
KEY = sshkey.parse_line(ADA.ssh_key)
SSH_LINE, NOTE = ADA.ssh_key, GENUINE.proof.partition("\n\n")[2]
SEEN = LogSeen(size=1, checkpoint=NOTE)
SIGNING = Signing(name="w/1", key=Ed25519PrivateKey.from_private_bytes(bytes(32)))
COSIGNED = with_lines(NOTE, (cosign(NOTE, "w/1", SIGNING.key, 5),))
KNOWN = note.Checkpoint(origin=CLUSTER.origin, size=0, root=tree.EMPTY_ROOT)
DIGITS = "9" * 5_000
SEEDS = (
    "", "{}", "[]", "null", '{"a":1}', "\ud800", "é", "²", "٣", "\x00", "%ff", "token=é", "a=b&a=b", DIGITS,
    "[" * 5_000, '"\\ud800"', "0/3000148", "2030-01-31T12:30:00Z", "٢٠٣٠-01-31", "16MB", f"{DIGITS}MB", f"{DIGITS}/0",
    SSH_LINE, GENUINE.plan, GENUINE.signature, GENUINE.record, GENUINE.proof, NOTE, CLUSTER.log_key,
    f"{proof.HEADER}\nindex {DIGITS}\n\n{NOTE}", NOTE.replace("\n1\n", f"\n{DIGITS}\n"),
    COSIGNED, adding.addition_bytes(0, (), COSIGNED).decode(), nothing_yet(CLUSTER.log_key, SIGNING), SIGNING.vkey,
    canonical.encode(GENUINE).decode(), canonical.encode(SHOWN).decode(), canonical.encode(CLUSTER).decode(),
)  # fmt: skip
ODD = st.sampled_from(
    ["\ud800", "\udfff", "é", "²", "٣", "\x00", "\n", "\\ud800", "\u202e", "=", "+", '"', DIGITS, "\uff11"]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return any text: often one that means something somewhere, cut, with something odd put into it."""
    text = draw(st.one_of(st.sampled_from(SEEDS), st.text(max_size=60)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(ODD) + text[at + draw(st.integers(0, 3)) :]
    return text


def sent(text: str) -> bytes:
    """Return a text as bytes that may be no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


async def _received(body: bytes) -> Any:
    return {"type": "http.request", "body": body, "more_body": False}


def request_with(query: str, body: str) -> Request:
    """Return a request as the web server makes it."""
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": sent(query), "headers": []}
    return Request(scope, lambda: _received(sent(body)))


def _documents(text: str) -> None:
    for kind in (Order, Confirmation, Plan, Outcome, Facts, Report, Signed, Cluster, Evidence):
        _one(lambda kind=kind: canonical.decode(sent(text), kind))  # type: ignore[misc]
        _one(lambda kind=kind: read_answer(sent(text), kind))  # type: ignore[misc]
    for each in ENDPOINTS:
        if each.takes is not None:
            _one(lambda each=each: canonical.decode(sent(text), each.takes))  # type: ignore[misc]


def _witnessed(data: bytes) -> None:
    addition = adding.read_addition(data)
    origin_of(addition, (CLUSTER.origin,))
    judged(KNOWN, addition, CLUSTER.log_key)


def _one(parse: Callable[[], object]) -> None:
    try:
        parse()
    except AeroError as error:
        problem_bytes(error)


PARSERS: dict[str, Callable[[str], object]] = {
    "documents": _documents,
    "a record": lambda text: record.decode_record(sent(text)),
    "a verified record": lambda text: verify.verified_record(0, sent(text)),
    "an export": lambda text: list(
        export.read_lines([line + b"\n" for line in sent(text).split(b"\n")], CLUSTER.log_key)
    ),
    "a checkpoint": lambda text: note.open_checkpoint(text, CLUSTER.log_key),
    "a note": note.read_note,
    "a cosigned checkpoint": lambda text: cosigned(text, CLUSTER.log_key, (SIGNING.verifier, *cosigners(CLUSTER))),
    "a checkpoint by those who are known": lambda text: only_by(text, known_keys(CLUSTER)),
    "what a log witness is sent": lambda text: _witnessed(sent(text)),
    "what a log witness answers": lambda text: adding.read_size(sent(text)),
    "what a log witness remembers": lambda text: read_memory(text, CLUSTER.log_key, SIGNING),
    "a log witness's key": lambda text: parse_verifier_key(text, COSIGNATURE),
    "where a log witness is": lambda text: ServicePlace(url=text).parts,
    "a verified checkpoint": lambda text: verify.verified_checkpoint(text, CLUSTER.log_key),
    "a verifier key": note.parse_verifier_key,
    "a proof": lambda text: proof.open_proof(text, CLUSTER.log_key, b""),
    "a proof's path": proof.path_in,
    "a blob": lambda text: verify.verify_blob(text, b""),
    "an instant": lambda text: search.required_instant(text, "since"),
    "an SSH key": sshkey.parse_line,
    "an SSH signature": lambda text: sshsig.verify(text, b"", KEY),
    "a confirmation": lambda text: confirmation.verify(CLUSTER, ADA, text, b""),
    "an assertion": lambda text: webauthn.verify(text, b"", CLUSTER, ADA),
    "an endorsement": lambda text: webauthn.open_endorsement(CLUSTER, ADA, text, GENUINE.signature),
    "client data": lambda text: webauthn.check_client_data(sent(text), "a", "b", "c"),
    "a public key": webauthn.public_key,
    "base64url": lambda text: webauthn.from_base64url(text, "x", 1 << 20),
    "a signed document": lambda text: open_signed(Signed(document=text, signer=text, signature=text), Report, ""),
    "a signer's key": lambda text: open_signed(Signed(document="", signer="", signature=""), Report, text),
    "a registration": lambda text: registration.read_registration(CLUSTER, "ada", text, b"", "http://localhost"),
    "a request's id": explain.check_usable,
    "a lag": serving.lag_allowed,
    "a form": lambda text: asyncio.run(form_of(request_with("", text))),
    "a query": lambda text: query_of(request_with(text, "")),
    "a refusal": lambda text: refused_by(400, sent(text)),
    "a certificate's names": lambda text: caller_of(
        {"subject": ((("commonName", text), ("organizationalUnitName", text)),)}
    ),
    "an address": peer_of,
    "a plan for a node": lambda text: locks.open_plan(CLUSTER, "w", text),
    "a plan for a person": read_plan,
    "an order's record": lambda text: locks.check_logged(CLUSTER, PLAN, replace(GENUINE, record=text), UNSEEN),
    "an order's proof": lambda text: locks.check_logged(CLUSTER, PLAN, replace(GENUINE, proof=text), UNSEEN),
    "an order's consistency": lambda text: locks.check_logged(
        CLUSTER, PLAN, replace(GENUINE, consistency=(text,)), SEEN
    ),
    "a confirmation for a node": lambda text: locks.check_confirmed(
        founded(CLUSTER), "w", "x", replace(SHOWN, plan=text)
    ),
    "a confirmation in evidence": lambda text: check_confirmation(CLUSTER, "ada", text, text),
    "the path of a request": paths.request_path,
    "the path of a page": path_of,
    "a time of a record": lambda text: ocsf.event_of(0, msgspec.structs.replace(RECORD, at=text), "x"),
}  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
@given(text=texts())
@example("\ud800")
@example("é")
@example(DIGITS)
def test_a_parser_refuses_with_an_error_of_ours(name: str, text: str) -> None:
    """Whatever the text; and the refusal can be told, as a problem."""
    _one(lambda: PARSERS[name](text))


@given(text=texts())
@example("\ud800")
@example("é")
def test_what_says_value_error_says_nothing_of_unicode(text: str) -> None:
    """Two readers inside others refuse with ValueError, as they say; with no subclass that tells of Python's inside."""
    for parse in (Lsn.parse, from_base64):
        try:
            parse(text)
        except ValueError as error:
            assert not isinstance(error, UnicodeError)  # noqa: PT017 - most texts are refused, and some are not.


@pytest.mark.parametrize("name", PARSERS)
def test_every_seed_with_a_lone_surrogate_anywhere(name: str) -> None:
    """What means something, whole, and with what is no Unicode at many of its places: none is found only by luck."""
    for seed in SEEDS:
        _one(lambda seed=seed: PARSERS[name](seed))  # type: ignore[misc]
        for at in range(0, len(seed) + 1, len(seed) // PLACES + 1):
            _one(lambda seed=seed, at=at: PARSERS[name](f"{seed[:at]}\ud800{seed[at:]}"))  # type: ignore[misc]


@given(text=texts(), at=st.integers(0, 8))
def test_a_response_of_a_browser_with_anything_in_a_member(text: str, at: int) -> None:
    """A genuine response of an authenticator, one of whose members is any text."""
    genuine = SoftAuthenticator().registers(webauthn.to_base64url(b"x" * 32), "http://localhost:7407")
    members = msgspec.json.decode(genuine)
    inner = members["response"]
    places = [(each, name) for each in (members, inner) for name in each if isinstance(each[name], str)]
    into, name = places[at % len(places)]
    into[name] = text.encode("utf-8", "replace").decode()
    body = msgspec.json.encode(members).decode()
    _one(lambda: registration.read_registration(CLUSTER, "ada", body, b"x" * 32, "http://localhost:7407"))


def test_digits_are_those_that_people_and_machines_agree_on() -> None:
    """Other scripts' digits sort elsewhere than ours: a time in them is no time to search by."""
    assert search.instant("2030-01-31") == "2030-01-31T00:00:00.000000000Z"
    assert search.instant("\u0662\u0660\u0663\u0660-01-31") is None
