"""The ways: which requests, in which order, move the primary, for any number of nodes and witnesses and any k.

- A planned switchover does beforehand what it can, so that writes stop only briefly: it fences the nodes that its
  election needs beyond primary and successor, and moves standbys to the successor.
- After a failover's `promote`, enough standbys stream from the new primary, if there are enough: they have pledged to
  the candidate and follow it beforehand.
- In a planned switchover the promotion can be signed ahead of the demotion that it comes right after, so that nobody
  reads while writes wait.
- An election is given up by those that were fenced for it: their pledges renew the primary, without an outage.

Ways are advice: each request is judged like any other. Pure: no I/O, no clock.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from aerodb.protocol.ahead import AFTER, THEN
from aerodb.protocol.cluster import Cluster
from aerodb.rules.election import UNTOLD_MATTER


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One request: the action, its target, and the node that its one argument names (empty: it takes none)."""

    action: str
    target: str
    other: str = ""

    @property
    def arguments(self) -> dict[str, str]:
        """Return the request's arguments, by name."""
        return {ARGUMENTS[self.action]: self.other} if self.other else {}

    def __str__(self) -> str:
        """Return the command line, without the reason."""
        options = "".join(f" --{name} {value}" for name, value in self.arguments.items())
        return f"aerodb {self.action} {self.target}{options}"


ARGUMENTS = {"demote": "for", "fence": "for", "follow": "upstream", "reclone": "upstream"}
"""The name of the one argument of each action that takes one."""


PAIR = ("demote", "promote")
"""The action after which the other one can be signed ahead."""
UNTOLD = "REQUEST"
"""What stands for the id of a request that is not made yet."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The requests in order; the index (from 0) of those that stop and bring back writes (None: none); and remarks.

    `steps` are in the order in which they are executed. `order` says what is different in this order, where others lead
    to the same; `form` whether its promotion is signed ahead of its demotion, or apart, after it.
    """

    steps: tuple[Step, ...]
    stops: int | None
    returns: int | None
    remarks: tuple[str, ...] = ()
    order: str = ""
    form: Literal["", "ahead", "apart"] = ""

    @property
    def pair(self) -> tuple[Step, Step] | None:
        """Return the demotion, and the promotion of its successor right after it; None: there are none."""
        at = self.pair_at
        return None if at is None else (self.steps[at], self.steps[at + 1])

    @property
    def pair_at(self) -> int | None:
        """Return the index of the demotion of the pair."""
        pairs = enumerate(pairwise(self.steps))
        found = (at for at, (one, two) in pairs if (one.action, two.action, one.other) == (*PAIR, two.target))
        return next(found, None)

    @property
    def typed(self) -> tuple[str, ...]:
        """Return the command lines in the order in which they are typed, without the reason.

        Where the promotion is signed ahead it stands first; `REQUEST` is its id, which it says once it is held.
        """
        lines, at, pair = [str(step) for step in self.steps], self.pair_at, self.pair
        if self.form != "ahead" or at is None or pair is None:
            return tuple(lines)
        first, second = pair
        lines[at : at + 2] = [f"{second} --{AFTER} {first.action}:{first.target}", f"{first} --{THEN} {UNTOLD}"]
        return tuple(lines)


def _witnesses(cluster: Cluster) -> list[str]:
    return [member.name for member in cluster.members if member.witness]


def _fence(target: str, candidate: str) -> Step:
    return Step(action="fence", target=target, other=candidate)


def _follow(target: str, upstream: str) -> Step:
    return Step(action="follow", target=target, other=upstream)


def planned(cluster: Cluster, primary: str, successor: str) -> Way:
    """Return the way of a planned switchover from `primary` to `successor`."""
    k, others = cluster.quorum, [name for name in cluster.data_nodes if name not in {primary, successor}]
    lacking = max(0, cluster.majority - 2)
    stepping_in = _witnesses(cluster)[:lacking]
    kept = others[: len(others) - (lacking - len(stepping_in))]
    cut = others[len(kept) :]
    staying = kept[max(0, len(kept) - max(0, k - 1)) :]
    cascading = kept[: len(kept) - len(staying)]
    before = [_follow(name, successor) for name in cascading] + [_fence(name, successor) for name in stepping_in]
    at_stake = len(before)
    before += [_fence(name, successor) for name in cut]
    after = [_follow(name, successor) for name in (*staying, *cut, primary)]
    demote, promote = Step(action="demote", target=primary, other=successor), Step(action="promote", target=successor)
    spare = 1 + len(staying) + len(cut) - k
    waits = spare < len(cut)
    return Way(
        steps=(*before, demote, promote, *after),
        stops=at_stake + max(0, spare) if waits else len(before),
        returns=len(before) + 1 + max(0, k - len(cascading)),
        remarks=(f"commits wait before demote does: {k} standbys must flush each of them",) if waits else (),
        order=f"standbys move to {successor} beforehand",
    )


def failover(cluster: Cluster, dead: str, candidate: str) -> Way:
    """Return the way of a failover to `candidate` while `dead`, the primary, is gone.

    If the election needs the dead node's pledge, a remark says that its agent must come back and its PostgreSQL stay
    down.
    """
    others = [name for name in cluster.data_nodes if name not in {dead, candidate}]
    witnesses, k = _witnesses(cluster), cluster.quorum
    wanted = max(len(cluster.data_nodes) - k - 1 if k else 0, min(k, len(others)))
    count = min(len(others), max(wanted, cluster.majority - 1 - len(witnesses)))
    chosen = others[:count]
    stepping_in = witnesses[: max(0, cluster.majority - 1 - len(chosen))]
    pledged = 1 + len(chosen) + len(stepping_in)
    proven = k > 0 and 1 + len(chosen) >= len(cluster.data_nodes) - k
    needed = pledged < cluster.majority or not proven
    fenced = [candidate, *chosen, *stepping_in, *([dead] if needed else [])]
    steps = (
        *(_fence(name, candidate) for name in fenced),
        *(_follow(name, candidate) for name in chosen),
        Step(action="promote", target=candidate),
        *(_follow(name, candidate) for name in others if name not in chosen),
    )
    promoted = len(fenced) + len(chosen)
    back = promoted + max(0, k - len(chosen))
    remarks = []
    if needed:
        remarks.append(f"{dead} has to pledge too: start its agent with --leave-down, and leave its PostgreSQL down")
    if back >= len(steps):
        remarks.append(f"commits wait until {k} standby(s) follow {candidate}: bring {dead} back")
    return Way(
        steps=steps,
        stops=None,
        returns=back if back < len(steps) else None,
        remarks=tuple(remarks),
        order=f"standbys follow {candidate} beforehand",
    )


def planned_bare(cluster: Cluster, primary: str, successor: str) -> Way:
    """Return the way of a planned switchover that moves no standby before writes stop."""
    first = planned(cluster, primary, successor)
    demoted = next(at for at, step in enumerate(first.steps) if step.action == "demote")
    before, after = first.steps[:demoted], first.steps[demoted + 2 :]
    moved = tuple(step for step in before if step.action == "follow")
    kept = tuple(step for step in before if step.action != "follow")
    steps = (*kept, *first.steps[demoted : demoted + 2], *moved, *after)
    stops = len(kept) if first.stops == demoted else 0
    back = len(kept) + 1 + cluster.quorum
    return Way(
        steps=steps,
        stops=stops,
        returns=back if back < len(steps) else None,
        order=f"standbys move once {successor} is promoted",
    )


def failover_bare(cluster: Cluster, dead: str, candidate: str) -> Way:
    """Return the way of a failover that promotes before any standby follows."""
    first = failover(cluster, dead, candidate)
    promoted = next(at for at, step in enumerate(first.steps) if step.action == "promote")
    fences = tuple(step for step in first.steps[:promoted] if step.action == "fence")
    steps = (
        *fences,
        first.steps[promoted],
        *(step for step in first.steps if step.action == "follow"),
    )
    back = len(fences) + cluster.quorum
    return Way(
        steps=steps,
        stops=None,
        returns=back if back < len(steps) else None,
        remarks=first.remarks,
        order=f"standbys follow once {candidate} is promoted",
    )


def given_up(cluster: Cluster, primary: str, fenced: Sequence[str]) -> Way:
    """Return the way in which an election is given up: `fenced` pledge to the running primary, and follow it again.

    They are cut off already, so their pledges cost no writes. If they are too few, witnesses step in, then standbys.
    """
    spare = [*_witnesses(cluster), *cluster.data_nodes]
    able = [*fenced, *(name for name in spare if name != primary and name not in fenced)]
    data = [name for name in cluster.data_nodes if name != primary]
    count = max(cluster.majority - 1, 0)
    chosen = able[:count]
    if cluster.quorum >= UNTOLD_MATTER:
        chosen += [name for name in data if name not in chosen]
    back = [name for name in able if name in data and (name in fenced or name in chosen)]
    return Way(
        steps=(
            *(_fence(name, primary) for name in chosen),
            Step(action="renew", target=primary),
            *(_follow(name, primary) for name in back),
        ),
        stops=None,
        returns=None,
    )
