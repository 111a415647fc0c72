"""What is to be known of nodes that are only watched: that nothing is asked of them, and who receives beside members.

Pure: no I/O, no clock.
"""

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.watched import Stranger
from aerodb.rules.watching import taking_writes, watched_of
from aerodb.views.observed import Observed
from aerodb.views.unusual import UNKNOWN_SINCE, Unusual

ASKED = "aerodb readiness"
"""The command that says what stands between watching and taking charge."""
REJECTED = f"Only watched: every action is rejected. What stands between: {ASKED}"


def watched_notice(cluster: Cluster) -> str:
    """Return what is to be known where actions are offered: that all of a cluster that is only watched are rejected.

    It is empty of any other cluster.
    """
    return REJECTED if cluster.watched else ""


def stranger_text(stranger: Stranger) -> str:
    """Return who receives WAL and is no member: its address, and the name that it gives itself."""
    return f"{stranger.address or 'a local socket'} ({stranger.application or 'of no name'})"


def watched_remarks(observed: Observed) -> list[Unusual]:
    """Return what is to be known of nodes that are only watched; nothing where none is."""
    watched = {name: told for name, facts in observed.facts.items() if (told := watched_of(facts)) is not None}
    if not watched:
        return []
    found = list[Unusual]()
    alone = taking_writes({name: observed.facts[name] for name in watched})
    if len(alone) > 1:
        found.append(Unusual("bad", f"{' and '.join(alone)} take writes at once: their histories part", UNKNOWN_SINCE))
    for name, each in watched.items():
        found += [
            Unusual("plain", f"{name} sends WAL to {stranger_text(other)}, which is no member", "", name)
            for other in each.strangers
        ]
    some = "" if len(watched) == len(observed.facts) else f"{', '.join(watched)}: "
    return [*found, Unusual("plain", f"{some}{REJECTED}")]
