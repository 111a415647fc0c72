"""The audit log as this profile and the nodes have seen it: remembered, and held against the log at each look.

- The profile remembers the newest checkpoint that was verified here, as the log signed it: the file `log-checkpoint`.
- The control plane is asked to prove that the log extends it, and every node's checkpoint, under one newest checkpoint.
  Nothing that it says of them is believed beyond that proof.
- The newest is remembered only where it extends them all. What is remembered is never given up by itself: where a
  restored log is to stand, a person says so (`aerodb audit accept`), by name, and what is given up is kept.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from aerodb.actions import gap_of
from aerodb.audit.comparison import check_comparisons, compared, path_in_texts
from aerodb.audit.cosignature import bare
from aerodb.audit.note import Checkpoint, CheckpointForged, open_checkpoint
from aerodb.audit.tree import verify_consistency
from aerodb.cli.failures import FileUnusable, LogUnverified
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.session import read
from aerodb.protocol import canonical
from aerodb.protocol.api import Agreement, Compared, Comparison, Shown
from aerodb.protocol.marks import Gap, Mark, stated_mark
from aerodb.protocol.plan import Plan, Snapshot
from aerodb.rules.explain import failed
from aerodb.rules.invariants import Invariant
from aerodb.views.observed import observe_snapshot

FILE = "log-checkpoint"
OWN = "this profile"
PATH = "/v1/audit/comparison"


class HeldLog(msgspec.Struct, frozen=True, kw_only=True):
    """The log's newest checkpoint, verified here, and how what others have seen stands to it."""

    newest: Checkpoint
    comparisons: tuple[Comparison, ...]

    def check(self) -> None:
        """Refuse to go on by a log that does not extend what was seen of it.

        Raises:
            LogForked, LogBehind: naming who has seen what.
        """
        check_comparisons(self.comparisons, self.newest.size)


def remembered(profile: Profile) -> str:
    """Return the newest checkpoint that was verified with this profile, or "" where none was.

    Raises:
        LogUnverified: the file holds no checkpoint of the cluster's log.
    """
    path = profile.folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise LogUnverified(f"{path} cannot be read, so the log cannot be held against it: {error}") from error
    try:
        open_checkpoint(text, profile.cluster.log_key)
    except CheckpointForged as error:
        raise LogUnverified(f"{path} is no checkpoint of the cluster's log: {error.message}") from error
    return text


def held(profile: Profile, caller: Caller, nodes: Mapping[str, str]) -> HeldLog:
    """Hold the log against what the profile remembers and what `nodes` report, by name, as seen; then remember it.

    Raises:
        LogUnverified: the control plane shows no checkpoint that the log's key signed, or the profile's is damaged.
    """
    own = remembered(profile)
    seen = {**nodes, **({"": own} if own else {})}
    shown = Shown(checkpoints=dict(_bare(seen, profile.cluster.log_key)))
    seen_text = urlsafe_b64encode(canonical.encode(shown)).decode()
    answer = read(caller.get(f"{PATH}?{urlencode({'seen': seen_text})}"), Compared)
    newest = _newest(profile, answer)
    comparisons = tuple(
        compared(who or OWN, text, newest, path_in_texts(answer.paths.get(who, ())), profile.cluster.log_key)
        for who, text in seen.items()
    )
    if all(each.agreement in (Agreement.CONSISTENT, Agreement.NOTHING, Agreement.FORGED) for each in comparisons):
        remember(profile, answer.checkpoint)
    return HeldLog(newest=newest, comparisons=comparisons)


def _bare(seen: Mapping[str, str], vkey: str) -> Iterator[tuple[str, str]]:
    """Yield, by who saw it, each checkpoint as the log signed it: who cosigned it needs no proof, and takes room.

    What is no checkpoint of the log is not shown: there is no proof of it to be had.
    """
    for who, text in seen.items():
        with suppress(CheckpointForged):
            yield who, bare(text, vkey)


def proven_beginning(profile: Profile, caller: Caller, mark: Mark) -> str:
    """Return the log's newest checkpoint, once it is proven here that the log begins with what `mark` names.

    Raises:
        LogUnverified: it does not, or the control plane shows no checkpoint that the log's key signed.
    """
    shown = Shown(checkpoints={}, restored=mark.size)
    seen_text = urlsafe_b64encode(canonical.encode(shown)).decode()
    answer = read(caller.get(f"{PATH}?{urlencode({'seen': seen_text})}"), Compared)
    newest, path = _newest(profile, answer), path_in_texts(answer.restored)
    if not verify_consistency(mark.size, mark.root_bytes, newest.size, newest.root, path):
        raise LogUnverified(f"the log of {newest.size} records is not shown to begin with {mark}")
    return answer.checkpoint


def check_gap(profile: Profile, caller: Caller, target: str, gap: Gap, seen: str) -> None:
    """Refuse to sign away what `target` saw of the log (`seen`) but for a log that begins with what is restored.

    The profile must have accepted that log itself, and the target must have seen what it does not extend.

    Raises:
        LogForked, LogBehind: the log does not extend what this profile has seen.
        LogUnverified: the log extends what the target saw, or does not begin with what the gap names.
    """
    found = held(profile, caller, {target: seen})
    check_comparisons([each for each in found.comparisons if each.who == OWN], found.newest.size)
    if all(
        each.agreement not in (Agreement.BEHIND, Agreement.FORKED) for each in found.comparisons if each.who == target
    ):
        raise LogUnverified(f"the log extends what {target} has seen of it: there is nothing to give up")
    proven_beginning(profile, caller, gap.restored)


def accept(profile: Profile, caller: Caller, gap: Gap) -> Path:
    """Remember the log that begins with what is restored, and keep what was remembered in a file of its own.

    Raises:
        LogUnverified: the profile remembers something else than the gap names, or the log does not begin so.
        FileUnusable: the profile's folder cannot be written.
    """
    own = remembered(profile)
    if stated_mark(own) != gap.seen or gap.restored.size >= gap.seen.size:
        raise LogUnverified(f"this profile has seen {stated_mark(own) or 'nothing'}; what is given up is {gap.seen}")
    newest = proven_beginning(profile, caller, gap.restored)
    kept = profile.folder / f"{FILE}.given-up-{gap.seen.size}-{gap.seen.root_bytes.hex()[:8]}"
    try:
        kept.write_text(own, encoding="utf-8")
        aside = profile.folder / f".{FILE}.new"
        aside.write_text(newest, encoding="utf-8")
        aside.replace(profile.folder / FILE)
    except OSError as error:
        raise FileUnusable(f"{profile.folder} cannot be written: {error}", field="profile") from error
    held(profile, caller, {})  # So that the control plane knows it, too.
    return kept


def check_log(profile: Profile, caller: Caller, snapshot_text: str | None) -> None:
    """Refuse to sign anything by a log that does not extend what the profile, or a node in the snapshot, has seen.

    Raises:
        LogForked, LogBehind: naming who has seen what.
        LogUnverified: see `held`.
    """
    held(profile, caller, seen_in(profile, snapshot_text)).check()


def check_before_signing(profile: Profile, caller: Caller, plan: Plan, snapshot_text: str | None) -> None:
    """Refuse to sign a checked plan by a log that contradicts what was seen, but for the request that settles that.

    That one settles nothing where its target is only watched: its plan is a rejection, to be shown as any other.

    Raises:
        LogForked, LogBehind, LogUnverified: see `check_log` and `check_gap`.
    """
    gap, target = gap_of(plan.request), plan.request.target
    if gap is None or Invariant.IN_CHARGE in failed(plan.verdicts):
        check_log(profile, caller, snapshot_text)
    else:
        check_gap(profile, caller, target, gap, seen_in(profile, snapshot_text).get(target, ""))


def seen_in(profile: Profile, snapshot_text: str | None) -> dict[str, str]:
    """Return the checkpoint that each node in a snapshot has seen, as it signed its report."""
    if snapshot_text is None:
        return {}
    snapshot = canonical.decode(snapshot_text.encode(), Snapshot)
    return {name: facts.checkpoint for name, facts in observe_snapshot(profile.cluster, snapshot, {}).facts.items()}


def _newest(profile: Profile, answer: Compared) -> Checkpoint:
    try:
        return open_checkpoint(answer.checkpoint, profile.cluster.log_key)
    except CheckpointForged as error:
        raise LogUnverified(f"the control plane shows no checkpoint of the cluster's log: {error.message}") from error


def remember(profile: Profile, checkpoint: str) -> None:
    """Put a verified checkpoint in the place of the one before, which it extends.

    A profile that cannot be written remembers what it did.
    """
    path = profile.folder / FILE
    aside = path.with_name(f".{FILE}.new")
    with suppress(OSError):
        if path.exists() and path.read_text(encoding="utf-8") == checkpoint:
            return
        aside.write_text(checkpoint, encoding="utf-8")
        aside.replace(path)
