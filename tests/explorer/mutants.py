"""Rules with one part dropped: the explorer must find what each part is there for.

- A mutant drops one verdict of one action, or one step of one operation; everything else stays the real code.
- `REDUNDANT` names what no mutant can show, with the reason.
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Grant, Pledge, Standing
from aerodb.protocol.facts import Facts
from aerodb.protocol.signed import Signed
from aerodb.rules.invariants import Invariant
from aerodb.rules.untold import is_untold
from aerodb.rules.view import View
from tests.explorer.hands import MemoryHands
from tests.explorer.orders import Dropped, always
from tests.explorer.sizes import FIVE, RECLONED, REPLACED, SIGNED_AHEAD
from tests.explorer.world import Bounds


class Mutant(NamedTuple):
    """One mutant: its name, what is dropped, and the bounds within which its harm shows soonest."""

    name: str
    dropped: Dropped
    bounds: Bounds


class ReceiverUncut(MemoryHands):
    """Hands that pledge with the receiver still working."""

    def detach(self) -> None:
        """Leave the receiver as it is."""


class PledgeUnwritten(MemoryHands):
    """Hands that keep a pledge to oneself in memory until the promotion is over."""

    def write_standing(self, standing: Standing) -> None:
        """Write, unless it is a pledge of a node that is to be promoted."""
        if not (standing.pledged == self._own_candidacy() and standing.granted.term < self._term):
            super().write_standing(standing)

    def _own_candidacy(self) -> Candidacy:
        return Candidacy(term=self._term, node=self._name)


class FollowedUnwritten(MemoryHands):
    """Hands that attach a node without noting durably whom it follows, and in which term."""

    def write_standing(self, standing: Standing) -> None:
        """Write, with what it followed before."""
        before = self.node.standing.followed
        super().write_standing(replace(standing, followed=before if self._action == "follow" else standing.followed))


class Unbound(MemoryHands):
    """Hands to which what a node may have acknowledged is only what its log shows."""

    @staticmethod
    def see(facts: Facts) -> Facts:
        """Return the facts without the position's bound."""
        instance = facts.instance
        if instance is None or instance.position is None:
            return facts
        position = replace(instance.position, bound=instance.position.term)
        return replace(facts, instance=replace(instance, position=position))


class SinceForgotten(MemoryHands):
    """Hands that sign pledges without the candidacies pledged since the last grant."""

    def sign(self, document: Pledge | Grant, rules: str) -> Signed:
        """Sign, with `since` left empty."""
        return super().sign(replace(document, since=()) if isinstance(document, Pledge) else document, rules)


class GrantForgotten(MemoryHands):
    """Hands that sign pledges without the last grant that the node was told of."""

    def sign(self, document: Pledge | Grant, rules: str) -> Signed:
        """Sign, with the first grant in the last one's place."""
        first = Candidacy(term=1, node=self._cluster.genesis)
        return super().sign(replace(document, granted=first) if isinstance(document, Pledge) else document, rules)


class Unstopped(MemoryHands):
    """Hands that leave PostgreSQL running where an operation shuts it down."""

    def stop(self) -> None:
        """Do nothing."""


class CopiesFirst(MemoryHands):
    """Hands that copy a folder while the old one goes on acknowledging, and owe nothing for it afterwards."""

    def detach(self) -> None:
        """Leave the receiver as it is while a folder is replaced."""
        if self._action != "reclone":
            super().detach()

    def write_standing(self, standing: Standing) -> None:
        """Write, with nothing owed."""
        super().write_standing(replace(standing, owed=None))


class StrayUnseen(MemoryHands):
    """Hands to which a folder that was promoted past its agent is like any other."""

    @staticmethod
    def see(facts: Facts) -> Facts:
        """Return the facts without what the control file shows."""
        return replace(facts, instance=replace(facts.instance, served=None)) if facts.instance else facts


def _fences_a_primary(action: str, view: View) -> bool:
    return action == "fence" and view.own.facts.standing.role == "primary"


def _is_untold(action: str, view: View) -> bool:
    return action in {"fence", "promote"} and any(is_untold(peer.facts) for peer in view.everyone().values())


def _verdict(action: str, *invariants: Invariant, when: Callable[[View], bool] = always) -> Dropped:
    return Dropped(verdicts=frozenset((action, str(invariant)) for invariant in invariants), when=when)


def _upstream_is(role: str) -> Callable[[View], bool]:
    def judge(view: View) -> bool:
        peer = view.peers.get(view.argument("upstream"))
        return peer is not None and peer.facts.standing.role == role

    return judge


SMALL = Bounds(terms=2, actions=("fence", "promote", "follow", "start"))
THREE = Bounds(terms=3, actions=("fence", "promote", "follow", "renew"))
WITNESS = Bounds(data=2, witness=True, terms=2)
TWICE = ("fence n3 for n2 in term 2", "promote n2 in term 2", "fence n3 for n1 in term 3", "renew n1 in term 3")
"""n2 is elected, and then n1, which never stopped, is renewed above it."""
THRICE = (*TWICE, "follow n3 to n1", "fence n3 for n2 in term 4", "renew n2 in term 4")
"""Then n3 follows n1, and then n2 is renewed above it."""
AGAIN = ("demote n1 for n2 in term 2", "promote n2 in term 2", "fence n1 for n3 in term 3", "promote n3 in term 3")
"""n1 steps down for n2, and n3 is elected after that."""

RULES = (
    Mutant("election-quorum of promote", _verdict("promote", Invariant.ELECTION_QUORUM), SMALL._replace(quorum=2)),
    Mutant("election-quorum of renew", _verdict("renew", Invariant.ELECTION_QUORUM), THREE),
    Mutant("commit-quorum of promote", _verdict("promote", Invariant.COMMIT_QUORUM), SMALL._replace(quorum=0)),
    Mutant("wal-prefix of promote", _verdict("promote", Invariant.WAL_PREFIX), SMALL),
    Mutant(
        "wal-prefix of renew",
        _verdict("renew", Invariant.WAL_PREFIX),
        THREE._replace(
            requests=(
                "fence n2 for n3 in term 2",
                "promote n3 in term 2",
                "follow n2 to n3",
                "fence n2 for n1 in term 3",
                "renew n1 in term 3",
            ),
        ),
    ),
    Mutant("every data node's pledge at a renewal", _verdict("renew", Invariant.COMMIT_QUORUM), FIVE),
    Mutant("term-rises of fence", _verdict("fence", Invariant.TERM_RISES), WITNESS),
    Mutant(
        "term-rises and candidacy-stands of promote",
        _verdict("promote", Invariant.TERM_RISES, Invariant.CANDIDACY_STANDS),
        THREE._replace(terms=2, stale=1),
    ),
    Mutant(
        "upstream-authority of follow, where the upstream is a primary",
        _verdict("follow", Invariant.UPSTREAM_AUTHORITY, when=_upstream_is("primary")),
        THREE,
    ),
    Mutant(
        "upstream-authority of follow, where the upstream is a standby, and late reports",
        _verdict("follow", Invariant.UPSTREAM_AUTHORITY, when=_upstream_is("standby"))._replace(unlate=True),
        THREE._replace(
            stale=1,
            requests=(*TWICE, "follow n3 to n2"),
        ),
    ),
    Mutant(
        "wal-ancestry of follow",
        _verdict("follow", Invariant.WAL_ANCESTRY),
        THREE._replace(
            writes=0,
            crashes=2,
            requests=(
                "fence n3 for n2 in term 2",
                "promote n2 in term 2",
                "follow n1 to n2",
                "fence n1 for n3 in term 3",
                "promote n3 in term 3",
                "follow n2 to n3",
            ),
        ),
    ),
    Mutant("no-higher-grant of start", _verdict("start", Invariant.NO_HIGHER_GRANT), SMALL._replace(crashes=1)),
    Mutant(
        "no-higher-grant of restart",
        _verdict("restart", Invariant.NO_HIGHER_GRANT),
        SMALL._replace(stops=1, cuts=1, actions=("fence", "promote", "restart")),
    ),
    Mutant("the receiver's cut before a pledge", Dropped(hands=ReceiverUncut), SMALL),
    Mutant("the pledge's write before a promotion", Dropped(hands=PledgeUnwritten), SMALL._replace(cuts=1, crashes=1)),
    Mutant(
        "the grant's write before attaching",
        Dropped(hands=FollowedUnwritten),
        THREE._replace(terms=4, requests=THRICE),
    ),
    Mutant(
        "a position's bound",
        Dropped(hands=Unbound),
        THREE._replace(terms=4, requests=THRICE),
    ),
    Mutant(
        "since in a pledge",
        Dropped(hands=SinceForgotten),
        Bounds(
            quorum=0,
            stops=1,
            requests=AGAIN,
        ),
    ),
    Mutant(
        "the last grant in a pledge",
        Dropped(hands=GrantForgotten),
        Bounds(
            quorum=0,
            stops=1,
            requests=(*AGAIN, "follow n1 to n2"),
        ),
    ),
    Mutant(
        "the shutdown before a demotion's pledge",
        Dropped(hands=Unstopped),
        Bounds(quorum=0, terms=2, stops=1, actions=("demote", "promote")),
    ),
)

PAIR = Bounds(data=2, witness=True, terms=2)
ELECTS = ("fence w for n2 in term 2", "promote n2 in term 2")
"""With two data nodes and a witness, n2 is elected."""

FAULTS = (
    Mutant(
        "the end of acknowledging before a copy, and what is owed after it",
        Dropped(hands=CopiesFirst),
        PAIR._replace(copies=1, cuts=1, actions=RECLONED, requests=("reclone n2 from n1", *ELECTS)),
    ),
    Mutant(
        "pledges-kept of promote",
        _verdict("promote", Invariant.PLEDGES_KEPT),
        Bounds(terms=2, stops=1, hands=1, by_hand=("start",), requests=("demote n1 for n2 in term 2", ELECTS[1])),
    ),
    Mutant(
        "policy-known of start",
        _verdict("start", Invariant.POLICY_KNOWN),
        PAIR._replace(weakenings=1, crashes=1, requests=("start n1", *ELECTS)),
    ),
    Mutant(
        "whether a folder has strayed",
        Dropped(hands=StrayUnseen),
        PAIR._replace(
            crashes=1, stops=1, hands=1, by_hand=("promote",), requests=(*ELECTS, "follow n1 to n2", "stop n1")
        ),
    ),
    Mutant(
        "the late reports of a start",
        Dropped(unlate=True),
        PAIR._replace(crashes=1, stale=1, requests=("start n1", *ELECTS)),
    ),
    Mutant(
        "a signed refusal's last word",
        Dropped(asked_again=True),
        PAIR._replace(stale=1, requests=ELECTS),
    ),
    Mutant(
        "the mark before an effect",
        Dropped(unmarked=True),
        PAIR._replace(cuts=1, requests=("follow n2 to n1",)),
    ),
    Mutant(
        "that a promotion may come late",
        Dropped(hasty=frozenset({"promote"})),
        PAIR._replace(late=1, requests=ELECTS),
    ),
    Mutant(
        "that a renewal's row may come late",
        Dropped(hasty=frozenset({"renew"})),
        PAIR._replace(late=1, requests=("fence w for n1 in term 2", "renew n1 in term 2")),
    ),
    Mutant(
        "that a shutdown may come late",
        Dropped(hasty=frozenset({"stop"})),
        PAIR._replace(late=1, stops=1, requests=("stop n1",)),
    ),
    Mutant(
        "that a restart's shutdown may come late",
        Dropped(hasty=frozenset({"restart"})),
        PAIR._replace(late=1, stops=1, actions=("restart",)),
    ),
    Mutant(
        "that a server that is down may have run in between",
        Dropped(hasty=frozenset({"start"})),
        PAIR._replace(crashes=2, cuts=1, requests=("start n1",)),
    ),
    Mutant(
        "that a folder that was replaced may have held a renewal",
        Dropped(hasty=frozenset({"renew"})),
        REPLACED,
    ),
    Mutant(
        "the pledge of a primary that is down",
        Dropped(forbids=_fences_a_primary),
        PAIR._replace(stops=1, losses=1, ways=True, actions=("stop", "fence")),
    ),
    Mutant(
        "the election and the vote of a log whose term nobody told",
        Dropped(forbids=_is_untold),
        Bounds(terms=2, losses=1, stops=1, ways=True, actions=("demote", "promote", "follow")),
    ),
)

AHEAD = (
    Mutant("what is said in its turn, in place of what was foreseen", Dropped(ahead="early"), SIGNED_AHEAD),
    Mutant("the demoted node's pledge as it is, in place of the foreseen one", Dropped(ahead="pledge"), SIGNED_AHEAD),
    Mutant("that a turn comes by the demotion's outcome alone", Dropped(ahead="unturned"), SIGNED_AHEAD),
    Mutant("that what was dropped is never run", Dropped(ahead="kept"), SIGNED_AHEAD),
    Mutant(
        "successor-holds of demote, judged late",
        _verdict("demote", Invariant.SUCCESSOR_HOLDS),
        SIGNED_AHEAD._replace(stale=1),
    ),
)

MUTANTS = (*RULES, *FAULTS, *AHEAD)

REDUNDANT = {
    "candidacy-stands, and term-rises of promote, each alone": "each forbids what a candidate has pledged away; "
    "the two are dropped together",
    "term-rises and candidacy-stands of renew": "a running primary pledges to nobody but itself, so a late "
    "renewal only repeats its own authority",
    "term-ungranted": "two majorities for one term meet in a node, which pledges one candidate; a grant of the term to "
    "another cannot be",
    "commit-quorum, k = 1, three data nodes": "a majority of three is already d - k; it is dropped with k = 0",
    "commit-quorum of renew, k below 2": "with k = 0 a primary that still runs is the last granted one; with k = 1 as "
    "above",
    "position-known": "an unknown position makes term-rises or wal-prefix unknown too",
    "successor-streams, no-cycle": "they keep a person from an outage, not from a loss",
    "upstream-authority of follow, where the upstream is a standby, alone": "what the pledgers say late stops the old "
    "plan to promote that would carry the follower along; the two are dropped together",
    "the record with which an untold timeline begins": "what an elected primary acknowledges comes after its term's "
    "row, so on an untold timeline only a hand's primary has acknowledged, which the explorer does not promise",
    "a start past an outcome that cannot be told": "a primary that is down may also pledge, and be recloned, past it",
    "the demoted node's own pledge in its successor's turn": "without it, the quorums are of others' pledges, as in "
    "any election; it is asked for because the sequence was signed for it",
    "an outcome of the demotion that was established afterwards": "what is said in the turn is judged all the same",
    "the cut before a promotion": "PostgreSQL refuses to promote what is attached, and promotion ends the receiver",
}
"""What no mutant shows within these bounds, with the reason."""
