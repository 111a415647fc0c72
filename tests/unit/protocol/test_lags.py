"""The row of samples stays within its bound, keeps the worst that it saw, and never moves a sample past an event."""

from hypothesis import given
from hypothesis import strategies as st

from aerodb.protocol.lags import LagSample, StandbyLag, coarsened
from aerodb.protocol.lsn import Lsn

STANDBYS = (("n2", "n3"), ("n2", "n3"), ("n2", "n3"), ("n2", "n3"), ("n2",), ())


def rows(samples: tuple[LagSample, ...]) -> int:
    """Return how much is kept."""
    return sum(1 + len(each.standbys) for each in samples)


@st.composite
def streams(draw: st.DrawFn) -> list[LagSample]:
    """Return samples as an agent would take them."""
    events, lsn, found = 0, 0, list[LagSample]()
    unknown = draw(st.booleans())
    for _ in range(draw(st.integers(0, 60))):
        events += draw(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1]))
        lsn += draw(st.integers(0, 9))
        replay = None if unknown else draw(st.integers(0, 99))
        standbys = tuple(
            StandbyLag(node=name, flush_bytes=draw(st.integers(0, 99)), replay_bytes=replay)
            for name in draw(st.sampled_from(STANDBYS))
        )
        missed = draw(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 3]))
        at = str(len(found))
        found.append(LagSample(looks=1, missed=missed, events=events, term=1, lsn=Lsn(lsn), at=at, standbys=standbys))
    return found


@given(streams(), st.integers(4, 40))
def test_a_bounded_row_keeps_the_worst(stream: list[LagSample], rows_max: int) -> None:
    """What is kept is a run of all that was seen, up to the newest; each sample has the most of those it stands for."""
    kept: tuple[LagSample, ...] = ()
    for sample in stream:
        kept = coarsened((*kept, sample), rows_max)
        assert rows(kept) <= rows_max
    seen = stream[len(stream) - sum(each.looks for each in kept) :]
    for each in kept:
        part, seen = seen[: each.looks], seen[each.looks :]
        assert {one.events for one in part} == {each.events}
        assert (each.lsn, each.at, each.missed) == (part[-1].lsn, part[-1].at, part[0].missed)
        assert not any(one.missed for one in part[1:])
        for at, standby in enumerate(each.standbys):
            assert {one.standbys[at].node for one in part} == {standby.node}
            for field in ("flush_bytes", "replay_bytes"):
                known = [getattr(one.standbys[at], field) for one in part]
                assert getattr(standby, field) == (None if None in known else max(known))
    assert seen == []


def test_the_newest_are_the_finest() -> None:
    """A quiet hour leaves many looks behind each old sample, one behind each of the newest, and none is dropped."""
    kept: tuple[LagSample, ...] = ()
    lag = (StandbyLag(node="n2", flush_bytes=0, replay_bytes=0),)
    for at in range(3600):
        sample = LagSample(looks=1, missed=0, events=7, term=1, lsn=Lsn(at), at="", standbys=lag)
        kept = coarsened((*kept, sample), 100)
    looks = [each.looks for each in kept]
    assert sum(looks) == 3600
    assert looks == sorted(looks, reverse=True)
    assert looks[-20:] == [1] * 20
