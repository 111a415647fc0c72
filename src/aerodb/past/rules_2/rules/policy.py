"""What a node remembers of the synchronous policies under which it served.

- If a primary is seen to serve under a weaker policy than configured, that is remembered durably, because this node may
  have acknowledged commits alone.
- It is forgotten once that no longer matters: the policy is right again, and as many synchronous standbys as it asks
  for have flushed the whole WAL; or another node was elected since, by rules that took it into account.

Pure: no I/O, no clock.
"""

from msgspec.structs import replace

from aerodb.past.rules_2.protocol.authority import Standing
from aerodb.past.rules_2.protocol.facts import Facts, Instance, State
from aerodb.past.rules_2.rules.condition import POLICY_SETTINGS


def changed(instance: Instance) -> tuple[str, ...]:
    """Return the policy settings of a node that are not as configured."""
    return tuple(name for name in POLICY_SETTINGS if name in instance.drift)


def serves_weakly(facts: Facts) -> bool:
    """Tell whether a node serves now as a primary under another policy than the configured one."""
    instance = facts.instance
    if instance is None or facts.standing.role != "primary":
        return False
    return instance.state is State.RUNNING and instance.recovery is False and bool(changed(instance))


def may_have_acknowledged_alone(facts: Facts) -> bool:
    """Tell whether a node reports that it serves, or has served, under a weaker policy."""
    return facts.standing.weakened or serves_weakly(facts)


def _all_flushed(instance: Instance, count: int) -> bool:
    """Tell whether `count` synchronous standbys have flushed the whole WAL, as of the look."""
    if instance.position is None:
        return False
    end = instance.position.lsn
    flushed = [
        each.node
        for each in instance.senders
        if each.sync_state in {"sync", "quorum"} and each.flushed is not None and each.flushed >= end
    ]
    return len(flushed) >= count


def remembered(facts: Facts, quorum: int) -> Standing:
    """Return the standing updated with what the facts show of the policy; `quorum` is the configured k."""
    standing, instance = facts.standing, facts.instance
    if serves_weakly(facts):
        return replace(standing, weakened=True)
    if not standing.weakened or standing.role != "primary" or instance is None:
        return standing
    serves = instance.state is State.RUNNING and instance.recovery is False
    return replace(standing, weakened=not (serves and _all_flushed(instance, quorum)))
