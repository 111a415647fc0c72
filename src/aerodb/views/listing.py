"""The requests as a list that fits a terminal: what tells them apart, and how far each came. Pure: no I/O, no clock.

Nothing is shortened silently: an id is cut where it still names one request of the list, an action ends in "..." where
it is cut, and what is left out (reasons, codes) is shown of one request, or of the whole list where that is asked for.
"""

from collections.abc import Sequence

from aerodb.protocol.api import RequestLine
from aerodb.views.render import shown
from aerodb.views.requests import ID_CHARACTERS, spoken_briefly, state_style

HEAD = ("REQUEST", "AT (UTC)", "OPERATOR", "ACTION", "STATE")
GAP_COLUMNS, TIME_COLUMNS = 2, 16
OPERATOR_COLUMNS_MAX, STATE_COLUMNS_MAX, ACTION_COLUMNS_MIN = 12, 24, 12
ID_COLUMNS_MAX = 36
MORE = "..."
ACTION = HEAD.index("ACTION")

Cell = tuple[str, str]
"""A style and a text."""

_HEAD: list[Cell] = [("heading", title) for title in HEAD]


def listed(lines: Sequence[RequestLine], columns: int) -> list[list[Cell]]:
    """Return a row for each request, under HEAD, none wider than `columns` (where that is 80 or more)."""
    length = id_length([line.request for line in lines])
    rows = [_row(line, length) for line in lines]
    widths = [max(len(shown(row[at][1])) for row in [_HEAD, *rows]) for at in range(len(HEAD))]
    others = sum(widths) - widths[ACTION] + GAP_COLUMNS * (len(HEAD) - 1)
    room = max(columns - others, ACTION_COLUMNS_MIN)
    return [[*row[:ACTION], ("plain", cut(row[ACTION][1], room)), *row[ACTION + 1 :]] for row in rows]


def _row(line: RequestLine, length: int) -> list[Cell]:
    at, operator = line.at[:TIME_COLUMNS].replace("T", " "), cut(line.operator, OPERATOR_COLUMNS_MAX)
    texts = (cut(line.request[:length], ID_COLUMNS_MAX), at, operator, action_text(line))
    return [*(("plain", text) for text in texts), (state_style(line.state), cut(line.state, STATE_COLUMNS_MAX))]


def action_text(line: RequestLine) -> str:
    """Return what a request asks for: its action, its target and its arguments as people read them."""
    said = (f"{name} {value}" for name, value in spoken_briefly(line.arguments, line.action))
    return " ".join((line.action, line.target, *said))


def id_length(ids: Sequence[str]) -> int:
    """Return how much of each id is shown: as much as tells all of them apart."""
    length, longest = ID_CHARACTERS, max(map(len, ids), default=ID_CHARACTERS)
    while length < longest and len({each[:length] for each in ids}) < len(set(ids)):
        length += 1
    return length


def cut(text: str, columns: int) -> str:
    """Return `text`, or as much of it as leaves room for the mark that there is more, as it is shown."""
    if len(shown(text)) <= columns:
        return text
    kept = text[: columns - len(MORE)]
    while len(shown(kept)) + len(MORE) > columns:
        kept = kept[:-1]
    return kept.rstrip() + MORE
