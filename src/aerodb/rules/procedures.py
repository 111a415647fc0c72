"""Procedures: the orders of requests that lead to what a person wants, for the nodes that the person names.

- Nothing is chosen: where several orders lead there, all are returned, always in the same order.
- An order stays the same while it is walked: what it is made of is the configuration, the newest grant and the nodes'
  pledges, and what was executed under the same ticket already.

Pure: no I/O, no clock.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, State
from aerodb.rules.ways import Step, Way, failover, failover_bare, given_up, planned, planned_bare
from aerodb.rules.writes import newest_grant


class ProcedureUnknown(AeroError):
    """There is no procedure of that name."""

    code = "input.procedure-unknown"
    status = 404
    title = "There is no such procedure"


class ProcedureUnsuited(AeroError):
    """The procedure does not fit the nodes that were named, or the cluster as it is."""

    code = "input.procedure-unsuited"
    status = 409
    title = "The procedure does not fit"


class ProcedureGiven(msgspec.Struct, frozen=True, kw_only=True):
    """What a procedure is laid out from: the nodes that the person named, by part, and the cluster as it is.

    `executed` are the requests that were executed under the ticket already, the oldest first. `before` is the holder of
    the newest grant before the ticket's promotion, if there was one (empty: there was none).
    """

    cluster: Cluster
    facts: Mapping[str, Facts]
    named: Mapping[str, str]
    executed: Sequence[Step] = ()
    before: str = ""

    @property
    def holder(self) -> str:
        """Return the holder of the newest grant that is known; empty if nobody reports."""
        found = newest_grant(self.facts)
        return found.node if found is not None else ""


class ProcedurePart(msgspec.Struct, frozen=True, kw_only=True):
    """One node that the person names: the part that it plays, and what that means.

    `holds` says whether it is the holder of the newest grant, or another; None: either.
    """

    name: str
    help: str
    holds: bool | None = None

    def unsuited(self, names: Sequence[str], holder: str) -> dict[str, str]:
        """Return the nodes that cannot play the part, each with why not; `holder` of the newest grant, if known."""
        if not holder or self.holds is None:
            return {}
        why = f"{holder} holds the newest grant" if self.holds else "it holds the newest grant itself"
        return {name: why for name in names if (name == holder) is not self.holds}


class ProcedureKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of procedure."""

    name: str
    summary: str
    parts: tuple[ProcedurePart, ...]
    ways: Callable[[ProcedureGiven], tuple[Way, ...]]


def _data_node(given: ProcedureGiven, part: str) -> str:
    """Return the node that was named for a part, which must hold data.

    Raises:
        NodeUnknown: there is no such node.
        ProcedureUnsuited: it holds no data.
    """
    name = given.named[part]
    if given.cluster.member(name).witness:
        raise ProcedureUnsuited(f"{name} is a witness: it holds no data, and runs no PostgreSQL", field=part)
    return name


def _switchover(given: ProcedureGiven) -> tuple[Way, ...]:
    primary, successor = _data_node(given, "primary"), _data_node(given, "successor")
    if primary == successor:
        raise ProcedureUnsuited(f"a switchover from {primary} to itself changes nothing", field="successor")
    ways = _distinct(planned(given.cluster, primary, successor), planned_bare(given.cluster, primary, successor))
    first = ways[0]
    forms = (replace(first, form="ahead"), replace(first, form="apart"))
    return (*forms, *(replace(way, form="ahead") for way in ways[1:]))


def _failover(given: ProcedureGiven) -> tuple[Way, ...]:
    candidate = _data_node(given, "candidate")
    lost = given.before or given.holder
    if not lost:
        raise ProcedureUnsuited("no node reports, so which primary is lost is not known", field="candidate")
    if lost == candidate:
        raise ProcedureUnsuited(f"{candidate} holds the newest grant itself: it needs no election", field="candidate")
    ways = _distinct(failover(given.cluster, lost, candidate), failover_bare(given.cluster, lost, candidate))
    return tuple(replace(way, remarks=(*way.remarks, *_further(given, lost, candidate))) for way in ways)


def _further(given: ProcedureGiven, lost: str, candidate: str) -> tuple[str, ...]:
    """Name the standbys that receive nothing any more and have more WAL than the candidate: these can be elected."""
    own = _end(given.facts.get(candidate))
    others = [name for name in given.cluster.data_nodes if name not in (lost, candidate)]
    ends = {name: _end(given.facts.get(name)) for name in others}
    return tuple(
        f"{name} has more WAL than {candidate}, which wal-prefix will not let be promoted with the pledge of {name}: "
        f"aerodb procedure failover {name}"
        for name, end in ends.items()
        if own is not None and end is not None and end > own
    )


def _end(facts: Facts | None) -> tuple[int, int] | None:
    """Return where the WAL of a node ends that receives none; None if it still does, or that is not known."""
    instance = facts.instance if facts is not None else None
    position = instance.position if instance is not None and instance.receiver is None else None
    return (position.term, position.lsn.value) if position is not None and position.term is not None else None


def _distinct(*ways: Way) -> tuple[Way, ...]:
    """Return the ways whose requests differ; what is different is not said of the only one."""
    found = {way.steps: way for way in reversed(ways)}
    if len(found) == 1:
        return (replace(ways[0], order=""),)
    return tuple(dict.fromkeys(ways))


def _give_up(given: ProcedureGiven) -> tuple[Way, ...]:
    grant = newest_grant(given.facts)
    if grant is None:
        raise ProcedureUnsuited("no node reports, so which election stands is not known")
    standing = {name: facts.standing.pledged for name, facts in given.facts.items()}
    pledged = {name for name, each in standing.items() if each.term > grant.term and name != grant.node}
    pledged |= {each.target for each in given.executed if each.action == "fence" and each.other == grant.node}
    fenced = [member.name for member in given.cluster.members if member.name in pledged]
    if not fenced:
        raise ProcedureUnsuited(
            f"no node that reports has pledged above term {grant.term}, which {grant.node} holds: no election stands"
        )
    return (given_up(given.cluster, grant.node, fenced),)


def _return(given: ProcedureGiven) -> tuple[Way, ...]:
    node, primary = _data_node(given, "node"), given.holder
    if not primary:
        raise ProcedureUnsuited("no node reports, so whom to return to is not known", field="node")
    if node == primary:
        raise ProcedureUnsuited(f"{node} holds the newest grant: it is the primary that others return to", field="node")
    orders = {"follow": "with the data that it has", "reclone": "with a new copy of the primary's data"}
    stop, start = Step(action="stop", target=node), Step(action="start", target=node)
    stopped = stop in given.executed and start not in given.executed  # For this, and not for other work on the node.
    before = (stop,) if stopped or _runs_as_primary(given.facts.get(node)) else ()
    return tuple(
        Way(steps=(*before, Step(action=action, target=node, other=primary)), stops=None, returns=None, order=order)
        for action, order in orders.items()
    )


def _runs_as_primary(facts: Facts | None) -> bool:
    """Tell whether a node stands as a primary and its PostgreSQL runs: then it follows nobody before it is stopped."""
    instance = facts.instance if facts is not None else None
    up = instance is not None and instance.state in (State.RUNNING, State.UNREACHABLE)
    return up and facts is not None and facts.standing.role == "primary"


def _maintenance(given: ProcedureGiven) -> tuple[Way, ...]:
    node = _data_node(given, "node")
    steps = (Step(action="stop", target=node), Step(action="start", target=node))
    if node != given.holder:
        return (Way(steps=steps, stops=None, returns=None, remarks=(f"the work on {node} is done between the two",)),)
    others = [name for name in given.cluster.data_nodes if name != node]
    remarks = (
        f"{node} is the primary, and writes stop while it is down; the work on it is done between the two",
        f"another way moves the primary first, and works on {node} before the last line: "
        f"{' or '.join(f'aerodb procedure switchover {node} {name}' for name in others)}",
    )
    return (Way(steps=steps, stops=0, returns=1, remarks=remarks if others else remarks[:1]),)


KINDS: dict[str, ProcedureKind] = {
    kind.name: kind
    for kind in (
        ProcedureKind(
            name="switchover",
            summary="A planned switchover: the primary moves while both nodes run.",
            parts=(
                ProcedurePart(name="primary", help="the primary that steps down", holds=True),
                ProcedurePart(name="successor", help="the standby that becomes the primary", holds=False),
            ),
            ways=_switchover,
        ),
        ProcedureKind(
            name="failover",
            summary="A failover: the primary is gone, and a standby is elected.",
            parts=(ProcedurePart(name="candidate", help="the standby that becomes the primary", holds=False),),
            ways=_failover,
        ),
        ProcedureKind(
            name="give-up-election",
            summary="An election is given up: the primary lives, and what was fenced comes back to it.",
            parts=(),
            ways=_give_up,
        ),
        ProcedureKind(
            name="return",
            summary="A node comes back to the primary, as a standby.",
            parts=(ProcedurePart(name="node", help="the node that comes back", holds=False),),
            ways=_return,
        ),
        ProcedureKind(
            name="maintenance",
            summary="A node's PostgreSQL is down for a while, and comes back as it was.",
            parts=(ProcedurePart(name="node", help="the node that is worked on"),),
            ways=_maintenance,
        ),
    )
}
"""All kinds of procedures, by name."""


def kind_named(name: str) -> ProcedureKind:
    """Return the kind of procedure called `name`.

    Raises:
        ProcedureUnknown: there is none.
    """
    found = KINDS.get(name)
    if found is None:
        raise ProcedureUnknown(f"there is no procedure {name!r}; there are {', '.join(KINDS)}", field="procedure")
    return found


def left_to_walk(ways: Sequence[Way], executed: Sequence[Step], *, held: bool = False) -> tuple[Way, ...]:
    """Return the orders that still can be walked: those that begin with just what was executed of any of them.

    If none does, the requests were executed in an order of their own, and all are returned. Where a promotion is `held`
    that was signed ahead, only those in which it is. Once a demotion is executed nothing can be signed ahead of it.
    """
    known = {step for way in ways for step in way.steps}
    done = tuple(step for step in executed if step in known)
    begun = tuple(way for way in ways if way.steps[: len(done)] == done) or tuple(ways)
    if any(step.action == "demote" for step in done):
        return _distinct(*(replace(way, form="") for way in begun))
    return (held and tuple(way for way in begun if way.form == "ahead")) or begun
