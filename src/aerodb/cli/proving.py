"""Proof that needs no server: what is verified is trusted only as far as the cluster's public keys in cluster.json go.

The kind of what is verified is seen from itself: a log's folder, an export of the log, or one request's evidence file.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import click

from aerodb.audit.export import verify_export
from aerodb.audit.verify import VerificationFailed, Verified
from aerodb.cli.failures import OK, EvidenceUnverified, FileUnusable, LogUnverified
from aerodb.cli.paths import request_path
from aerodb.cli.profile import read_cluster
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option
from aerodb.cli.terminal import escape
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster

FILE = click.Path(dir_okay=False, path_type=Path)
EVIDENCE_BYTES_MAX = 64 << 20
EXPORT_PATH = "/v1/audit/export"
AS_ONE_STREAM = "verified by one process: an export is one stream, and each line is held to those before it"
EXPORT_LINES = (b'{"checkpoint":', b'{"sequence":', b'{"blob":')


def write_new(path: Path, parts: Iterable[bytes]) -> int:
    """Write a file that must not be there yet, as its parts come; return how many bytes it has.

    A file that does not become whole, for whatever reason, is removed again.

    Raises:
        FileUnusable: it is there, or it cannot be written.
    """
    written = 0
    try:
        with path.open("xb") as file:
            try:
                for part in parts:
                    written += file.write(part)
                file.flush()
            except BaseException:
                path.unlink()
                raise
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written: {error.strerror}", field="output") from error
    return written


@click.command(cls=ClientCommand)
@click.argument("request", metavar="REQUEST")
@click.option("--output", type=FILE, required=True, help="A new file to write to.")
@click.pass_obj
def evidence(session: Session, request: str, output: Path) -> int:
    """Write everything about one request into one file that proves itself; the reading is recorded in the log."""
    profile = session.profile()
    body = session.connect(profile, READ_TIMEOUT_SECONDS).get(request_path(request, "/evidence"))
    sentences = _examined(body, profile.cluster)
    write_new(output, (body,))
    for sentence in sentences:
        session.terminal.line(escape(f"  {sentence}"), "dim")
    session.terminal.line(f"{len(body)} bytes written, and verified here.", "good")
    return OK


@click.command(cls=ClientCommand)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--cluster", "trusted", type=FILE, help="The cluster.json to trust, instead of the profile's.")
@json_option
@click.pass_obj
def verify(session: Session, path: Path | None, trusted: Path | None, *, as_json: bool) -> int:
    """Verify PATH offline: a log's folder, an export, or an evidence file; without it, an export fetched now."""
    cluster = read_cluster(trusted) if trusted else session.profile().cluster
    if path is not None and _is_evidence(path):
        sentences = _examined(_read(path), cluster)
        if as_json:
            session.terminal.document(canonical.encode({"verified": list(sentences)}))
        else:
            session.terminal.line("VERIFIED: every part of the evidence holds.", "good")
            for sentence in sentences:
                session.terminal.line(escape(f"  {sentence}"))
        return OK
    try:
        verified, how = _log(session, path, cluster)
    except VerificationFailed as error:
        raise LogUnverified(error.message) from error
    if verified.checkpoint.origin != cluster.origin:
        raise LogUnverified(f"this is the log of {verified.checkpoint.origin}, not of {cluster.origin}")
    _say_verified(session, verified, how, as_json=as_json)
    return OK


def _say_verified(session: Session, verified: Verified, how: str, *, as_json: bool) -> None:
    if as_json:
        session.terminal.document(canonical.encode({"checkpoint": verified.checkpoint_text, "size": verified.size}))
        return
    session.terminal.line(f"VERIFIED: {verified.size} records, whole and in order, as the log's key signed.", "good")
    session.terminal.line(f"  {how}", "dim")
    for line in verified.checkpoint_text.splitlines():
        session.terminal.line(f"  {line}", "dim")


def _log(session: Session, path: Path | None, cluster: Cluster) -> tuple[Verified, str]:
    """Return what holds of a whole log (in a folder, in an export, or in an export fetched now), and how it was found.

    Raises:
        VerificationFailed: it does not hold.
        FileUnusable: `path` cannot be read.
    """

    def progress(done: int, total: int) -> None:
        session.terminal.progress(f"{done} of {total} records verified")

    try:
        if path is None:
            lines = session.connect(session.profile(), READ_TIMEOUT_SECONDS).lines(EXPORT_PATH)
            return verify_export(lines, cluster.log_key, progress), AS_ONE_STREAM
        if path.is_dir():
            from aerodb.audit.store import verify_folder

            verified = verify_folder(path, cluster.log_key, progress)
            return verified, _with_how_many(verified.size)
        with path.open("rb") as file:
            return verify_export(file, cluster.log_key, progress), AS_ONE_STREAM
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}", field="path") from error
    finally:
        session.terminal.progress("")


def _with_how_many(size: int) -> str:
    """Return with how many processes the folder of a log of `size` records is verified, and why not with more."""
    from aerodb.audit.store import processes_for

    processes, cores = processes_for(size), len(os.sched_getaffinity(0))
    if processes > 1:
        return f"verified by {processes} processes, one for each core"
    if cores == 1:
        return "verified by one process, for there is one core"
    return "verified by one process, which is done with so few records before a second one has started"


def _is_evidence(path: Path) -> bool:
    """Tell whether a file is (or once was) an evidence file: it is one line, and an export's lines begin otherwise."""
    try:
        if path.is_dir():
            return False
        with path.open("rb") as file:
            return not file.read(64).startswith(EXPORT_LINES)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}", field="path") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(EVIDENCE_BYTES_MAX + 1)
    if len(data) > EVIDENCE_BYTES_MAX:
        raise FileUnusable(f"{path} is larger than any evidence file", field="path")
    return data


def _examined(data: bytes, cluster: Cluster) -> tuple[str, ...]:
    """Return what evidence proves, in sentences.

    Raises:
        EvidenceUnverified: a part does not hold; it is named.
    """
    from aerodb.audit.evidence import EvidenceInvalid, examine

    try:
        return examine(data, cluster).sentences
    except EvidenceInvalid as error:
        raise EvidenceUnverified(error.message, field=error.field) from error


@click.command(cls=ClientCommand)
@click.option("--output", type=FILE, help="Write cluster.json to a new file, for an auditor without a profile.")
@click.pass_obj
def keys(session: Session, output: Path | None) -> int:
    """Show the public keys that everything is verified with; cluster.json is the trust file, and holds no secret."""
    cluster = session.profile().cluster
    if output is not None:
        write_new(output, (canonical.encode(cluster),))
    terminal = session.terminal
    terminal.line(escape(f"cluster {cluster.name} ({cluster.id})"), "heading")
    terminal.line(f"configuration {cluster.digest}")
    terminal.table(
        ("WHOSE", "PUBLIC KEY"),
        [
            [("plain", "audit log"), ("plain", cluster.log_key)],
            *([("plain", f"node {member.name}"), ("plain", member.public_key)] for member in cluster.members),
            *([("plain", f"{person.role} {person.name}"), ("plain", person.ssh_key or "-")]
              for person in cluster.operators),
        ],
    )  # fmt: skip
    return OK
