"""The chain of configurations: each version is the one before and one change, computed again, or it is refused."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol import canonical, sshkey
from aerodb.protocol.chain import Chain, ChangeRefused, VersionRefused, chained, changed, founded, opened, step_of
from aerodb.protocol.change import ASKED, NOT_ASKED, Change, StepMalformed, read_step, said, step_text
from aerodb.protocol.cluster import Cluster, LaterCluster, Operator, Role
from tests.unit.protocol.signers import rsa_key
from tests.unit.rules.scenes import cluster_of


def key_of(name: str) -> str:
    """Return a public key that is made from a name."""
    key = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"\0"))
    return sshkey.of_public(key.public_key()).line


def founding() -> Cluster:
    """Return version 1: two operators with keys, an auditor without."""
    people = (
        Operator(name="ada", role=Role.OPERATOR, ssh_key=key_of("ada")),
        Operator(name="bob", role=Role.OPERATOR, ssh_key=key_of("bob")),
        Operator(name="eve", role=Role.AUDITOR),
    )
    return replace(cluster_of(), operators=people)


def enrol(name: str, role: str = "operator", key: str = "") -> Change:
    """Return the change that enrols somebody with a key of their own."""
    return Change(kind="enrol", name=name, before="", after=f"{role} {key or key_of(name)}")


def revoke(name: str, role: str = "operator") -> Change:
    """Return the change that revokes somebody."""
    return Change(kind="revoke", name=name, before=role, after="revoked")


def text_of(cluster: Cluster) -> str:
    """Return a version's document."""
    return canonical.encode(cluster).decode()


FOUNDING = founding()
SECOND = changed(FOUNDING, enrol("zoe"))


def test_version_one_keeps_its_bytes_and_its_digest() -> None:
    """A founding document is written as it was before there was a chain: nothing of the chain is in it."""
    data = canonical.encode(FOUNDING)
    assert set(canonical.plain(FOUNDING)) == {
        "name", "id", "members", "operators", "quorum", "genesis", "log_key", "control", "web", "web_origin",
    }  # fmt: skip
    assert FOUNDING.digest == canonical.digest(data)
    assert (FOUNDING.version, FOUNDING.epoch, FOUNDING.previous) == (1, 1, "")


def bare(cluster: Cluster) -> Cluster:
    """Return a version as a founding document says it, without its link."""
    return Cluster(**{name: getattr(cluster, name) for name in Cluster.__struct_fields__})


def test_a_version_says_what_it_follows_and_what_it_changes() -> None:
    """A later version names its number, the version before and its one change; the epoch stands still."""
    assert (SECOND.version, SECOND.epoch, SECOND.previous) == (2, 1, FOUNDING.digest)
    assert opened(FOUNDING, text_of(SECOND)) == SECOND
    assert bare(replace(SECOND, operators=FOUNDING.operators)) == FOUNDING


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (enrol("ada", key=key_of("new")), "enrolled already"),
        (enrol("Zoë"), "no name for a person"),
        (enrol("../zoe"), "no name for a person"),
        (enrol("zoe", role="king"), "no role"),
        (enrol("zoe", key=key_of("ada")), "as that of ada"),
        (enrol("zoe", key=f"{key_of('zoe')} zoe@host"), "one form"),
        (enrol("zoe", key=f" {key_of('zoe')}"), "one form"),
        (enrol("zoe", key=rsa_key(3, 2**2047 + 1).line), "cannot be enrolled"),
        (enrol("zoe", key="ssh-ed25519 AAAA"), "cannot be enrolled"),
        (Change(kind="enrol", name="zoe", before="", after="operator"), "cannot sign"),
        (Change(kind="enrol", name="zoe", before="", after="auditor "), "one form"),
        (Change(kind="enrol", name="zoe", before="auditor", after="auditor"), "was nothing before"),
        (revoke("nobody"), "nobody of the name"),
        (revoke("eve", "operator"), "the change says"),
        (Change(kind="revoke", name="ada", before="operator", after=""), "the change says"),
        (Change(kind="re-key", name="ada", before=key_of("ada"), after=key_of("ada")), "as that of ada"),
        (Change(kind="re-key", name="ada", before=key_of("ada"), after=key_of("bob")), "as that of bob"),
        (Change(kind="re-key", name="ada", before=key_of("bob"), after=key_of("new")), "the change says"),
        (Change(kind="re-key", name="ada", before=key_of("ada"), after=""), "cannot be enrolled"),
        (Change(kind="re-role", name="ada", before="operator", after="operator"), "already"),
        (Change(kind="re-role", name="eve", before="auditor", after="operator"), "cannot sign"),
        (Change(kind="re-role", name="eve", before="observer", after="auditor"), "the change says"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_its_reason(change: Change, why: str) -> None:
    """No change is made that is none, says something wrong of what was, or would enrol what proves nothing."""
    with pytest.raises(ChangeRefused, match=why) as error:
        changed(FOUNDING, change)
    assert (error.value.code, error.value.executed) == ("input.change-refused", "not executed")


def asking(name: str, before: str = NOT_ASKED, after: str = ASKED) -> Change:
    """Return the change that asks for a second person for a class of actions, unless told otherwise."""
    return Change(kind="second-person", name=name, before=before, after=after)


ASKS = changed(FOUNDING, asking("data"))


def test_a_second_person_is_asked_for_and_no_more() -> None:
    """A version names the classes, sorted; what is asked is dropped by another change, and people stay as they were."""
    assert (FOUNDING.second_asked, ASKS.second_asked) == ((), ("data",))
    more = changed(ASKS, asking("authority"))
    assert (more.second_asked, more.operators) == (("authority", "data"), FOUNDING.operators)
    assert changed(more, asking("data", ASKED, NOT_ASKED)).second_asked == ("authority",)
    assert changed(more, enrol("zoe")).second_asked == more.second_asked
    assert opened(FOUNDING, text_of(ASKS)) == ASKS
    assert said(asking("data")) == "asks for a second person for actions of the class data"
    assert said(asking("data", ASKED, NOT_ASKED)) == "asks no more for a second person for actions of the class data"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (asking("everything"), "no class of actions; there are authority, data"),
        (asking(""), "no class of actions"),
        (asking("data"), "the change says"),  # It is asked already: nothing would change.
        (asking("data", ASKED, ASKED), "the change says"),
        (asking("log", ASKED, NOT_ASKED), "the change says"),
        (asking("log", "", ASKED), "the change says"),
        (revoke("bob"), "fewer than two operators with a key of their own, and a second person is asked for data"),
        (Change(kind="re-role", name="ada", before="operator", after="auditor"), "fewer than two operators"),
    ],
)
def test_what_leaves_no_second_person_is_refused(change: Change, why: str) -> None:
    """Nor is there an unknown class, or a change of nothing; with a third operator one can be revoked again."""
    with pytest.raises(ChangeRefused, match=why):
        changed(ASKS, change)


def test_two_names_with_one_key_are_one_operator() -> None:
    """A founding document that enrols one key twice leaves nobody who could be the second person."""
    twin = Operator(name="twin", role=Role.OPERATOR, ssh_key=f"{key_of('ada')} of another machine")
    alone = replace(FOUNDING, operators=(FOUNDING.operators[0], twin))
    with pytest.raises(ChangeRefused, match="key of their own"):
        changed(alone, asking("data"))
    assert changed(changed(alone, enrol("zoe")), asking("data")).second_asked == ("data",)
    assert changed(changed(ASKS, enrol("zoe")), revoke("bob")).second_asked == ("data",)


def test_a_version_that_asks_otherwise_than_its_change_makes_is_refused() -> None:
    """A rule that is dropped by the way, or slipped in, is not what the change makes."""
    for forged in (replace(ASKS, second=()), replace(changed(FOUNDING, enrol("zoe")), second=("log",))):
        with pytest.raises(VersionRefused, match="not what its change makes"):
            opened(FOUNDING, text_of(forged))


def test_a_retired_name_and_a_retired_key_never_come_back() -> None:
    """Who is revoked is revoked for good: neither the name nor the key is enrolled again, under any kind of change."""
    gone = changed(FOUNDING, revoke("bob"))
    for change in (
        enrol("bob", key=key_of("new")),
        enrol("zoe", key=key_of("bob")),
        Change(kind="re-role", name="bob", before="operator", after="auditor"),
        Change(kind="re-key", name="bob", before=key_of("bob"), after=key_of("new")),
        revoke("bob"),
    ):
        with pytest.raises(ChangeRefused):
            changed(gone, change)


@pytest.mark.parametrize(
    "last", [revoke("ada"), Change(kind="re-role", name="ada", before="operator", after="observer")]
)
def test_somebody_can_always_act(last: Change) -> None:
    """The last operator with a key is neither revoked nor given another role."""
    alone = changed(FOUNDING, revoke("bob"))
    with pytest.raises(ChangeRefused, match="no operator with a key"):
        changed(alone, last)


def linked(cluster: Cluster, **changes: object) -> Cluster:
    """Return a version with parts of its link changed."""
    assert isinstance(cluster, LaterCluster)
    return replace(cluster, chain=replace(cluster.chain, **changes))


FORGERIES: dict[str, tuple[Callable[[Cluster], Cluster], str]] = {
    "one more person": (
        lambda c: replace(c, operators=(*c.operators, Operator(name="eva", role=Role.OPERATOR, ssh_key=key_of("m")))),
        "not what its change makes",
    ),
    "another log": (lambda c: replace(c, log_key="other"), "another log"),
    "another cluster": (lambda c: replace(c, id="other"), "another cluster"),
    "another k": (lambda c: replace(c, quorum=0), "not what its change makes"),
    "a member gone": (lambda c: replace(c, members=c.members[:2]), "not what its change makes"),
    "nobody watching": (lambda c: replace(c, control="evil:1"), "not what its change makes"),
    "an epoch that moved": (lambda c: linked(c, epoch=2), "epoch"),
    "no link": (lambda _: FOUNDING, "already"),
    "another founding": (bare, "fork"),
    "a step over one": (lambda c: linked(c, version=3), "version 2 comes first"),
    "a step back": (lambda c: linked(c, version=0), "step back"),
    "another version before": (lambda c: linked(c, previous="sha256:x"), "fork"),
    "another change": (lambda c: linked(c, change=enrol("yan")), "not what its change makes"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_whatever_else_a_document_changes_is_refused(name: str) -> None:
    """A version is byte for byte what its one change makes of the version before, or it is no version."""
    forge, why = FORGERIES[name]
    with pytest.raises(VersionRefused, match=why):
        opened(FOUNDING, text_of(forge(SECOND)))


def test_a_fork_of_one_version_is_refused_on_either_side() -> None:
    """Of two versions 2 a chain holds one: the other is a fork, and so is whatever follows the other."""
    other = changed(FOUNDING, enrol("yan"))
    third = changed(other, enrol("zoe"))
    chain = founded(FOUNDING).extended(text_of(SECOND))
    for document in (other, third):
        with pytest.raises(VersionRefused, match="fork"):
            chain.extended(text_of(document))


def test_only_version_one_is_trusted_outright() -> None:
    """A later version is no beginning of a chain."""
    with pytest.raises(VersionRefused, match="only version 1"):
        founded(SECOND)


def test_the_same_change_makes_the_same_bytes_whoever_makes_it() -> None:
    """Two nodes that make one change to one version have one version, so that their digests can be compared."""
    assert text_of(changed(founding(), enrol("zoe"))) == text_of(SECOND)


def test_there_and_back_is_another_version() -> None:
    """Undone, a change leaves the same people under another digest: no earlier version comes back."""
    there = changed(FOUNDING, Change(kind="re-role", name="eve", before="auditor", after="observer"))
    back = changed(there, Change(kind="re-role", name="eve", before="observer", after="auditor"))
    assert back.operators == FOUNDING.operators
    assert back.digest != FOUNDING.digest


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_bytes_put_anywhere_into_a_document_are_refused(junk: bytes, at: int) -> None:
    """No altered document opens, and whatever is wrong with it is a refusal."""
    data = text_of(SECOND).encode()
    altered = data[: at % len(data)] + junk + data[at % len(data) + 1 :]
    if altered == data:
        return
    with pytest.raises(AeroError):
        opened(FOUNDING, altered.decode("utf-8", "replace"))


NAMES = ("ada", "bob", "eve", "zoe", "yan")
ANY_CHANGE = st.one_of(
    st.builds(enrol, st.sampled_from(NAMES), st.sampled_from([str(role) for role in Role])),
    st.builds(revoke, st.sampled_from(NAMES), st.sampled_from([str(role) for role in Role])),
    st.builds(
        lambda name, new: ("re-key", name, new), st.sampled_from(NAMES), st.sampled_from(["k1", "k2", "ada", "bob"])
    ),
    st.builds(lambda name, role: ("re-role", name, role), st.sampled_from(NAMES), st.sampled_from(list(Role))),
)


def _fitting(cluster: Cluster, drawn: object) -> Change:
    """Return a drawn change with what is so before filled in from the cluster."""
    if isinstance(drawn, Change):
        return drawn
    assert isinstance(drawn, tuple)
    kind, name, new = drawn
    person = cluster.operator(name)
    if kind == "re-key":
        return Change(kind="re-key", name=name, before=person.ssh_key if person else "", after=key_of(new))
    return Change(kind="re-role", name=name, before=person.role if person else "", after=str(new))


@given(st.lists(ANY_CHANGE, max_size=12))
def test_every_chain_keeps_what_chains_promise(drawn: list[object]) -> None:
    """After any changes: somebody can act, nobody vanished, no key is two people's, one change a version, one chain."""
    chain = founded(FOUNDING)
    for each in drawn:
        before = chain.newest
        try:
            after = changed(before, _fitting(before, each))
        except ChangeRefused:
            continue
        chain = chain.extended(text_of(after))
        _promised(before, after)
    documents = [text_of(each) for each in chain.versions[1:]]
    assert chained(FOUNDING, documents) == chain
    assert len(set(chain.path)) == len(chain.versions)
    for skipped in range(len(documents) - 1):
        with pytest.raises(VersionRefused):
            chained(FOUNDING, documents[:skipped] + documents[skipped + 1 :])


def _promised(before: Cluster, after: Cluster) -> None:
    assert any(each.role is Role.OPERATOR and each.ssh_key and not each.revoked for each in after.operators)
    assert {each.name for each in before.operators} <= {each.name for each in after.operators}
    keys = [each.ssh_key for each in after.operators if each.ssh_key]
    assert len(set(keys)) == len(keys)
    assert {each.name for each in before.operators if each.revoked} <= {
        each.name for each in after.operators if each.revoked
    }
    differing = [each for each in after.operators if before.operator(each.name) != each]
    assert len(differing) == 1
    assert replace(bare(after), operators=()) == replace(bare(before), operators=())


def test_a_step_has_one_form() -> None:
    """What a request names reads back as itself, and in no other form."""
    step = step_of(FOUNDING, enrol("zoe"))
    text = step_text(step)
    assert read_step(text, "x") == step
    assert step.digest == SECOND.digest
    for other in (text + " ", text.replace(":2", ":2.0"), text.replace("}", ',"x":1}', 1), "", "é", "\ud800"):
        with pytest.raises(StepMalformed) as error:
            read_step(other, "arguments.change")
        assert error.value.field == "arguments.change"


def test_every_kind_of_change_is_said_in_words() -> None:
    """Each change is one sentence that names the person."""
    changes = (
        enrol("zoe"),
        revoke("bob"),
        Change(kind="re-key", name="ada", before=key_of("ada"), after=key_of("new")),
        Change(kind="re-role", name="eve", before="auditor", after="observer"),
    )
    assert all(each.name in said(each) for each in changes)
    assert len({said(each).split()[0] for each in changes}) == 4


def test_a_chain_knows_its_versions_by_their_digests() -> None:
    """What is named is found, and what is not of the chain is not."""
    chain = Chain((FOUNDING, SECOND))
    assert (chain.named(FOUNDING.digest), chain.named(SECOND.digest)) == (FOUNDING, SECOND)
    assert chain.named("sha256:other") is None
    assert chain.path == (FOUNDING.digest, SECOND.digest)
