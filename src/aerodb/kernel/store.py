"""What one agent keeps: its standing, its journal of requests, how far its WAL has been, and what it saw of the log.

- Every write is durable before it returns; nothing is kept anywhere else.
- The standing only rises, and only this process writes it: a standing on disk that it did not write is an error.
- Space for the end of an operation is reserved before it begins, so a disk that fills up meanwhile changes no answer.
- A request has one file once it is held, one once it is begun, one once it has crossed (from then on its effect can
  happen), and one once it is ended. An id with any of these is used for ever.
- A damaged standing is an error, never a fresh start.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from aerodb.errors import AeroError
from aerodb.kernel.durable import let_go, reserve, write_durably
from aerodb.kernel.errors import LogNotShown, RoomMissing, StandingFalls, StandingForeign, StandingUnreadable
from aerodb.kernel.seen import LogSeen
from aerodb.protocol import canonical
from aerodb.protocol.authority import Standing
from aerodb.protocol.facts import Facts, FactsOne, FactsTwo, Instance, facts_in_two, lifted_facts
from aerodb.protocol.formats import Format, MadeLater
from aerodb.protocol.signed import Signed
from aerodb.rules.explain import check_usable
from aerodb.rules.reach import Reach, reached

ENDED_BYTES, STANDING_BYTES = 64 << 10, 256 << 10
"""The space reserved for an outcome, and for a standing, which holds the histories of all terms."""
BEGUN_BYTES, SEEN_BYTES = 512 << 10, 64 << 10
"""The space reserved, for an order that is held, for what is written when it is begun: its plan and the node's facts,
and the log as it was seen then."""


class BegunOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Version 1 of a journal entry made before an operation."""

    FORMAT: ClassVar[Format] = Format(kind="entry of what was begun")

    sequence: int
    request: str
    plan: str
    before: FactsOne


def _lifted_one(one: BegunOne) -> "BegunTwo":
    before = facts_in_two(lifted_facts(one.before), one.before.rules)
    return BegunTwo(sequence=one.sequence, request=one.request, plan=one.plan, before=before)


class BegunTwo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Version 2 of a journal entry made before an operation."""

    FORMAT: ClassVar[Format] = Format(kind="entry of what was begun", version=2, earlier=BegunOne, lifted=_lifted_one)

    kind: Literal["begun"] = "begun"
    format: Literal[2] = 2
    sequence: int
    request: str
    plan: str
    before: FactsTwo


def _lifted(two: BegunTwo) -> "Begun":
    return Begun(sequence=two.sequence, request=two.request, plan=two.plan, before=lifted_facts(two.before))


class Begun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A journal entry made before an operation: the plan's exact text, and the node's facts at that time."""

    FORMAT: ClassVar[Format] = Format(kind="entry of what was begun", version=3, earlier=BegunTwo, lifted=_lifted)

    kind: Literal["begun"] = "begun"
    format: Literal[3] = 3
    sequence: int
    request: str
    plan: str
    before: Facts


def _entry_of(sequence: int, request: str, plan: str, before: FactsOne) -> Begun | BegunTwo | BegunOne:
    if isinstance(before, Facts):
        return Begun(sequence=sequence, request=request, plan=plan, before=before)
    if isinstance(before, FactsTwo):
        return BegunTwo(sequence=sequence, request=request, plan=plan, before=before)
    return BegunOne(sequence=sequence, request=request, plan=plan, before=before)


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A journal entry made after an operation: the signed outcome."""

    FORMAT: ClassVar[Format] = Format(kind="entry of what was ended")

    sequence: int
    request: str
    outcome: Signed


class Store:
    """The folder of one agent's durable state."""

    def __init__(self, folder: Path) -> None:
        """Read `folder` without changing anything.

        Raises:
            StandingUnreadable: a part of it is missing or damaged.
        """
        self._folder = folder
        self._journal = folder / "journal"
        self._lock = threading.RLock()
        self._shown: LogSeen | None = None
        try:
            self._text = self._path.read_bytes()
            self._standing = canonical.decode(self._text, Standing)
            seen = folder / "checkpoint.json"
            self._seen = (
                canonical.decode(seen.read_bytes(), LogSeen) if seen.exists() else LogSeen(size=0, checkpoint="")
            )
            self._reach_path = folder / "reach.json"
            reach = self._reach_path.read_bytes() if self._reach_path.exists() else None
            self._reach = None if reach is None else canonical.decode(reach, Reach)
            self._begun = {path.name.removesuffix(".begun.json") for path in self._journal.glob("*.begun.json")}
            self._crossed = {path.name.removesuffix(".crossed") for path in self._journal.glob("*.crossed")}
            self._ended = {path.name.removesuffix(".ended.json") for path in self._journal.glob("*.ended.json")}
            self._held = {path.name.removesuffix(".held") for path in self._journal.glob("*.held")}
        except MadeLater:
            raise
        except (OSError, AeroError) as error:
            raise StandingUnreadable(f"{folder} holds no whole standing: {error}") from error

    @classmethod
    def create(cls, folder: Path, standing: Standing) -> "Store":
        """Make the folder of a new node.

        Raises:
            FileExistsError: the folder is there already.
        """
        folder.mkdir(mode=0o700)
        (folder / "journal").mkdir(mode=0o700)
        write_durably(folder / "standing.json", canonical.encode(standing))
        return cls(folder)

    @property
    def standing(self) -> Standing:
        """Return the durable standing."""
        return self._standing

    @property
    def _path(self) -> Path:
        return self._folder / "standing.json"

    def write_standing(self, standing: Standing) -> None:
        """Make `standing` the durable one.

        Raises:
            StandingFalls: it promises less than the durable one does.
            StandingForeign: the durable one is not what this store wrote last.
            OSError: the disk refused; the standing is then whatever the disk holds.
        """
        with self._lock:
            if not rises(self._standing, standing):
                raise StandingFalls(f"{_said(standing)} would be written over {_said(self._standing)}")
            if self._path.read_bytes() != self._text:
                raise StandingForeign(f"{self._path} is not what this agent wrote last")
            text = canonical.encode(standing)
            try:
                write_durably(self._path, text)
            except OSError:
                self._text = self._path.read_bytes()
                self._standing = canonical.decode(self._text, Standing)
                raise
            self._text, self._standing = text, standing
            with suppress(OSError):  # Replacing the old file has just freed its space.
                reserve(self._path, STANDING_BYTES)

    @property
    def seen(self) -> LogSeen:
        """Return what the node has seen of the audit log."""
        return self._seen

    def write_seen(self, seen: LogSeen) -> None:
        """Remember a newer checkpoint durably; one that would give up another stays in memory until `accept_log`."""
        with self._lock:
            self._shown = seen
            if seen.given_up == self._seen.given_up:
                self._remember(seen)

    def accept_log(self, request: str) -> LogSeen:
        """Remember in one durable write the log shown last, and that `request` gave up the one seen before.

        Raises:
            LogNotShown: the log shown last was not shown for this request.
            OSError: the disk refused; what was seen before stays.
        """
        with self._lock:
            shown = self._shown
            if shown is None or not shown.given_up or shown.given_up[-1].request != request:
                raise LogNotShown(f"no log was shown that {request} could accept")
            self._remember(shown)
            return shown

    def _remember(self, seen: LogSeen) -> None:
        write_durably(self._folder / "checkpoint.json", canonical.encode(seen))
        self._seen = seen

    @property
    def reach(self) -> Reach | None:
        """Return how far the WAL of a data folder was noted to have been; None: nothing was noted yet."""
        return self._reach

    def note_reach(self, instance: Instance | None) -> None:
        """Note durably how far the facts of a look show the WAL in the data folder in use to have been.

        Two threads may note what they saw; what is noted of a folder never falls.

        Raises:
            OSError: the disk refused; what was noted before stays.
        """
        with self._lock:
            reach = reached(self._reach, instance)
            if reach is not None:
                write_durably(self._reach_path, canonical.encode(reach))
                self._reach = reach

    @property
    def requests(self) -> tuple[str, ...]:
        """Return the ids of all requests in the journal, sorted as text."""
        return tuple(sorted(self._begun | self._ended | self._held))

    @property
    def entries(self) -> int:
        """Return the number of requests in the journal."""
        return len(self._begun | self._ended | self._held)

    def knows(self, request: str) -> bool:
        """Tell whether the request's id has been used on this node."""
        return request in self._begun or request in self._ended or request in self._held

    def unfinished(self) -> tuple[Begun, ...]:
        """Return the entries of requests that were begun and not ended, the oldest first."""
        with self._lock:
            left = [self.begun(request) for request in self._begun - self._ended]
        return tuple(sorted((each for each in left if each is not None), key=lambda each: each.sequence))

    def _entry(self, request: str, kind: str) -> Path:
        """Return the path of a journal entry.

        Raises:
            RequestMalformed: `request` is not a request's id, and might lead to another path.
        """
        check_usable(request)
        return self._journal / f"{request}.{kind}"

    def begun(self, request: str) -> Begun | None:
        """Return the entry that was made when `request` was begun; None if it was not."""
        if request not in self._begun:
            return None
        return canonical.decode(self._entry(request, "begun.json").read_bytes(), Begun)

    def ended(self, request: str) -> Ended | None:
        """Return the entry that was made when `request` ended; None if it has not."""
        if request not in self._ended:
            return None
        return canonical.decode(self._entry(request, "ended.json").read_bytes(), Ended)

    def hold(self, request: str) -> None:
        """Write that an order of `request` is held in memory: whatever becomes of that memory, its id is used.

        The disk space for its turn is reserved, since writes have stopped by then.

        Raises:
            RoomMissing: the disk has not enough space; nothing was written.
        """
        with self._lock:
            begun, ended, crossed = (self._entry(request, each) for each in ("begun.json", "ended.json", "crossed"))
            seen = self._folder / "checkpoint.json"
            room = {begun: BEGUN_BYTES, ended: ENDED_BYTES, crossed: 1, self._path: STANDING_BYTES, seen: SEEN_BYTES}
            try:
                for path, size_bytes in room.items():
                    reserve(path, size_bytes)
                write_durably(self._entry(request, "held"), b"")
            except OSError as error:
                for reserved in room:
                    let_go(reserved)
                raise RoomMissing(f"the disk has no room to note that {request} is held: {error}") from error
            self._held.add(request)

    def was_held(self, request: str) -> bool:
        """Tell whether an order of `request` was ever held."""
        return request in self._held

    def begin(self, request: str, plan: str, before: FactsOne) -> None:
        """Write that an operation is about to run; disk space for its end is reserved first.

        The entry has the format version of the facts, so the previous release can settle what its own plan began.

        Raises:
            RoomMissing: the disk has not enough space; no entry was written.
        """
        with self._lock:
            entry = _entry_of(self.entries + 1, request, plan, before)
            path, ended = self._entry(request, "begun.json"), self._entry(request, "ended.json")
            try:
                reserve(ended, ENDED_BYTES)
                reserve(self._entry(request, "crossed"), 1)
                reserve(self._path, STANDING_BYTES)
                write_durably(path, canonical.encode(entry))
            except OSError as error:
                for reserved in (ended, self._entry(request, "crossed"), self._path):
                    let_go(reserved)
                raise RoomMissing(f"the disk has no room for the outcome of {request}: {error}") from error
            self._begun.add(request)

    def mark(self, request: str) -> None:
        """Write that a request has crossed; called right before the first step that can have its effect."""
        with self._lock:
            write_durably(self._entry(request, "crossed"), b"")
            self._crossed.add(request)

    def crossed(self, request: str) -> bool:
        """Tell whether a request reached the first step that can have its effect."""
        return request in self._crossed

    def end(self, request: str, outcome: Signed) -> None:
        """Write what became of a request."""
        with self._lock:
            entry = Ended(sequence=self.entries + (not self.knows(request)), request=request, outcome=outcome)
            write_durably(self._entry(request, "ended.json"), canonical.encode(entry))
            self._ended.add(request)
            let_go(self._entry(request, "crossed"))
            let_go(self._entry(request, "begun.json"))


def _said(standing: Standing) -> str:
    return f"a pledge of term {standing.pledged.term} and a grant of term {standing.granted.term}"


def rises(before: Standing, after: Standing) -> bool:
    """Tell whether neither the pledge nor the grant in `after` is below, or in conflict with, the one in `before`."""
    for old, new in ((before.pledged, after.pledged), (before.granted, after.granted)):
        if new.term < old.term or (new.term == old.term and new.node != old.node):
            return False
    return True
