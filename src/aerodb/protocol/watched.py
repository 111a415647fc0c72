"""What the agent of a node that is only watched says beside its facts: what it may not see, who receives, who manages.

A watched node is nobody's but its owner's: its agent has no hands, has promised nothing and has been granted nothing.
Its standing names the role in which PostgreSQL runs, and the term 0. Pure: no I/O, no clock.
"""

import msgspec

from aerodb.protocol.authority import Candidacy, NodeRole, Standing
from aerodb.protocol.lsn import Lsn

WATCH_ROLE = "aerodb_watch"
"""The role of PostgreSQL, and the operating system's user, as which an agent logs in that only watches."""
OVERRIDES = "synchronous_commit of a role or database"
"""What a survey calls the roles and databases for which synchronous_commit is set to wait for no flush."""
NOBODY = Candidacy(term=0, node="")
"""What a watched node has promised, and what it knows to be granted: no term has begun."""


class Stranger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receiver of a watched primary's WAL that is at no member's address.

    `address` is the client's, empty over a local socket; `application` is the name that it gives itself.
    """

    address: str
    application: str
    state: str
    sync_state: str
    flushed: Lsn | None


class SettingSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting that proofs would rest on: its value in force, and where it is set (empty: nowhere, or not to be seen).

    `place` is "FILE:LINE" of a settings file, or what PostgreSQL calls the source.
    """

    name: str
    value: str
    place: str


class StreamName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under which application_name a member's receiver is connected."""

    node: str
    application: str


class Survey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands between watching a node and taking charge of it, as far as its agent can see; None is unknown.

    `waits_for` is for how many standbys a commit waits, by synchronous_standby_names, and 0 where synchronous_commit is
    set to wait for none. `names` says under which application_name each member streams. `settings` are those that
    proofs would rest on. `tablespaces` are those besides PostgreSQL's own. `logical_slots` are their names.
    `wal_apart` tells whether pg_wal lies outside the data folder. `managers` are the signs of another manager, each a
    text such as "patroni (process 712)". `rewindable` tells whether pg_rewind could bring the node back after its WAL
    has parted: data checksums or wal_log_hints. `archiving` is the archive_mode; `archive_command` whether one is set.
    """

    waits_for: int | None
    names: tuple[StreamName, ...]
    settings: tuple[SettingSet, ...]
    tablespaces: tuple[str, ...] | None
    logical_slots: tuple[str, ...] | None
    wal_apart: bool | None
    managers: tuple[str, ...]
    rewindable: bool | None
    archiving: str
    archive_command: bool | None


class Watched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a watched node's agent says beside the facts.

    `unseen` says, each in a sentence, what it cannot see with the rights that it has. `survey` is None while PostgreSQL
    does not answer.
    """

    unseen: tuple[str, ...]
    strangers: tuple[Stranger, ...]
    survey: Survey | None


def watched_standing(role: NodeRole) -> Standing:
    """Return the standing of a watched node whose PostgreSQL runs as `role`: it stands for nothing."""
    return Standing(
        role=role,
        upstream=None,
        halted=False,
        pledged=NOBODY,
        pledge=None,
        granted=NOBODY,
        grant=None,
        since=(),
        followed=None,
        lineage=(),
    )


def quietly_watched(watched: Watched) -> Watched:
    """Return what is said of a watched node without what moves: copies that others take, positions, process ids."""
    strangers = tuple(
        msgspec.structs.replace(each, state="", flushed=None) for each in watched.strangers if each.state != "backup"
    )
    survey = watched.survey and msgspec.structs.replace(
        watched.survey, managers=tuple(dict.fromkeys(each.partition(" (")[0] for each in watched.survey.managers))
    )
    return msgspec.structs.replace(watched, strangers=strangers, survey=survey)
