"""How far the WAL of a data folder has been, as its node noted; a folder whose WAL ends before that was put back.

- A backup that is put in the place of the folder that it was made of has that folder's identity, and not its WAL. What
  its node remembers is not of it: it may have acknowledged commits that are not there any more.
- What is noted is the end of a whole record that was durable in this folder. So no crash, and no promotion, takes a WAL
  back behind it.
- A standby that has an upstream is not judged while it runs: until its local WAL is replayed nobody can tell where that
  ends, and what it then receives is its upstream's. It is judged before it starts, and whenever its position is final.

Pure: no I/O, no clock.
"""

from typing import ClassVar

import msgspec
from msgspec.structs import replace

from aerodb.protocol.authority import Standing
from aerodb.protocol.facts import Instance, State
from aerodb.protocol.formats import Format
from aerodb.protocol.lsn import Lsn
from aerodb.rules.position import voted

PUT_BACK = "an earlier state of the data folder"
"""What stands in place of the identity of a data folder that was put back: it is that of no folder."""
WHY_PUT_BACK = "an earlier state of its data folder is in use: its WAL ends before what it has noted of it"
"""How a verdict says so of its node."""


class Reach(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the WAL in the data folder with this identity has been: the end of a whole record, durable there."""

    FORMAT: ClassVar[Format] = Format(kind="reach of a WAL")

    folder: str
    lsn: Lsn


def _whole(instance: Instance) -> Lsn | None:
    """Return the end of some whole and durable record of the node's WAL, as far as the facts tell one."""
    position = instance.position
    if position is None:
        return None
    if instance.state is not State.RUNNING:
        return position.lsn
    ends = [instance.checkpoint] if instance.checkpoint is not None else []
    replay = instance.keeping.replay
    if instance.recovery and replay is not None:
        ends.append(Lsn(max(position.lsn.value - replay.unreplayed_bytes, 0)))
    elif instance.recovery is False:
        # The end of what is flushed may be in the middle of a record. What others have replayed is not.
        replayed = (each.replayed for each in instance.senders if not each.ahead)
        ends += [end for end in replayed if end is not None and end <= position.lsn]
    return max(ends, default=None)


def reached(before: Reach | None, instance: Instance | None) -> Reach | None:
    """Return what is to be noted now; None if there is nothing new. It never falls for one folder."""
    if instance is None or not instance.identity or instance.identity == PUT_BACK:
        return None
    whole = _whole(instance)
    if whole is None:
        return None
    known = before is not None and before.folder == instance.identity
    if known and before is not None and whole <= before.lsn:
        return None
    return Reach(folder=instance.identity, lsn=whole)


def is_put_back(noted: Reach | None, identity: str | None, end: Lsn | None) -> bool:
    """Tell whether a WAL that ends at `end`, in the folder with this identity, ends before what was noted of it."""
    return noted is not None and identity == noted.folder and end is not None and end < noted.lsn


def _is_final(instance: Instance) -> bool:
    """Tell whether nothing that is in the folder, or still to come from an upstream, can move the position further."""
    if instance.state is not State.RUNNING or not instance.recovery:
        return True
    return instance.attached is None and instance.receiver is None


def held_to(instance: Instance, standing: Standing, noted: Reach | None) -> Instance:
    """Return the facts of a node held to what was noted of its WAL: a folder that was put back is another folder."""
    position = instance.position
    if position is None or not _is_final(instance) or not is_put_back(noted, instance.identity, position.lsn):
        return instance
    return replace(instance, identity=PUT_BACK, quorum=None, position=voted(position, standing, PUT_BACK))
