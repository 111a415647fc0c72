"""What a node remembers of the synchronous policy under which it served.

- Seen weaker than configured while the node serves as a primary, it is remembered, durably: a commit may have been
  acknowledged by this node alone.
- It is forgotten once nothing of that is left: the policy is right again, and as many synchronous standbys as it names
  have flushed all of the WAL; or another node was elected since, by rules that counted it.

Pure: no I/O, no clock.
"""

from msgspec.structs import replace

from aerodb.protocol.authority import Standing
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.rules.condition import POLICY_SETTINGS


def changed(instance: Instance) -> tuple[str, ...]:
    """Return which settings of a node are not the policy of the configuration."""
    return tuple(name for name in POLICY_SETTINGS if name in instance.drift)


def serves_weakly(facts: Facts) -> bool:
    """Tell whether a primary runs now under another policy than the configuration's."""
    instance = facts.instance
    if instance is None or facts.standing.role != "primary":
        return False
    return instance.state is State.RUNNING and instance.recovery is False and bool(changed(instance))


def may_have_acknowledged_alone(facts: Facts) -> bool:
    """Tell whether a node says that it serves, or has served, under a weaker policy."""
    return facts.standing.weakened or serves_weakly(facts)


def _all_flushed(instance: Instance, count: int) -> bool:
    """Tell whether `count` synchronous standbys have flushed the WAL as far as it went when it was looked at."""
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
    """Return the standing with what the facts show of the policy in force; `quorum` is the k that is configured."""
    standing, instance = facts.standing, facts.instance
    if serves_weakly(facts):
        return replace(standing, weakened=True)
    if not standing.weakened or standing.role != "primary" or instance is None:
        return standing
    serves = instance.state is State.RUNNING and instance.recovery is False
    return replace(standing, weakened=not (serves and _all_flushed(instance, quorum)))
