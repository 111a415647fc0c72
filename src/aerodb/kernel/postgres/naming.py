"""Which of the PostgreSQLs on this machine a person means: by a major version, or by the folder of its programs.

Source: where Debian's and PGDG's packages (/usr/lib/postgresql/16/bin) and Red Hat's PGDG packages (/usr/pgsql-16/bin)
put the programs of each major version.
"""

from pathlib import Path

from aerodb.kernel.postgres.capabilities import BROUGHT, refuse_major
from aerodb.kernel.postgres.errors import PostgresMissing, PostgresNotBundled
from aerodb.kernel.postgres.installation import find_installation

PLACES = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
"""Where packages put a major version's programs."""


def programs_named(wanted: str, places: tuple[str, ...] = PLACES) -> Path | None:
    """Return the folder of the programs that `wanted` names; None stands for those that `aerodb[local]` brings.

    `wanted` is empty (those that `aerodb[local]` brings), a major version, or a folder: of the programs, or the one
    above their `bin`. A major version means the system's packages, and where none is installed what the extra brings.

    Raises:
        PostgresUnsupported: AeroDB does not run this major version.
        PostgresMissing: it is not on this machine, or the folder holds no PostgreSQL.
        PostgresNotBundled: this major version is in no place, and this installation of AeroDB brings none.
    """
    if not wanted:
        return None
    if wanted.isascii() and wanted.isdigit():
        return _of_major(int(wanted), places)
    folder = Path(wanted).resolve()
    found = next((each for each in (folder, folder / "bin") if (each / "postgres").is_file()), None)
    if found is None:
        raise PostgresMissing(f"there is no PostgreSQL in {folder}", field="postgres")
    return found


def _of_major(major: int, places: tuple[str, ...]) -> Path | None:
    refuse_major(major, f"PostgreSQL {major}")
    tried = [Path(place.format(major=major)) for place in places]
    found = next((each for each in tried if (each / "postgres").is_file()), None)
    if found is not None:
        return found
    where = ", ".join(map(str, tried))
    try:
        brought = find_installation().major
    except PostgresNotBundled as error:
        raise PostgresNotBundled(
            f"PostgreSQL {major} is not in {where}, and this installation of AeroDB brings none: install it, or name "
            f"its folder; `pip install 'aerodb[local]'` brings PostgreSQL {BROUGHT}",
            field="postgres",
        ) from error
    if brought != major:
        raise PostgresMissing(
            f"PostgreSQL {major} is not in {where}, and AeroDB brings {brought}; install it, or name its folder",
            field="postgres",
        )
    return None
