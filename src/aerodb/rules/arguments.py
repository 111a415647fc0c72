"""The kinds of arguments of actions: one table, in which each kind has exactly one form; all else derives from it.

- Two different texts never mean the same value, so what was signed is what was meant.
- Everything reads this table and knows no kind by itself: the check of a request, the command line's help and
  completion, the forms of the admin UI, the API's schema, the status matrix and the documentation.

Pure: no I/O, no clock.
"""

import calendar
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aerodb.errors import AeroError
from aerodb.protocol.ahead import EARLIER_PATTERN, LATER_PATTERN, read_earlier, read_later
from aerodb.protocol.change import read_step
from aerodb.protocol.cluster import Cluster, Member, NodeUnknown
from aerodb.protocol.marks import read_mark

KindName = Literal["node", "log", "step", "size", "name", "choice", "time", "count", "earlier", "later"]
COUNT_MAX = 10**15
UNITS = (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1))
"""PostgreSQL's units of size, the largest first, in bytes."""
NAME_BYTES_MAX = 63
STEP_CHARACTERS_MAX = 4_000
"""A step may hold two public keys."""
_COUNT = re.compile(r"0|[1-9][0-9]{0,15}")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,15})(B|kB|MB|GB|TB)")
_CHOICE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z")


class ArgumentMalformed(AeroError):
    """An argument of a request does not have the form of its kind, or is not one of the allowed values."""

    code = "input.argument-malformed"
    status = 400
    title = "An argument is not of its form"


class RequestMalformed(AeroError):
    """A part of the request is missing, unknown or of the wrong form; `field` names it."""

    code = "input.malformed"
    status = 400
    title = "The request is malformed"


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of an action.

    `option` is its name in the CLI; `word` stands between the target and the argument in prose ("for", "to"). `itself`
    says whether a node may be the target itself. `choices` are the values of a choice; `least` and `most` bound a
    count, or a size in bytes. What is `optional` may be left out.
    `choices_before` are the actions that an earlier request may be of.
    """

    name: str
    option: str
    help: str
    word: str
    itself: bool = True
    kind: KindName = "node"
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = COUNT_MAX
    optional: bool = False
    choices_before: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a choice without choices, choices of another kind, and choices that are not plain words."""
        if bool(self.choices) != (self.kind == "choice"):
            raise ValueError(f"{self.option} is a {self.kind} and has {len(self.choices)} choices")
        if not all(_CHOICE.fullmatch(each) for each in self.choices):
            raise ValueError(f"the choices of {self.option} are not plain words")

    @property
    def form(self) -> str:
        """Return how the argument is written, for usage lines."""
        return "|".join(self.choices) or KINDS[self.kind].form

    @property
    def typed(self) -> str:
        """Return how the argument is typed in a terminal, where the command fills in the rest."""
        return KINDS[self.kind].typed or self.form

    @property
    def pattern(self) -> str:
        """Return a regular expression, for browsers and schemas, that every well-formed value matches in full."""
        return "|".join(self.choices) or KINDS[self.kind].pattern

    @property
    def characters_max(self) -> int:
        """Return the most characters that a value can have."""
        return max((len(each) for each in self.choices), default=KINDS[self.kind].characters_max)

    def values(self, cluster: Cluster) -> tuple[str, ...] | None:
        """Return every value that it can have in this cluster, in order; None if they cannot be listed."""
        return KINDS[self.kind].values(self, cluster)


@dataclass(frozen=True, kw_only=True)
class Given:
    """An argument as a request gives it: its text, with the action's name, the target and the cluster."""

    argument: Argument
    text: str
    action: str
    target: str
    cluster: Cluster

    @property
    def field(self) -> str:
        """Return the field that an error names."""
        return f"arguments.{self.argument.name}"


@dataclass(frozen=True, kw_only=True)
class ArgumentKind:
    """One kind of argument.

    `form` stands in usage lines; `typed` in a terminal's, where the command completes what is typed (empty: as `form`).
    `meaning` and `example` are for people. Every well-formed value matches `pattern`, and others may; it is a regular
    expression for browsers, JSON Schema and Python alike. `check` refuses a value in any other form; `values` lists all
    possible values, or returns None.
    """

    form: str
    meaning: str
    example: str
    pattern: str
    characters_max: int
    check: Callable[[Given], object]
    values: Callable[[Argument, Cluster], tuple[str, ...] | None]
    typed: str = ""


def _malformed(meaning: str, text: str, field: str) -> ArgumentMalformed:
    return ArgumentMalformed(f"{meaning}; {text!r} is none", field=field)


def read_count(text: str, field: str = "") -> int:
    """Parse a count in its one form.

    Raises:
        ArgumentMalformed: it is none.
    """
    if not _COUNT.fullmatch(text) or int(text) > COUNT_MAX:
        raise _malformed(COUNT_MEANING, text, field)
    return int(text)


def written_size(size_bytes: int) -> str:
    """Return the one form of a size: a whole number of the largest unit that divides it."""
    unit, factor = next(each for each in UNITS if size_bytes % each[1] == 0 and (size_bytes or each[0] == "B"))
    return f"{size_bytes // factor}{unit}"


def read_size(text: str, field: str = "") -> int:
    """Parse a size in its one form; return it in bytes.

    Raises:
        ArgumentMalformed: it is none.
    """
    found = _SIZE.fullmatch(text)
    size_bytes = int(found[1]) * dict(UNITS)[found[2]] if found else 0
    if found is None or written_size(size_bytes) != text or size_bytes > COUNT_MAX:
        raise _malformed(SIZE_MEANING, text, field)
    return size_bytes


def read_name(text: str, field: str = "") -> str:
    """Return `text` if it is a possible name of something in PostgreSQL, in its one form.

    Raises:
        ArgumentMalformed: it is none.
    """
    plain = all(each == " " or unicodedata.category(each)[0] not in "CZ" for each in text)
    fits = 0 < len(text.encode(errors="replace")) <= NAME_BYTES_MAX
    if not plain or not fits or text != text.strip() or not unicodedata.is_normalized("NFC", text):
        raise _malformed(NAME_MEANING, text, field)
    return text


def read_time(text: str, field: str = "") -> str:
    """Return `text` if it is an instant in its one form; sorting such texts sorts the instants.

    Raises:
        ArgumentMalformed: it is not, or there is no such day.
    """
    found = _TIME.fullmatch(text)
    year, month, day = (int(each) for each in found.groups()[:3]) if found else (0, 0, 0)
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise _malformed(TIME_MEANING, text, field)
    return text


def _bounded(given: Given, value: int, written: Callable[[int], str]) -> None:
    least, most = given.argument.least, given.argument.most
    if not least <= value <= most:
        said = f"{given.argument.option} is from {written(least)} to {written(most)}, and not {given.text}"
        raise ArgumentMalformed(said, field=given.field)


def _member_of(given: Given, name: str) -> Member:
    try:
        return given.cluster.member(name)
    except NodeUnknown as error:
        raise NodeUnknown(error.message, field=given.field) from None


def _check_node(given: Given) -> None:
    member = _member_of(given, given.text)
    if member.witness:
        raise RequestMalformed(f"{member.name} is a witness and holds no data", field=given.field)
    if not given.argument.itself and member.name == given.target:
        raise RequestMalformed(f"{given.target} cannot {given.action} {given.argument.word} itself", field=given.field)


def _check_choice(given: Given) -> None:
    if given.text not in given.argument.choices:
        raise _malformed(
            f"{given.argument.option} is one of {', '.join(given.argument.choices)}", given.text, given.field
        )


def _check_earlier(given: Given) -> None:
    earlier = read_earlier(given.text, given.field)
    if _member_of(given, earlier.target).witness or earlier.target == given.target:
        raise RequestMalformed(
            f"{given.target} cannot {given.action} after a request to {earlier.target}", field=given.field
        )
    if earlier.action not in given.argument.choices_before:
        said = ", ".join(given.argument.choices_before)
        raise RequestMalformed(f"{given.action} comes after {said}, and not after {earlier.action}", field=given.field)


def _nothing(argument: Argument, cluster: Cluster) -> None:
    """List nothing: there are too many values."""
    del argument, cluster


COUNT_MEANING = "a count is a whole number in digits, without leading zeros"
SIZE_MEANING = (
    "a size is a whole number and one of B, kB, MB, GB, TB, in the largest unit that divides it (1GB, not 1024MB)"
)
NAME_MEANING = (
    f"a name has 1 to {NAME_BYTES_MAX} bytes in Unicode normal form C, no control character, and no space at an end"
)
STEP_MEANING = (
    "a step names the next version of the configuration by its number, its digest and its one change; aerodb configure "
    "makes it"
)
TIME_MEANING = "a time is in UTC to the second, like 2030-01-31T12:30:00Z"

KINDS: dict[KindName, ArgumentKind] = {
    "node": ArgumentKind(
        form="NODE",
        meaning="a node is named as in the configuration; a witness holds no data, and is none here",
        example="n2",
        pattern=".+",
        characters_max=NAME_BYTES_MAX,
        check=_check_node,
        values=lambda argument, cluster: cluster.data_nodes,  # noqa: ARG005
    ),
    "log": ArgumentKind(
        form="SIZE:ROOT",
        meaning="the audit log at one size is named by how many records it has, and by the root over them in base64",
        example="17:" + "A" * 43 + "=",
        pattern="[0-9]+:[A-Za-z0-9+/]{43}=",
        characters_max=64,
        check=lambda given: read_mark(given.text, given.field),
        values=_nothing,
    ),
    "step": ArgumentKind(
        form="STEP",
        meaning=STEP_MEANING,
        example='{"change":{"after":"revoked","before":"operator","kind":"revoke","name":"ana"},"digest":"sha256:'
        + "0" * 64
        + '","version":2}',
        pattern=r"\{.+\}",
        characters_max=STEP_CHARACTERS_MAX,
        check=lambda given: read_step(given.text, given.field),
        values=_nothing,
    ),
    "size": ArgumentKind(
        form="SIZE",
        meaning=SIZE_MEANING,
        example="512MB",
        pattern="(0|[1-9][0-9]{0,15})(B|kB|MB|GB|TB)",
        characters_max=18,
        check=lambda given: _bounded(given, read_size(given.text, given.field), written_size),
        values=_nothing,
    ),
    "name": ArgumentKind(
        form="NAME",
        meaning=NAME_MEANING,
        example="orders_slot",
        pattern="[^ ](.*[^ ])?",
        characters_max=NAME_BYTES_MAX,
        check=lambda given: read_name(given.text, given.field),
        values=_nothing,
    ),
    "choice": ArgumentKind(
        form="CHOICE",
        meaning="a choice is one of the words that the action lists",
        example="fast",
        pattern="[a-z0-9]+(-[a-z0-9]+)*",
        characters_max=NAME_BYTES_MAX,
        check=_check_choice,
        values=lambda argument, cluster: argument.choices,  # noqa: ARG005
    ),
    "time": ArgumentKind(
        form="TIME",
        meaning=TIME_MEANING,
        example="2030-01-31T12:30:00Z",
        pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
        characters_max=20,
        check=lambda given: read_time(given.text, given.field),
        values=_nothing,
    ),
    "earlier": ArgumentKind(
        form="ACTION:NODE:ID",
        typed="ACTION:NODE",
        meaning="the request before is named by its action, its node and its id, which it is then made with",
        example="demote:n1:00000000-0000-4000-8000-000000000000",
        pattern=EARLIER_PATTERN,
        characters_max=NAME_BYTES_MAX + 78,
        check=_check_earlier,
        values=_nothing,
    ),
    "later": ArgumentKind(
        form="ID:DIGEST",
        typed="REQUEST",
        meaning="the request after is named by its id and the digest of its plan",
        example="00000000-0000-4000-8000-000000000000:sha256:" + "0" * 64,
        pattern=LATER_PATTERN,
        characters_max=108,
        check=lambda given: read_later(given.text, given.field),
        values=_nothing,
    ),
    "count": ArgumentKind(
        form="COUNT",
        meaning=COUNT_MEANING,
        example="3",
        pattern="0|[1-9][0-9]{0,15}",
        characters_max=16,
        check=lambda given: _bounded(given, read_count(given.text, given.field), str),
        values=_nothing,
    ),
}
"""Every kind of argument that there is."""


def check_argument(given: Given) -> None:
    """Refuse an argument that does not have the form of its kind.

    Raises:
        ArgumentMalformed, RequestMalformed, MarkMalformed, StepMalformed, SequenceMalformed, NodeUnknown: naming the
            field.
    """
    KINDS[given.argument.kind].check(given)
