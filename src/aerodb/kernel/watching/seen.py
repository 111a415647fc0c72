"""What was found of a watched PostgreSQL, as facts: what cannot be seen is unknown, and is said to be.

- A position has no term: none has been founded. A history has no branches: its files cannot be read.
- Nothing that was written by AeroDB is there, so nothing has drifted, and no folder has an identity.

Pure: no I/O, no clock.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from aerodb.errors import writable
from aerodb.kernel.postgres.carrying import carrying_in
from aerodb.kernel.postgres.keeping import said_of
from aerodb.kernel.postgres.receiving import has_replayed_all, parsed_lsn, receiver_in
from aerodb.kernel.watching.addresses import Known
from aerodb.kernel.watching.receivers import (
    named_upstream,
    shared_addresses,
    shown_setting,
    strangers_in,
    told_apart,
    upstreams_in,
)
from aerodb.protocol.authority import Position
from aerodb.protocol.cluster import Member
from aerodb.protocol.facts import Instance, Load, State
from aerodb.protocol.keeping import NOTHING_SEEN
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.watched import OVERRIDES, SettingSet, Survey, Watched
from aerodb.rules.condition import POLICY_SETTINGS, RECEIVER_SETTINGS
from aerodb.rules.serving import UNSEEN, Serving
from aerodb.rules.watching import waited_for

PROOFS = (*POLICY_SETTINGS, *RECEIVER_SETTINGS, "primary_slot_name")
"""The settings that proofs would rest on, and the slot that its receiver asks for."""
ASKED = (
    *PROOFS, "archive_command", "archive_library", "archive_mode", "data_checksums", "wal_log_hints",
)  # fmt: skip
"""The settings that are asked for."""
DISABLED = "(disabled)"
"""What PostgreSQL shows as the archive_command while archive_mode is off, whatever is set."""
PROCESS, RIGHTS, LOOK_PART = "process", "rights", "look"
"""The parts of a look: whether PostgreSQL answers, what its role may, and whether all of it was answered."""
NEVER_SEEN = (
    "What the settings files say that is not in force yet: pg_file_settings is not for a role with pg_monitor.",
    "Who may log in: pg_hba.conf is not for a role with pg_monitor.",
    "The histories of the timelines: their files are in the data folder, so whether two nodes have one history is not "
    "known.",
    "The data folder: its identity, the room on its disks, whether pg_wal lies outside it, and what is not logged.",
)
"""What a role with pg_monitor never sees."""
BASIC_UNSEEN = (
    "Who receives from the node and from whom it receives, its settings, its sessions, its slots and its WAL: {why}."
)
"""What is not seen either where a look is not whole, and why."""
MANAGERS_UNSEEN = "Which programs manage PostgreSQL on this host: the processes of others are hidden in /proc."
_SIGNS = {"repmgr": "repmgr", "pg_auto_failover": "pg_auto_failover", "pgautofailover": "pg_auto_failover"}


class Understood:
    """What one look found, and by what it is understood."""

    def __init__(self, node: str, members: Mapping[str, Member], known: Known, said: Mapping[str, Any]) -> None:
        """Understand what PostgreSQL of `node` `said`, by the members and their `known` addresses."""
        self._said, self._known = said, known
        self._members = {name: member for name, member in members.items() if name != node and not member.witness}
        others = {name: known.get(name, frozenset()) for name in self._members}
        self._others = others
        self.senders, self.names, self._strange = told_apart(said.get("senders") or (), others)

    @property
    def whole(self) -> bool:
        """Tell whether the role saw all that pg_monitor shows."""
        return self.monitors and "senders" in self._said

    @property
    def monitors(self) -> bool:
        """Tell whether the role has pg_monitor."""
        return bool(self._said["monitors"])

    def _setting(self, name: str) -> str:
        found = (self._said.get("settings") or {}).get(name)
        return found["value"] if found else ""

    def instance(self, damage: tuple[str, ...]) -> Instance:
        """Return the instance's facts; `damage` says what kept a look from being whole."""
        said, whole = self._said, self.whole
        received, replayed = parsed_lsn(said["received"]), parsed_lsn(said["replayed"])
        if whole and has_replayed_all(dict(said)):
            received = replayed
        return Instance(
            system=said["system"],
            folder=writable(said["folder"]) if whole else "",
            version=said["version"],
            state=State.RUNNING,
            recovery=said["recovery"],
            position=self._position(),
            lineage=(),
            quorum=None,
            attached=self._attached() if whole and said["recovery"] else None,  # Once promoted, it keeps it.
            restores=bool(self._setting("restore_command")),
            receiver=receiver_in(said["receiver"]) if whole else None,
            replayed=received is None or (replayed is not None and replayed >= received),
            senders=self.senders if whole else (),
            drift=(),
            shutdown=None,
            load=self._load() if whole else None,
            checkpoint=Lsn.parse(said["checkpoint"]),
            started=said["started"],
            damage=damage,
            keeping=said_of(said["keeping"]) if whole else NOTHING_SEEN,
            carrying=carrying_in(said["carrying"]) if whole else msgspec.UNSET,
        )

    def _position(self) -> Position | None:
        """Return where the WAL ends: on a primary what it has flushed, on a standby what it received and replayed."""
        said = self._said
        ends = [parsed_lsn(said[name]) for name in (("received", "replayed") if said["recovery"] else ("written",))]
        end = max((each for each in ends if each is not None), default=None)
        timeline = self._timeline()
        return None if end is None or not timeline else Position(term=None, bound=None, timeline=timeline, lsn=end)

    def _timeline(self) -> int | None:
        """Return the timeline; on a standby the higher one of what it receives and of what it has WAL of."""
        if not self._said["recovery"]:
            return int(self._said["timeline"])
        if not self.whole:
            return None
        receiving = (self._said["receiver"] or {}).get("timeline")
        return max(receiving or 0, int(self._said["newest"] or "0", 16)) or None

    def _attached(self) -> str | None:
        """Return the upstream that the settings name: a member, or a host and a port; None if they name none."""
        conninfo, found = self._setting("primary_conninfo"), self._said["receiver"]
        named = upstreams_in(conninfo) if conninfo else ()
        if found is not None and found["host"]:
            named = ((found["host"], found["port"]),)
        if named is None:
            return shown_setting("primary_conninfo", conninfo)
        return ",".join(named_upstream(host, port, self._members, self._known) for host, port in named) or None

    def _load(self) -> Load:
        load = self._said["load"]
        return Load(
            sessions=load["sessions"],
            longest_transaction_seconds=load["longest"],
            prepared_transactions=self._said["prepared"],
            backups=self._said["backups"],
            logical_slots=len(self._said["logical"]),
            waiting_commits=load["waiting"],
            checkpoints=load["checkpoints"],
            longest_wait_seconds=load["longest_wait"],
            other_senders=len(self._strange),
        )

    # Beside the facts --------------------------------------------------------------------------------------------

    def watched(self, managers: tuple[str, ...] | None) -> Watched:
        """Return what is said beside the facts; `managers` are those that run on the host (None: not to be seen)."""
        unseen = list(NEVER_SEEN)
        if not self.whole:
            why = "PostgreSQL did not answer all of the look" if self.monitors else "the role lacks pg_monitor"
            unseen.append(BASIC_UNSEEN.format(why=why))
        unseen += [
            f"The address of {name}: its host's name is not known here." for name, at in self._others.items() if not at
        ]
        unseen += shared_addresses(self._others)
        unseen += [MANAGERS_UNSEEN] if managers is None else []
        return Watched(
            unseen=tuple(unseen),
            strangers=strangers_in(self._strange) if self.whole else (),
            survey=self._survey(managers or ()) if self.whole else None,
        )

    def _survey(self, managers: tuple[str, ...]) -> Survey:
        said = self._said
        hints, checksums = self._setting("wal_log_hints"), self._setting("data_checksums")
        return Survey(
            waits_for=waited_for(self._setting("synchronous_standby_names"), self._setting("synchronous_commit")),
            names=self.names,
            settings=tuple(self._settings()),
            tablespaces=tuple(map(writable, said["tablespaces"])),
            logical_slots=tuple(said["logical"]),
            wal_apart=None,
            managers=(*managers, *signs_in(said["signs"])),
            rewindable="on" in {hints, checksums},
            archiving=self._setting("archive_mode"),
            archive_command=self._archives(),
        )

    def _archives(self) -> bool | None:
        """Tell whether a command, or a library, to archive by is set; None if PostgreSQL hides it."""
        command, library = self._setting("archive_command"), self._setting("archive_library")
        return True if library else None if command == DISABLED else bool(command)

    def _settings(self) -> list[SettingSet]:
        found = self._said["settings"]
        settings = [
            SettingSet(name=name, value=shown_setting(name, found[name]["value"]), place=_place(found[name]))
            for name in PROOFS
            if name in found
        ]
        if self._said["overrides"]:
            settings.append(SettingSet(name=OVERRIDES, value=str(self._said["overrides"]), place="pg_db_role_setting"))
        return settings


def _place(found: Mapping[str, Any]) -> str:
    """Return where a setting is set: a file and a line, or what PostgreSQL calls the source; nothing if nowhere."""
    if found["file"]:
        return writable(f"{found['file']}:{found['line']}")
    return "" if found["source"] == "default" else str(found["source"])


def signs_in(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what in the database shows that something else manages it, each as "NAME (where)"."""
    signs = [f"{_SIGNS[name]} (a database of that name)" for name in found["databases"]]
    signs += [f"{_SIGNS[name]} (a schema of that name)" for name in found["schemas"]]
    loaded = {each.strip().strip('"') for each in found["preloaded"].split(",")}
    signs += [f"{_SIGNS[name]} (in shared_preload_libraries)" for name in sorted(loaded & _SIGNS.keys())]
    return (*signs, *(f"{name} (a session that calls itself so)" for name in sorted(found["sessions"])))


def unanswered(why: str) -> tuple[Instance, Watched]:
    """Return the facts where nothing was found: PostgreSQL does not answer, or lets nobody in, and `why`."""
    instance = Instance(
        system="",
        folder="",
        version="",
        state=State.UNREACHABLE,
        recovery=None,
        position=None,
        lineage=(),
        quorum=None,
        attached=None,
        restores=False,
        receiver=None,
        replayed=False,
        senders=(),
        drift=(),
        shutdown=None,
        load=None,
        damage=(f"{PROCESS}: {why}",),
    )
    return instance, Watched(unseen=NEVER_SEEN, strangers=(), survey=None)


def serving_in(found: Mapping[str, Any]) -> Serving:
    """Return what the answer to a load balancer rests on."""
    receiver = found["receiver"]
    status = "" if receiver is None else receiver["status"] or UNSEEN
    return Serving(
        recovery=found["recovery"],
        senders=(),
        receiver=status,
        behind_bytes=receiver and receiver["behind"],
        paused=found["paused"],
    )
