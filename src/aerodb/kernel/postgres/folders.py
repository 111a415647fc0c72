"""The data folders of one instance: making a copy of another node's, and putting it in use.

- A base backup is made under a name that PostgreSQL is never started with. One rename puts it in use.

Source: PostgreSQL manual 25.3 (base backups).
"""

import os
import re
import secrets
from pathlib import Path

from aerodb.kernel.durable import sync_folder, write_durably
from aerodb.kernel.postgres import settings
from aerodb.kernel.postgres.copying import (
    CopyLayout,
    GrowingCopy,
    ask_source,
    layout_of,
    refuse_other_major,
    refuse_unfit,
)
from aerodb.kernel.postgres.errors import FolderBroken, WalUnreadable
from aerodb.kernel.postgres.ground import Ground
from aerodb.kernel.postgres.identity import draw_identity
from aerodb.kernel.postgres.lsns import printed_lsn
from aerodb.protocol.lsn import Lsn

COPY_SECONDS_MAX = 24 * 3600.0

_COPY_END = re.compile(r"write-ahead log end point: ([0-9A-F]+/[0-9A-F]+)")


def end_of_copy(said: str) -> Lsn:
    """Return the end of a base backup's WAL, from the messages of pg_basebackup.

    Raises:
        WalUnreadable: the messages do not tell.
    """
    found = _COPY_END.search(said)
    if found is None:
        raise WalUnreadable(f"pg_basebackup does not say where the copy ends: {said.strip()[-300:]}")
    return printed_lsn(found[1])


class DataFolders:
    """The data folders of one instance."""

    def __init__(self, ground: Ground) -> None:
        """Prepare; nothing is copied yet."""
        self._ground = ground
        self._place = ground.place
        self._copied: str | None = None
        self._copying: GrowingCopy | None = None

    def _ending(self) -> bool:
        return self._ground.children.ended

    def _current(self) -> Path | None:
        try:
            return self._place.data()
        except FolderBroken:
            return None

    def _laid_out(self, upstream: str, beside: Path) -> CopyLayout:
        """Return where the parts of a copy at `beside` go, after checking that it fits.

        Raises:
            CopyUnfit: it does not fit, or the source does not say what it holds.
            MajorDiffers: see `copying.refuse_other_major`.
        """
        conninfo = settings.copy_conninfo(self._place, *self._ground.address_of(upstream))
        source = ask_source(conninfo, self._place.replication_secret.read_text(encoding="ascii"), self._ending)
        refuse_other_major(source, self._ground.installation)
        layout = layout_of(source, beside, self._current())
        refuse_unfit(source, self._place.home, layout)
        return layout

    def fits(self, upstream: str) -> None:
        """Check that a copy of the upstream's data folder fits; nothing is begun.

        Raises:
            CopyUnfit: see `copying.refuse_unfit`.
            MajorDiffers: see `copying.refuse_other_major`.
        """
        self._laid_out(upstream, self._place.home / "data-asked")

    def copy(self, upstream: str) -> Lsn:
        """Copy the upstream into a new data folder, durably, without putting it in use; return the end of its WAL.

        Raises:
            CommandFailed: pg_basebackup failed; what it left behind is named .partial and is never started.
            WalUnreadable: pg_basebackup does not say where the copy's WAL ends.
            CopyUnfit, MajorDiffers: the copy does not fit, or would not start, and was not begun.
        """
        self._copying = None
        host, port = self._ground.address_of(upstream)
        finished = self._place.home / f"data-{self._place.next_number():04d}"
        # Each attempt has its own name, so an earlier attempt that still writes does so elsewhere.
        attempt = f"{finished.name}.{secrets.token_hex(8)}"
        partial = finished.with_name(f"{attempt}.partial")
        layout = self._laid_out(upstream, finished.with_name(attempt))
        self._copying = GrowingCopy((partial, *(path for _, path in layout.tablespaces)), layout.size_bytes)
        if layout.log is not None:
            layout.log.mkdir(mode=0o700)
            if self._ground.installation.account:
                os.chown(layout.log, *self._ground.installation.account.owner)
        ended = self._ground.installation.run(
            "pg_basebackup", "--verbose", "-D", partial, "-d", settings.copy_conninfo(self._place, host, port),
            "-X", "stream", "-c", "fast", "--no-manifest", *layout.arguments, timeout_seconds=COPY_SECONDS_MAX,
            environment={"PGPASSWORD": self._place.replication_secret.read_text(encoding="ascii")},
            among=self._ground.children,
        )  # fmt: skip
        self._copying, end = None, end_of_copy(ended.error)
        write_durably(partial / "standby.signal", b"", self._ground.owner)
        draw_identity(partial, self._ground.owner)  # The copy has brought the source's identity along.
        partial.replace(finished)
        sync_folder(self._place.home)
        self._copied = finished.name
        return end

    def so_far(self) -> str:
        """Return how far a copy under way is, in words."""
        growing = self._copying
        return growing.said() if growing else "the source runs a checkpoint, and says how much there is to copy"

    def swap(self) -> None:
        """Put the folder that was copied last in use, by one rename.

        Raises:
            FolderBroken: this process has made no copy.
        """
        if self._copied is None:
            raise FolderBroken(f"nothing was copied into {self._place.home} that could be put in use")
        beside = self._place.home / ".data.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(self._copied)
        beside.replace(self._place.link)
        sync_folder(self._place.home)
