"""Decides whether a node's PostgreSQL may be started with its host: by the agent, a service manager, or by hand.

Nothing can be proven then, because there are no peers to ask. So:

- It never starts after a person stopped it, while a request has no outcome, if the files cannot be read, or in another
  data folder than the standing's.
- A standby starts only in a folder that shows that it was in recovery all along, with the upstream of its standing. One
  that was promoted by hand, or was a primary before, starts only by a person's request.
- Nothing starts if somebody changed settings, in whichever file, that its safety depends on.
- A node that stands as a primary starts only if its node.json says so (`standing`) and it has pledged nothing above its
  own grant.

Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec

from aerodb.protocol.authority import Standing
from aerodb.rules.condition import POLICY_SETTINGS, RECEIVER_SETTINGS
from aerodb.rules.position import is_of
from aerodb.rules.reach import PUT_BACK

Starts = Literal["no", "standby", "standing"]
"""What starts together with its host: nothing, only a standby, or the node in its standing's role."""

IN_RECOVERY = frozenset({"shut down in recovery", "in archive recovery"})
"""The states in the control file of a folder that was last used by a standby."""


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """What a node's files say.

    `control` is the state in the control file (None: it cannot be read). `signal` says whether the folder would start
    in recovery, `copied` whether it is a finished copy that was never started. `attached` is the upstream in the
    settings. `unfinished` is the request that was begun and has no outcome. `identity` is the data folder's. `drift`
    names the settings that are not as the agent wrote them (None: they cannot be read).
    """

    control: str | None
    signal: bool
    copied: bool
    attached: str | None
    unfinished: str | None
    identity: str | None
    drift: tuple[str, ...] | None = ()


def refusal(starts: Starts, node: str, standing: Standing, files: Files) -> str:
    """Return why the host may not start the PostgreSQL of `node`; empty if it may."""
    if standing.role == "witness":
        return f"{node} is a witness and has no PostgreSQL"
    if starts == "no":
        return f"node.json says that nothing starts with the host of {node}"
    if standing.halted:
        return f"{node} was stopped by a request; it stays down until a person starts it"
    if files.unfinished is not None:
        return f"request {files.unfinished} was begun on {node} and has no outcome; ask for it"
    if files.control is None:
        return f"the control file of {node} cannot be read"
    if not is_of(standing, files.identity):
        other = "an earlier state of the data folder was put back on {}: its WAL ends before what was noted of it"
        if files.identity != PUT_BACK:
            other = "the data folder in use on {} is another than the one that its standing is of"
        return other.format(node)
    if standing.role == "primary":
        return _refused_as_primary(starts, node, standing, files)
    return _refused_as_standby(node, standing, files)


def _changed(node: str, files: Files, rested_on: tuple[str, ...]) -> str:
    """Return which of the settings `rested_on` were changed behind the agent's back; empty if none was."""
    if files.drift is None:
        return f"the settings of {node} cannot be read"
    changed = [name for name in rested_on if name in files.drift]
    return f"changed behind the agent's back on {node}: {', '.join(changed)}" if changed else ""


def _refused_as_primary(starts: Starts, node: str, standing: Standing, files: Files) -> str:
    granted, pledged = standing.granted, standing.pledged
    if granted.node != node:
        return f"{node} stands as a primary, and knows that term {granted.term} is granted to {granted.node}"
    if pledged.term > granted.term:
        return f"{node} has pledged term {pledged.term} to {pledged.node}, above its own term {granted.term}"
    if files.signal or files.attached is not None:
        return f"{node} stands as a primary, and its folder would start as a standby"
    if starts != "standing":
        return (
            f"{node} stands as a primary, and whether another has been elected since cannot be seen from here; it "
            "starts by a person's request"
        )
    return _changed(node, files, POLICY_SETTINGS)


def _refused_as_standby(node: str, standing: Standing, files: Files) -> str:
    if not files.signal:
        return f"{node} stands as a standby, and its folder would start out of recovery"
    if files.control not in IN_RECOVERY and not files.copied:
        return f"the folder of {node} has not been in recovery all along: its control file says {files.control!r}"
    if files.attached != standing.upstream:
        stands = standing.upstream or "nobody"
        return f"{node} stands to follow {stands}, and its settings name {files.attached or 'nobody'}"
    return _changed(node, files, RECEIVER_SETTINGS)
