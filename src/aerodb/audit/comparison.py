"""What others have seen of the log, held against the log at hand: a beginning of it, or not.

- Who has seen a checkpoint holds the log's own signature for it. So one that does not fit proves, whoever shows it,
  that the log went back, or that its key signed two logs.
- Who is silent agrees with nothing: what they have seen is unknown.

Pure: no I/O, no clock; the paths that connect the checkpoints are passed in. Source: RFC 6962 section 2.1.2.
"""

import base64
from collections.abc import Iterable, Sequence

from aerodb.audit.note import Checkpoint, CheckpointForged, open_checkpoint
from aerodb.audit.tree import verify_consistency
from aerodb.errors import AeroError
from aerodb.protocol.api import Agreement, Comparison
from aerodb.protocol.base64text import from_base64

UNTIL_SETTLED = "nothing is planned and nothing is confirmed until that is settled (aerodb audit gap); looking goes on"


class LogBehind(AeroError):
    """Somebody has seen records of the log that it does not have any more."""

    code = "control.log-behind"
    status = 409
    title = "The audit log went back"


class LogForked(AeroError):
    """Somebody was shown another log, under the same key, than this one."""

    code = "control.log-forked"
    status = 409
    title = "The audit log is forked"


def compared(who: str, seen: str, log: Checkpoint, path: Sequence[bytes], vkey: str) -> Comparison:
    """Return how `seen`, the newest checkpoint that somebody saw ("": none yet), stands to the log at `log`.

    `path` is the proof that the log extends it, as far as there is one.

    Raises:
        VerifierKeyInvalid: `vkey` is malformed.
    """
    if not seen:
        return Comparison(who=who, records=0, agreement=Agreement.NOTHING)
    try:
        old = open_checkpoint(seen, vkey)
    except CheckpointForged:
        return Comparison(who=who, records=None, agreement=Agreement.FORGED)
    if old.size > log.size:
        agreement = Agreement.BEHIND
    elif verify_consistency(old.size, old.root, log.size, log.root, path):
        agreement = Agreement.CONSISTENT
    else:
        agreement = Agreement.FORKED
    return Comparison(who=who, records=old.size, agreement=agreement)


def silent_comparison(who: str) -> Comparison:
    """Return the comparison of somebody who does not say what they have seen."""
    return Comparison(who=who, records=None, agreement=Agreement.UNKNOWN)


def seen_by(who: str, records: int, size: int) -> Comparison:
    """Return the comparison of somebody who says that they have seen so many records, of a log that has `size`."""
    agreement = Agreement.BEHIND if records > size else Agreement.CONSISTENT
    return Comparison(who=who, records=records, agreement=agreement)


def check_comparisons(comparisons: Iterable[Comparison], size: int) -> None:
    """Refuse to go on with a log of `size` records that does not extend what each of these has seen.

    Raises:
        LogForked, LogBehind: naming everyone who has seen what this log does not have.
    """
    found = tuple(comparisons)
    forked = [each for each in found if each.agreement is Agreement.FORKED]
    behind = [each for each in found if each.agreement is Agreement.BEHIND]
    if forked:
        raise LogForked(f"{_forked(forked, size)}; {UNTIL_SETTLED}")
    if behind:
        raise LogBehind(f"{_behind(behind, size)}; {UNTIL_SETTLED}")


def _forked(comparisons: Sequence[Comparison], size: int) -> str:
    who = " and ".join(f"{each.who} (a log of {each.records} records)" for each in comparisons)
    return f"another log than this one of {size} records was shown to {who}, signed with the same key"


def _behind(comparisons: Sequence[Comparison], size: int) -> str:
    who = " and ".join(f"{each.who} has seen {each.records}" for each in comparisons)
    return f"the log has {size} records, and {who}: its end was lost, an older copy took its place, or there is another"


def comparison_sentences(comparisons: Iterable[Comparison], size: int) -> list[tuple[str, str]]:
    """Return what a person must know about who saw which log, each sentence with its style."""
    found = list[tuple[str, str]]()
    for each in comparisons:
        if each.agreement is Agreement.FORKED:
            found.append(("bad", f"The audit log is forked: {_forked((each,), size)}; {UNTIL_SETTLED}."))
        elif each.agreement is Agreement.BEHIND:
            found.append(("bad", f"The audit log went back: {_behind((each,), size)}; {UNTIL_SETTLED}."))
        elif each.agreement is Agreement.FORGED:
            found.append(("bad", f"What {each.who} shows as seen of the audit log is no checkpoint of this log."))
        elif each.agreement is Agreement.UNKNOWN:
            found.append(("warn", f"What {each.who} has seen of the audit log is unknown."))
    return found


def comparison_text(each: Comparison) -> str:
    """Return in some words what somebody has seen of the log, and whether that is in it."""
    if each.agreement is Agreement.NOTHING:
        return "none of it"
    if each.records is None:
        return f"{each.agreement}"
    return f"{each.records}" if each.agreement is Agreement.CONSISTENT else f"{each.records}: {each.agreement}"


def path_texts(path: Iterable[bytes]) -> tuple[str, ...]:
    """Return the hashes of a path as they travel."""
    return tuple(base64.b64encode(each).decode() for each in path)


def path_in_texts(texts: Iterable[str]) -> tuple[bytes, ...]:
    """Return the hashes of a path that travelled; what is none becomes one that proves nothing."""
    try:
        return tuple(map(from_base64, texts))
    except ValueError:
        return (b"",)
