"""What is unusual of the nodes together, and of none of them alone: two that serve, a pledge that nobody was granted.

What one node says of itself may be right by all that it knows, and wrong by what another one's signed report shows.
Pure: no I/O, no clock.
"""

from aerodb.protocol.authority import Candidacy
from aerodb.protocol.facts import Facts, State
from aerodb.rules.conditions import Condition
from aerodb.rules.position import is_of
from aerodb.rules.watching import watched_of
from aerodb.rules.writes import WAIT_SECONDS, newest_grant, parted
from aerodb.views.observed import Observed, Remark, being_promoted, deposed, primary_of
from aerodb.views.unusual import UNKNOWN_SINCE, Unusual, since


def across_remarks(observed: Observed) -> list[Unusual]:
    """Return what is unusual in what the nodes' reports say of one another, as whole sentences."""
    found = list[Unusual]()
    for name, facts in observed.facts.items():
        apart = [*_serving_remarks(name, facts, observed), *_upstream_remarks(name, facts, observed)]
        found += [Unusual(style, text, UNKNOWN_SINCE, name) for style, text in apart]
        found += [Unusual(style, text, "", name) for style, text in _waiting_remarks(name, facts, observed)]
        pledged = since(facts, Condition.PLEDGED)
        found += [Unusual(style, text, pledged, name) for style, text in _pledge_remarks(name, facts, observed)]
    together = [*_rival_grants(observed), *_system_remarks(observed)]
    return [*(Unusual(style, text, UNKNOWN_SINCE) for style, text in together), *found]


def _serving_remarks(name: str, facts: Facts, observed: Observed) -> list[Remark]:
    """Return that a node serves as a primary and is none, or is one by its standing and does not serve as one."""
    above, instance = deposed(facts, observed), facts.instance
    if above is not None:
        seen = "runs" if instance is not None and instance.recovery is False else "may run"
        known = f"term {above.term} is granted to {above.node}, as {' and '.join(_knowing(above, observed))} said"
        return [("bad", f"{name} {seen} as a primary, and is none: {known}; aerodb stop {name} would end that")]
    if instance is None or instance.state is not State.RUNNING:
        return []
    if watched_of(facts) is not None:  # It stands for nothing.
        return []
    if facts.standing.role == "standby" and instance.recovery is False and not being_promoted(facts):
        return [("bad", f"{name} stands as a standby, and its PostgreSQL takes writes: it was promoted by hand")]
    if facts.standing.role == "primary" and instance.recovery:
        return [("bad", f"{name} stands as a primary, and its PostgreSQL is in recovery: it takes no writes")]
    return []


def _knowing(grant: Candidacy, observed: Observed) -> tuple[str, ...]:
    return tuple(name for name, facts in observed.facts.items() if facts.standing.granted == grant)


def _waiting_remarks(name: str, facts: Facts, observed: Observed) -> list[Remark]:
    """Return that commits wait on a node: at once where nobody can flush for it, else where they wait long."""
    load = facts.instance.load if facts.instance else None
    if load is None or not load.waiting_commits:
        return []
    if load.longest_wait_seconds < WAIT_SECONDS and deposed(facts, observed) is None:
        return []
    wait = "commit waits" if load.waiting_commits == 1 else "commits wait"
    text = f"{load.waiting_commits} {wait} on {name}, the oldest for {load.longest_wait_seconds} s: not acknowledged"
    return [("bad", text)]


def _upstream_remarks(name: str, facts: Facts, observed: Observed) -> list[Remark]:
    """Return that a node receives from one that is no primary any more, or that its WAL has parted from the primary's.

    Who receives from a deposed primary can still flush for it.
    """
    instance, found = facts.instance, list[Remark]()
    upstream = observed.facts.get(instance.attached or "") if instance else None
    above = deposed(upstream, observed) if upstream else None
    if upstream is not None and above is not None:
        text = f"{name} is attached to {upstream.node}, which is no primary: it can flush commits for it"
        found.append(("bad", text))
    primary = primary_of(observed)
    theirs = primary.instance if primary else None
    if primary is None or theirs is None or primary.node == name or instance is None:
        return found
    if is_of(facts.standing, instance.identity) and parted(facts, theirs):
        text = f"{name} holds WAL that is no part of {primary.node}'s, the primary: it cannot follow it as it is"
        found.append(("bad", text))
    return found


def _pledge_remarks(name: str, facts: Facts, observed: Observed) -> list[Remark]:
    """Return that a node has pledged a term that nobody is known to have been granted, nor any above it.

    That the node itself has not heard of the grant is nothing unusual: it learns of it when it next follows somebody.
    """
    pledged, newest = facts.standing.pledged, newest_grant(observed.facts)
    if newest is None or pledged.term <= newest.term:
        return []
    return [
        ("warn", f"{name} has pledged term {pledged.term} to {pledged.node}, not granted as far as who reports knows")
    ]


def _rival_grants(observed: Observed) -> list[Remark]:
    """Return the terms that two nodes were granted, as reports say: no proof stands as long as that is so."""
    by_term = dict[int, dict[str, list[str]]]()
    for name, facts in observed.facts.items():
        granted = facts.standing.granted
        by_term.setdefault(granted.term, {}).setdefault(granted.node, []).append(name)
    return [
        ("bad", f"Term {term} is granted to {' and to '.join(sorted(nodes))}, as their reports say: trust neither")
        for term, nodes in sorted(by_term.items())
        if term and len(nodes) > 1
    ]


def _system_remarks(observed: Observed) -> list[Remark]:
    """Return which nodes hold which database system, where it is not one and the same."""
    there = {name: facts.instance for name, facts in observed.facts.items() if facts.instance is not None}
    systems = {name: instance.system for name, instance in there.items() if instance.system}
    if len(set(systems.values())) < 2:
        return []
    each = ", ".join(f"{name} {system}" for name, system in systems.items())
    return [("bad", f"The nodes hold different database systems: {each}")]
