"""`python -m packages`: make the Debian package of this tree, in dist/. `make package` calls it."""

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

from packages import deb, environment
from packages.refusal import NotPackaged
from packages.version import made_of

ROOT = Path(__file__).parents[1]


def package(uv: Path, python: Path, into: Path) -> Path:
    """Make the package of this tree in the folder `into`; return its path.

    Raises:
        NotPackaged: it cannot be made.
    """
    made = made_of(ROOT)
    os.environ["SOURCE_DATE_EPOCH"] = str(made.epoch)  # The wheel's date, too.
    system = environment.system_python(python)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aerodb-package-") as working:
        root = Path(working) / "root"
        (Path(working) / "wheel").mkdir()
        modules = environment.lay_out(ROOT, root, system, uv, Path(working) / "wheel")
        libc = environment.libc_needed(modules)
        deb.place(ROOT, root, modules, system, made)
        deb.control(root, made, system, libc)
        deb.level(root, made.epoch)
        return deb.archive(root, into, made)


def main() -> int:
    """Make the package; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m packages", description=__doc__)
    parser.add_argument("--uv", type=Path, default=ROOT / ".tools/bin/uv", help="uv, which reads the lock")
    parser.add_argument("--python", type=Path, default=Path("/usr/bin/python3"), help="the Python that it depends on")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="where the package is put")
    asked = parser.parse_args()
    try:
        made = package(asked.uv.absolute(), asked.python, asked.into.absolute())
    except NotPackaged as error:
        sys.stderr.write(f"No package was made: {error}\n")
        return 1
    sys.stdout.write(f"{made}\n  sha256 {hashlib.sha256(made.read_bytes()).hexdigest()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
