"""The last look at every answer: what was not made to be shown is not shown, and what is not classed cannot be."""

import msgspec
import pytest

from aerodb.api.routes import ENDPOINTS
from aerodb.control.answers import LIVE, PUBLIC, RECORDED
from aerodb.control.errors import SnapshotNotFound
from aerodb.control.veil import shown_to, told
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Cell, Done, LogEntry, Planned
from aerodb.protocol.classification import CLASSES, REDACTED, Clean, Unclassed
from aerodb.protocol.plan import Loss, Result, Snapshot, Verdict
from aerodb.protocol.signed import Signed
from aerodb.transport.errors import Unreachable
from tests.unit.protocol.structs import structs
from tests.unit.protocol.test_classification import the_facts

ADDRESS = "10.9.8.7:5432"
SIGNED = Signed(document=f"a report with {ADDRESS}", signer="n1", signature="x")


def cell(evidence: str) -> Cell:
    """Return an answer of the matrix."""
    verdict = Verdict(invariant="receiver-known", result=Result.VIOLATED, evidence=evidence)
    loss = Loss(claim="none", statement=evidence, arithmetic=(evidence, evidence))
    return Cell(action="stop", node="n1", arguments={"upstream": "n2"}, accepted=False, failed=(verdict,), loss=loss)


def test_every_kind_of_answer_of_every_route_is_classed() -> None:
    """A new answer, or a new part of one, must be classed before it can be shown; each name is a field.

    So must whatever an answer may be in its place, as a later version of the configuration is.
    """
    answered: set[type[msgspec.Struct]] = set()
    for endpoint in ENDPOINTS:
        structs(endpoint.gives, answered)
    for kind in tuple(answered):
        answered.update(each for each in kind.__subclasses__() if each.__module__.startswith("aerodb."))
    assert answered <= {*CLASSES, *LIVE, *RECORDED, *PUBLIC}
    for table in (LIVE, RECORDED):
        for kind, names in table.items():
            assert set(names.split()) <= set(kind.__struct_fields__), kind.__name__


def test_a_text_that_nobody_made_to_be_shown_is_not_shown() -> None:
    """A route that forgets is closed: its texts become marks, whatever is nested in what; results stay."""
    shown = shown_to((cell(f"streams from {ADDRESS}"),), live=False, recorded=False)
    assert ADDRESS not in repr(shown)
    assert shown == (cell(REDACTED),)
    assert shown_to(cell(ADDRESS), live=True, recorded=True) == cell(ADDRESS)


def test_a_text_that_was_made_to_be_shown_is() -> None:
    """It is then written as the text that it is."""
    made = cell(Clean("streams from [redacted]"))
    shown = shown_to(made, live=False, recorded=False)
    assert shown == made
    assert b'"evidence":"streams from [redacted]"' in canonical.encode(shown)


def test_what_nodes_signed_is_left_out() -> None:
    """A signed statement cannot be redacted, so it is not there; facts are redacted as their classes say."""
    snapshot = Snapshot(cluster="c", nonce="n", reports={"n1": SIGNED}, missing={"n2": f"silent at {ADDRESS}"})
    shown = shown_to(snapshot, live=False, recorded=True)
    assert (shown.reports, shown.missing) == ({}, {"n2": REDACTED})
    done = Done(request="r", result="unknown", outcome=SIGNED, sequence=1, code="kernel.x", message=ADDRESS)
    shown_done = shown_to(done, live=True, recorded=False)
    assert (shown_done.outcome, shown_done.message, shown_done.code) == (None, REDACTED, "kernel.x")
    facts = shown_to(the_facts(), live=False, recorded=True)
    assert ADDRESS not in repr(facts)
    assert "4711" not in repr(facts)
    assert facts.standing == the_facts().standing


def test_the_log_is_for_who_may_read_it() -> None:
    """A record's text, and a plan's, are kept from who may not read them, each by its own right."""
    entry = LogEntry(sequence=1, record=ADDRESS)
    assert shown_to(entry, live=True, recorded=False).record == REDACTED
    assert shown_to(entry, live=False, recorded=True).record == ADDRESS
    planned = Planned(request="r", accepted=True, plan=ADDRESS, digest="sha256:1")
    assert shown_to(planned, live=False, recorded=True).plan == REDACTED


def test_what_is_not_classed_cannot_be_shown() -> None:
    """An answer of a kind that nobody classed is an error, not an answer."""

    class Forgotten(msgspec.Struct, frozen=True):
        text: str = ADDRESS

    with pytest.raises(Unclassed):
        shown_to((Forgotten(),), live=False, recorded=True)


def test_an_errors_message_is_told_by_its_domain() -> None:
    """What nodes said, and what names addresses and folders, is told to operators alone; the code to everyone."""
    error = Unreachable(f"{ADDRESS} refused the connection", detail={"address": ADDRESS})
    for each in (error, AeroError("x")):
        each.code = each.code if each is error else "control.log-unavailable"
        said = told(each, live=False)
        assert (said.code, said.message, said.detail) == (each.code, REDACTED, {})
        assert told(each, live=True) is each
    assert error.message.startswith(ADDRESS)
    own = SnapshotNotFound("the log holds no snapshot 'x'")
    assert told(own, live=False) is own
