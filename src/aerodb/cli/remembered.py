"""The audit log as this profile and the nodes have seen it: remembered, and held against the log at each look.

- The profile remembers the newest checkpoint that was verified here, as the log signed it: the file `log-checkpoint`.
- The control plane is asked to prove that the log extends it, and every node's checkpoint, under one newest checkpoint.
  Nothing that it says of them is believed beyond that proof.
- The newest is remembered only where it extends them all. What is remembered is never given up by itself: where an
  older log is to stand, a person moves the file away.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlencode

import msgspec

from aerodb.audit.cosignature import bare
from aerodb.audit.note import Checkpoint, CheckpointForged, open_checkpoint
from aerodb.audit.views import check_views, path_in_texts, viewed
from aerodb.cli.failures import LogUnverified
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.session import read
from aerodb.protocol import canonical
from aerodb.protocol.api import Agreement, Compared, LogView, Shown
from aerodb.protocol.plan import Snapshot
from aerodb.rules.observed import observe_snapshot

FILE = "log-checkpoint"
OWN = "this profile"
PATH = "/v1/audit/comparison"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The log's newest checkpoint, verified here, and how what others have seen stands to it."""

    newest: Checkpoint
    views: tuple[LogView, ...]

    def check(self) -> None:
        """Refuse to go on by a log that does not extend what was seen of it.

        Raises:
            LogForked, LogBehind: naming who has seen what.
        """
        check_views(self.views, self.newest.size)


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


def held(profile: Profile, caller: Caller, nodes: Mapping[str, str]) -> Held:
    """Hold the log against what the profile remembers and what `nodes` report, by name, as seen; then remember it.

    Raises:
        LogUnverified: the control plane shows no checkpoint that the log's key signed, or the profile's is damaged.
    """
    own = remembered(profile)
    seen = {**nodes, **({"": own} if own else {})}
    shown = Shown(checkpoints=dict(_bare(seen, profile.cluster.log_key)))
    seen_text = urlsafe_b64encode(canonical.encode(shown)).decode()
    answer = read(caller.get(f"{PATH}?{urlencode({'seen': seen_text})}"), Compared)
    try:
        newest = open_checkpoint(answer.checkpoint, profile.cluster.log_key)
    except CheckpointForged as error:
        raise LogUnverified(f"the control plane shows no checkpoint of the cluster's log: {error.message}") from error
    views = tuple(
        viewed(who or OWN, text, newest, path_in_texts(answer.paths.get(who, ())), profile.cluster.log_key)
        for who, text in seen.items()
    )
    if all(view.agreement in (Agreement.CONSISTENT, Agreement.NOTHING, Agreement.FORGED) for view in views):
        remember(profile, answer.checkpoint)
    return Held(newest=newest, views=views)


def _bare(seen: Mapping[str, str], vkey: str) -> Iterator[tuple[str, str]]:
    """Yield, by who saw it, each checkpoint as the log signed it: who cosigned it needs no proof, and takes room.

    What is no checkpoint of the log is not shown: there is no proof of it to be had.
    """
    for who, text in seen.items():
        with suppress(CheckpointForged):
            yield who, bare(text, vkey)


def check_log(profile: Profile, caller: Caller, snapshot_text: str | None) -> None:
    """Refuse to sign anything by a log that does not extend what the profile, or a node in the snapshot, has seen.

    Raises:
        LogForked, LogBehind: naming who has seen what.
        LogUnverified: see `held`.
    """
    nodes = dict[str, str]()
    if snapshot_text is not None:
        snapshot = canonical.decode(snapshot_text.encode(), Snapshot)
        nodes = {
            name: facts.checkpoint for name, facts in observe_snapshot(profile.cluster, snapshot, {}).facts.items()
        }
    held(profile, caller, nodes).check()


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
