"""The settings that PostgreSQL would start with, from whichever file, as `postgres -C` prints them.

- They are read again only if one of their files changed: the main one, postgresql.auto.conf, or one that these include.
- Each takes a program's start, so all who look at one instance share what was read.

Source: PostgreSQL manual 19.1 (setting parameters), postgres(1).
"""

import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.settings import DEFAULTS, WATCHED, given

_INCLUDE = re.compile(
    r"^\s*include(_if_exists|_dir)?(?=[\s='])\s*(?:=\s*)?(?:'((?:[^']|'')*)'|([^\s'#]+))", re.MULTILINE | re.IGNORECASE
)
_WORD = re.compile(r"\w+")
DEPTH_MAX = 10
"""How deep PostgreSQL lets files include one another."""

SettingMark = tuple[tuple[str, int, int], ...]


def included(path: Path, text: str) -> Iterator[Path]:
    """Yield the files and folders that the settings file at `path` includes."""
    for match in _INCLUDE.finditer(text):
        yield path.parent / (match[2].replace("''", "'") if match[3] is None else match[3])


def _read_for(path: Path, depth: int = 0) -> Iterator[Path]:
    """Yield `path` and all files that it includes; a folder yields itself and the settings files in it."""
    if path.is_dir():
        yield path
        for each in sorted(path.glob("*.conf")):
            yield from _read_for(each, depth + 1)
        return
    yield path
    if path.is_file() and depth < DEPTH_MAX:
        for each in included(path, path.read_text(encoding="utf-8", errors="replace")):
            yield from _read_for(each, depth + 1)


class Configured:
    """The watched settings of an instance that is down."""

    def __init__(self, installation: Installation, place: Place) -> None:
        """Prepare; nothing is read yet."""
        self._installation, self._place = installation, place
        self._known: tuple[SettingMark, dict[str, str]] | None = None
        self._lock = threading.Lock()

    def read(self, data: Path) -> dict[str, str]:
        """Return the watched settings, by name, that PostgreSQL would start with in the data folder.

        Raises:
            CommandFailed: PostgreSQL does not accept its settings files.
            OSError: a file cannot be read.
        """
        with self._lock:
            mark = self._mark(data)
            if self._known is None or self._known[0] != mark:
                named = self._named(data)
                found = {name: self._ask(data, name) if name in named else DEFAULTS[name] for name in WATCHED}
                self._known = mark, found
            return self._known[1]

    def _files(self, data: Path) -> Iterator[Path]:
        for start in (self._place.conf / "postgresql.conf", data / "postgresql.auto.conf"):
            yield from _read_for(start)

    def _named(self, data: Path) -> set[str]:
        """Return all words in the files; a setting that is not among them has PostgreSQL's default."""
        files = (path for path in self._files(data) if path.is_file())
        return {word for path in files for word in _WORD.findall(path.read_bytes().lower().decode(errors="replace"))}

    def _mark(self, data: Path) -> SettingMark:
        """Return a value that changes whenever one of the files does."""
        found = []
        for path in self._files(data):
            status = path.stat() if path.exists() else None
            found.append((str(path), status.st_ctime_ns, status.st_size) if status else (str(path), 0, 0))
        return tuple(found)

    def _ask(self, data: Path, name: str) -> str:
        said = self._installation.run("postgres", "-D", data, *given(self._place, data), "-C", name, timeout_seconds=20)
        return said.output.removesuffix("\n")


@cache
def configured_of(installation: Installation, place: Place) -> Configured:
    """Return the settings of the instance at a place: the same object for all who ask in this process."""
    return Configured(installation, place)
