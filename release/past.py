"""The golden past: what each released version left behind, kept in `tests/golden/` and never changed.

- One folder a version, made once by that version, by real processes; `DIGESTS` names every file in all of them.
- The standing cluster is one archive. It is put back at the path where it was made, since a node's file names its home,
  by one process at a time, since its configuration names its ports.
- What is put back is the host's own in two things alone: who owns PostgreSQL's files, and who may log in as the agent.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.kernel.postgres import settings
from aerodb.kernel.postgres.account import account_for_children, logins

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
DIGESTS = "DIGESTS"
STANDING = "standing.tar.xz"
PLACES = Path("/var/tmp")  # noqa: S108 - held by a lock, and made by mkdir, which takes nobody else's.
DATA = re.compile(r"/postgres/data")
ACCOUNT, AGENT = "postgres", "agent"
"""Whose a file in the archive is: of the account that PostgreSQL runs as, or of the agent's own user."""


class PastChanged(Exception):
    """The golden past is not what was released."""


def versions(golden: Path = GOLDEN) -> tuple[str, ...]:
    """Return the released versions, in the order of their numbers."""
    found = [path.name for path in golden.iterdir() if path.is_dir() and path.name[:1].isdigit()]
    return tuple(sorted(found, key=lambda name: tuple(map(int, name.split(".")))))


def place_of(version: str) -> Path:
    """Return the folder in which a version's cluster stands, when it was made and whenever it is put back."""
    return PLACES / f"aerodb-golden-{version}"


# Digests ------------------------------------------------------------------------------------------------------------


def listed(golden: Path = GOLDEN) -> dict[str, str]:
    """Return the SHA-256 that is on record of every file, by its path below the golden folder."""
    path = golden / DIGESTS
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def digests_of(version: str, golden: Path = GOLDEN) -> dict[str, str]:
    """Return the SHA-256 of every file of one version, as it is now."""
    files = sorted(path for path in (golden / version).rglob("*") if not path.is_dir())
    return {str(path.relative_to(golden)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_unchanged(golden: Path = GOLDEN) -> None:
    """Check that the golden past is what its list says: nothing altered, added or gone.

    Raises:
        PastChanged: it is not.
    """
    found: dict[str, str] = {}
    for version in versions(golden):
        found |= digests_of(version, golden)
    known = listed(golden)
    wrong = sorted(name for name in {*known, *found} if known.get(name) != found.get(name))
    if wrong:
        raise PastChanged(f"the golden past is never changed, and these files of it were: {', '.join(wrong)}")


def add(version: str, made: Path, golden: Path = GOLDEN) -> None:
    """Add the files in the folder `made` as the golden past of `version`, and write their digests down.

    Raises:
        PastChanged: there is one of that version, or an earlier one is not what was released.
    """
    check_unchanged(golden)
    if (golden / version).exists() or any(name.startswith(f"{version}/") for name in listed(golden)):
        raise PastChanged(f"{version} has a golden past, and that is never changed")
    shutil.copytree(made, golden / version)
    lines = [f"{digest}  {name}\n" for name, digest in {**listed(golden), **digests_of(version, golden)}.items()]
    (golden / DIGESTS).write_text("".join(lines), encoding="ascii")


# The standing cluster -------------------------------------------------------------------------------------------------


@contextmanager
def held(version: str) -> Iterator[Path]:
    """Hold the place of a version's cluster for this process alone, empty; it is removed afterwards."""
    place = place_of(version)
    with _locked(place.with_name(f"{place.name}.lock")):
        shutil.rmtree(place, ignore_errors=True)  # What an aborted run left; nobody is at work on it.
        place.mkdir(mode=0o711)
        place.chmod(0o711)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def pack(folder: Path, archive: Path) -> None:
    """Write all of `folder` into one archive; files that are alike on several nodes stand beside one another."""
    paths = sorted(folder.rglob("*"), key=lambda path: (path.is_file(), path.parts[::-1]))
    with tarfile.open(archive, "w:xz", preset=9) as file:
        for path in paths:
            if path.is_socket():
                continue
            member = file.gettarinfo(path, str(path.relative_to(folder)))
            member.uname = AGENT if member.uid == os.geteuid() else ACCOUNT
            member.uid = member.gid = 0
            member.gname = ""
            if member.isfile():
                with path.open("rb") as content:
                    file.addfile(member, content)
            else:
                file.addfile(member)


def unpack(archive: Path, folder: Path, *, data: bool) -> None:
    """Put back what `pack` wrote, into a folder that is there; PostgreSQL's files are this host's account's again.

    Without `data` PostgreSQL's own data, which is by far the most of it, is left out.
    """
    account = account_for_children()
    with tarfile.open(archive, "r:xz") as file:
        members = [each for each in file if data or not DATA.search(each.name)]
        if hasattr(tarfile, "tar_filter"):  # Python 3.11.4 has it; what is unpacked is ours, and named by its digest.
            file.extraction_filter = tarfile.tar_filter
        file.extractall(folder, members, numeric_owner=True)  # noqa: S202 - the same.
    for member in members:
        if account is not None and member.uname == ACCOUNT:
            os.chown(folder / member.name, *account.owner, follow_symlinks=False)
    for path in folder.glob("cluster/nodes/*/postgres/conf/pg_ident.conf"):
        path.write_text(settings.ident_text(logins(account)), encoding="utf-8")
