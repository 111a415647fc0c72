"""What one agent keeps: its standing, its journal of requests, and the newest audit log checkpoint that it saw.

- Every write is durable before it returns; nothing is kept anywhere else.
- A request has one file when it is begun, one when it has crossed (its effect can happen from then on), and one when it
  is ended; an id that has any is used for ever.
- A damaged standing is an error, never a fresh start.
"""

from pathlib import Path

import msgspec

from aerodb.errors import AeroError
from aerodb.kernel.durable import write_durably
from aerodb.kernel.errors import StandingUnreadable
from aerodb.protocol import canonical
from aerodb.protocol.authority import Standing
from aerodb.protocol.facts import Facts
from aerodb.protocol.signed import Signed


class Begun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A journal entry made before an operation: the plan's exact text, and the node's facts then."""

    sequence: int
    request: str
    plan: str
    before: Facts


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A journal entry made after: the signed outcome."""

    sequence: int
    request: str
    outcome: Signed


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest audit log checkpoint that the node was shown: its size and its exact text."""

    size: int
    checkpoint: str


class Store:
    """The folder of one agent's durable state."""

    def __init__(self, folder: Path) -> None:
        """Look at `folder`, touching nothing.

        Raises:
            StandingUnreadable: there is no whole standing in it.
        """
        self._folder = folder
        self._journal = folder / "journal"
        try:
            self._standing = canonical.decode((folder / "standing.json").read_bytes(), Standing)
            seen = folder / "checkpoint.json"
            self._seen = canonical.decode(seen.read_bytes(), Seen) if seen.exists() else Seen(size=0, checkpoint="")
            self._begun = {path.name.removesuffix(".begun.json") for path in self._journal.glob("*.begun.json")}
            self._crossed = {path.name.removesuffix(".crossed") for path in self._journal.glob("*.crossed")}
            self._ended = {path.name.removesuffix(".ended.json") for path in self._journal.glob("*.ended.json")}
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

    def write_standing(self, standing: Standing) -> None:
        """Make `standing` the durable one."""
        write_durably(self._folder / "standing.json", canonical.encode(standing))
        self._standing = standing

    @property
    def seen(self) -> Seen:
        """Return the newest checkpoint that the node was shown."""
        return self._seen

    def write_seen(self, seen: Seen) -> None:
        """Remember a newer checkpoint."""
        write_durably(self._folder / "checkpoint.json", canonical.encode(seen))
        self._seen = seen

    @property
    def entries(self) -> int:
        """Return how many requests the journal knows."""
        return len(self._begun | self._ended)

    def knows(self, request: str) -> bool:
        """Tell whether the request's id has been used on this node."""
        return request in self._begun or request in self._ended

    def unfinished(self) -> Begun | None:
        """Return the entry that was begun and not ended; there is at most one."""
        left = sorted(self._begun - self._ended)
        return self.begun(left[0]) if left else None

    def begun(self, request: str) -> Begun | None:
        """Return what was begun for `request`."""
        if request not in self._begun:
            return None
        return canonical.decode((self._journal / f"{request}.begun.json").read_bytes(), Begun)

    def ended(self, request: str) -> Ended | None:
        """Return how `request` ended."""
        if request not in self._ended:
            return None
        return canonical.decode((self._journal / f"{request}.ended.json").read_bytes(), Ended)

    def begin(self, request: str, plan: str, before: Facts) -> None:
        """Write, before an operation, that it is about to be run."""
        entry = Begun(sequence=self.entries + 1, request=request, plan=plan, before=before)
        write_durably(self._journal / f"{request}.begun.json", canonical.encode(entry))
        self._begun.add(request)

    def mark(self, request: str) -> None:
        """Write, right before the first step by which its effect can happen, that a begun request has crossed."""
        write_durably(self._journal / f"{request}.crossed", b"")
        self._crossed.add(request)

    def crossed(self, request: str) -> bool:
        """Tell whether a request came to the first step by which its effect can happen."""
        return request in self._crossed

    def end(self, request: str, outcome: Signed) -> None:
        """Write what became of a request."""
        entry = Ended(sequence=self.entries + (not self.knows(request)), request=request, outcome=outcome)
        write_durably(self._journal / f"{request}.ended.json", canonical.encode(entry))
        self._ended.add(request)
