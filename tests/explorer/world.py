"""The model's values: a small cluster, each node's log and durable state, and what has been promised to clients.

A log is a tuple of entries, and an LSN is a number of entries: writes are 0, 1, ...; a term's row is 100 + term; a
shutdown checkpoint is 200; the end of a recovery, the first entry on a new timeline, is 300 + term, and by hand below
300. PostgreSQL's own behaviour is modelled here, in `hands` and in `streams`; rules are never copied.
"""

import hashlib
from functools import cache
from typing import Generic, NamedTuple, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.protocol import canonical
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.cluster import Cluster, Member
from aerodb.protocol.facts import State
from aerodb.protocol.signed import Signed, public_text, sign
from aerodb.rules.standing import genesis

ROW, SHUTDOWN, RECOVERED = 100, 200, 300
BY_HAND = -1
BESIDE, OURS = 1, 2
"""A weakened policy that people brought into force past AeroDB, or that an action of AeroDB's did."""
T = TypeVar("T")


COUNTED = (
    "crashes", "stops", "cuts", "stale", "losses", "late", "hands", "weakenings", "copies", "pauses", "sequences",
)  # fmt: skip
"""What happens only so often: the names of these fields of `Bounds`."""


class Bounds(NamedTuple):
    """What is explored: the members, and how often what may happen; `requests` are all that are made (none: any).

    - `stale`: plans that are executed later than they are made; `late`: effects that come after the operation's wait.
    - `hands`: what people do to PostgreSQL itself, past AeroDB, each as in `by_hand`: start, stop, promote.
    - `weakenings`: a synchronous policy emptied by hand; `pauses`: a standby's replay that stands still for a while.
    - `sequences`: promotions that are signed ahead (one at most).
    - `losses`: nodes that never come back; `copies`: recloned folders; `ways`: a way out is looked for in every state.
    """

    data: int = 3
    witness: bool = False
    quorum: int = 1
    terms: int = 3
    writes: int = 1
    crashes: int = 0
    stops: int = 0
    cuts: int = 0
    stale: int = 0
    losses: int = 0
    late: int = 0
    hands: int = 0
    weakenings: int = 0
    copies: int = 0
    pauses: int = 0
    sequences: int = 0
    ways: bool = False
    by_hand: tuple[str, ...] = ("start", "stop", "promote")
    actions: tuple[str, ...] = ("demote", "fence", "follow", "promote", "renew", "start", "stop")
    requests: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name the configuration in one line."""
        members = f"{self.data} data{' + witness' if self.witness else ''}"
        only = "" if self.actions == Bounds._field_defaults["actions"] else f", only {' '.join(self.actions)}"
        story = f", {len(self.requests)} requests alone" if self.requests else ""
        counts = "".join(f", {name} {getattr(self, name)}" for name in COUNTED if getattr(self, name))
        ways = ", ways out" if self.ways else ""
        return f"{members}, k={self.quorum}, terms {self.terms}, writes {self.writes}{counts}{only}{story}{ways}"


class Running(NamedTuple):
    """An operation begun and not ended: its order, the node's facts before it, and the hands' answers so far.

    `happened` says whether its effect has; `over` that nobody works at it any more: it can only be asked for; `crossed`
    that the journal holds that its effect can happen; `came` that the same effect came about, whoever caused it.
    """

    order: int
    own: int
    replies: tuple[object, ...]
    happened: bool = False
    over: bool = False
    crossed: bool = False
    came: bool = False


class Late(NamedTuple):
    """An effect that PostgreSQL was told to have and has not had yet; `denied` once it was said that it never will."""

    kind: str
    term: int
    denied: bool = False


class Copy(NamedTuple):
    """A finished copy of another node's data folder, not in use."""

    log: tuple[int, ...]
    history: tuple[tuple[int, int], ...]


class Node(NamedTuple):
    """One node. `recovery` is the signal file; `acting` the term in which its PostgreSQL takes writes (0: in none).

    `acting` is `BY_HAND` where a person promoted it past AeroDB. `lawless`: somebody started it against its own
    pledge. `weak`: the synchronous policy in its files is emptied by hand. `paused`: where replay stands still (-1: it
    does not). `starts` counts PostgreSQL's starts while an operation is open; `left` are
    those begun before `operation` and not ended. `served`: its control file says
    that it ran out of recovery. `folder` is the number of the data folder in use.
    """

    standing: Standing
    state: State
    recovery: bool
    attached: str | None
    log: tuple[int, ...]
    history: tuple[tuple[int, int], ...]
    acting: int
    operation: Running | None
    folder: int = 0
    copied: Copy | None = None
    late: tuple[Late, ...] = ()
    lawless: bool = False
    weak: int = 0
    paused: int = -1
    starts: int = 0
    served: bool = False
    left: tuple[Running, ...] = ()
    lost: bool = False


class Interned(Generic[T]):
    """A numbering of equal values."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """Return the number of `value`, a new one where it is new."""
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found


@cache
def key_of(name: str) -> Ed25519PrivateKey:
    """Return the node's key; always the same one, so that equal documents have equal signatures."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


@cache
def signed_by(name: str, document: Pledge | Grant) -> Signed:
    """Return `document`, signed by `name`."""
    return sign(document, name, key_of(name))


class RememberedCluster(Cluster, frozen=True):
    """A configuration whose digest is computed once: every judgement compares it."""

    @property
    def digest(self) -> str:
        """Return the digest of the configuration."""
        return _digest_of(self)


@cache
def _digest_of(cluster: RememberedCluster) -> str:
    return canonical.digest(canonical.encode(cluster))


@cache
def cluster_of(data: int, quorum: int, *, witness: bool) -> Cluster:
    """Return the configuration of a cluster of `data` nodes, and perhaps a witness, with n1 as its first primary."""
    names = [f"n{number + 1}" for number in range(data)] + (["w"] if witness else [])
    members = tuple(
        Member(name=name, witness=name == "w", agent="", postgres_host="", postgres_port=0,
               public_key=public_text(key_of(name)))
        for name in names
    )  # fmt: skip
    return RememberedCluster(
        name="explored", id="explored", members=members, operators=(), quorum=quorum, genesis="n1", log_key="",
        control="",
    )  # fmt: skip


def identity(folder: int) -> str:
    """Return the identity of a node's data folder, by its number."""
    return f"data-{folder}"


def first_node(name: str) -> Node:
    """Return a node of a new cluster: everyone has the first term's row."""
    standing = genesis(name, "n1", witness=name == "w", folder="" if name == "w" else identity(0))
    return Node(
        standing=standing,
        state=State.RUNNING,
        recovery=standing.role == "standby",
        attached=standing.upstream,
        log=() if name == "w" else (ROW + 1,),
        history=((1, 0),),
        acting=1 if name == "n1" else 0,
        operation=None,
        served=name == "n1",
    )
