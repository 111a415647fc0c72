"""How a watched node's certificate is renewed: its host asks with its own key, and takes what its authority gave."""

import datetime as dt
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.errors import AeroError
from aerodb.kernel.node import read_node
from aerodb.local.certifying import renew
from aerodb.local.errors import FolderTaken, HolderAbsent
from aerodb.local.joining import complete
from aerodb.local.layout import Layout
from aerodb.local.renewing import ask, asked_lines, given_lines, put, put_lines, wanted, wanted_lines
from aerodb.local.renewing import give as given
from aerodb.local.replacing import renew_authority
from aerodb.protocol import canonical
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.renewing import RenewalForeign, RenewalOlder, RenewalUnreadable, Renewed, Renewing, opened_renewed
from aerodb.protocol.signed import sign
from aerodb.transport.certificates import Authority, new_key, read_kept, read_key, request_for
from aerodb.transport.passphrase import PassphraseWrong
from tests.unit.local.joining import PASSPHRASE, admission, admitting, awaited, joined, reachable, tree
from tests.unit.local.test_certifying import lets_in
from tests.unit.local.test_joining import EVENTS, each_death

SECRET = PASSPHRASE.encode()


def typed() -> bytes:
    """Return what the person types who has the authority."""
    return SECRET


class Ground:
    """A machine that admitted two hosts, and the hosts, in folders."""

    def __init__(self, root: Path) -> None:
        """Admit them."""
        self.root, self.shop = root, root / "shop"
        joined(root, "n1", "n2")
        admitting(root, "n1", "n2").make(self.shop, SECRET)
        for name in ("n1", "n2"):
            complete(awaited(root, name))

    def host(self, name: str = "n1") -> Path:
        """Return a node's folder."""
        return self.root / "hosts" / name

    def asks(self, name: str = "n1") -> bytes:
        """Have a host ask; return what is carried."""
        asked = ask(self.host(name), "", self.root)
        data = asked.file.read_bytes()
        asked.file.unlink()
        return data

    def gives(self, data: bytes) -> bytes:
        """Have a request answered; return what is carried back."""
        return given(wanted(self.shop, data), typed)[0].read_bytes()

    def authority(self) -> Authority:
        """Return the authority."""
        return Authority(Layout(root=self.shop).cluster().id, kept=read_kept(self.shop / "authority", typed))

    def certificate(self, name: str = "n1") -> x509.Certificate:
        """Return a node's certificate."""
        return x509.load_pem_x509_certificate((self.host(name) / "tls.crt").read_bytes())


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Yield two hosts and what admitted them, as private as commands make it."""
    previous = os.umask(0o077)
    yield Ground(reachable(tmp_path))
    os.umask(previous)


def test_one_file_is_replaced_and_handshakes_hold(ground: Ground) -> None:
    """Keys stay, private ones never travel; the new one is its owner's alone, and lets in as the old one did."""
    before, old = tree(ground.host()), ground.certificate()
    request = ground.asks()
    assert tree(ground.host()) == before
    answer = ground.gives(request)
    for key in ("tls.key", "node.key"):
        assert before[key].splitlines()[1] not in request + answer
    folder, until = put(answer, ground.host())
    after, new = tree(ground.host()), ground.certificate()
    assert {name for name in after if after[name] != before.get(name)} == {"tls.crt"}
    assert set(after) == set(before)
    assert (folder, until) == (ground.host(), new.not_valid_after_utc)
    assert (new.subject, new.public_key()) == (old.subject, old.public_key())
    assert new.serial_number != old.serial_number
    for path in ("tls.crt", "tls.key"):
        status = (ground.host() / path).stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (ground.host().stat().st_uid, 0o600)
    assert lets_in(ground.shop / "control", ground.host())
    assert read_node(ground.host()).file.name == "n1"


def test_people_compare_one_text_on_both_machines(ground: Ground) -> None:
    """The words that the host shows are those that are shown before anything is given; another request has others."""
    asked = ask(ground.host(), "", ground.root)
    asking = wanted(ground.shop, asked.file.read_bytes())
    assert asked.words == asking.words
    assert f"  {asked.words}" in asked_lines(asked)
    assert f"  {asked.words}" in wanted_lines(asking)
    assert wanted(ground.shop, ground.asks("n2")).words != asked.words
    assert not (ground.shop / "renewed").exists()
    file, until = given(asking, typed)
    assert file == ground.shop / "renewed" / "n1.renewed"
    assert str(file) in "\n".join(given_lines(file, until))
    assert "is good until" in put_lines(ground.host(), until)[0]
    with pytest.raises(FolderTaken, match="not written over"):
        ask(ground.host(), "", ground.root)


def _asking(
    ground: Ground, node: str, signer: str, *, cluster: str = "", key: Ed25519PrivateKey | None = None
) -> bytes:
    """Return a request for `node`, in the name of `signer`; by default with the host's key, for its cluster."""
    own = read_node(ground.host())
    renewing = Renewing(cluster=cluster or own.cluster.id, node=node, request=request_for(new_key(), node))
    return canonical.encode(sign(renewing, signer, key or own.key))


def _foreign_key(ground: Ground) -> bytes:
    return _asking(ground, "n1", "n1", key=Ed25519PrivateKey.generate())


def _for_another(ground: Ground) -> bytes:
    return _asking(ground, "n2", "n2")


def _other_signer(ground: Ground) -> bytes:
    return _asking(ground, "n1", "n2")


def _unknown(ground: Ground) -> bytes:
    return _asking(ground, "n9", "n9")


def _elsewhere(ground: Ground) -> bytes:
    return _asking(ground, "n1", "n1", cluster=read_node(ground.host()).cluster.id[::-1])


def _no_request(ground: Ground) -> bytes:
    node = read_node(ground.host())
    renewing = Renewing(cluster=node.cluster.id, node="n1", request="-----BEGIN CERTIFICATE REQUEST-----")
    return canonical.encode(sign(renewing, "n1", node.key))


def _altered(ground: Ground) -> bytes:
    return ground.asks().replace(b"BEGIN CERT", b"BEGIN CERU")


REQUESTS: dict[Callable[[Ground], bytes], tuple[type[AeroError], str]] = {
    _foreign_key: (RenewalForeign, "not signed with the key of n1"),
    _for_another: (RenewalForeign, "not signed with the key of n2"),
    _other_signer: (RenewalForeign, ""),
    _unknown: (RenewalForeign, "no node n9"),
    _elsewhere: (RenewalForeign, "of the cluster"),
    _no_request: (RenewalUnreadable, "cannot be used"),
    _altered: (RenewalForeign, "not signed"),
    lambda ground: (ground.root / "carried" / "n1.join").read_bytes(): (RenewalUnreadable, ""),
    lambda _: b"{}": (RenewalUnreadable, ""),
}


@pytest.mark.parametrize("made", REQUESTS)
def test_who_is_not_that_node_is_given_nothing(ground: Ground, made: Callable[[Ground], bytes]) -> None:
    """Another key, node or cluster, altered on the way, or no request: refused before anybody is asked."""
    kind, why = REQUESTS[made]
    data, before = made(ground), tree(ground.shop)
    with pytest.raises(kind, match=why or None):
        wanted(ground.shop, data)
    assert tree(ground.shop) == before


def test_the_authoritys_key_must_be_opened(ground: Ground) -> None:
    """A wrong passphrase gives nothing."""
    asking, before = wanted(ground.shop, ground.asks()), tree(ground.shop)
    with pytest.raises(PassphraseWrong):
        given(asking, lambda: b"something else")
    assert tree(ground.shop) == before


# What comes back ------------------------------------------------------------------------------------------------------


def renewed(ground: Ground, authority: Authority, name: str = "n1", kind: str = "agent", key: str = "n1") -> bytes:
    """Return what would be carried back if this had been certified."""
    public = read_key(ground.host(key) / "tls.key").public_key()
    certificate = authority.certified(public, name, kind).decode()
    return canonical.encode(Renewed(certificate=certificate, authority=authority.pem.decode()))


ANSWERS: dict[Callable[[Ground], bytes], tuple[type[AeroError], str]] = {
    lambda ground: ground.gives(ground.asks("n2")): (RenewalForeign, ""),
    lambda ground: renewed(ground, ground.authority(), key="n2"): (RenewalForeign, "another key"),
    lambda ground: renewed(ground, ground.authority(), name="n2"): (RenewalForeign, "CN=n2"),
    lambda ground: renewed(ground, ground.authority(), kind="control"): (RenewalForeign, "OU=control"),
    lambda ground: renewed(ground, Authority(read_node(ground.host()).cluster.id)): (
        RenewalForeign,
        "another authority",
    ),
    lambda ground: admission(ground.root, "n1"): (RenewalUnreadable, ""),
    lambda _: canonical.encode({"kind": "renewed certificate", "format": 2}): (MadeLater, ""),
}


@pytest.mark.parametrize("made", ANSWERS)
def test_what_is_not_this_nodes_is_not_put_in_place(ground: Ground, made: Callable[[Ground], bytes]) -> None:
    """Another node's, another key's, another kind's, or by an authority that only says that it is this one."""
    kind, why = ANSWERS[made]
    data, before = made(ground), tree(ground.host())
    with pytest.raises(kind, match=why or None):
        put(data, ground.host())
    assert tree(ground.host()) == before


def test_an_authority_beside_another_ones_certificate_is_refused(ground: Ground) -> None:
    """Whoever puts the real authority beside a certificate of their own."""
    answer = opened_renewed(renewed(ground, Authority(read_node(ground.host()).cluster.id)))
    mixed = Renewed(certificate=answer.certificate, authority=ground.authority().pem.decode())
    before = tree(ground.host())
    with pytest.raises(RenewalForeign, match="not by the authority"):
        put(canonical.encode(mixed), ground.host())
    assert tree(ground.host()) == before


def test_an_older_certificate_is_refused(ground: Ground) -> None:
    """One that was given before, one that ends sooner, and the very one that is there."""
    public = read_key(ground.host() / "tls.key").public_key()
    authority = ground.authority()
    short = authority.certified(public, "n1", "agent", dt.timedelta(days=5)).decode()
    for certificate in (short, (ground.host() / "tls.crt").read_text()):
        before = tree(ground.host())
        with pytest.raises(RenewalOlder):
            put(canonical.encode(Renewed(certificate=certificate, authority=authority.pem.decode())), ground.host())
        assert tree(ground.host()) == before


def test_a_death_leaves_a_certificate_that_is_good(ground: Ground) -> None:
    """Killed at each step, with an authority that was renewed too: what is there lets in, and the next one goes on."""
    renew_authority(ground.shop, "authority", typed)
    answer, before, seen = ground.gives(ground.asks()), tree(ground.host()), set[str]()
    for _ in each_death(ground.root, lambda: put(answer, ground.host()), EVENTS):
        after = tree(ground.host())
        left = [name for name in after if name.startswith(".")]
        assert lets_in(ground.shop / "control", ground.host())
        assert all(after[name] == before[name] for name in before if name not in {"tls.crt", "ca.crt"})
        seen.add(f"{after['ca.crt'] != before['ca.crt']} {after['tls.crt'] != before['tls.crt']}")
        for name in (*left, "ca.crt", "tls.crt"):
            (ground.host() / name).write_bytes(before[name]) if name in before else (ground.host() / name).unlink()
    assert seen == {"False False", "True False", "True True"}


def test_no_link_in_the_nodes_folder_is_followed(ground: Ground) -> None:
    """The folder is another user's, and the command is root's: what a link names there stays as it is."""
    target = ground.root / "target"
    target.write_text("as it was")
    answer = ground.gives(ground.asks())
    for name in (".tls.crt.new", ".tls.crt-aaaaaaaa"):
        (ground.host() / name).symlink_to(target)
    elsewhere = (ground.host() / "tls.crt").rename(ground.root / "elsewhere")
    (ground.host() / "tls.crt").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    put(answer, ground.host())
    assert (target.read_text(), elsewhere.read_bytes()) == ("as it was", before)
    assert not (ground.host() / "tls.crt").is_symlink()


# The authority itself -------------------------------------------------------------------------------------------------


def test_an_authority_is_renewed_for_its_key_and_hosts_follow_in_their_time(ground: Ground, tmp_path: Path) -> None:
    """Old and new certificates let in, whichever side has which; a node that is renewed then lasts as long as it."""
    other = tmp_path / "short"
    other.mkdir()
    before = {path.parent: path.read_bytes() for path in ground.shop.rglob("ca.crt")}
    path, until = renew_authority(ground.shop, "authority", typed)
    assert path == ground.shop / "authority" / "ca.crt"
    after = {path.parent: path.read_bytes() for path in ground.shop.rglob("ca.crt")}
    assert len(set(after.values())) == 1
    assert not set(after.values()) & set(before.values())
    assert lets_in(ground.shop / "control", ground.host())
    renew(ground.shop, "control", "control", typed)
    assert lets_in(ground.shop / "control", ground.host())
    assert lets_in(ground.host("n2"), ground.host()) is False  # It is n2's and not the control plane's.
    put(ground.gives(ground.asks()), ground.host())
    assert (ground.host() / "ca.crt").read_bytes() == path.read_bytes()
    assert until - ground.certificate().not_valid_after_utc < dt.timedelta(minutes=1)
    assert lets_in(ground.shop / "control", ground.host())
    with pytest.raises(HolderAbsent):
        renew_authority(ground.shop, "control", typed)


def test_an_authority_whose_renewal_is_killed_is_renewed_by_the_next(ground: Ground) -> None:
    """At each step whatever is there lets in, and is trusted by the commands."""
    for _ in each_death(
        ground.root, lambda: renew_authority(ground.shop, "authority", typed), frozenset({"os.rename"})
    ):
        assert lets_in(ground.shop / "control", ground.host())
        renew(ground.shop, "operator", "person", typed)
        assert lets_in(ground.shop / "control", ground.shop / "operator")
    renew_authority(ground.shop, "authority", typed)
