"""A plan's notes: facts beyond its verdicts that an operator would want to know.

Pure: no I/O, no clock.
"""

from aerodb.protocol.facts import Facts, State
from aerodb.rules.carrying import bound_of, carried_over, carrying_of, taken_over
from aerodb.rules.replaying import ahead, hold_ups, nearly_full, sized
from aerodb.rules.view import View


def work_in_progress(view: View) -> tuple[str, ...]:
    """Say what a shutdown of the target interrupts."""
    instance = view.own.facts.instance
    load = instance.load if instance else None
    if load is None:
        return ()
    parts = (
        (load.prepared_transactions, "prepared transaction(s) stay prepared across the change"),
        (load.backups, "running backup(s) will fail"),
    )
    return tuple(f"{count} {what}." for count, what in parts if count)


def logical_slots(view: View) -> tuple[str, ...]:
    """Say how many logical slots of the target nobody can read while it is down."""
    instance = view.own.facts.instance
    count = instance.load.logical_slots if instance and instance.load else 0
    return (f"{count} logical slot(s) stay on {view.node}: nobody can read them while it is down.",) if count else ()


def before_a_shutdown(view: View) -> tuple[str, ...]:
    """Say what stopping the target interrupts, and what will delay it."""
    return (*work_in_progress(view), *logical_slots(view), *held_up(view), *promoted_by_hand(view))


def before_a_demotion(view: View) -> tuple[str, ...]:
    """Say what a demotion interrupts, what will delay it, what stays behind, and what the successor lacks."""
    return (
        *carried_over(view, view.argument("for")),
        *work_in_progress(view),
        *held_up(view),
        *promoted_by_hand(view),
        *pinning(view, view.node, view.own.facts),
        *unlogged(view),
        *short_of_room(view, view.argument("for")),
    )


def before_a_promotion(view: View) -> tuple[str, ...]:
    """Say what the promotion does not carry over, and what stays behind on other nodes."""
    behind = (note for name, peer in view.peers.items() for note in pinning(view, name, peer.facts))
    return (*taken_over(view), *unlogged(view), *escaping(view), *behind, *short_of_room(view, view.node))


def held_up(view: View) -> tuple[str, ...]:
    """Say which receivers a shutdown of the target waits for, if that can take long."""
    instance = view.own.facts.instance
    if instance is None:
        return ()
    longer = tuple(
        f"{each} streams from {view.node}, and its WAL is longer than what it was sent: as long as that is so, "
        f"PostgreSQL on {view.node} does NOT SHUT DOWN before {each} is fenced, is stopped, or follows another node."
        for each in ahead(instance)
    )
    if instance.recovery is not False:
        return longer
    return longer + tuple(
        f"{each}: PostgreSQL on {view.node} has shut down only when it has received everything, or after "
        "wal_sender_timeout (60 s unless it was changed)."
        for each in hold_ups(instance)
    )


def pinning(view: View, node: str, facts: Facts) -> tuple[str, ...]:
    """Say which slots stay on a node, and how much of its WAL they keep."""
    slots = facts.instance.keeping.slots if facts.instance else None
    if not slots:
        return ()
    kinds = ", ".join(
        f"{count} {kind}" for kind in ("physical", "logical") if (count := sum(each.kind == kind for each in slots))
    )
    held = max((each.held_bytes or 0 for each in slots), default=0)
    own = view.own.facts.instance.keeping.slots if view.own.facts.instance else None
    none = node != view.node and own is not None and not {each.name for each in own} & {each.name for each in slots}
    return (
        f"Replication slots stay on {node} ({kinds}): they keep {sized(held)} of WAL now, and more as its WAL grows"
        f"{bound_of(facts)}, until they are used or dropped there{f'; {view.node} has none of them' if none else ''}.",
    )


def unlogged(view: View) -> tuple[str, ...]:
    """Say which data no standby has: unlogged relations are empty on the node that is promoted."""
    counts = [
        peer.facts.instance.keeping.unlogged for peer in view.everyone().values() if peer.facts.instance is not None
    ]
    most = max((each for each in counts if each is not None), default=0)
    if any(each is None for each in counts) and most == 0:
        return ("Whether there are unlogged tables is not known; if there are, they are empty afterwards.",)
    if most == 0:
        return ()
    return (f"{most} relation(s) are UNLOGGED (tables, their indexes, sequences): they are EMPTY afterwards.",)


def escaping(view: View) -> tuple[str, ...]:
    """Say on which nodes a role or a database has a weaker synchronous_commit: its commits are not covered."""
    found = [
        name
        for name, peer in view.everyone().items()
        if peer.facts.instance and any("of a role or database" in each for each in peer.facts.instance.drift)
    ]
    if not found:
        return ()
    return (
        "A role or a database has a synchronous_commit of its own that waits for no standby's flush "
        f"(seen on {', '.join(found)}): its commits are not covered by what is said to be lost.",
    )


def short_of_room(view: View, node: str) -> tuple[str, ...]:
    """Say if the disk of the node that is to take the writes is nearly full."""
    peer = view.everyone().get(node)
    little = nearly_full(peer.facts) if peer else ""
    return (f"The disk of {node} is nearly full: {little}.",) if little else ()


def promoted_by_hand(view: View) -> tuple[str, ...]:
    """Say if the target stands as a standby although its PostgreSQL takes writes."""
    instance = view.own.facts.instance
    if view.own.facts.standing.role != "standby" or instance is None or instance.recovery is not False:
        return ()
    return (
        f"PostgreSQL on {view.node} was promoted by hand: it takes writes that no standby acknowledges, and that its "
        "folder alone holds.",
    )


def upstream_state(view: View) -> tuple[str, ...]:
    """Say if there is nothing to stream from yet: the upstream does not run, or lacks the slot that it is asked for."""
    upstream = view.argument("upstream")
    peer = view.peers.get(upstream)
    instance = peer.facts.instance if peer else None
    carrying, slots = carrying_of(view.own.facts), instance.keeping.slots if instance else None
    asked = carrying.asks_slot if carrying else ""
    if asked and slots is not None and asked not in {each.name for each in slots if each.kind == "physical"}:
        return (
            f"{upstream} has no slot {asked}, which {view.node} asks for (primary_slot_name): {view.node} RECEIVES "
            "NOTHING, and flushes for no commit, until that slot is made there, or the setting taken out.",
        )
    if instance is None or instance.state is State.RUNNING:
        return ()
    return (f"PostgreSQL on {upstream} is {instance.state}: there is nothing to stream from until it runs.",)
