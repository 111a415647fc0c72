"""The bundled environment: the system's Python, and below one folder the wheel with its locked dependencies.

- What is installed is what the lock names, by its hashes: the very files that the tests ran with, without PostgreSQL.
- Nothing in it says where or when it was made, so the same tree makes the same bytes.
"""

import csv
import io
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packages.refusal import NotPackaged

HOME = Path("usr/lib/aerodb")
"""Where it lies on a host, below the root folder."""
EXTRAS = ("otel",)
TRACES_OF_MAKING = ("direct_url.json", "uv_cache.json", "uv_build.json", "REQUESTED")
LAUNCHER = """#!/usr/lib/aerodb/bin/python3 -I
import sys
from aerodb.cli.main import main

sys.argv[0] = "aerodb"
main()
"""
"""Isolated: neither a variable nor a user's folder changes what a program runs that may be root."""
_ASKED = "import json, os, sys; print(json.dumps([*sys.version_info[:2], os.path.realpath(sys.executable)]))"


def ran(*command: str | Path, environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    """Run a program to its end; return what it printed.

    Raises:
        NotPackaged: it is not there, or failed.
    """
    try:
        ended = subprocess.run(
            list(map(str, command)), cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise NotPackaged(f"{command[0]} cannot be run: {error}") from error
    if ended.returncode:
        raise NotPackaged(f"{' '.join(map(str, command))}\n{ended.stderr.strip()[-2000:]}")
    return ended.stdout


@dataclass(frozen=True)
class SystemPython:
    """The Python of the system that the package is for."""

    minor: tuple[int, int]
    program: Path

    @property
    def name(self) -> str:
        """Return what its program and its folder of modules are called, as `python3.11`."""
        return f"python{self.minor[0]}.{self.minor[1]}"

    @property
    def depends(self) -> str:
        """Return the dependency on it: modules that were compiled in C run with this minor version alone."""
        major, minor = self.minor
        return f"python3 (>= {major}.{minor}~), python3 (<< {major}.{minor + 1})"


def system_python(program: Path) -> SystemPython:
    """Return the system's Python.

    Raises:
        NotPackaged: it is not there, or not the system's own.
    """
    major, minor, real = json.loads(ran(program, "-I", "-c", _ASKED))
    found = SystemPython(minor=(major, minor), program=Path(real))
    if found.program != Path("/usr/bin") / found.name:
        raise NotPackaged(f"{program} is {real}, and a package depends on the system's Python alone")
    return found


def build_wheel(source: Path, python: Path, uv: Path, into: Path) -> Path:
    """Build the wheel of the tree in `source` into the empty folder `into`; return its path.

    Raises:
        NotPackaged: it cannot be built.
    """
    built_by = ("--build-constraints", source / "packages" / "build-constraints.txt", "--require-hashes")
    ran(uv, "build", "--quiet", "--wheel", *built_by, "--python", python, "--out-dir", into, folder=source)
    [wheel] = into.glob("*.whl")
    return wheel


def lay_out(source: Path, root: Path, python: SystemPython, uv: Path, working: Path) -> Path:
    """Make the environment of the tree in `source` below `root`; return its folder of modules.

    Raises:
        NotPackaged: a part of it cannot be built or had.
    """
    home = root / HOME
    modules = home / "lib" / python.name / "site-packages"
    modules.mkdir(parents=True)
    wheel = build_wheel(source, python.program, uv, working)
    asked = working / "requirements.txt"
    extras = [word for name in EXTRAS for word in ("--extra", name)]
    ran(uv, "export", "--quiet", "--frozen", "--no-default-groups", "--no-emit-project", *extras, "-o", asked,
        folder=source)  # fmt: skip
    into = ("--quiet", "--python", python.program, "--target", modules, "--link-mode", "copy")
    ran(uv, "pip", "install", *into, "--require-hashes", "--only-binary", ":all:", "-r", asked)
    ran(uv, "pip", "install", *into, "--no-deps", wheel)
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(f"../../../bin/{python.name}")
    (home / "bin" / "aerodb").write_text(LAUNCHER, encoding="ascii")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n", encoding="ascii")
    return modules


def tidy(modules: Path) -> None:
    """Take away what tells how the modules were installed, and programs of theirs that nobody runs."""
    for name in ("bin", "share", "include", ".lock"):
        found = modules / name
        shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
    for found in [path for path in modules.rglob("*") if path.name == "__pycache__"]:
        shutil.rmtree(found)
    for recorded in modules.glob("*.dist-info"):
        for name in TRACES_OF_MAKING:
            (recorded / name).unlink(missing_ok=True)
        record = recorded / "RECORD"
        rows = csv.reader(io.StringIO(record.read_text(encoding="utf-8")))
        kept = sorted(row for row in rows if (modules / row[0]).is_file())
        with record.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(kept)


def libc_needed(modules: Path) -> str:
    """Return the newest version of the C library that a wheel asks for, by the tags that it bears."""
    found = {(2, 17)}
    for path in modules.glob("*.dist-info/WHEEL"):
        tags = [line.split()[1] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("Tag: ")]
        asked = [tuple(map(int, tag.split("manylinux_")[1].split("_")[:2])) for tag in tags if "manylinux_" in tag]
        found |= {(one[0], one[1]) for one in asked and [min(asked)]}
    major, minor = max(found)
    return f"{major}.{minor}"
