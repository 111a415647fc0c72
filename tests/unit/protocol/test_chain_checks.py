"""The chain's single checks, each attacked where no other one stands behind it."""

import pytest
from msgspec.structs import replace

from aerodb.protocol import canonical
from aerodb.protocol.chain import Chain, ChangeRefused, VersionRefused, changed, key_blob, opened, read_founding
from aerodb.protocol.change import Change, said
from aerodb.protocol.cluster import Cluster, Operator, Role
from tests.unit.protocol.test_chain import FOUNDING, SECOND, enrol, key_of, linked, revoke, text_of


@pytest.mark.parametrize("name", ["ada", "bob"])
def test_an_operator_without_a_key_is_nobody_who_can_act(name: str) -> None:
    """A founding document may name one: the last operator with a key is not revoked for their sake."""
    keyless = tuple(replace(each, ssh_key="") if each.name == name else each for each in FOUNDING.operators)
    with pytest.raises(ChangeRefused, match="no operator with a key"):
        changed(replace(FOUNDING, operators=keyless), revoke("bob" if name == "ada" else "ada"))


def test_a_name_that_was_given_up_is_said_to_be_that() -> None:
    """Who asks for a retired name is told that it never comes back, and not that somebody has it."""
    with pytest.raises(ChangeRefused, match="never used again"):
        changed(changed(FOUNDING, revoke("bob")), enrol("bob", key=key_of("new")))


def test_who_signs_nothing_needs_no_key_and_who_has_one_may_come_to_sign() -> None:
    """Only an operator's role asks for a key: an auditor is enrolled without, and with one may become an operator."""
    after = changed(FOUNDING, Change(kind="enrol", name="zoe", before="", after="auditor"))
    assert after.operator("zoe") == Operator(name="zoe", role=Role.AUDITOR)
    keyed = changed(after, Change(kind="re-key", name="zoe", before="", after=key_of("zoe")))
    acting = changed(keyed, Change(kind="re-role", name="zoe", before="auditor", after="operator"))
    assert acting.operator("zoe") == Operator(name="zoe", role=Role.OPERATOR, ssh_key=key_of("zoe"))


def test_a_document_whose_change_cannot_be_made_is_no_version() -> None:
    """Its refusal says that it is the document which is wrong: a node answers for what it was shown, by one code."""
    with pytest.raises(VersionRefused, match="makes a change that is none: nobody of the name") as error:
        opened(FOUNDING, text_of(linked(SECOND, change=revoke("nobody"))))
    assert error.value.code == "kernel.version-refused"


def test_the_founding_document_is_read_by_itself_alone() -> None:
    """Version 1 is read back from its bytes; a later version in its place is refused, and so is what is none."""
    assert read_founding(canonical.encode(FOUNDING)) == FOUNDING
    with pytest.raises(VersionRefused, match="only version 1"):
        read_founding(canonical.encode(SECOND))
    with pytest.raises(canonical.NotCanonical):
        read_founding(b"{}")


def test_a_digest_that_nobody_knows_is_judged_by_the_newest_version() -> None:
    """Each known version judges what names it; under the newest nothing of an unknown one agrees."""
    chain = Chain((FOUNDING, SECOND))
    judging: dict[str, Cluster] = {each.digest: each for each in chain.versions}
    assert {digest: chain.judging(digest) for digest in judging} == judging
    assert chain.judging("sha256:other") == SECOND
    assert (chain.founding, chain.newest) == (FOUNDING, SECOND)


def test_what_is_no_key_or_no_authenticator_is_told_as_it_stands() -> None:
    """A key that cannot be read is told from others by its text; an authenticator that is none is said as it is."""
    assert key_blob(Operator(name="ann", role=Role.OPERATOR, ssh_key="no key")) == b"no key"
    assert said(Change(kind="enrol-authenticator", name="ann", before="", after="x")).endswith("authenticator x of ann")
