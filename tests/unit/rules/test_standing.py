"""The agent's standing under every sequence of changes: what was promised is never taken back."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.authority import Branch, Candidacy, Grant, Standing
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed
from aerodb.rules.election import term_rises
from aerodb.rules.standing import detached, following, genesis, granted, promised
from tests.unit.rules.scenes import CLUSTER, NAMES, healthy, request_for, view_for, with_standing

SIGNED = Signed(document="{}", signer="n1", signature="")
CANDIDACIES = st.builds(lambda term, node: Candidacy(term=term, node=node), st.integers(1, 6), st.sampled_from(NAMES))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pledge"), CANDIDACIES),
        st.tuples(st.just("grant"), CANDIDACIES),
        st.tuples(st.just("follow"), CANDIDACIES),
        st.tuples(st.just("detach"), CANDIDACIES),
    ),
    max_size=12,
)


def _grant(candidacy: Candidacy) -> Grant:
    return Grant(
        epoch=1, cluster=CLUSTER.id, node=candidacy.node, term=candidacy.term, begin=Lsn(0),
        lineage=(Branch(timeline=1, begin=Lsn(0), term=1),), quorum=1, pledges=(),
    )  # fmt: skip


def _may_pledge(standing: Standing, candidacy: Candidacy) -> bool:
    """Ask the real rule, for a node whose WAL is of term 1."""
    scene = with_standing(healthy(), "n2", pledged=standing.pledged, granted=standing.granted, since=standing.since)
    view = view_for(request_for(catalogue()["fence"], "n2", {"for": candidacy.node}), scene)
    return term_rises(replace(view, term=candidacy.term), candidacy).result == "holds"


def _after(standing: Standing, step: str, candidacy: Candidacy) -> Standing:
    """Return the standing after one step, where the rules allow it."""
    if step == "pledge":
        return promised(standing, candidacy) if _may_pledge(standing, candidacy) else standing
    if step == "grant":
        return granted(standing, _grant(candidacy), SIGNED, own=False)
    if step == "follow":
        return following(standing, "n1", candidacy.term, Lsn(5))
    return detached(standing)


@given(STEPS)
def test_promises_are_never_taken_back(steps: list[tuple[str, Candidacy]]) -> None:
    """The pledged term never falls, one term has one candidate, and a grant that is known is not forgotten."""
    standing, pledged = genesis("n2", "n1", witness=False), dict[int, str]()
    for step, candidacy in steps:
        after = _after(standing, step, candidacy)
        assert after.pledged.term >= standing.pledged.term
        assert after.granted.term >= standing.granted.term
        if step == "pledge" and after is not standing:
            assert pledged.setdefault(candidacy.term, candidacy.node) == candidacy.node
        standing = after


@given(STEPS)
def test_since_remembers_every_unsettled_candidacy(steps: list[tuple[str, Candidacy]]) -> None:
    """What was pledged above the highest grant that is known stands in `since`, until a grant settles it."""
    standing, made = genesis("n2", "n1", witness=False), set[Candidacy]()
    for step, candidacy in steps:
        after = _after(standing, step, candidacy)
        if step == "pledge" and after is not standing:
            made.add(candidacy)
        standing = after
        unsettled = {each for each in made if each.term > standing.granted.term}
        assert set(standing.since) == unsettled
        assert [each.term for each in standing.since] == sorted(each.term for each in standing.since)


@given(STEPS)
def test_what_was_followed_is_never_understated(steps: list[tuple[str, Candidacy]]) -> None:
    """The highest term under which a node may have acknowledged is kept, whatever it follows later."""
    standing, highest = genesis("n2", "n1", witness=False), 1
    for step, candidacy in steps:
        standing = _after(standing, step, candidacy)
        highest = max(highest, candidacy.term) if step == "follow" else highest
        assert standing.followed is not None
        assert standing.followed.term == highest
