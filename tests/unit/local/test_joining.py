"""How hosts join: keys stay where they are made, a folder is whole or not there, what is another's is refused."""

import os
import pwd
import signal
import stat
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from aerodb.audit.store import Log
from aerodb.cli.profile import read_profile
from aerodb.errors import AeroError
from aerodb.kernel.node import NodeFile, WatchedPlace, read_node
from aerodb.local.admitting import Admitting, opened_hosts, opened_operators
from aerodb.local.certifying import issue
from aerodb.local.errors import (
    AdmissionForeign,
    FolderIncomplete,
    FolderTaken,
    FolderUnusable,
    HostsElsewhere,
    JoinAbsent,
    PostgresUnplaced,
    UserAbsent,
)
from aerodb.local.joining import awaiting, complete, join, opened
from aerodb.local.layout import Layout
from aerodb.local.replacing import replace_authority
from aerodb.local.told import admission_lines, admitted_lines, asking_lines, completed_lines, joined_lines
from aerodb.local.up import reopen_or_make
from aerodb.protocol import canonical
from aerodb.protocol.chain import ChangeRefused
from aerodb.protocol.joining import (
    AddressRefused,
    Admitted,
    Joining,
    JoinsContradict,
    JoinUnreadable,
    NameRefused,
    opened_join,
)
from aerodb.protocol.signed import public_text, sign
from aerodb.protocol.sshkey import KeyMalformed, parse_line
from aerodb.transport.certificates import Authority, new_key, request_for, requested_key
from tests.unit.local.joining import (
    LOGIN,
    NAMES,
    PASSPHRASE,
    admission,
    admitting,
    asked,
    awaited,
    joined,
    reachable,
    tree,
)
from tests.unit.local.test_certifying import lets_in
from tests.unit.protocol.test_chain import key_of

SECRETS = ("node.key", "tls.key")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Yield where the hosts are, and the machine that admits them; whatever is made is private, as of any command."""
    previous = os.umask(0o077)
    yield reachable(tmp_path)
    os.umask(previous)


@pytest.fixture
def shop(root: Path) -> Path:
    """Return where three hosts have asked, and were admitted."""
    joined(root, *NAMES)
    admitting(root, *NAMES).make(root / "shop", PASSPHRASE.encode())
    return root


def private(path: Path) -> bytes:
    """Return the line of a private key that nobody else may have."""
    return path.read_bytes().splitlines()[1]


# The whole way --------------------------------------------------------------------------------------------------------


def test_three_hosts_join_and_their_agents_let_the_control_plane_in(shop: Path) -> None:
    """Every folder is whole, its owner's alone; handshakes hold, and the words are the same everywhere."""
    words = set()
    for name in NAMES:
        one = awaited(shop, name)
        words.add(one.admitted.words)
        complete(one)
        folder = shop / "hosts" / name
        node = read_node(folder)
        assert (node.name, node.cluster.watched, node.member.postgres_port) == (name, True, 5432)
        assert node.watched == WatchedPlace(socket="/run/postgresql", port=5432, login=LOGIN)
        assert public_text(node.key) == node.member.public_key
        assert {path.name for path in folder.iterdir()} == {
            "ca.crt", "cluster.json", "node.json", "node.key", "tls.crt", "tls.key",
        }  # fmt: skip
        owner = pwd.getpwnam(LOGIN).pw_uid if os.geteuid() == 0 else os.geteuid()
        for path in (folder, *folder.iterdir()):
            assert path.stat().st_uid == owner
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        assert not awaiting(folder).exists()
    assert lets_in(shop / "shop" / "control", shop / "shop" / "operator")
    assert len(words) == 1
    assert {path.name for path in (shop / "hosts").iterdir()} == set(NAMES)


def test_the_control_planes_folder_is_as_of_any_new_cluster(shop: Path) -> None:
    """With its log, everybody's profile, the monitor, the authority; and none of the hosts' private keys."""
    layout = Layout(root=shop / "shop")
    cluster = layout.cluster()
    assert (cluster.watched, cluster.genesis, cluster.quorum) == (True, "", 0)
    assert [each.name for each in cluster.members] == list(NAMES)
    assert (cluster.control, cluster.web) == ("127.0.0.1:9", "127.0.0.1:10")
    for person in cluster.operators:
        assert read_profile(layout.profile(person.name)).cluster == cluster
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(AeroError):  # It opens with the key that is there, and no other.
        Log(layout.control / "log", cluster.origin, key)
    assert (layout.monitor / "prometheus.yml").exists()
    assert all(f" verifyhost {each}\n" in (layout.balancer / "haproxy.cfg").read_text() for each in ("n1", "n2"))
    assert (layout.authority / "ca.key").exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in layout.root.rglob("*") if path.is_dir()} == {0o700}
    for name in NAMES:
        for secret in SECRETS:
            own = private(awaiting(shop / "hosts" / name) / secret)
            assert [path for path, data in tree(shop).items() if own in data] == [f"hosts/{name}.joining/{secret}"]
    private_key = private(layout.authority / "ca.key")
    assert [path for path, data in tree(shop).items() if private_key in data] == ["shop/authority/ca.key"]


def test_what_people_compare_is_the_same_on_both_sides(root: Path) -> None:
    """A host's words are shown before anything is made; those of the cluster are what each host says."""
    hosts = joined(root, "n1", "n2")
    cluster = admitting(root, "n1", "n2")
    shown = asking_lines(cluster)
    for host in hosts:
        assert f"  {host.words}" in shown
        assert f"  {host.words}" in joined_lines(host)
        assert f"{host.member.name}   agent {host.member.agent}   PostgreSQL {host.member.postgres_host}:5432" in shown
    assert not (root / "shop").exists()
    cluster.make(root / "shop", PASSPHRASE.encode())
    for name in ("n1", "n2"):
        assert f"  {cluster.words}" in admission_lines(awaited(root, name))
    said = "\n".join(admitted_lines(cluster, root / "shop"))
    assert cluster.words in said
    assert str(root / "shop" / "admitted" / "n1.admitted") in said


def test_the_exact_sql_and_what_stands_in_the_way_are_said(root: Path) -> None:
    """Another role is quoted; a socket that is not there, and addresses that nobody reaches, are said."""
    said = joined_lines(join(asked(root)))
    assert f'     create role "{LOGIN}" login; grant pg_monitor to "{LOGIN}";' in said
    assert "  There is no such socket now: PostgreSQL is down, or listens elsewhere." in said
    assert any(f"--folder {root}/hosts/n1" in line for line in said)
    usual = replace(join(asked(root, "n2")), login="aerodb_watch")
    usual = replace(usual, place=replace(usual.place, listens="localhost"))
    said = joined_lines(usual)
    assert "     create role aerodb_watch login; grant pg_monitor to aerodb_watch;" in said
    assert "  Its listen_addresses are 'localhost': no other host reaches it." in said


# Asking ---------------------------------------------------------------------------------------------------------------


def test_the_file_to_carry_is_no_secret_and_the_rest_is(root: Path) -> None:
    """Whoever carries it reads it; the folder is its maker's alone until it is admitted."""
    one = join(asked(root))
    assert stat.S_IMODE(one.file.stat().st_mode) == 0o644
    assert one.file.read_bytes() == (one.folder / "node.join").read_bytes()
    assert stat.S_IMODE(one.folder.stat().st_mode) == 0o700
    assert {(path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) for path in one.folder.iterdir()} == {
        (os.geteuid(), 0o600)
    }
    assert opened_join(one.file.read_bytes())[1] == one.words


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"name": "N1"}, NameRefused),
        ({"name": "control"}, NameRefused),
        ({"login": "postgres"}, NameRefused),
        ({"login": 'x"; drop'}, NameRefused),
        ({"address": "10.0.0.1"}, AddressRefused),
        ({"postgres_address": "n1"}, AddressRefused),
        ({"socket": "run"}, PostgresUnplaced),
        ({"socket": ""}, PostgresUnplaced),
        ({"port": 0}, PostgresUnplaced),
        ({"instance": "15"}, PostgresUnplaced),
        ({"instance": "15/--help"}, PostgresUnplaced),
        ({"instance": "15/nobody-has-this"}, PostgresUnplaced),
        ({"login": "nobody_is_this"}, UserAbsent),
        ({"login": "root"}, UserAbsent),
    ],
)
def test_what_is_typed_wrongly_makes_nothing(root: Path, changes: dict[str, str], kind: type[AeroError]) -> None:
    """Not one file."""
    if kind is UserAbsent and os.geteuid() != 0:
        pytest.skip("who is not root makes the folder their own")
    with pytest.raises(kind) as error:
        join(asked(root, **changes))
    assert error.value.domain == "input"
    assert tree(root) == {}


def test_where_postgresql_is_reached_elsewhere_it_is_named(root: Path) -> None:
    """By default it is where the agent is; an IPv6 address has no brackets there."""
    assert join(asked(root, address="[fd00::1]:7401")).member.postgres_host == "fd00::1"
    member = join(asked(root, "n2", postgres_address="db2.example.org:6432")).member
    assert (member.postgres_host, member.postgres_port, member.agent) == ("db2.example.org", 6432, "10.0.0.2:7401")


def test_a_second_time_says_what_is_there(root: Path) -> None:
    """A folder that awaits, a folder that is anything, a file to carry that is there: nothing is written over."""
    join(asked(root))
    before = tree(root)
    with pytest.raises(FolderTaken, match="awaits its admission") as error:
        join(asked(root, into=root))
    assert str(awaiting(root / "hosts" / "n1") / "node.join") in error.value.message
    with pytest.raises(FolderTaken, match="not written over"):
        join(asked(root, folder=root / "elsewhere"))
    (root / "hosts" / "n2").mkdir()
    with pytest.raises(FolderTaken, match="something else"):
        join(asked(root, "n2"))
    assert tree(root) == before


@pytest.mark.parametrize("file", ["node.json", "node.key", "tls.key", "node.join"])
@pytest.mark.parametrize("how", ["damaged", "another's"])
def test_a_folder_that_is_damaged_is_said_to_be(shop: Path, file: str, how: str) -> None:
    """Each part: by who asks again, and by who brings the admission; and it is left as it is."""
    pending, other = awaiting(shop / "hosts" / "n1"), awaiting(shop / "hosts" / "n2")
    (pending / file).write_bytes(b"" if how == "damaged" else (other / file).read_bytes())
    before = tree(shop)
    if (file, how) == ("tls.key", "another's"):  # Only the certificate tells.
        with pytest.raises(AdmissionForeign, match="another key"):
            awaited(shop, "n1")
    else:
        for call in (lambda: join(asked(shop, into=shop)), lambda: awaited(shop, "n1")):
            with pytest.raises(FolderIncomplete, match=r"To begin anew|is not that of"):
                call()
    assert tree(shop) == before


def test_a_folder_of_a_node_in_charge_is_not_admitted(shop: Path) -> None:
    """Whatever it is called: what joins is only watched."""
    file = NodeFile(name="n1", home="", binaries="", account="", starts="no")
    (awaiting(shop / "hosts" / "n1") / "node.json").write_bytes(canonical.encode(file))
    with pytest.raises(FolderIncomplete, match="not only watched"):
        awaited(shop, "n1")


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root makes the folder their own")
def test_a_place_that_the_agents_user_cannot_reach_is_refused(root: Path) -> None:
    """As root the agent is another user, who must pass through every folder above."""
    (root / "closed").mkdir(mode=0o700)
    with pytest.raises(FolderUnusable, match=f"nobody cannot enter {root}/closed"):
        join(asked(root, folder=root / "closed" / "more" / "n1"))
    assert list((root / "closed").iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_the_keys_and_says_so(root: Path) -> None:
    """The same text is in the folder: it is carried instead."""
    with pytest.raises(FolderUnusable, match="The keys are made") as error:
        join(asked(root, into=root / "nowhere"))
    assert str(awaiting(root / "hosts" / "n1") / "node.join") in error.value.message


# Admitting ------------------------------------------------------------------------------------------------------------


def requesting(request: str, name: str = "n1") -> bytes:
    """Return what a host signed that asks for a certificate so."""
    key = Ed25519PrivateKey.generate()
    member = {
        "name": name, "witness": False, "agent": f"10.0.0.{name[1:]}:7401", "postgres_host": f"10.0.0.{name[1:]}",
        "postgres_port": 5432, "public_key": public_text(key),
    }  # fmt: skip
    document = {"kind": "join", "member": member, "request": request, "watched": True}
    return canonical.encode(sign(document, name, key))


def altered_request() -> str:
    """Return a request of which a letter was changed since it was signed."""
    request = x509.load_pem_x509_csr(request_for(new_key(), "n1").encode()).public_bytes(Encoding.DER)
    assert request.count(b"n1") == 1
    altered = x509.load_der_x509_csr(request.replace(b"n1", b"n2"))
    return altered.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    "request_text",
    ["", "-----BEGIN CERTIFICATE REQUEST-----", altered_request(),
     request_for(ec.generate_private_key(ec.SECP384R1()), "n1"),
     request_for(rsa.generate_private_key(65537, 2048), "n1")],  # type: ignore[arg-type]
    ids=["none", "damaged", "signed by another", "another curve", "another kind"],
)  # fmt: skip
def test_a_request_that_shows_no_key_is_certified_by_nobody(request_text: str) -> None:
    """Whoever asks has the key that they ask for, of the kind that is used here; the file is named."""
    with pytest.raises(JoinUnreadable, match=r"^n1\.join: "):
        opened_hosts([("n1.join", requesting(request_text))])


def test_hosts_that_contradict_one_another_are_not_admitted(root: Path) -> None:
    """One file twice; one key for two certificates."""
    joined(root, "n1")
    data = (root / "carried" / "n1.join").read_bytes()
    with pytest.raises(JoinsContradict, match="the name"):
        opened_hosts([("a", data), ("b", data)])
    request = request_for(new_key(), "n1")
    with pytest.raises(JoinsContradict, match="n1 and n2 ask for certificates of one key"):
        opened_hosts([("a", requesting(request)), ("b", requesting(request, "n2"))])


def test_what_is_no_join_is_named(root: Path) -> None:
    """By its file, in each refusal."""
    joined(root, "n1")
    altered = (root / "carried" / "n1.join").read_bytes().replace(b"10.0.0.1", b"10.0.0.7")
    for data in (b"", altered):
        with pytest.raises(JoinUnreadable, match=r"^x\.join: "):
            opened_hosts([("x.join", data)])


@pytest.mark.parametrize("name", ["", "Shop", "../shop", "shop/", "-shop", "s" * 65, "sh op"])
def test_a_cluster_is_called_as_one_can_be(name: str) -> None:
    """Its name is a folder's by default."""
    with pytest.raises(NameRefused):
        Admitting((), name, "")


@pytest.mark.parametrize("control", ["10.0.0.1", "0.0.0.0:7400", "10.0.0.1:65535"])
def test_a_control_plane_is_where_it_can_be_called(control: str) -> None:
    """With a port after it for the admin UI."""
    with pytest.raises(AddressRefused):
        Admitting((), "shop", control)


@pytest.mark.parametrize("control", ["127.0.0.1:7401", "127.0.0.1:7400"])
def test_an_agent_and_the_control_plane_are_not_at_one_address(root: Path, control: str) -> None:
    """Nor is the admin UI, at the port after it."""
    join(asked(root, address="127.0.0.1:7401"))
    with pytest.raises(AddressRefused, match="the agent's of n1"):
        admitting(root, "n1", control=control)
    admitting(root, "n1", control="127.0.0.1:7402")


def test_a_folder_that_holds_something_stays_as_it_is(root: Path) -> None:
    """A file, a folder with anything in it; an empty one is used."""
    joined(root, "n1")
    cluster = admitting(root, "n1")
    (root / "file").write_text("")
    (root / "full").mkdir()
    (root / "full" / "file").write_text("")
    before = tree(root)
    for taken in ("file", "full"):
        with pytest.raises(FolderTaken):
            cluster.make(root / taken, PASSPHRASE.encode())
    assert tree(root) == before
    (root / "empty").mkdir()
    cluster.make(root / "empty", PASSPHRASE.encode())
    assert Layout(root=root / "empty").cluster() == cluster.cluster


def test_a_watched_cluster_is_brought_up_by_nobody_and_enrols_nobody(shop: Path) -> None:
    """Its PostgreSQL is its owner's; its configuration changes by no action."""
    with pytest.raises(FolderTaken, match="only watched"):
        reopen_or_make(Layout(root=shop / "shop"), {})
    with pytest.raises(ChangeRefused, match="only watched"):
        issue(shop / "shop", "zoe", "observer", "")
    assert not (shop / "shop" / "zoe").exists()


# Being admitted -------------------------------------------------------------------------------------------------------


def test_another_hosts_admission_is_refused(shop: Path) -> None:
    """Also where it is brought to the right folder; and where nothing awaits it."""
    before = tree(shop)
    with pytest.raises(AdmissionForeign):
        opened(admission(shop, "n2"), shop / "hosts" / "n1")
    with pytest.raises(JoinAbsent):
        opened(admission(shop, "n1"), shop / "hosts" / "n9")
    assert tree(shop) == before


def exchanged(shop: Path, **parts: str) -> bytes:
    """Return the admission of n1 with parts exchanged."""
    return canonical.encode(replace(canonical.decode(admission(shop, "n1"), Admitted), **parts))


def test_parts_that_do_not_belong_together_are_refused(shop: Path) -> None:
    """Another authority, another configuration, a certificate of another key, name, kind, or of no authority."""
    cluster = Layout(root=shop / "shop").cluster()
    key = requested_key(joining_of(shop, "n1").request)
    other = Authority(cluster.id)
    own = canonical.decode(admission(shop, "n1"), Admitted)
    stranger = Authority("another cluster")
    certificates = {
        "another authority": exchanged(shop, authority=other.pem.decode()),
        "by another authority": exchanged(shop, certificate=other.certified(key, "n1", "agent").decode()),
        "another kind": exchanged(
            shop, certificate=other.certified(key, "n1", "control").decode(), authority=other.pem.decode()
        ),
        "another key": exchanged(
            shop, certificate=other.certified(new_key().public_key(), "n1", "agent").decode(),
            authority=other.pem.decode(),
        ),
        "another cluster's": exchanged(
            shop, certificate=stranger.certified(key, "n1", "agent").decode(), authority=stranger.pem.decode()
        ),
        "two authorities": exchanged(shop, authority=own.authority + other.pem.decode()),
        "no certificate": exchanged(shop, certificate="-----BEGIN CERTIFICATE-----"),
        "a certificate as the authority": exchanged(shop, authority=own.certificate),
    }  # fmt: skip
    before = tree(shop)
    for data in certificates.values():
        with pytest.raises(AdmissionForeign):
            opened(data, shop / "hosts" / "n1")
    assert tree(shop) == before


def joining_of(shop: Path, name: str) -> Joining:
    """Return what a host signed of itself."""
    return opened_join((shop / "carried" / f"{name}.join").read_bytes())[0]


@pytest.mark.parametrize(
    "changes", [{"public_key": "other"}, {"agent": "10.0.0.9:7401"}, {"postgres_host": "10.0.0.9"}, {"name": "n9"}]
)
def test_a_configuration_that_says_otherwise_than_the_host_is_refused(shop: Path, changes: dict[str, str]) -> None:
    """Key, addresses and name are in it exactly as this host signed them."""
    cluster = Layout(root=shop / "shop").cluster()
    members = tuple(replace(each, **changes) if each.name == "n1" else each for each in cluster.members)
    text = canonical.encode(replace(cluster, members=members)).decode()
    why = "has another key than the one" if "public_key" in changes else "the configuration of shop has"
    with pytest.raises(AdmissionForeign, match=why):
        opened(exchanged(shop, configuration=text), shop / "hosts" / "n1")


def test_whoever_exchanges_the_authority_has_other_words(shop: Path) -> None:
    """All the parts belong together then, and only a person can find it out."""
    cluster = Layout(root=shop / "shop").cluster()
    key = requested_key(joining_of(shop, "n1").request)
    other = Authority(cluster.id)
    data = exchanged(
        shop, certificate=other.certified(key, "n1", "agent").decode(), authority=other.pem.decode()
    )  # fmt: skip
    assert opened(data, shop / "hosts" / "n1").admitted.words != awaited(shop, "n1").admitted.words


def test_who_has_joined_does_not_join_again(shop: Path) -> None:
    """What is there is said, and stays."""
    one = awaited(shop, "n1")
    complete(one)
    assert completed_lines(one)[0].startswith("n1 has joined")
    before = tree(shop)
    with pytest.raises(FolderTaken, match="was admitted"):
        awaited(shop, "n1")
    with pytest.raises(FolderTaken, match="was admitted"):
        join(asked(shop, into=shop))
    assert tree(shop) == before


# Killed at each step --------------------------------------------------------------------------------------------------

EVENTS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.chmod", "os.chown", "os.remove", "os.rmdir", "tempfile.mkdtemp"}
)


PLACES = frozenset({"os.mkdir", "os.rename", "os.chmod", "tempfile.mkdtemp"})
"""What a process does to files, as the interpreter's own audit hooks tell; and to folders, mostly."""


def killed_at(step: int, root: Path, act: Callable[[], object], events: frozenset[str]) -> bool:
    """Do something in a process of its own, which is killed right before its `step`th touch of what is in `root`.

    Return whether it was.
    """
    child = os.fork()
    if child == 0:
        left = step

        def touched(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in events and str(arguments[0]).startswith(str(root)):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(touched)
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def each_death(root: Path, act: Callable[[], object], events: frozenset[str] = EVENTS) -> Iterator[int]:
    """Kill an act at each of its steps, in turn; the last time it is not killed."""
    for step in range(200):
        killed = killed_at(step, root, act, events)
        yield step
        if not killed:
            return
    pytest.fail("it has no end")


def removed(folder: Path) -> None:
    """Remove what a person is told to remove."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def test_a_join_that_is_killed_is_whole_or_not_there_and_is_named(root: Path) -> None:
    """Whatever it leaves is either a folder that can be admitted, or one that the next join names."""
    seen = set[str]()
    pending = awaiting(root / "hosts" / "n1")
    for _ in each_death(root, lambda: join(asked(root))):
        if pending.exists():
            assert set(tree(pending)) == {"node.json", "node.key", "tls.key", "node.join"}
            with pytest.raises(FolderTaken, match="awaits its admission"):
                join(asked(root))
            seen.add("whole")
        elif pending.parent.exists() and any(pending.parent.iterdir()):
            with pytest.raises(FolderIncomplete, match="rm -r") as error:
                join(asked(root))
            seen.add("left over")
            (left,) = pending.parent.iterdir()
            assert str(left) in error.value.message
        else:
            seen.add("nothing")
            continue
        removed(pending.parent)
        (root / "carried" / "n1.join").unlink(missing_ok=True)
    assert seen == {"whole", "left over", "nothing"}


def test_an_admission_that_is_killed_leaves_all_or_nothing_and_goes_on(shop: Path) -> None:
    """The node's folder is whole or not there; until then the keys await it as before."""
    folder, seen = shop / "hosts" / "n1", set[str]()
    keys = {name: (awaiting(folder) / name).read_bytes() for name in SECRETS}
    everything = tree(awaiting(folder))
    for _ in each_death(shop, lambda: complete(awaited(shop, "n1"))):
        left = [each for each in folder.parent.iterdir() if each.name.startswith(".")]
        if folder.exists():
            assert read_node(folder).name == "n1"
            assert {name: (folder / name).read_bytes() for name in SECRETS} == keys
            seen.add("whole, with what it was made from" if awaiting(folder).exists() else "whole")
            with pytest.raises(FolderTaken):
                awaited(shop, "n1")
            removed(folder)
            awaiting(folder).mkdir(exist_ok=True)
            for name, data in everything.items():
                (awaiting(folder) / name).write_bytes(data)
            continue
        assert tree(awaiting(folder)) == everything
        seen.add("left over" if left else "nothing")
        if left:
            with pytest.raises(FolderIncomplete, match="rm -r"):
                awaited(shop, "n1")
            removed(left[0])
        else:
            awaited(shop, "n1")
    assert seen == {"nothing", "left over", "whole, with what it was made from", "whole"}


def test_a_cluster_whose_making_is_killed_is_whole_or_not_there_and_is_named(root: Path) -> None:
    """The authority's key is left nowhere that the next command does not name."""
    joined(root, "n1")
    seen = set[str]()
    files = set[str]()
    for _ in each_death(root, lambda: admitting(root, "n1").make(root / "shop", PASSPHRASE.encode()), PLACES):
        left = [each for each in root.iterdir() if each.name.startswith(".")]
        if (root / "shop").exists():
            assert Layout(root=root / "shop").cluster().name == "shop"
            files |= set(tree(root / "shop"))
            removed(root / "shop")
            seen.add("whole")
        elif left:
            with pytest.raises(FolderIncomplete, match="rm -r"):
                admitting(root, "n1").make(root / "shop", PASSPHRASE.encode())
            removed(left[0])
            seen.add("left over")
        else:
            seen.add("nothing")
    assert seen == {"whole", "left over", "nothing"}
    assert "admitted/n1.admitted" in files


def test_no_new_authority_is_made_behind_the_hosts_backs(shop: Path) -> None:
    """They would trust the one before, and answer nobody any more: nothing is made, and nothing changes."""
    before = tree(shop / "shop")
    with pytest.raises(HostsElsewhere):
        replace_authority(shop / "shop")
    assert tree(shop / "shop") == before


# Operators ------------------------------------------------------------------------------------------------------------


def test_operators_bring_the_keys_that_they_have(root: Path) -> None:
    """No private key is made for anybody; security keys are as good; the profile signs by the ssh-agent."""
    hosts = joined(root, "n1")
    blob = parse_line(key_of("ben")).blob[-32:]
    parts = (b"sk-ssh-ed25519@openssh.com", blob, b"ssh:")
    wire = b"".join(len(part).to_bytes(4) + part for part in parts)
    security = f"sk-ssh-ed25519@openssh.com {b64encode(wire).decode()} ben@key"
    brought = opened_operators([("ana", f"{key_of('ana')} ana@desk\n"), ("ben", security)])
    files = [(host.file.name, host.file.read_bytes()) for host in hosts]
    made = Admitting(opened_hosts(files), "shop", "127.0.0.1:9", brought)
    made.make(root / "shop", PASSPHRASE.encode())
    assert [(each.name, each.role) for each in made.cluster.operators] == [
        ("ana", "operator"), ("ben", "operator"), ("auditor", "auditor"), ("observer", "observer"),
    ]  # fmt: skip
    assert made.cluster.operators[0].ssh_key == key_of("ana")
    assert not [name for name, data in tree(root / "shop").items() if b"OPENSSH PRIVATE KEY" in data]
    assert not (root / "shop" / "operator").exists()
    profile = read_profile(root / "shop" / "ana")
    assert (profile.operator, profile.key_file.exists()) == ("ana", False)
    said = "\n".join(admitted_lines(made, root / "shop"))
    assert f"--profile {root}/shop/ana status" in said
    assert "by ssh-agent: none was made here" in said
    assert "has no passphrase yet" in "\n".join(admitted_lines(admitting(root, "n1"), root / "shop"))


@pytest.mark.parametrize(
    ("named", "kind"),
    [([("Ana", key_of("ana"))], NameRefused), ([("../ana", key_of("ana"))], NameRefused),
     ([("control", key_of("ana"))], NameRefused), ([("auditor", key_of("ana"))], NameRefused),
     ([("ana", key_of("ana")), ("ana", key_of("ben"))], NameRefused),
     ([("ana", key_of("ana")), ("ben", f"{key_of('ana')} another")], JoinsContradict),
     ([("ana", "ssh-ed25519 AAAA")], KeyMalformed), ([("ana", "")], KeyMalformed)],
)  # fmt: skip
def test_an_operator_who_cannot_be_is_refused(named: list[tuple[str, str]], kind: type[AeroError]) -> None:
    """Another's name, a path, one key twice, no key."""
    with pytest.raises(kind):
        opened_operators(named)
