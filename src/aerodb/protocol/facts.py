"""Facts: what one agent sees of its own node, and the signed report that carries them.

Facts are observations, never opinions. Structural facts are those that a plan may rest on; the others move while the
node works. Pure: no I/O, no clock.
"""

from enum import StrEnum
from typing import ClassVar, Literal, TypeVar

import msgspec

from aerodb.protocol.ahead import Held
from aerodb.protocol.authority import Branch, Position, Standing
from aerodb.protocol.carrying import Carrying
from aerodb.protocol.epoch import EPOCH_FIRST
from aerodb.protocol.formats import Format
from aerodb.protocol.keeping import NOTHING_SEEN, Keeping, quietly_kept
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.watched import Watched, quietly_watched

COMMITS_MAX = 50
"""How many commits a report lists, so that it stays small."""


class State(StrEnum):
    """What PostgreSQL's process and control file say."""

    RUNNING = "running"
    STOPPED = "stopped"  # a clean shutdown
    CRASHED = "crashed"  # no process, and no clean shutdown
    UNREACHABLE = "unreachable"  # a process that does not answer, or cannot be looked into
    UNREADABLE = "unreadable"  # no process, and the files do not tell how it ended


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standby's WAL receiver: its status, the upstream it reaches as host:port, what it has flushed."""

    status: str
    upstream: str
    flushed: Lsn | None


class Sender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of pg_stat_replication, for a receiver that logged in as the node that it says it is.

    `ahead` is true where it says that it has flushed beyond the end of the sending primary's own WAL: then its WAL is
    another. `silent_seconds` is how long ago it last said anything, where that is
    longer than it ever is, or where it has something to confirm (0: neither); `flush_lag_milliseconds` and
    `replay_lag_milliseconds` how long what it last confirmed took it (None: not known, or nothing to confirm).
    """

    node: str
    state: str
    sync_state: str
    sent: Lsn | None
    flushed: Lsn | None
    replayed: Lsn | None
    ahead: bool = False
    silent_seconds: int | None = None
    flush_lag_milliseconds: int | None = None
    replay_lag_milliseconds: int | None = None


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator should know before writes stop; counts.

    `checkpoints` is above 0 while one is under way, or while a CHECKPOINT command of the agent's has not returned.
    `lingering` counts the agent's sessions for operations besides the one that looks: those of an agent that died,
    whose last statement may still take effect. It was counted before anything else was looked at.
    `longest_wait_seconds` is how long the oldest commit has waited that waits for a standby; `other_senders` counts the
    receivers that are no nodes: a shutdown waits for them too.
    """

    sessions: int
    longest_transaction_seconds: int
    prepared_transactions: int
    backups: int
    logical_slots: int
    waiting_commits: int
    checkpoints: int = 0
    lingering: int = 0
    longest_wait_seconds: int = 0
    other_senders: int = 0


class Commit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One committed transaction as the WAL shows it: its xid, where its record starts, and the time in it."""

    xid: int
    lsn: Lsn
    time: str


class UnusedFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A data folder that is not in use: its name, and how much disk it takes, its tablespaces included."""

    name: str
    bytes: int


class SettingsFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A running PostgreSQL's settings files: when it last read them, as it says itself, and what they hold by now.

    `faults` are the errors in them, in PostgreSQL's words, with file and line. `drift` names the settings that proofs
    rest on which the files set otherwise than the agent wrote. `pending` names those that wait for the next start.
    `low` are those that it would take up below what the WAL asks of a standby, each with both values.
    """

    loaded: str
    faults: tuple[str, ...]
    drift: tuple[str, ...]
    pending: tuple[str, ...]
    low: tuple[str, ...]


class InstanceOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One PostgreSQL instance, as version 1 of a report has it.

    Facts come in parts: what could not be read is named in `damage` ("part: why"), and is unknown in its field.
    `system` is the system identifier (empty: unknown), `folder` the name of the data folder in use. `recovery` says
    whether it is (or, stopped, would start) in recovery; None is unknown. `position` is where its WAL ends; None is
    unknown. `lineage` is its history, oldest first, the current timeline last. `quorum` is the weakest k in force that
    its WAL shows; None is unknown. `attached` is the upstream named by its settings (None: none). `drift` names
    settings that differ from what the agent wrote. `replayed` is true where everything received has been replayed.
    `shutdown` is the end of the shutdown checkpoint's record where PostgreSQL was shut down cleanly as a primary.
    `commits` are the last ones in the WAL from `commits_since` on, oldest first, at most COMMITS_MAX; None: the WAL was
    not read for them. `checkpoint` is where the last finished checkpoint (on a standby: restartpoint) begins, and so
    crash recovery would. `identity` is that of the data folder in use, drawn when it was made; None: it cannot be read.
    `unused` are the data folders that are kept and not in use. `started` is when the running PostgreSQL was started, as
    it says itself: another value is another postmaster; None is unknown. `stopping` is true where its process shuts
    down, or has been sent a signal to, and has not taken it up yet. `served` says of one
    that is down whether its control file shows that it ran out of recovery; None: it runs, or that cannot be told.
    `origin` is the record with which the last timeline of `lineage` begins, where its term is untold: two timelines of
    one number and one beginning are one only where it is the same; None: not read, or no longer there.
    """

    system: str
    folder: str
    version: str
    state: State
    recovery: bool | None
    position: Position | None
    lineage: tuple[Branch, ...]
    quorum: int | None
    attached: str | None
    restores: bool
    receiver: Receiver | None
    replayed: bool
    senders: tuple[Sender, ...]
    drift: tuple[str, ...]
    shutdown: Lsn | None
    load: Load | None
    commits: tuple[Commit, ...] | None = None
    commits_since: Lsn | None = None
    checkpoint: Lsn | None = None
    identity: str | None = None
    started: str | None = None
    stopping: bool = False
    served: bool | None = None
    origin: str | None = None
    damage: tuple[str, ...] = ()
    keeping: Keeping = NOTHING_SEEN
    unused: tuple[UnusedFolder, ...] = ()

    @property
    def major(self) -> str:
        """Return the major version of the PostgreSQL that runs, or of the programs of one that is down."""
        return self.version.partition(".")[0]

    def unread(self, part: str) -> str | None:
        """Return why a part could not be read, or None where it was."""
        return next((said.partition(": ")[2] for said in self.damage if said.partition(": ")[0] == part), None)


class InstanceTwo(InstanceOne, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One PostgreSQL instance, as version 2 of a report has it: with its settings files.

    `files` is left out where PostgreSQL does not run or does not say, and of a node that reported in version 1.
    """

    files: SettingsFiles | msgspec.UnsetType = msgspec.UNSET


class Instance(InstanceTwo, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One PostgreSQL instance: what version 2 of a report says of it, and what of it a successor must have too.

    `carrying` is for people: no verdict rests on it. It is left out where PostgreSQL does not run or does not say, and
    of a node that reported in an earlier version.
    """

    carrying: Carrying | msgspec.UnsetType = msgspec.UNSET


UNDER_WAY = "it is under way: "
"""How the evidence of a request begins that its agent works at; what the agent does for it then follows."""


class Unfinished(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that the journal began and did not end, and what PostgreSQL's own state says of it."""

    request: str
    action: str
    result: Literal["executed", "not executed", "unknown"]
    evidence: str

    @property
    def step(self) -> str:
        """Return what the agent does for the request now, in words; empty if it is not known to work at it."""
        works = self.result == "unknown" and self.evidence.startswith(UNDER_WAY)
        return self.evidence.removeprefix(UNDER_WAY) if works else ""


class FactsOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an agent says of its node, as version 1 of a report has it. `instance` is None for a witness.

    `checkpoint` is the newest audit log checkpoint that the agent has seen, whole, as the log signed it (empty: none):
    so whoever reads the report can hold the log against it. `entries` counts the requests in its journal. `gave_up` are
    the requests by which it accepted another log than the one that it had seen, the oldest first.
    """

    node: str
    rules: str
    configuration: str
    standing: Standing
    instance: InstanceOne | None
    unfinished: Unfinished | None
    entries: int
    checkpoint: str
    gave_up: tuple[str, ...] = ()


class FactsTwo(FactsOne, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an agent says of its node, as version 2 of a report has it: with more of its PostgreSQL.

    `versions` are the digests of the versions of the configuration that it has taken, from version 1 on,
    `configuration` the last of them; none are named where it has only version 1. `epoch` is that of the last of them.
    """

    instance: InstanceTwo | None
    versions: tuple[str, ...] = ()
    epoch: int = EPOCH_FIRST


class SeenFor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long an agent's observer has seen something on its node that is not as it should be.

    `what` is as in `rules.conditions`. `seconds` have passed since the first look that saw it, by a clock that only
    counts; no time of day is in it. `found` is true where no look before that one could have seen it: it has been so
    for at least as long.
    """

    what: str
    seconds: int
    found: bool = False


class Facts(FactsTwo, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an agent says of its node: what version 2 of a report says of it, and more for people and sequences.

    `held` is the order that it holds; it is left out where it holds none, and of a node that reported in an earlier
    version. `seen_for` says since when what deviates does: for people alone, no rule reads it. What is not in it has an
    unknown beginning; it is left out where there is nothing to say. `watched` is there of a node that is only watched,
    and of no other: then the standing is none of the node's own.
    """

    instance: Instance | None
    held: Held | msgspec.UnsetType = msgspec.UNSET
    seen_for: tuple[SeenFor, ...] | msgspec.UnsetType = msgspec.UNSET
    watched: Watched | msgspec.UnsetType = msgspec.UNSET


InstanceEarlier = TypeVar("InstanceEarlier", InstanceOne, InstanceTwo)


def lifted_facts(earlier: FactsOne) -> Facts:
    """Return in the words of now what facts of an earlier version say."""
    said = msgspec.structs.asdict(earlier)
    instance = earlier.instance and Instance(**msgspec.structs.asdict(earlier.instance))
    return Facts(**{**said, "instance": instance})


def facts_in_one(facts: Facts, rules: str) -> FactsOne:
    """Return facts in the words of version 1, for whoever judges by these `rules`: what it cannot say is left out."""
    said = {name: getattr(facts, name) for name in FactsOne.__struct_fields__}
    return FactsOne(**{**said, "rules": rules, "instance": _narrowed(facts.instance, InstanceOne)})


def facts_in_two(facts: Facts, rules: str) -> FactsTwo:
    """Return facts in the words of version 2, for whoever judges by these `rules`: what it cannot say is left out."""
    said = {name: getattr(facts, name) for name in FactsTwo.__struct_fields__}
    return FactsTwo(**{**said, "rules": rules, "instance": _narrowed(facts.instance, InstanceTwo)})


def _narrowed(instance: Instance | None, form: type[InstanceEarlier]) -> InstanceEarlier | None:
    """Return what an earlier version of a report can say of an instance."""
    return instance and form(**{name: getattr(instance, name) for name in form.__struct_fields__})


class ReportOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Version 1 of a report."""

    FORMAT: ClassVar[Format] = Format(kind="report")

    kind: Literal["report"] = "report"
    cluster: str
    node: str
    nonce: str
    facts: FactsOne


def _lifted_one(one: ReportOne) -> "ReportTwo":
    facts = facts_in_two(lifted_facts(one.facts), one.facts.rules)
    return ReportTwo(cluster=one.cluster, node=one.node, nonce=one.nonce, facts=facts)


class ReportTwo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Version 2 of a report."""

    FORMAT: ClassVar[Format] = Format(kind="report", version=2, earlier=ReportOne, lifted=_lifted_one)

    kind: Literal["report"] = "report"
    format: Literal[2] = 2
    cluster: str
    node: str
    nonce: str
    facts: FactsTwo


def _lifted(two: ReportTwo) -> "Report":
    return Report(cluster=two.cluster, node=two.node, nonce=two.nonce, facts=lifted_facts(two.facts))


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts as a node signs them, for one asking: `nonce` is the id of the request (or of the look) they are for."""

    FORMAT: ClassVar[Format] = Format(kind="report", version=3, earlier=ReportTwo, lifted=_lifted)

    kind: Literal["report"] = "report"
    format: Literal[3] = 3
    cluster: str
    node: str
    nonce: str
    facts: Facts


def structural(facts: Facts) -> Facts:
    """Return `facts` with everything blanked that moves while the node merely works, and what no rule reads.

    Two reads of a node whose structural facts differ are not one state.
    """
    watched = quietly_watched(facts.watched) if isinstance(facts.watched, Watched) else msgspec.UNSET
    facts = msgspec.structs.replace(facts, seen_for=msgspec.UNSET, watched=watched)
    if facts.unfinished is not None and facts.unfinished.step:
        facts = msgspec.structs.replace(facts, unfinished=msgspec.structs.replace(facts.unfinished, evidence=UNDER_WAY))
    instance = facts.instance
    if instance is None:
        return facts
    position = instance.position
    moving = (
        position is not None
        and instance.state is State.RUNNING
        and (not instance.recovery or instance.attached is not None or watched is not msgspec.UNSET)
    )
    if position is not None and moving:
        position = msgspec.structs.replace(position, lsn=Lsn(0))
    receiver = instance.receiver and Receiver(
        status="", upstream="", flushed=None
    )  # Only whether there is one is read.
    senders = tuple(
        msgspec.structs.replace(
            sender,
            sent=None,
            flushed=None,
            replayed=None,
            silent_seconds=None,
            flush_lag_milliseconds=None,
            replay_lag_milliseconds=None,
        )
        for sender in instance.senders
    )
    quiet = msgspec.structs.replace(
        instance,
        position=position,
        receiver=receiver,
        senders=senders,
        replayed=not moving and instance.replayed,
        load=None,
        checkpoint=None if instance.state is State.RUNNING else instance.checkpoint,
        unused=(),
        damage=tuple(said.partition(": ")[0] for said in instance.damage),
        keeping=quietly_kept(instance.keeping),
        files=_unread(instance.files),
        carrying=msgspec.UNSET,
    )
    return msgspec.structs.replace(facts, instance=quiet)


def _unread(files: SettingsFiles | msgspec.UnsetType) -> SettingsFiles | msgspec.UnsetType:
    """Return what the settings files hold, without when they were read: a reload by hand is no other state."""
    return msgspec.structs.replace(files, loaded="") if isinstance(files, SettingsFiles) else files
