"""`aerodb audit verify`: a log's folder, a backup, an export, or one request's evidence; which, it sees from itself.

What is verified is trusted only as far as the public keys in cluster.json go; no server is needed.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click
import msgspec

from aerodb.audit.against import EarlierLog, seen_earlier
from aerodb.audit.cosignature import cosigners_of
from aerodb.audit.evidence import checkpoint_in, examine, founding_in_evidence
from aerodb.audit.export import lines_in
from aerodb.audit.note import CheckpointForged, open_checkpoint
from aerodb.audit.store import (
    How,
    LogVerdict,
    as_folder,
    earlier_log,
    founding_in,
    is_backup,
    judge_export,
    judge_folder,
    trusted_founding,
)
from aerodb.audit.trust import Trust
from aerodb.audit.verify import Progress
from aerodb.cli.failures import OK, UNVERIFIED, EvidenceUnverified, FileUnusable, LogUnverified, ProfileUnusable
from aerodb.cli.profile import Profile, read_cluster
from aerodb.cli.proving import EXPORT_PATH, FILE
from aerodb.cli.remembered import FILE as LOG_CHECKPOINT
from aerodb.cli.remembered import remember, remembered
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.errors import EvidenceInvalid, VerificationFailed
from aerodb.protocol import canonical
from aerodb.protocol.api import Status
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.vkey import COSIGNATURE, VerifierKey, parse_verifier_key
from aerodb.protocol.words import digest_of
from aerodb.views.observed import observe
from aerodb.views.verdict import evidence_lines, meaning_document, verdict_document, verdict_lines

STATUS_PATH = "/v1/status"
EVIDENCE_BYTES_MAX = 64 << 20
SEEN_BYTES_MAX = 16 << 20
EXPORT_LINES = (b'{"checkpoint":', b'{"sequence":', b'{"blob":')


class _Seen(msgspec.Struct, frozen=True):
    """What is read of what a node remembers of the log: the file checkpoint.json in its state."""

    size: int
    checkpoint: str


@click.command(cls=ClientCommand)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--cluster", "trusted", type=FILE, multiple=True,
    help="A cluster.json to trust, not the profile's; several where the configuration changed, the newest first.",
)  # fmt: skip
@click.option(
    "--trust", "words", metavar='"WORDS"',
    help="The 24 words (in quotes) or the digest of version 1 of the configuration, to trust without a cluster.json.",
)  # fmt: skip
@click.option(
    "--against", type=click.Path(path_type=Path),
    help="An earlier export, folder, backup, evidence file or checkpoint: does this log extend it?",
)  # fmt: skip
@click.option(
    "--witness", "witnesses", multiple=True,
    help="The verifier key of a log witness whom you trust, beside those in the configuration.",
)  # fmt: skip
@json_option
@click.pass_obj
def verify(
    session: Session,
    path: Path | None,
    trusted: tuple[Path, ...],
    words: str | None,
    against: Path | None,
    witnesses: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Verify PATH offline: a log's folder or backup, an export, or evidence; without it, an export fetched now.

    The log must extend what its own records say that nodes had seen of it; what is fetched, also what this profile and
    each node have seen whose signed report is shown. Intact: whole and in order, as the log's key signed. Authentic:
    signed by those who were enrolled. Replayed: each plan is what the rules make of its snapshot. Exit code 0 means all
    of it, with nothing left unchecked.
    """
    if words is not None and trusted:
        raise click.UsageError("--trust stands in the place of --cluster: name one of them")
    if words is not None:
        trust = Trust(clusters=(_founding(session, path, digest_of(words)),))
    else:
        trust = Trust(clusters=tuple(map(read_cluster, trusted)) or (_own_cluster(session),))
    keys = cosigners_of(trust.clusters, (parse_verifier_key(each, COSIGNATURE) for each in witnesses))
    try:
        if path is not None and _is_evidence(path):
            if against is not None:
                raise click.UsageError("--against compares a whole log: verify its folder or an export")
            return _evidence(session, path, trust, as_json=as_json)
        with ExitStack() as held:
            earlier = [held.enter_context(_earlier(against, trust.cluster.log_key, keys))] if against else []
            if path is not None:
                return _log(session, path, trust, tuple(earlier), (), as_json=as_json)
            nodes, silent = _seen_by_nodes(session, trust)  # Asked first: what is fetched after it is no shorter.
            own = _seen_before(session.profile(), trust)
            return _log(session, None, trust, (*earlier, *own, *nodes), silent, as_json=as_json)
    except VerificationFailed as error:
        raise LogUnverified(error.message) from error


def _own_cluster(session: Session) -> Cluster:
    """Return the profile's cluster.json, which is trusted where nothing else is named.

    Raises:
        ProfileUnusable: there is none that can be used; it says what else could be trusted.
    """
    try:
        return session.profile().cluster
    except ProfileUnusable as error:
        raise ProfileUnusable(
            f'{error.message}; or say what to trust without one: --trust "WORDS", or --cluster FILE', field=error.field
        ) from error


def _founding(session: Session, path: Path | None, digest: str) -> Cluster:
    """Return the version 1 of a digest: what is to be verified holds it itself, or else the profile.

    Raises:
        LogUnverified, EvidenceUnverified: it does not.
        FileUnusable: `path` cannot be read.
    """
    if path is None:
        return _trusted(canonical.encode(session.profile().cluster), digest)
    try:
        if _is_evidence(path):
            return _trusted(founding_in_evidence(_read(path)), digest)
        return founding_in(path, digest)
    except EvidenceInvalid as error:
        raise EvidenceUnverified(error.message, field=error.field) from error
    except VerificationFailed as error:
        raise LogUnverified(error.message) from error
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}", field="path") from error


def _trusted(data: bytes, digest: str) -> Cluster:
    try:
        return trusted_founding(data, digest)
    except VerificationFailed as error:
        raise LogUnverified(error.message) from error


def _evidence(session: Session, path: Path, trust: Trust, *, as_json: bool) -> int:
    try:
        examined = examine(_read(path), trust)
    except EvidenceInvalid as error:
        raise EvidenceUnverified(error.message, field=error.field) from error
    if as_json:
        document = {"verified": list(examined.sentences), **meaning_document(examined.meaning)}
        session.terminal.document(canonical.encode(document))
    else:
        session.terminal.lines(evidence_lines(examined))
    return OK if examined.meaning.whole else UNVERIFIED


def _seen_before(profile: Profile, trust: Trust) -> list[EarlierLog]:
    """Return what the profile remembers of the log, if it remembers any.

    Raises:
        LogUnverified: its memory is damaged.
    """
    text = remembered(profile)
    where = str(profile.folder / LOG_CHECKPOINT)
    return [seen_earlier(where, text, trust.cluster.log_key, cosigners_of(trust.clusters))] if text else []


def _seen_by_nodes(session: Session, trust: Trust) -> tuple[list[EarlierLog], tuple[str, ...]]:
    """Return what nodes have seen of the log, by their signed reports in a look, and who says nothing.

    That a report is the newest nobody vouches for: whoever answers may show an old one.

    What the log's key did not sign says nothing of the log.
    """
    profile, seen = session.profile(), dict[str, EarlierLog | None]()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    for name, facts in observe(profile.cluster, read(caller.get(STATUS_PATH), Status)).facts.items():
        with suppress(CheckpointForged):
            seen[name] = _reported(name, facts.checkpoint, trust) if facts.checkpoint else None
    silent = tuple(member.name for member in profile.cluster.members if member.name not in seen)
    return [each for each in seen.values() if each is not None], silent


def _reported(name: str, checkpoint: str, trust: Trust) -> EarlierLog:
    seen_in = f"what {name} has seen, by the signed report shown"
    return EarlierLog(seen_in=seen_in, checkpoint=open_checkpoint(checkpoint, trust.cluster.log_key))


def _log(
    session: Session,
    path: Path | None,
    trust: Trust,
    earlier: tuple[EarlierLog, ...],
    silent: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    verdict = _judged(session, path, trust, earlier)
    if path is None and verdict.extends:
        remember(session.profile(), verdict.verified.checkpoint_text)
    if as_json:
        session.terminal.document(canonical.encode(verdict_document(verdict, silent)))
    else:
        session.terminal.lines(verdict_lines(verdict, silent))
    return OK if verdict.whole else UNVERIFIED


def _judged(session: Session, path: Path | None, trust: Trust, earlier: tuple[EarlierLog, ...]) -> LogVerdict:
    """Return what holds of a whole log: in a folder, a backup, an export, or in an export fetched now.

    Raises:
        VerificationFailed: it is not intact.
        FileUnusable: `path` cannot be read.
    """
    how = How(intact=_progress(session, "read"), judged=_progress(session, "judged"))
    try:
        if path is None:
            lines = session.connect(session.profile(), READ_TIMEOUT_SECONDS).lines(EXPORT_PATH)
            return judge_export(lines, trust, earlier, how)
        if path.is_dir():
            return judge_folder(path, trust, earlier, how)
        if is_backup(path):
            with as_folder(path) as folder:
                return judge_folder(folder, trust, earlier, how)
        with path.open("rb") as file:
            return judge_export(lines_in(file), trust, earlier, how)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}", field="path") from error
    finally:
        session.terminal.progress("")


def _progress(session: Session, word: str) -> Progress:
    return lambda done, total: session.terminal.progress(f"{done} of {total} records {word}")


# What was seen earlier ------------------------------------------------------------------------------------------------


@contextmanager
def _earlier(path: Path, vkey: str, keys: tuple[VerifierKey, ...]) -> Iterator[EarlierLog]:
    """Hold what was seen of the log earlier, verified; `keys` are those of who may have cosigned it.

    Raises:
        VerificationFailed, EvidenceUnverified: it is not what the log's key signed, or a cosignature is forged.
        FileUnusable: it cannot be read.
    """
    by_node = None if path.is_dir() else _remembered(path)
    if by_node is not None:
        yield seen_earlier(str(path), by_node, vkey, keys)
    elif path.is_dir() or not _is_evidence(path):
        with earlier_log(path, vkey, keys) as earlier:
            yield earlier
    else:
        yield seen_earlier(str(path), _signed_in(_read(path), vkey), vkey, keys)


def _signed_in(data: bytes, vkey: str) -> str:
    """Return the checkpoint of an evidence file, or what a file holds that is a checkpoint and nothing else."""
    if not data.startswith(b"{"):
        return data.decode(errors="replace")
    try:
        return checkpoint_in(data, vkey)
    except EvidenceInvalid as error:
        raise EvidenceUnverified(error.message, field=error.field) from error


def _remembered(path: Path) -> str | None:
    """Return the checkpoint in the file where a node remembers it, or None where it is another file."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.readline(SEEN_BYTES_MAX), type=_Seen).checkpoint
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}", field="against") from error


# Files ----------------------------------------------------------------------------------------------------------------


def _is_evidence(path: Path) -> bool:
    """Tell whether a file is (or once was) an evidence file: it is one line, and an export's lines begin otherwise."""
    try:
        if path.is_dir():
            return False
        with path.open("rb") as file:
            return not is_backup(path) and not file.read(64).startswith(EXPORT_LINES)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}", field="path") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(EVIDENCE_BYTES_MAX + 1)
    if len(data) > EVIDENCE_BYTES_MAX:
        raise FileUnusable(f"{path} is larger than any evidence file", field="path")
    return data
