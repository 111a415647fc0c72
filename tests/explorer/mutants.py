"""Rules with one part dropped: the explorer must find what each part is there for.

- A mutant drops one verdict of one action, or one step of one operation; everything else stays the real code.
- `REDUNDANT` names what no mutant can show, with the reason.
"""

from typing import NamedTuple

from msgspec.structs import replace

from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.facts import Facts
from aerodb.protocol.signed import Signed
from aerodb.rules.invariants import Invariant
from tests.explorer.hands import MemoryHands
from tests.explorer.orders import Dropped
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

    def _own_candidacy(self) -> object:
        from aerodb.protocol.authority import Candidacy

        return Candidacy(term=self._term, node=self._name)


class FollowedUnwritten(MemoryHands):
    """Hands that attach a node without noting durably whom it follows, and in which term."""

    def write_standing(self, standing: Standing) -> None:
        """Write, unless it is a standby's that has an upstream."""
        if standing.upstream is None:
            super().write_standing(standing)


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

    def sign(self, document: Pledge | Grant) -> Signed:
        """Sign, with `since` left empty."""
        return super().sign(replace(document, since=()) if isinstance(document, Pledge) else document)


def _verdict(invariant: Invariant, *actions: str) -> Dropped:
    return Dropped(verdicts=frozenset((action, str(invariant)) for action in actions))


ELECTING = ("fence", "promote", "follow", "start")
SMALL = Bounds(terms=2, actions=ELECTING)
THREE = Bounds(terms=3, actions=("fence", "promote", "follow", "renew"))

MUTANTS = (
    Mutant("election-quorum of promote", _verdict(Invariant.ELECTION_QUORUM, "promote"), SMALL),
    Mutant("election-quorum of renew", _verdict(Invariant.ELECTION_QUORUM, "renew"), THREE),
    Mutant("commit-quorum of promote, k = 0", _verdict(Invariant.COMMIT_QUORUM, "promote"), SMALL._replace(quorum=0)),
    Mutant("commit-quorum of promote, k = 1", _verdict(Invariant.COMMIT_QUORUM, "promote"), THREE),
    Mutant("commit-quorum of renew", _verdict(Invariant.COMMIT_QUORUM, "renew"), THREE._replace(quorum=0)),
    Mutant("wal-prefix of promote", _verdict(Invariant.WAL_PREFIX, "promote"), SMALL),
    Mutant("wal-prefix of renew", _verdict(Invariant.WAL_PREFIX, "renew"), THREE),
    Mutant("candidacy-stands of promote", _verdict(Invariant.CANDIDACY_STANDS, "promote"), SMALL),
    Mutant("term-ungranted of promote", _verdict(Invariant.TERM_UNGRANTED, "promote"), THREE),
    Mutant("position-known of promote", _verdict(Invariant.POSITION_KNOWN, "promote"), THREE),
    Mutant("term-rises of fence", _verdict(Invariant.TERM_RISES, "fence"), SMALL),
    Mutant("term-rises of promote", _verdict(Invariant.TERM_RISES, "promote"), SMALL._replace(stale=1)),
    Mutant("term-rises of renew", _verdict(Invariant.TERM_RISES, "renew"), THREE._replace(stale=1)),
    Mutant("upstream-authority of follow", _verdict(Invariant.UPSTREAM_AUTHORITY, "follow"), THREE),
    Mutant("wal-ancestry of follow", _verdict(Invariant.WAL_ANCESTRY, "follow"), THREE._replace(writes=2)),
    Mutant(
        "no-higher-grant of start",
        _verdict(Invariant.NO_HIGHER_GRANT, "start"),
        SMALL._replace(crashes=1),
    ),
    Mutant("the receiver's cut before a pledge", Dropped(hands=ReceiverUncut), SMALL),
    Mutant("the pledge's write before a promotion", Dropped(hands=PledgeUnwritten), SMALL._replace(cuts=1, crashes=1)),
    Mutant("the grant's write before attaching", Dropped(hands=FollowedUnwritten), THREE),
    Mutant("a position's bound", Dropped(hands=Unbound), THREE._replace(terms=4)),
    Mutant("since in a pledge", Dropped(hands=SinceForgotten), THREE._replace(quorum=0)),
)
