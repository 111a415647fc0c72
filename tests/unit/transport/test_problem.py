"""A refusal as another service words it: whatever it says can be stored here, and claims no more than it may."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.errors import AeroError, writable
from aerodb.kernel.postgres.parts import Parts
from aerodb.protocol import canonical
from aerodb.transport.errors import AnswerMalformed
from aerodb.transport.problem import Problem, problem_bytes, refused_by

ANY = st.text(st.characters() | st.sampled_from("e\u0301\ud800\u212b\u1100\u1161"), max_size=20)
SAID = Problem(type="", title="", status=409, detail="", code="kernel.busy", domain="kernel", executed="unknown")


@given(ANY)
def test_every_error_can_be_signed_and_stored(text: str) -> None:
    """Whatever it quotes; and what can be stored as it is stays as it is."""
    error = AeroError(text)
    assert canonical.encode([error.message, str(error)])
    assert (writable(text) == text) == _fits(text)


def _fits(text: str) -> bool:
    try:
        return bool(canonical.encode(text))
    except canonical.NotCanonical:
        return False


@given(ANY)
def test_every_refusal_can_be_stored_by_who_is_refused(text: str) -> None:
    """In each of its parts, whatever a service puts there, and so does what is passed on of it."""
    sent = text.encode(errors="replace").decode()
    said = replace(
        SAID, title=sent, detail=sent, field=sent, request=sent, invariants=(sent,), more={sent: sent}, type=sent
    )
    error = refused_by(409, msgspec.json.encode(said))
    kept = (error.message, error.title, error.field, error.request, error.invariants, error.detail)
    assert canonical.encode(kept)
    assert canonical.encode(msgspec.json.decode(problem_bytes(error)))


@pytest.mark.parametrize(
    "code", ["", "busy", "kernel.", "kernel.e\u0301", "kernel." + "x" * 100, "kernel.a b", "x.busy"]
)
def test_a_code_of_another_form_is_no_refusal(code: str) -> None:
    """It is a malformed answer: codes are recorded, counted and searched by, and are not free text."""
    assert isinstance(refused_by(409, msgspec.json.encode(replace(SAID, code=code))), AnswerMalformed)


@pytest.mark.parametrize("status", [0, 200, 99999])
def test_a_refusal_has_the_status_with_which_it_came(status: int) -> None:
    """Passed on with the one that its text names, it would look like an answer."""
    assert refused_by(409, msgspec.json.encode(replace(SAID, status=status))).status == 409


@given(ANY)
def test_a_part_that_cannot_be_read_can_be_reported(text: str) -> None:
    """Whatever the system says of it: a node whose damage cannot be signed would be silent."""
    parts = Parts()

    def reading() -> None:
        raise OSError(2, text, text)

    assert parts.read("data folder", reading) is None
    assert canonical.encode(parts.damage)
