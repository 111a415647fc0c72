"""Terms as bands in a picture that runs from left to right in the timeline's order. Pure: no I/O, no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LABEL_WIDTH, STEP = 76, 12
"""Where the first step is, and how wide each is, in CSS pixels."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """A stretch of one term (None: unknown)."""

    x: int
    width: int
    term: int | None
    even: bool


def bands(places: Sequence[tuple[int, int | None]], end: int) -> Iterator[Band]:
    """Yield the bands; `places` are pairs of an x and the term that holds from there on, `end` is the last x."""
    begins = [place for at, place in enumerate(places) if at == 0 or place[1] != places[at - 1][1]]
    for at, (x, term) in enumerate(begins):
        until = begins[at + 1][0] if at + 1 < len(begins) else end
        yield Band(x=x, width=until - x, term=term, even=(term or 0) % 2 == 0)
