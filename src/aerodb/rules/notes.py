"""What a plan points out beyond its verdicts: facts that an operator at the console would want to have seen.

Pure: no I/O, no clock.
"""

from aerodb.protocol.facts import State
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
        (load.logical_slots, "logical slot(s) stay on this node and are not carried over"),
    )
    return tuple(f"{count} {what}." for count, what in parts if count)


def before_a_shutdown(view: View) -> tuple[str, ...]:
    """Say what stopping the target interrupts."""
    return (*work_in_progress(view), *promoted_by_hand(view))


def promoted_by_hand(view: View) -> tuple[str, ...]:
    """Say where the target stands as a standby, and its PostgreSQL takes writes all the same."""
    instance = view.own.facts.instance
    if view.own.facts.standing.role != "standby" or instance is None or instance.recovery is not False:
        return ()
    return (
        f"PostgreSQL on {view.node} was promoted by hand: it takes writes that no standby acknowledges, and that its "
        "folder alone holds.",
    )


def upstream_state(view: View) -> tuple[str, ...]:
    """Say where the upstream's PostgreSQL is not running, so that there is nothing to stream from yet."""
    upstream = view.argument("upstream")
    peer = view.peers.get(upstream)
    instance = peer.facts.instance if peer else None
    if instance is None or instance.state is State.RUNNING:
        return ()
    return (f"PostgreSQL on {upstream} is {instance.state}: there is nothing to stream from until it runs.",)
