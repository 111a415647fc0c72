"""The diagnostics bundle of a real cluster: what it says is inside, and no secret of the cluster is."""

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec

from tests.faults.conftest import Running

SECRET_NAMES = re.compile(r"(\.key|\.pgpass|id_ed25519|pgpass|passfile|password|ticket)$")


def secrets_of(running: Running) -> set[bytes]:
    """Return every line of every secret file of the cluster that is long enough to be told from chance."""
    found: set[bytes] = set()
    nodes = [running.layout.node(name) / "node.json" for name in running.layout.cluster().data_nodes]
    for home in (running.layout.root, *(Path(msgspec.json.decode(each.read_bytes())["home"]) for each in nodes)):
        for path in home.rglob("*"):
            if path.is_file() and SECRET_NAMES.search(path.name):
                for line in path.read_bytes().splitlines():
                    found |= {part for part in re.split(rb"[:\s]", line) if len(part) >= 20}
    return {each for each in found if b"PRIVATE" not in each and not each.startswith(b"----")}


def bundle(running: Running, output: Path, profile: str = "operator") -> bytes:
    """Return the bundle that the command writes."""
    environment = {**os.environ, "AERODB_PROFILE": str(running.layout.profile(profile))}
    options = ["--output", str(output), "--folder", str(running.layout.root)]
    command = [sys.executable, "-m", "aerodb", "diagnostics", *options]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return output.read_bytes()


def content(data: bytes) -> dict[str, bytes]:
    """Return the bundle's files."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        assert [each.name for each in members] == sorted(each.name for each in members)
        assert {(each.mtime, each.uid, each.gid, each.uname) for each in members} == {(0, 0, 0, "")}
        files = {each.name.partition("/")[2]: archive.extractfile(each) for each in members}
        return {name: file.read() for name, file in files.items() if file is not None}


def test_no_secret_of_a_real_cluster_is_in_the_bundle(shared: Running, tmp_path: Path) -> None:
    """Keys, passwords and password files are searched for, each by its own content, and not found."""
    secrets = secrets_of(shared)
    assert len(secrets) >= 15  # Three keys a node and more, each of several lines, and the passwords.
    files = content(bundle(shared, tmp_path / "bundle.tar.gz"))
    for name, data in files.items():
        assert not [each for each in secrets if each in data], name


def test_the_manifest_says_what_is_inside_and_what_is_not(shared: Running, tmp_path: Path) -> None:
    """Each file stands in it with its digest; the log verified; the daemons' words and the last records are there."""
    files = content(bundle(shared, tmp_path / "bundle.tar.gz"))
    manifest = files.pop("MANIFEST").decode()
    for name, data in files.items():
        assert re.search(rf"{hashlib.sha256(data).hexdigest()} +{len(data)}  {re.escape(name)}\n", manifest)
    assert "Could not be had:\nLeft out:" in manifest
    assert files["verification.txt"].startswith(b"VERIFIED: ")
    assert b'"event": "listening"' in files["logs/control.log"]
    assert {"versions.json", "catalogue.json", "status.json", "settings/n1.json", "logs/n3.log"} <= set(files)
    assert b"n2.instance.folder" in files["status.json"]


def test_the_same_cluster_gives_the_same_bundle(shared: Running, tmp_path: Path) -> None:
    """Nothing that happened in between, the same bytes: no time, no order, no owner of this machine gets in.

    A position of a working cluster may move by itself; so the status is compared without it, and all else as bytes.
    """
    one, two = (content(bundle(shared, tmp_path / f"{number}.tar.gz")) for number in range(2))
    for files in (one, two):
        del files["MANIFEST"], files["status.json"]
    assert one == two


def test_what_cannot_be_had_is_said(shared: Running, tmp_path: Path) -> None:
    """An observer may not read the log: the bundle is made without its records, and says so."""
    files = content(bundle(shared, tmp_path / "bundle.tar.gz", "observer"))
    assert "records.jsonl" not in files
    assert "records.jsonl: control.role-denied" in files["MANIFEST"].decode()
