"""How far behind a primary's standbys were, sampled by its agent: a bounded row, finer the newer.

Samples are observations for people. Nothing is decided by them; the clock in them is shown and never trusted.
Pure: no I/O, no clock.
"""

from collections.abc import Sequence

import msgspec

from aerodb.protocol.lsn import Lsn

ROWS_MAX = 768
"""How many samples are kept, each counted once and once more for each standby in it."""


class StandbyLag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The WAL that one standby had not flushed, and not replayed, in bytes (None: it did not say)."""

    node: str
    flush_bytes: int | None
    replay_bytes: int | None


class LagSample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a primary's agent saw in one look, or the most of what it saw in several, one after the other.

    It stands for `looks`; in `missed` looks between the sample before it and this one nothing could be seen. It was
    taken after the event whose sequence is `events` and before the next. `term` and `lsn` are the primary's WAL
    position then (of several looks: at the last). A standby that was not connected is not in `standbys`. `at` is RFC
    3339 in UTC, by the clock that the same agent's events name.
    """

    looks: int
    missed: int
    events: int
    term: int | None
    lsn: Lsn | None
    at: str
    standbys: tuple[StandbyLag, ...]


def _rows(samples: Sequence[LagSample]) -> int:
    return sum(1 + len(each.standbys) for each in samples)


def _most(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else max(first, second)


def _alike(first: LagSample, second: LagSample) -> bool:
    """Tell whether two neighbours say the same of the same standbys, but for how much."""

    def said(sample: LagSample) -> object:
        told = [(each.node, each.flush_bytes is None, each.replay_bytes is None) for each in sample.standbys]
        return sample.events, sample.term, sample.lsn is None, told

    return second.missed == 0 and said(first) == said(second)


def _both(first: LagSample, second: LagSample) -> LagSample:
    """Return one sample for two neighbours that are alike."""
    standbys = tuple(
        StandbyLag(
            node=one.node,
            flush_bytes=_most(one.flush_bytes, other.flush_bytes),
            replay_bytes=_most(one.replay_bytes, other.replay_bytes),
        )
        for one, other in zip(first.standbys, second.standbys, strict=True)
    )
    return msgspec.structs.replace(second, looks=first.looks + second.looks, missed=first.missed, standbys=standbys)


def _thinned(samples: Sequence[LagSample]) -> list[LagSample]:
    """Return samples of which those in the older half stand for two where they can."""
    half, found, at = len(samples) // 2, list[LagSample](), 0
    while at < half:
        pair = at + 1 < half and _alike(samples[at], samples[at + 1])
        found.append(_both(samples[at], samples[at + 1]) if pair else samples[at])
        at += 2 if pair else 1
    return [*found, *samples[half:]]


def coarsened(samples: Sequence[LagSample], rows_max: int = ROWS_MAX) -> tuple[LagSample, ...]:
    """Return samples that fit into `rows_max`: the older ones thinned out, and where that does not help, dropped."""
    kept = list(samples)
    while _rows(kept) > rows_max:
        thinned = _thinned(kept)
        kept = thinned if len(thinned) < len(kept) else kept[1:]
    return tuple(kept)
