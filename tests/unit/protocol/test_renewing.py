"""What asks for a new certificate is one node's own word, for one cluster; what answers is one document or none."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.protocol import canonical
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.renewing import (
    RenewalForeign,
    RenewalUnreadable,
    Renewed,
    Renewing,
    opened_renewal,
    opened_renewed,
)
from aerodb.protocol.signed import public_text, sign
from aerodb.protocol.words import words_of
from tests.unit.rules.scenes import cluster_of

KEY = Ed25519PrivateKey.from_private_bytes(b"n1".ljust(32, b"\0"))
FOUND = cluster_of(witness=False)
CLUSTER = replace(FOUND, members=tuple(replace(each, public_key=public_text(KEY)) for each in FOUND.members))


def asked(signer: str = "n1", key: Ed25519PrivateKey = KEY, **changes: str) -> bytes:
    """Return a request, signed."""
    return canonical.encode(
        sign(replace(Renewing(cluster=CLUSTER.id, node="n1", request="csr"), **changes), signer, key)
    )


def test_a_request_is_its_nodes_and_has_words() -> None:
    """The words are of the very text that was signed."""
    member, request, words = opened_renewal(asked(), CLUSTER)
    assert (member.name, request) == ("n1", "csr")
    assert words == words_of(sign(Renewing(cluster=CLUSTER.id, node="n1", request="csr"), "n1", KEY).digest)
    assert opened_renewal(asked(request="another"), CLUSTER)[2] != words


@pytest.mark.parametrize(
    ("data", "kind", "why"),
    [(b"", RenewalUnreadable, "no request"), (b"[]", RenewalUnreadable, "no request"),
     (asked()[:-1], RenewalUnreadable, "no request"),
     (asked(cluster="another"), RenewalForeign, "of the cluster another"), (asked(node="n9"), RenewalForeign, "n9"),
     (asked(key=Ed25519PrivateKey.generate()), RenewalForeign, "not signed with the key of n1"),
     (asked(signer="n2"), RenewalForeign, "n2 signed it"),
     (canonical.encode(sign({"kind": "renewal", "format": 2}, "n1", KEY)), MadeLater, "")],
)  # fmt: skip
def test_what_is_not_is_refused(data: bytes, kind: type[Exception], why: str) -> None:
    """Of another cluster, of no node, by another key or in another's name, of a later format, or nothing at all."""
    with pytest.raises(kind, match=why or None):
        opened_renewal(data, CLUSTER)


def test_an_answer_is_one_document() -> None:
    """Strict, and of no later format."""
    answer = Renewed(certificate="one", authority="two")
    assert opened_renewed(canonical.encode(answer)) == answer
    for data in (b"", b"{}", canonical.encode({**canonical.plain(answer), "more": 1})):
        with pytest.raises(RenewalUnreadable):
            opened_renewed(data)
    with pytest.raises(MadeLater):
        opened_renewed(canonical.encode({"kind": "renewed certificate", "format": 2}))
