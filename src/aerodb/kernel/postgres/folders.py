"""The data folders of one instance: a copy of another node's, and its taking the old one's place.

- A base backup is made under a name that is never started, and takes the old folder's place by one rename.

Source: PostgreSQL manual 25.3 (base backups).
"""

import os
import re
import secrets
from pathlib import Path

from aerodb.kernel.durable import sync_folder, write_durably
from aerodb.kernel.postgres import settings
from aerodb.kernel.postgres.copying import CopyLayout, ask_source, layout_of, refuse_unfit
from aerodb.kernel.postgres.errors import FolderBroken, WalUnreadable
from aerodb.kernel.postgres.ground import Ground
from aerodb.kernel.postgres.identity import draw_identity
from aerodb.kernel.postgres.lsns import printed_lsn
from aerodb.protocol.lsn import Lsn

COPY_SECONDS_MAX = 24 * 3600.0

_COPY_END = re.compile(r"write-ahead log end point: ([0-9A-F]+/[0-9A-F]+)")


def end_of_copy(said: str) -> Lsn:
    """Return where the WAL of a base backup ends, from what pg_basebackup says of its work.

    Raises:
        WalUnreadable: it does not say so.
    """
    found = _COPY_END.search(said)
    if found is None:
        raise WalUnreadable(f"pg_basebackup does not say where the copy ends: {said.strip()[-300:]}")
    return printed_lsn(found[1])


class DataFolders:
    """The data folders of one instance."""

    def __init__(self, ground: Ground) -> None:
        """Keep what the instance stands on; nothing is copied yet."""
        self._ground = ground
        self._place = ground.place
        self._copied: str | None = None

    def _ending(self) -> bool:
        return self._ground.children.ended

    def _current(self) -> Path | None:
        try:
            return self._place.data()
        except FolderBroken:
            return None

    def _laid_out(self, upstream: str, beside: Path) -> CopyLayout:
        """Return where a copy's parts go that is made at `beside`, once it is known to fit.

        Raises:
            CopyUnfit: there is no room for it, or the source does not say what it holds.
        """
        conninfo = settings.copy_conninfo(self._place, *self._ground.address_of(upstream))
        source = ask_source(conninfo, self._place.replication_secret.read_text(encoding="ascii"), self._ending)
        layout = layout_of(source, beside, self._current())
        refuse_unfit(source, self._place.home, layout)
        return layout

    def fits(self, upstream: str) -> None:
        """Return where a copy of the upstream's data folder has room; nothing is begun.

        Raises:
            CopyUnfit: see `copying.refuse_unfit`.
        """
        self._laid_out(upstream, self._place.home / "data-asked")

    def copy(self, upstream: str) -> Lsn:
        """Make a new data folder from the upstream, durable and finished, not in use; return where its WAL ends.

        Raises:
            CommandFailed: pg_basebackup failed; what it left is named .partial and is never started.
            WalUnreadable: it does not say where the copy's WAL ends.
            CopyUnfit: it has no room, and was not begun.
        """
        host, port = self._ground.address_of(upstream)
        finished = self._place.home / f"data-{self._place.next_number():04d}"
        # The name is this attempt's alone: whatever an earlier one may still write, it writes elsewhere.
        attempt = f"{finished.name}.{secrets.token_hex(8)}"
        partial = finished.with_name(f"{attempt}.partial")
        layout = self._laid_out(upstream, finished.with_name(attempt))
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
        end = end_of_copy(ended.error)
        write_durably(partial / "standby.signal", b"", self._ground.owner)
        draw_identity(partial, self._ground.owner)  # It came with the source's.
        partial.replace(finished)
        sync_folder(self._place.home)
        self._copied = finished.name
        return end

    def swap(self) -> None:
        """Make the folder that was copied last the one in use, by one rename.

        Raises:
            FolderBroken: this process has copied none.
        """
        if self._copied is None:
            raise FolderBroken(f"nothing was copied into {self._place.home} that could be put in use")
        beside = self._place.home / ".data.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(self._copied)
        beside.replace(self._place.link)
        sync_folder(self._place.home)
