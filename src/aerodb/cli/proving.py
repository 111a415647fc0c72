"""What others verify with no server at hand: one request's evidence, and the cluster's public keys."""

from collections.abc import Iterable
from pathlib import Path

import click

from aerodb import private
from aerodb.cli.failures import OK, EvidenceUnverified, FileUnusable
from aerodb.cli.named import request_argument, whole_id
from aerodb.cli.paths import request_path
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session
from aerodb.cli.terminal import escape
from aerodb.errors import EvidenceInvalid
from aerodb.protocol import canonical

FILE = click.Path(dir_okay=False, path_type=Path)
EXPORT_PATH = "/v1/audit/export"


def write_new(path: Path, parts: Iterable[bytes]) -> int:
    """Write a file that must not be there yet, as its parts come; return how many bytes it has.

    A file that does not become whole, for whatever reason, is removed again.

    Raises:
        FileUnusable: it is there, or it cannot be written.
    """
    written = 0
    try:
        with open(path, "xb", opener=private.opener) as file:
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
@request_argument
@click.option("--output", type=FILE, required=True, help="A new file to write to.")
@click.pass_obj
def evidence(session: Session, request: str, output: Path) -> int:
    """Write everything about one request into one file that proves itself; the reading is recorded in the log."""
    from aerodb.audit.evidence import examine
    from aerodb.audit.trust import Trust

    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    request = whole_id(session, caller, request)
    body = caller.get(request_path(request, "/evidence"))
    try:
        examined = examine(body, Trust(clusters=(profile.cluster,)))
    except EvidenceInvalid as error:
        raise EvidenceUnverified(error.message, field=error.field) from error
    if examined.evidence.request != request:
        raise EvidenceUnverified("it is the evidence of another request")
    write_new(output, (body,))
    for sentence in examined.sentences:
        session.terminal.line(escape(f"  {sentence}"), "dim")
    session.terminal.line(f"{len(body)} bytes written, and verified here.", "good")
    return OK


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
