"""What is remembered of one round, and all that the checker may look at. Times are seconds of the system's clock.

Everything runs on one machine, so its clock is one; it is compared with `SLACK_SECONDS` to spare, since files' times
and PostgreSQL's log are coarser than it. Pure: no I/O, no clock.
"""

import msgspec

SLACK_SECONDS = 0.1


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all that is remembered."""


class Ack(Entry, frozen=True, kw_only=True):
    """A commit that was acknowledged to a client, without a warning.

    `node` and `timeline` are where; `weak` is the synchronous policy that the session saw, where it is not the
    configured one (empty: it is).
    """

    number: int
    writer: str
    node: str
    timeline: int
    weak: str
    begin: float
    end: float


class Hand(Entry, frozen=True, kw_only=True):
    """Somebody did something to a node behind its agent's back. `timeline` is the one that it made, if it made one."""

    kind: str
    node: str
    begin: float
    end: float
    timeline: int = 0
    detail: str = ""


class Call(Entry, frozen=True, kw_only=True):
    """One request, as the person who asked saw it. `term`, `claim` and `statement` are the plan's.

    `confirmed` and `answered` are when the confirmation was sent and its answer came; None: neither.
    """

    request: str
    action: str
    target: str
    arguments: dict[str, str]
    term: int
    claim: str
    statement: str
    accepted: bool
    asked: float
    confirmed: float | None = None
    answered: float | None = None
    result: str = ""
    code: str = ""

    @property
    def candidate(self) -> str:
        """Return to whom a pledge of this request would be made."""
        return self.arguments.get("for", self.target)


class Logged(Entry, frozen=True, kw_only=True):
    """One record of an audit log; `log` says of which control plane's."""

    log: str
    event: str
    request: str
    plan: str
    at: float
    result: str = ""
    code: str = ""


class Word(Entry, frozen=True, kw_only=True):
    """One signed and verified outcome: which node's, on which request, and where it was found."""

    request: str
    node: str
    result: str
    established: bool
    source: str


class Begun(Entry, frozen=True, kw_only=True):
    """A request that a node's journal has begun: `plan` is the digest of the plan's bytes."""

    node: str
    request: str
    plan: str
    at: float


class Happened(Entry, frozen=True, kw_only=True):
    """What a node's PostgreSQL logged of itself: `timeline`, `shutdown` (a clean one), or `ready`."""

    node: str
    at: float
    kind: str
    detail: str


class Seen(Entry, frozen=True, kw_only=True):
    """What a node's files said from `at` on: the standing, the upstream in the settings, the folder in use.

    `pledges` are (term, candidate) of the signed pledge in the standing, if there is one; `granted` is (term, node).
    """

    node: str
    at: float
    pledges: tuple[tuple[int, str], ...]
    granted: tuple[int, str]
    role: str
    upstream: str
    folder: str


class Told(Entry, frozen=True, kw_only=True):
    """One answer to `GET /primary`."""

    node: str
    begin: float
    end: float
    primary: bool


class Deed(Entry, frozen=True, kw_only=True):
    """What the adversary did to a process: `what` is agent, control, postgres or a backend's title."""

    what: str
    node: str
    deed: str
    at: float


class Way(Entry, frozen=True, kw_only=True):
    """How the round ended: whether requests led to an acknowledged write, which, and what the product last said."""

    found: bool
    primary: str
    steps: tuple[str, ...]
    lent: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


class Final(Entry, frozen=True, kw_only=True):
    """What the last primary holds (None: there is none to ask), and the terms' rows that each node shows."""

    rows: tuple[int, ...] | None
    terms: dict[str, tuple[tuple[int, str], ...]]


class History(Entry, frozen=True, kw_only=True):
    """One round."""

    seed: int
    shape: str
    quorum: int
    acks: tuple[Ack, ...] = ()
    hands: tuple[Hand, ...] = ()
    calls: tuple[Call, ...] = ()
    logged: tuple[Logged, ...] = ()
    words: tuple[Word, ...] = ()
    begun: tuple[Begun, ...] = ()
    happened: tuple[Happened, ...] = ()
    seen: tuple[Seen, ...] = ()
    told: tuple[Told, ...] = ()
    deeds: tuple[Deed, ...] = ()
    way: Way
    final: Final


class Finding(Entry, frozen=True, kw_only=True):
    """One broken property, in words."""

    property: str
    text: str
