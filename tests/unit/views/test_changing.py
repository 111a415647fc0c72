"""What both interfaces make of a change that a person means, and of the chain that they show."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.audit.makers import VersionMaker
from aerodb.protocol.chain import Chain, ChangeRefused, changed, founded
from aerodb.protocol.change import ASKED, NOT_ASKED, Change
from aerodb.protocol.cluster import Operator, Role
from aerodb.protocol.facts import Facts
from aerodb.protocol.sshkey import KeyMalformed
from aerodb.views.changing import KINDS, PARTS, ChangeUnclear, Wanted, kind_of, step_at, version_taken
from aerodb.views.enrolling import CredentialUnclear
from aerodb.views.observed import Observed
from aerodb.views.versions import ChainShown, chain_shown, person_text
from tests.unit.protocol.test_chain import key_of
from tests.unit.rules.scenes import cluster_of, healthy

PEOPLE = (
    Operator(name="ana", role=Role.OPERATOR, ssh_key=key_of("ana")),
    Operator(name="ben", role=Role.OPERATOR, ssh_key=key_of("ben")),
    Operator(name="olga", role=Role.OBSERVER),
)
CHANGES = (
    Change(kind="re-key", name="ben", before=key_of("ben"), after=key_of("ben anew")),
    Change(kind="re-role", name="olga", before="observer", after="auditor"),
    Change(kind="revoke", name="ben", before="operator", after="revoked"),
)


def chain_of(*changes: Change) -> Chain:
    """Return a chain with one version a change."""
    chain = founded(replace(cluster_of(witness=False), operators=PEOPLE))
    for change in changes:
        chain = Chain((*chain.versions, changed(chain.newest, change)))
    return chain


CHAIN = chain_of(*CHANGES)


def facts_at(chain: Chain, version: int, node: str = "n1") -> Facts:
    """Return the facts of a node that has taken so many versions."""
    path = chain.path[:version]
    return replace(healthy()[node], node=node, configuration=path[-1], versions=path if version > 1 else ())


def shown(**versions: int) -> ChainShown:
    """Return the chain as it is shown where these nodes have taken these versions, and no other reports."""
    makers = [
        VersionMaker(request=f"request {at}", operator="ana", target="n1", at="then", reason="why")
        for at, _ in enumerate(CHAIN.versions[1:])
    ]
    facts = {node: facts_at(CHAIN, version, node) for node, version in versions.items()}
    return chain_shown(CHAIN, makers, Observed(facts=facts))


# What is meant --------------------------------------------------------------------------------------------------------


TYPED = st.builds(
    Wanted,
    kind=st.sampled_from([*KINDS, "promote", ""]),
    name=st.one_of(st.sampled_from(["", "zoe", "ana", "ben", "olga"]), st.text(max_size=3)),
    role=st.sampled_from(["", "operator", "auditor", "x"]),
    key=st.sampled_from(["", key_of("zoe"), key_of("ana"), "x\ny"]),
)


@given(TYPED)
def test_whatever_is_typed_makes_a_step_that_follows_or_is_refused_by_its_field(wanted: Wanted) -> None:
    """A step is of the version right after, by just the kind and the name that were typed; nothing else fails."""
    for version in range(len(CHAIN.versions) + 2):
        with suppress(ChangeUnclear, ChangeRefused, CredentialUnclear, KeyMalformed):
            step = step_at(CHAIN, version, wanted)
            assert step.version == version + 1
            assert wanted.kind == "take" or (step.change.kind, step.change.name) == (wanted.kind, wanted.name)
            assert changed(CHAIN.versions[version - 1], step.change).digest == step.digest


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_goes_with_what_the_table_says(kind: str) -> None:
    """Each part that it needs is asked for by name, and each that is not its own is refused by name."""
    row = KINDS[kind]
    whole = replace(Wanted(kind=kind), **dict.fromkeys(row.needs, "x"))
    assert kind_of(whole) is row
    for part in PARTS:
        if part not in row.may:
            wrong = replace(whole, **{part: "" if part in row.needs else "x"})
            with pytest.raises(ChangeUnclear) as error:
                kind_of(wrong)
            assert error.value.field == part


def test_a_comment_of_a_key_is_left_out() -> None:
    """A key has one form in the configuration, whatever stands behind it in its file."""
    typed = Wanted(kind="re-key", name="ana", key=f"  {key_of('new')} ana@desk \r\n")
    assert step_at(chain_of(), 1, typed).change.after == key_of("new")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_the_version_is_the_nodes_own(version: int) -> None:
    """Which one a node has taken is what it signed; one of another chain is none of this."""
    assert version_taken(CHAIN, facts_at(CHAIN, version)) == version
    other = chain_of(Change(kind="re-role", name="olga", before="observer", after="auditor"))
    with pytest.raises(ChangeUnclear):
        version_taken(CHAIN, facts_at(other, 2))


def test_a_node_is_offered_the_version_after_its_own_alone() -> None:
    """To take is to take exactly the next one, and at the end there is none."""
    assert [step_at(CHAIN, at, Wanted(kind="take")).digest for at in (1, 2, 3)] == list(CHAIN.path[1:])
    with pytest.raises(ChangeUnclear):
        step_at(CHAIN, 4, Wanted(kind="take"))


# What is shown --------------------------------------------------------------------------------------------------------


def test_where_something_is_not_taken_from_somebody_yet_is_said() -> None:
    """Of each node that is behind, each change that took something; of one that does not report, that it is not known.

    A node that has them all is not named, nor is one on another chain: nothing that it holds is this chain's.
    """
    found = shown(n1=4, n2=3, n3=1)
    assert found.behind == ("n2", "n3")
    assert [each.partition(":")[0] for each in found.unheld] == [
        "On n2 version 4 does not hold yet (revoke ben)",
        "On n3 version 2 does not hold yet (re-key ben)",
        "On n3 version 3 does not hold yet (re-role olga)",
        "On n3 version 4 does not hold yet (revoke ben)",
    ]
    assert shown(n1=4).unheld == ()
    assert dict(shown(n1=4).taken)["n2"] == ("warn", "not known: it does not report")


def test_keys_that_count_no_more_are_named() -> None:
    """Who was revoked keeps their entry, and each key that somebody had before stands with them."""
    ben = next(each for each in shown().people if each.name == "ben")
    assert ben.revoked
    assert len({ben.key, *ben.replaced}) == 2
    assert "revoked" in person_text(ben)
    assert all(each in person_text(ben) for each in (ben.key, *ben.replaced))
    assert "no key" in person_text(next(each for each in shown().people if each.name == "olga"))


def test_each_version_stands_with_who_made_it() -> None:
    """In the chain's order, each with its own request."""
    assert [(each.version, each.maker.request) for each in shown().versions] == [
        (2, "request 0"), (3, "request 1"), (4, "request 2"),
    ]  # fmt: skip
    assert [each.digest for each in shown().versions] == list(CHAIN.path[1:])


def test_where_a_second_person_is_not_asked_yet_is_said() -> None:
    """Who reads that an action takes two is told on which node it does not, and the other way round."""
    asks = Change(kind="second-person", name="running", before=NOT_ASKED, after=ASKED)
    drops = Change(kind="second-person", name="running", before=ASKED, after=NOT_ASKED)
    for changes, said in (
        ((asks,), "one operator still confirms alone there"),
        ((asks, drops), "two still sign there"),
    ):
        chain = chain_of(*changes)
        makers = [VersionMaker(request="r", operator="ana", target="n1", at="then", reason="why") for _ in changes]
        behind = len(changes)
        facts = {"n1": facts_at(chain, behind + 1), "n2": facts_at(chain, behind, "n2")}
        assert chain_shown(chain, makers, Observed(facts=facts)).unheld == (
            f"On n2 version {behind + 1} does not hold yet (second-person running): for actions of the class running "
            f"{said}.",
        )
