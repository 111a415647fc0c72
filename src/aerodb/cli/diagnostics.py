"""`aerodb diagnostics`: one file to send to whoever helps.

What goes in is listed here, part by part; nothing is gathered and then cleaned. So a secret could only be in it if one
of these parts held one: no part reads a key, a password file, a ticket, a data folder or the environment.
The same content gives the same bytes: files are sorted, and carry no time and no owner.
"""

import gzip
import hashlib
import io
import platform
import sqlite3
import ssl
import tarfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from aerodb.cli.failures import OK
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.proving import FILE, write_new
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Found, Status
from aerodb.protocol.classification import REDACTED, redacted

TAIL_BYTES = 64 << 10
RECORDS = 100
LIBRARIES = ("click", "cryptography", "h11", "msgspec", "psycopg", "starlette", "uvicorn")
LEFT_OUT = (
    "every private key, password, ticket and token: no part of the bundle reads one",
    "PostgreSQL's data, its own log and its settings files",
    "sensitive facts (addresses, folders, transactions): marked as redacted in status.json",
    "plans and snapshots: `aerodb audit evidence REQUEST` has one request's, and records that it was read",
)

Gathering = Callable[[], bytes]


def _json(value: object) -> bytes:
    return canonical.encode(value) + b"\n"


def _versions() -> bytes:
    """Return the versions of what runs here."""
    return _json(
        {
            "aerodb": version("aerodb"),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "sqlite": sqlite3.sqlite_version,
            "openssl": ssl.OPENSSL_VERSION,
            **{name: version(name) for name in LIBRARIES},
        }
    )


def _catalogue() -> bytes:
    """Return the catalogue's digest, and its actions' names."""
    from aerodb import actions
    from aerodb.cli.catalogue import document
    from aerodb.rules.invariants import RULES

    whole = canonical.encode([document(each) for each in actions.catalogue().values()])
    return _json({"actions": list(actions.catalogue()), "digest": canonical.digest(whole), "rules": RULES})


def _status(profile: Profile, caller: Caller) -> bytes:
    """Return the cluster as it is now, without its sensitive facts, whoever asks."""
    from aerodb.views.observed import observe

    answer = read(caller.get("/v1/status"), Status)
    observed, facts, taken = observe(profile.cluster, answer), {}, list(answer.redacted)
    for name, each in observed.facts.items():
        facts[name], paths = redacted(each, name)
        taken += paths
    return _json(
        {
            "configuration": answer.configuration,
            "consistent": answer.consistent,
            "facts": facts,
            "log_size": answer.log_size,
            "log_writable": answer.log_writable,
            "missing": {name: f"{why.partition(': ')[0]}: {REDACTED}" for name, why in observed.missing.items()},
            "not_verified": sorted(observed.forged),
            "redacted": sorted(set(taken)),
        }
    )


def _records(caller: Caller) -> bytes:
    """Return the last records, the newest first."""
    found = read(caller.get(f"/v1/audit/search?limit={RECORDS}"), Found)
    return b"".join(msgspec.json.encode(each) + b"\n" for each in found.records)


def _verification(profile: Profile, folder: Path) -> bytes:
    """Return what was found of the log's files."""
    from aerodb.audit.store import judge_folder
    from aerodb.audit.trust import Trust
    from aerodb.views.verdict import verdict_lines

    verdict = judge_folder(folder / "control" / "log", Trust(clusters=(profile.cluster,)))
    return "".join(f"{line.text}\n" for line in verdict_lines(verdict)).encode()


def _tail(path: Path) -> bytes:
    """Return the end of what a daemon said, from the beginning of a line."""
    data = path.read_bytes()
    return data if len(data) <= TAIL_BYTES else data[-TAIL_BYTES:].partition(b"\n")[2]


def parts(session: Session, folder: Path | None) -> Iterator[tuple[str, Gathering]]:
    """Yield everything that goes in: a name, and what makes it."""
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    yield "versions.json", _versions
    yield "catalogue.json", _catalogue
    yield "cluster.json", lambda: canonical.encode(profile.cluster)
    yield "status.json", lambda: _status(profile, caller)
    yield "records.jsonl", lambda: _records(caller)
    if folder is None:
        return
    yield "verification.txt", lambda: _verification(profile, folder)
    for name in ("control", *(member.name for member in profile.cluster.members)):
        yield f"logs/{name}.log", lambda name=name: _tail(folder / "logs" / f"{name}.log")  # type: ignore[misc]
    for member in profile.cluster.members:
        settings = folder / "nodes" / member.name / "node.json"
        yield f"settings/{member.name}.json", settings.read_bytes


def bundle(found: Iterator[tuple[str, Gathering]]) -> tuple[bytes, dict[str, str]]:
    """Return the bundle, and of each part that could not be had why."""
    files, failed = dict[str, bytes](), dict[str, str]()
    for name, make in found:
        try:
            files[name] = make()
        except (AeroError, OSError) as error:
            failed[name] = f"{error.code}: {error.message}" if isinstance(error, AeroError) else str(error.strerror)
    files["MANIFEST"] = _manifest(files, failed)
    whole = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=whole, mode="wb", mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(f"aerodb-diagnostics/{name}")
            entry.size, entry.mode = len(files[name]), 0o600
            archive.addfile(entry, io.BytesIO(files[name]))
    return whole.getvalue(), failed


def _manifest(files: dict[str, bytes], failed: dict[str, str]) -> bytes:
    """Return what is inside, what could not be had, and what was left out on purpose."""
    lines = ["Inside:"]
    lines += [f"  {hashlib.sha256(data).hexdigest()}  {len(data):>8}  {name}" for name, data in sorted(files.items())]
    lines += ["Could not be had:", *(f"  {name}: {why}" for name, why in sorted(failed.items()))]
    lines += ["Left out:", *(f"  {each}" for each in LEFT_OUT), ""]
    return "\n".join(lines).encode()


@click.command(cls=ClientCommand)
@click.option("--output", type=FILE, required=True, help="A new file: bundle.tar.gz.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path),
    help="The cluster's folder, where it runs on this machine: its daemons' logs, and whether its log verifies.",
)  # fmt: skip
@click.pass_obj
def diagnostics(session: Session, output: Path, folder: Path | None) -> int:
    """Write one file with versions, status, the last records and the daemons' logs; secrets are never in it."""
    data, failed = bundle(parts(session, folder))
    write_new(output, (data,))
    for name, why in failed.items():
        session.terminal.line(f"{name} could not be had: {why}", "warn")
    session.terminal.line(f"{len(data)} bytes written; MANIFEST says what is inside, and what was left out.")
    return OK
