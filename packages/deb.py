"""The Debian package: its tree, its control files, and the one archive that they become."""

import email.utils
import gzip
import hashlib
import os
import shutil
from email.parser import Parser
from pathlib import Path

from packages.environment import HOME, SystemPython, ran, tidy
from packages.refusal import NotPackaged
from packages.version import Made

FILES = Path(__file__).parent / "debian"
MAINTAINER = "AeroDB maintainers <maintainers@aerodb.example>"
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
PROGRAMS = {HOME / "bin/aerodb", HOME / "end-agent", *(Path("DEBIAN") / name for name in SCRIPTS)}
PLACES = {
    "aerodb-agent@.service": "usr/lib/systemd/system/aerodb-agent@.service",
    "aerodb-watch@.service": "usr/lib/systemd/system/aerodb-watch@.service",
    "aerodb-control.service": "usr/lib/systemd/system/aerodb-control.service",
    "aerodb-log-witness.service": "usr/lib/systemd/system/aerodb-log-witness.service",
    "aerodb.sysusers": "usr/lib/sysusers.d/aerodb.conf",
    "aerodb.tmpfiles": "usr/lib/tmpfiles.d/aerodb.conf",
    "aerodb.preset": "usr/lib/systemd/system-preset/50-aerodb.preset",
    "agent.env": "etc/aerodb/agent.env",
    "control.env": "etc/aerodb/control.env",
    "log-witness.env": "etc/aerodb/log-witness.env",
    "overrides": "usr/share/lintian/overrides/aerodb",
}
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/aerodb",
    "zsh": "usr/share/zsh/vendor-completions/_aerodb",
    "fish": "usr/share/fish/vendor_completions.d/aerodb.fish",
}
CONTROL = """\
Package: aerodb
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Suggests: postgresql
Section: database
Priority: optional
Description: PostgreSQL clusters that change only when a person says so
 AeroDB runs PostgreSQL primary/standby clusters without automatic failover:
 every action is explained, signed by a person, logged, and judged again by
 the node that runs it. Nothing acts by itself.
 .
 This package holds the command line, the agents of nodes, the control plane
 with its admin UI, and a log witness, with a unit for each. It holds no
 PostgreSQL, starts nothing when it is installed, and stops nothing when it is
 upgraded or removed.
"""
CHANGELOG = """\
aerodb ({version}) unstable; urgency=medium

  * As /usr/share/doc/aerodb/changelog.gz says.

 -- {maintainer}  {date}
"""


def place(source: Path, root: Path, modules: Path, python: SystemPython, made: Made) -> None:
    """Put everything but the environment in its place below `root`."""
    for name, where in PLACES.items():
        _copied(FILES / name, root / where)
    _copied(FILES / "end-agent", root / HOME / "end-agent")
    (root / "usr/bin").mkdir()
    (root / "usr/bin/aerodb").symlink_to("../lib/aerodb/bin/aerodb")
    _help(root, modules, python)
    documents = root / "usr/share/doc/aerodb"
    for path in sorted((source / "docs").rglob("*.md")):
        _copied(path, documents / path.relative_to(source / "docs"))
    _copied(FILES / "copyright", documents / "copyright")
    with (documents / "copyright").open("a", encoding="utf-8") as file:
        file.write(_bundled(modules))
    _packed(documents / "changelog.gz", (source / "CHANGELOG.md").read_bytes())
    said = CHANGELOG.format(version=made.version, maintainer=MAINTAINER, date=email.utils.format_datetime(made.date))
    _packed(documents / "changelog.Debian.gz", said.encode())
    tidy(modules)


def _help(root: Path, modules: Path, python: SystemPython) -> None:
    """Take manual pages from the wheel and completion from the program: both from the one source of help."""
    for page in sorted((modules / "share/man/man1").iterdir()):
        _packed(root / "usr/share/man/man1" / f"{page.name}.gz", page.read_bytes())
    for shell, path in COMPLETIONS.items():
        (root / path).parent.mkdir(parents=True)
        said = ran(python.program, "-B", "-m", "aerodb", "completion", shell, environment={"PYTHONPATH": str(modules)})
        (root / path).write_text(said, encoding="utf-8")


def _copied(file: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(file, to))


def _packed(path: Path, data: bytes) -> None:
    """Write a file as gzip does that is told neither name nor time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def _bundled(modules: Path) -> str:
    """Return whose libraries the environment holds, and by which licence, as they say themselves."""
    lines = [
        "",
        "Files: usr/lib/aerodb/lib/*",
        "Copyright: 2004-2026 their authors, named in those texts",
        "License: as-each-says",
    ]
    for path in sorted(modules.glob("*.dist-info/METADATA")):
        told = Parser().parsestr(path.read_text(encoding="utf-8"), headersonly=True)
        classed = [each.split(" :: ")[-1] for each in told.get_all("Classifier", []) if each.startswith("License ::")]
        said = told["License-Expression"] or ", ".join(classed) or (told["License"] or "see its files").splitlines()[0]
        if told["Name"] != "aerodb":
            lines.append(f" {told['Name']} {told['Version']}: {said}")
    return "\n".join([*lines, ""])


def control(root: Path, made: Made, python: SystemPython, libc: str) -> None:
    """Write what dpkg is told: the fields, the scripts, the digests, and which files are an administrator's."""
    folder = root / "DEBIAN"
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    folder.mkdir()
    running = (FILES / "running").read_text(encoding="utf-8").rstrip()
    for name in SCRIPTS:
        text = (FILES / name).read_text(encoding="utf-8").replace("#RUNNING#", running)
        (folder / name).write_text(text, encoding="utf-8")
    digests = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
        if path.relative_to(root).parts[0] != "etc"
    ]
    (folder / "md5sums").write_text("".join(digests), encoding="utf-8")
    owned = [f"/{path}\n" for path in sorted(PLACES.values()) if path.startswith("etc/")]
    (folder / "conffiles").write_text("".join(owned), encoding="utf-8")
    services = "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles"
    (folder / "control").write_text(
        CONTROL.format(
            version=made.version,
            architecture=ran("dpkg", "--print-architecture").strip(),
            maintainer=MAINTAINER,
            size=sum(-(-path.stat().st_size // 1024) for path in files),
            depends=f"{python.depends}, libc6 (>= {libc}), libstdc++6, zlib1g, {services}",
        ),
        encoding="utf-8",
    )


def level(root: Path, epoch: int) -> None:
    """Give every file and folder one time and the mode of its kind, whatever umask and clock they were made with."""
    for path in sorted([root, *root.rglob("*")], reverse=True):
        if not path.is_symlink():
            runs = path.is_dir() or path.relative_to(root) in PROGRAMS
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def archive(root: Path, into: Path, made: Made) -> Path:
    """Make the package of the tree in `root`; return its path.

    Raises:
        NotPackaged: dpkg-deb is not there, or refuses the tree.
    """
    if shutil.which("dpkg-deb") is None:
        raise NotPackaged("dpkg-deb is missing, which makes packages on Debian and what is made of it")
    environment = {"SOURCE_DATE_EPOCH": str(made.epoch), "DPKG_DEB_THREADS_MAX": "1"}
    said = ran("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, into, environment=environment)
    return Path(said.rsplit("'", 2)[-2])
