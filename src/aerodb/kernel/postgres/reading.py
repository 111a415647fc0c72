"""Reads the control file of a data folder, and the pages of its WAL.

- The control file's bytes are read here, which takes no program's start; what `layout` does not understand,
  pg_controldata is asked about, and it decides.
- Nothing but a regular file is read: whoever owns the folder cannot have its agent wait for a pipe.
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from aerodb.kernel.postgres.control_file import ControlFile, parse_control_file
from aerodb.kernel.postgres.errors import WalUnreadable
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.layout import CONTROL_FILE_BYTES, control_in
from aerodb.kernel.postgres.lsns import PAGE_BYTES


def read_control_file(installation: Installation, data: Path) -> ControlFile:
    """Return the control file of a data folder.

    Raises:
        CommandFailed: pg_controldata failed.
        WalUnreadable: the file is damaged (its checksum is wrong), or its printed form is unexpected.
    """
    return control_by_bytes(installation.major, data) or control_by_program(installation, data)


def control_by_bytes(major: int, data: Path) -> ControlFile | None:
    """Return the control file by its bytes; None if it cannot be read, or is not wholly understood."""
    content = _bytes_of(data / "global" / "pg_control", 0, CONTROL_FILE_BYTES, CONTROL_FILE_BYTES)
    return None if content is None else control_in(content, major)


def control_by_program(installation: Installation, data: Path) -> ControlFile:
    """Return the control file as pg_controldata prints it.

    Raises:
        CommandFailed, WalUnreadable: as `read_control_file`.
    """
    ended = installation.run("pg_controldata", "-D", data, timeout_seconds=20)
    if re.search(r"WARNING", ended.output + ended.error):
        raise WalUnreadable(f"pg_controldata warns of {data}: {(ended.error or ended.output)[:500]}")
    return parse_control_file(ended.output)


def segment_name(timeline: int, number: int, segment_bytes: int) -> str:
    """Return the name of a timeline's segment with this number."""
    a_gigabyte = (1 << 32) // segment_bytes
    return f"{timeline:08X}{number // a_gigabyte:08X}{number % a_gigabyte:08X}"


def pages_of(data: Path, control_file: ControlFile) -> Callable[[int], bytes | None]:
    """Return what reads the page of WAL at a position, of the control file's timeline; None where there is none."""
    segment_bytes = control_file.segment_bytes

    def page_at(position: int) -> bytes | None:
        name = segment_name(control_file.timeline, position // segment_bytes, segment_bytes)
        return _bytes_of(data / "pg_wal" / name, position % segment_bytes, PAGE_BYTES, segment_bytes)

    return page_at


def _bytes_of(path: Path, at: int, count: int, size: int) -> bytes | None:
    """Return `count` bytes of a regular file of this size; None if it is none, or cannot be read."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return None
        return os.pread(opened, count, at)
    except OSError:
        return None
    finally:
        os.close(opened)
