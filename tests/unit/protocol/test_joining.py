"""What a host says of itself is its own, in one form; the words of an admission cover the authority."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Member
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.joining import (
    RESERVED,
    AddressRefused,
    AdmissionUnreadable,
    Admitted,
    Joining,
    JoinsContradict,
    JoinUnreadable,
    NameRefused,
    admission_words,
    opened_admission,
    opened_join,
    read_address,
    refuse_contradicting,
    refuse_node_name,
    written,
)
from aerodb.protocol.signed import Signed, public_text, sign
from tests.unit.rules.scenes import CLUSTER
from tests.unit.rules.watching import WATCHED

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
MEMBER = Member(
    name="n1", witness=False, agent="10.0.0.1:7401", postgres_host="10.0.0.1", postgres_port=5432,
    public_key=public_text(KEY),
)  # fmt: skip


def signed(signer: str = "n1", key: Ed25519PrivateKey = KEY, **changes: object) -> Signed:
    """Return what a host says of itself, with a member changed."""
    return sign(Joining(member=replace(MEMBER, **changes), request="request"), signer, key)


def test_what_a_host_signed_is_read_back_with_its_words() -> None:
    """The words are of all that is said: whatever else is said has others."""
    joining, words = opened_join(canonical.encode(signed()))
    assert joining.member == MEMBER
    assert len(words.split()) == 8
    assert opened_join(canonical.encode(signed(agent="10.0.0.2:7401")))[1] != words


ALTERED = {
    "nothing": b"",
    "no document": b"{}",
    "another document": canonical.encode(sign({"kind": "pledge"}, "n1", KEY)),
    "altered": canonical.encode(signed()).replace(b"10.0.0.1:7401", b"10.0.0.9:7401"),
    "signed by another key": canonical.encode(signed(key=Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))),
    "signed by another name": canonical.encode(signed("n2")),
    "not in its one form": canonical.encode(signed()) + b"\n",
    "a key that is none": canonical.encode(signed(public_key="AAAA")),
    "a witness": canonical.encode(signed(witness=True)),
}


@pytest.mark.parametrize("case", ALTERED)
def test_what_no_host_signed_is_no_join(case: str) -> None:
    """Altered, signed by somebody else, or nothing that a host says."""
    with pytest.raises(JoinUnreadable):
        opened_join(ALTERED[case])


def test_what_a_later_version_made_is_said_to_be_that() -> None:
    """It is not called malformed."""
    later = {**canonical.plain(Joining(member=MEMBER, request="")), "format": 2}
    with pytest.raises(MadeLater):
        opened_join(canonical.encode(sign(later, "n1", KEY)))
    with pytest.raises(MadeLater):
        opened_admission(canonical.encode({"kind": "admission", "format": 2}))


@pytest.mark.parametrize(
    "name", ["", "N1", "1n", "-n", "n-1", "n.1", "../n", "n/1", "n 1", "n\n", "ñ", "n" * 33, *RESERVED]
)
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    """A path, what PostgreSQL would have to quote, what a certificate already says: typed here, or signed by a host."""
    with pytest.raises(NameRefused):
        refuse_node_name(name)
    with pytest.raises(NameRefused):
        opened_join(canonical.encode(signed(name, name=name)))


@pytest.mark.parametrize("text", ["10.0.0.1:7401", "[fd00::1]:7401", "db1.example.org:1", "db-1:65535", "127.0.0.1:80"])
def test_an_address_has_one_form(text: str) -> None:
    """What is read is written the same."""
    assert written(*read_address(text, "address")) == text


@pytest.mark.parametrize(
    "text",
    ["", "n1", "10.0.0.1", ":7401", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:07401", "10.0.0.1:+1", "fd00::1:7401",
     "[FD00::1]:7401", "[fd00:0::1]:7401", "[10.0.0.1]:7401", "10.0.0.01:1", "10.1:7401", "0.0.0.0:7401", "[::]:7401",
     "[fe80::1%eth0]:1", "DB1:7401", "db1.:1", "db..1:1", "user@db1:1", "db1/x:1", "db_1 :7401", "10.0.0.1:\u0667"],
)  # fmt: skip
def test_what_nobody_can_call_is_no_address(text: str) -> None:
    """Nor is what is every address of a host, or has a second form: two hosts at one address would not be seen."""
    with pytest.raises(AddressRefused) as error:
        read_address(text, "address")
    assert error.value.field == "address"
    with pytest.raises(AeroError):
        opened_join(canonical.encode(signed(agent=text)))


@pytest.mark.parametrize(
    ("host", "port"), [("", 5432), ("10.0.0.1", 0), ("10.0.0.1", -1), ("[fd00::1]", 1), ("/run", 1)]
)
def test_a_postgresql_that_nobody_can_call_is_refused(host: str, port: int) -> None:
    """What a host signed may say anything."""
    with pytest.raises(AddressRefused):
        opened_join(canonical.encode(signed(postgres_host=host, postgres_port=port)))


OTHER = replace(MEMBER, name="n2", agent="10.0.0.2:7401", postgres_host="10.0.0.2", public_key="other")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"name": "n1"}, "the name"),
        ({"public_key": MEMBER.public_key}, "the key"),
        ({"agent": MEMBER.agent}, "the agent's address"),
        ({"postgres_host": MEMBER.postgres_host}, "PostgreSQL's address"),
    ],
)
def test_what_only_one_can_have_is_not_admitted_twice(changes: dict[str, str], what: str) -> None:
    """The refusal names both, and what they share."""
    refuse_contradicting([MEMBER, OTHER])
    with pytest.raises(JoinsContradict) as error:
        refuse_contradicting([MEMBER, replace(OTHER, **changes)])
    assert error.value.message == f"n1 and {replace(OTHER, **changes).name} have {what} in common"


# Admissions -----------------------------------------------------------------------------------------------------------


def admission(configuration: str) -> Admitted:
    """Return an admission with a configuration."""
    return Admitted(configuration=configuration, certificate="certificate", authority="authority")


def test_the_words_of_an_admission_cover_the_authority() -> None:
    """Who exchanges the authority alone has other words, or they could call each agent as the control plane."""
    text = canonical.encode(WATCHED).decode()
    admitted, cluster = opened_admission(canonical.encode(admission(text)))
    assert cluster == WATCHED
    assert admitted.words == admission_words(text, "authority")
    assert replace(admitted, certificate="another host's").words == admitted.words
    assert replace(admitted, authority="another").words != admitted.words
    assert replace(admitted, configuration=text.replace("n1", "n9")).words != admitted.words


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", canonical.encode(signed()), canonical.encode(admission("")), canonical.encode(admission("{}")),
     canonical.encode(admission(canonical.encode(WATCHED).decode() + " ")),
     canonical.encode(admission(canonical.encode(CLUSTER).decode()))],
)  # fmt: skip
def test_what_is_no_admission_to_a_watched_cluster_is_refused(data: bytes) -> None:
    """Among them one to a cluster that AeroDB is in charge of: a host that joins gives the right to look alone."""
    with pytest.raises(AdmissionUnreadable):
        opened_admission(data)
