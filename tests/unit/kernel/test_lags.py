"""Samples are taken by a primary's agent alone; a look that sees nothing is counted, and nothing is made up for it."""

import msgspec
import pytest

from aerodb.kernel.events.lags import Lags
from aerodb.protocol.events import Sighting
from aerodb.protocol.facts import Facts, Sender, State
from aerodb.protocol.lags import StandbyLag
from aerodb.protocol.lsn import Lsn
from tests.unit.rules.scenes import healthy, with_instance

END = Lsn(5_000)
SENDERS = (
    Sender(node="n3", state="streaming", sync_state="quorum", sent=END, flushed=Lsn(6_000), replayed=None),
    Sender(node="n2", state="catchup", sync_state="async", sent=END, flushed=Lsn(4_000), replayed=Lsn(3_000)),
)


def seen(facts: Facts | None) -> Sighting:
    """Return one look."""
    return Sighting(facts=facts, failure="" if facts else "no answer", trace=None, journal=())


def primary(**changes: object) -> Facts:
    """Return a primary's facts, with changes to its instance."""
    instance = healthy()["n1"].instance
    assert instance is not None
    assert instance.position is not None
    position = msgspec.structs.replace(instance.position, lsn=END)
    return with_instance(healthy(), "n1", **{"position": position, "senders": SENDERS, **changes})["n1"]


def test_a_primary_s_look_is_a_sample() -> None:
    """Per standby in the order of their names; what runs ahead of the look is no lag, and what is not told is None."""
    lags = Lags()
    lags.look(seen(primary()), 4)
    (sample,) = lags.samples
    assert (sample.looks, sample.missed, sample.events, sample.lsn) == (1, 0, 4, END)
    assert sample.standbys == (
        StandbyLag(node="n2", flush_bytes=1_000, replay_bytes=2_000),
        StandbyLag(node="n3", flush_bytes=0, replay_bytes=None),
    )


@pytest.mark.parametrize("nothing", [None, primary(state=State.UNREACHABLE, recovery=None)])
def test_looks_that_saw_nothing_are_counted(nothing: Facts | None) -> None:
    """Between two samples, and never before the first."""
    lags = Lags()
    lags.look(seen(nothing), 1)
    for facts in (primary(), nothing, nothing, primary(), primary()):
        lags.look(seen(facts), 1)
    assert [each.missed for each in lags.samples] == [0, 2, 0]


@pytest.mark.parametrize("facts", [healthy()["n2"], primary(recovery=True), primary(state=State.STOPPED)])
def test_who_is_no_running_primary_has_no_samples(facts: Facts) -> None:
    """A standby's own view of its lag is another measure, and a stopped primary has no standbys."""
    lags = Lags()
    lags.look(seen(facts), 1)
    assert lags.samples == ()


def test_an_unknown_position_is_no_lag_of_nothing() -> None:
    """Where a primary's position is not known, no standby is said to be abreast."""
    lags = Lags()
    lags.look(seen(primary(position=None)), 1)
    assert {(each.flush_bytes, each.replay_bytes) for each in lags.samples[0].standbys} == {(None, None)}
