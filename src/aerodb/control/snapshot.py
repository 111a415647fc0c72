"""A snapshot: every agent's facts, read twice.

Where the structural facts differ, they are not one state, and no plan is made from them; they are never mixed.

Nor are the words of two versions of the rules: where not every node speaks the newest, all are read again in the newest
that all speak, and who does not answer in the rules of the snapshot counts as silent in it.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import msgspec

from aerodb.control.agents import Agents, Read, Rules
from aerodb.control.errors import SnapshotInconsistent
from aerodb.control.sharing import SharedReads
from aerodb.errors import AeroError
from aerodb.past.speaking import SPOKEN, RulesApart, both_speak, named, rules_told, telling
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import structural
from aerodb.protocol.plan import Plan, Snapshot, late_nonce
from aerodb.protocol.signed import Signed
from aerodb.rules.explain import LOOK_ID
from aerodb.rules.invariants import RULES
from aerodb.rules.view import Peer, open_report
from aerodb.tracing import span

T = TypeVar("T")


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """The second of two reads, what its reports say, and the nodes whose structural facts differ between the two.

    `rules` are those in which all its reports are; `speaking` are those that each node spoke when it was free to choose
    from what it was asked in.
    """

    snapshot: Snapshot
    everyone: dict[str, Peer]
    differ: tuple[str, ...]
    rules: str
    speaking: dict[str, str]

    def earlier(self, speaks: Rules) -> dict[str, str] | msgspec.UnsetType:
        """Return who speaks earlier rules than the control plane, and which, for who speaks these; unset: nobody."""
        found = {name: rules for name, rules in self.speaking.items() if rules != RULES}
        return found if found and RULES in speaks else msgspec.UNSET


def asked_for(cluster: Cluster, speaks: Rules) -> Rules:
    """Return the rules in which nodes are asked for who speaks these, the newest first.

    None of them is without words for the newest version of the configuration: so a node that is behind the others'
    release is silent in what is read, and holds up nobody who can say what they have taken.

    Raises:
        RulesApart: who asks speaks none of those.
    """
    own = "the control plane" if cluster.version == 1 else f"version {cluster.version} of the configuration"
    return both_speak(telling(SPOKEN, cluster), speaks, (own, "who asks"))


def collect(cluster: Cluster, agents: Agents, nonce: str, asked: Rules = SPOKEN) -> Collected:
    """Return two reads as one snapshot, in the newest of the rules that are asked in which all who answer speak."""
    reads = _read_in(cluster, agents, nonce, asked)
    speaking = {name: peer.facts.rules for name, peer in reads[2].items()}
    met = tuple(each for each in asked if each in speaking.values()) or asked[:1]
    if len(met) > 1:
        reads = _read_in(cluster, agents, nonce, met[-1:])
    read, before, everyone = reads
    differ = tuple(name for name in (member.name for member in cluster.members) if not _agree(name, before, everyone))
    snapshot = _snapshot(cluster, nonce, read, everyone)
    return Collected(snapshot=snapshot, everyone=everyone, differ=differ, rules=met[-1], speaking=speaking)


class SharedLooks:
    """Looks at the whole cluster, which all who ask at once share: none of them gets one that began before it asked."""

    def __init__(self, agents: Agents, cluster: Callable[[], Cluster]) -> None:
        """Look under the newest version of the configuration, which `cluster` returns."""
        self._agents, self._cluster = agents, cluster
        self._reads = defaultdict[Rules, SharedReads[Collected]](SharedReads)

    def now(self, speaks: Rules) -> Collected:
        """Return two reads that begin from now on, for who speaks these rules.

        Raises:
            RulesApart: who asks speaks none of ours.
        """
        asked = asked_for(self._cluster(), speaks)
        return self._reads[asked].now(lambda: collect(self._cluster(), self._agents, LOOK_ID, asked))


def _read_in(
    cluster: Cluster, agents: Agents, nonce: str, asked: Rules
) -> tuple[Read, dict[str, Peer], dict[str, Peer]]:
    """Return the second of two reads in these rules, and what the reports of the first and of the second say."""
    first, second = (_told_in(asked, each) for each in agents.read_twice(nonce, asked))
    before = _opened(cluster, first[0], nonce, {})
    # Of most nodes nothing has changed; the same bytes under the same signature say the same.
    same = {name: peer for name, peer in before.items() if first[0][name] == second[0].get(name)}
    return second, before, _opened(cluster, second[0], nonce, same)


def _told_in(asked: Rules, read: Read) -> Read:
    """Return a read in which whoever answered in other rules than these is missing."""
    reports, missing = read
    other = {name: rules for name, signed in reports.items() if (rules := rules_told(signed)) not in asked}
    why = {name: _apart(rules, asked) for name, rules in other.items()}
    return {name: each for name, each in reports.items() if name not in other}, {**missing, **why}


def _apart(rules: str, asked: Rules) -> str:
    """Say of a node that answered why its report is not taken."""
    speaks = f"it speaks {named((rules,))}" if rules else "its report is in the form of no rules"
    return f"{RulesApart.code}: {speaks}, and was asked in {named(asked)}"


def collect_late(cluster: Cluster, agents: Agents, plan: Plan, record: str, *, itself: bool = False) -> Collected:
    """Return what the nodes that a plan rests on say now that its confirmation's `record` is in the log.

    One read, since nothing is planned from it: each node that judges by it judges one report of each peer. Who was
    silent when the plan was made is not waited for again, in an outage least of all: no verdict rests on it.

    With `itself` the plan's own node is asked too, so that it looks while the others do. What it says is among what
    `everyone` says, and is not in the snapshot: it judges by what it knows itself.
    """
    nonce, target = late_nonce(record), plan.request.target
    asked = (*plan.reports, target) if itself else tuple(plan.reports)
    with span("late", request=plan.request.id):
        read = _told_in((plan.rules,), agents.read_late(asked, nonce, (plan.rules,)))
        everyone = _opened(cluster, read[0], nonce, {})
        others = _without(target, read[0]), _without(target, read[1])
        snapshot = _snapshot(cluster, nonce, others, _without(target, everyone))
        return Collected(snapshot=snapshot, everyone=everyone, differ=(), rules=plan.rules, speaking={})


def _without(node: str, of_each: dict[str, T]) -> dict[str, T]:
    return {name: each for name, each in of_each.items() if name != node}


def _snapshot(cluster: Cluster, nonce: str, read: Read, everyone: dict[str, Peer]) -> Snapshot:
    """Return a read as a snapshot; `everyone` are the nodes whose reports could be verified."""
    reports, missing = read
    genuine = {name: reports[name] for name in everyone}
    forged = {name: "its report cannot be verified" for name in reports if name not in genuine}
    return Snapshot(cluster=cluster.id, nonce=nonce, reports=genuine, missing={**missing, **forged})


def _agree(name: str, before: dict[str, Peer], now: dict[str, Peer]) -> bool:
    """Tell whether two reads say the same of a node's structure, or both nothing."""
    pair = before.get(name), now.get(name)
    return pair[0] is pair[1] or (
        pair[0] is not None and pair[1] is not None and structural(pair[0].facts) == structural(pair[1].facts)
    )


def _opened(cluster: Cluster, reports: dict[str, Signed], nonce: str, known: dict[str, Peer]) -> dict[str, Peer]:
    """Return what reports say, in the configuration's order; `known` are those that have been verified already."""
    found = {}
    for member in cluster.members:
        if member.name in known:
            found[member.name] = known[member.name]
        elif member.name in reports:
            with suppress(AeroError):  # What cannot be verified was not said.
                found[member.name] = open_report(cluster, member.name, reports[member.name], nonce)
    return found


def collect_consistent(cluster: Cluster, agents: Agents, nonce: str, asked: Rules = SPOKEN) -> Collected:
    """Return a snapshot whose two reads agree, in the newest of these rules that all who answer speak.

    Raises:
        SnapshotInconsistent: they do not.
    """
    with span("snapshot"):
        collected = collect(cluster, agents, nonce, asked)
        if collected.differ:
            raise SnapshotInconsistent(f"changed between two reads: {', '.join(collected.differ)}; ask again")
    return collected
