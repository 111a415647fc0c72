"""What a plan points out beyond its verdicts: facts that an operator at the console would want to have seen.

Pure: no I/O, no clock.
"""

from aerodb.protocol.facts import Instance, State
from aerodb.rules.view import View


def _running_primary(view: View) -> tuple[str, Instance] | None:
    for name, peer in view.everyone().items():
        instance = peer.facts.instance
        if peer.facts.standing.role == "primary" and instance and instance.state is State.RUNNING:
            return name, instance
    return None


def commits_wait_without(view: View) -> tuple[str, ...]:
    """Say whether commits on the primary would wait once the target acknowledges nothing more."""
    primary = _running_primary(view)
    if primary is None or view.cluster.quorum == 0:
        return ()
    name, instance = primary
    left = [each.node for each in instance.senders if each.state == "streaming" and each.node != view.node]
    if len(left) >= view.cluster.quorum:
        return (f"{name} keeps {len(left)} streaming standby(s) without {view.node}: {', '.join(left)}.",)
    return (
        f"Commits on {name} will wait: it needs {view.cluster.quorum} synchronous standby(s) and keeps {len(left)} "
        f"without {view.node}.",
    )


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
    """Say what stopping the target interrupts, and who then waits."""
    if view.own.facts.standing.role == "primary":
        return work_in_progress(view)
    return (*commits_wait_without(view), *work_in_progress(view), *promoted_by_hand(view))


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
