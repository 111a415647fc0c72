"""Certificates by the authority that a cluster's folder keeps: for who can be enrolled, once, whole, no longer."""

import datetime as dt
import resource
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec.structs import replace

from aerodb.cli.profile import read_profile
from aerodb.errors import AeroError
from aerodb.kernel.store import Store
from aerodb.kernel.versions import TakenVersions
from aerodb.local.certifying import balancer_lines, issue, issue_balancer, issued_lines, kept_authority, renew
from aerodb.local.errors import AuthorityAbsent, AuthorityUnusable, ClusterAbsent, FolderTaken, HolderAbsent
from aerodb.local.layout import Layout
from aerodb.local.replacing import replace_authority
from aerodb.protocol import canonical
from aerodb.protocol.chain import ChangeRefused, changed
from aerodb.protocol.change import Change
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.sshkey import of_public
from aerodb.rules.standing import genesis
from aerodb.transport.certificates import LIFETIME, Authority
from aerodb.transport.passphrase import unasked
from aerodb.transport.tls import client_context, server_context, tls_in
from tests.unit.protocol.test_chain import key_of
from tests.unit.rules.scenes import cluster_of

ANA = Operator(name="ana", role=Role.OPERATOR, ssh_key=key_of("ana"))


class Ground:
    """A cluster's folder, as far as certificates are concerned."""

    def __init__(self, root: Path, life: dt.timedelta = LIFETIME) -> None:
        """Make it."""
        self.layout = Layout(root=root)
        self.cluster = replace(cluster_of(witness=False), operators=(ANA,), control="127.0.0.1:9", log_key="l")
        self.cluster = replace(
            self.cluster, members=tuple(replace(each, agent="127.0.0.1:9") for each in self.cluster.members)
        )
        authority = Authority(self.cluster.id, life)
        for folder in (
            self.layout.authority,
            self.layout.control,
            self.layout.root / "nodes",
            self.layout.profile("ana"),
        ):
            folder.mkdir(mode=0o700)
        authority.keep(self.layout.authority)
        authority.issue(self.layout.control, "control", "control", LIFETIME)
        authority.issue(self.layout.profile("ana"), "ana", "person", LIFETIME)
        (self.layout.profile("ana") / "profile.json").write_text("{}")
        self.layout.configuration.write_bytes(canonical.encode(self.cluster))
        for member in self.cluster.members:
            folder = self.layout.node(member.name)
            folder.mkdir()
            authority.issue(folder, member.name, "agent", LIFETIME)
            Store.create(folder / "state", genesis(member.name, "n1", witness=False, folder=member.name))

    def take(self, node: str, change: Change) -> Cluster:
        """Have a node take a version that makes this change."""
        taken = TakenVersions(self.layout.node(node) / "state", self.cluster)
        taken.take(canonical.encode(changed(taken.chain.newest, change)).decode())
        return taken.chain.newest

    def holds(self, name: str) -> x509.Certificate:
        """Return a person's certificate."""
        return x509.load_pem_x509_certificate((self.layout.profile(name) / "tls.crt").read_bytes())

    def files(self) -> dict[str, bytes]:
        """Return everything in the folder."""
        return {str(path): path.read_bytes() for path in self.layout.root.rglob("*") if path.is_file()}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Return a cluster's folder."""
    return Ground(tmp_path)


def enrol(name: str, role: str = "operator") -> Change:
    """Return the change that enrols somebody, with a key of their own."""
    return Change(kind="enrol", name=name, before="", after=f"{role} {key_of(name)}")


def lets_in(server: Path, client: Path, name: str = "control") -> bool:
    """Tell whether a service, called by a name, and a caller complete a handshake, by their folders' certificates."""
    far, near = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = server_context(tls_in(server)).wrap_bio(near, far, server_side=True)
    two = client_context(tls_in(client)).wrap_bio(far, near, server_hostname=name)
    done = set[ssl.SSLObject]()
    for _ in range(20):
        for side in {one, two} - done:
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return len(done) == 2


# Issuing --------------------------------------------------------------------------------------------------------------


def test_a_profile_is_whole_and_its_owners_alone(ground: Ground) -> None:
    """The certificate lets in, the key was made in the profile alone, and the exact commands to enrol it are said."""
    issued = issue(ground.layout.root, "zoe", "operator", "")
    folder = ground.layout.profile("zoe")
    assert read_profile(folder).operator == "zoe"
    assert read_profile(folder).cluster.digest == ground.cluster.digest
    assert lets_in(ground.layout.control, folder)
    subject = {each.rfc4514_attribute_name: each.value for each in ground.holds("zoe").subject}
    assert (subject["CN"], subject["OU"]) == ("zoe", "person")
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    private = (folder / "id_ed25519").read_bytes()
    key = load_ssh_private_key(private, None)
    assert isinstance(key, Ed25519PrivateKey)
    line = of_public(key.public_key()).line
    assert (folder / "id_ed25519.pub").read_text().strip() == line
    secret = private.splitlines()[2]
    assert [path for path, data in ground.files().items() if secret in data] == [str(folder / "id_ed25519")]
    path = folder.resolve() / "id_ed25519.pub"
    said = issued_lines(issued, "zoe")
    assert said[-3:] == [
        f'  aerodb configure n1 --enrol zoe --role operator --key {path} --reason "..."',
        '  aerodb configure n2 --take --reason "..."',
        '  aerodb configure n3 --take --reason "..."',
    ]
    assert secret.decode() not in "\n".join(said)


def test_a_key_that_is_brought_stays_where_it_is(ground: Ground) -> None:
    """Nothing private is made for who brings a public key, nor for who shall sign nothing."""
    issue(ground.layout.root, "zoe", "operator", f"{key_of('zoe')} zoe@desk\n")
    issue(ground.layout.root, "olga", "observer", "")
    zoe, olga = ({path.name for path in ground.layout.profile(name).iterdir()} for name in ("zoe", "olga"))
    assert olga == {"ca.crt", "tls.crt", "tls.key", "cluster.json", "profile.json"}
    assert zoe == {*olga, "id_ed25519.pub", "allowed_signers"}
    assert (ground.layout.profile("zoe") / "id_ed25519.pub").read_text() == f"{key_of('zoe')}\n"


def test_who_is_enrolled_already_is_given_a_certificate_alone(ground: Ground) -> None:
    """Whoever was enrolled by a key of their own, on any node here, needs nothing else; nothing of it is changed."""
    ground.take("n2", enrol("zoe"))
    with pytest.raises(ChangeRefused, match="enrolled already, as operator"):
        issue(ground.layout.root, "zoe", "observer", "")
    with pytest.raises(ChangeRefused, match="enrolled already"):
        issue(ground.layout.root, "zoe", "operator", key_of("other"))
    issued = issue(ground.layout.root, "zoe", "", "")
    assert (issued.enrolling, issued.key_made) == ((), False)
    assert not (ground.layout.profile("zoe") / "id_ed25519").exists()


REFUSED = {
    "nobody's name": ("Zoe", "operator", "", "no name for a person"),
    "a path": ("../zoe", "operator", "", "no name for a person"),
    "no role": ("zoe", "", "", "needs a role"),
    "a key that is somebody's": ("zoe", "operator", key_of("ana"), "as that of ana"),
    "a key that is none": ("zoe", "operator", "ssh-ed25519 AAAA", ""),
    "the name of something else": ("control", "observer", "", "nobody's profile"),
    "the name of a file": ("cluster.json", "observer", "", "nobody's profile"),
    "somebody revoked": ("ben", "operator", "", "a name is never used again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_whom_nobody_could_enrol_is_given_nothing(ground: Ground, case: str) -> None:
    """The refusal says why, and not one file is made, or changed."""
    name, role, line, why = REFUSED[case]
    ground.take("n1", enrol("ben"))
    ground.take("n1", Change(kind="revoke", name="ben", before="operator", after="revoked"))
    before = ground.files()
    with pytest.raises(AeroError) as error:
        issue(ground.layout.root, name, role, line)
    assert error.value.domain == "input"
    assert why in error.value.message
    assert ground.files() == before


def test_a_second_time_changes_nothing_and_says_how_to_renew(ground: Ground) -> None:
    """A key that somebody has is never written over."""
    issue(ground.layout.root, "zoe", "operator", "")
    before = ground.files()
    with pytest.raises(FolderTaken, match="aerodb certificate renew zoe"):
        issue(ground.layout.root, "zoe", "operator", "")
    assert ground.files() == before


def test_a_disk_that_fails_leaves_no_half_profile(ground: Ground) -> None:
    """A profile is made beside its place, and is there whole or not at all."""
    before, limits = ground.files(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            issue(ground.layout.root, "zoe", "operator", "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ground.files() == before
    assert list(ground.layout.root.glob(".*")) == []


# The authority --------------------------------------------------------------------------------------------------------


def test_the_authority_is_private(ground: Ground) -> None:
    """In a folder of its own that nobody else enters, in files that nobody else reads; and in no other file."""
    folder = ground.layout.authority
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "ca.crt": 0o600,
        "ca.key": 0o600,
    }
    secret = (folder / "ca.key").read_bytes().splitlines()[1]
    assert [path for path, data in ground.files().items() if secret in data] == [str(folder / "ca.key")]


def test_a_folder_that_is_no_cluster(tmp_path: Path) -> None:
    """It is said to be none, and nothing is made in it."""
    for call in (lambda: issue(tmp_path, "zoe", "operator", ""), lambda: renew(tmp_path, "zoe", "person")):
        with pytest.raises(ClusterAbsent):
            call()
    assert list(tmp_path.iterdir()) == []


def _remove(ground: Ground) -> None:
    for path in ground.layout.authority.iterdir():
        path.unlink()
    ground.layout.authority.rmdir()


def _damage(ground: Ground) -> None:
    (ground.layout.authority / "ca.key").write_bytes(b"-----BEGIN")


def _exchange(ground: Ground) -> None:
    for path in ground.layout.authority.iterdir():
        path.unlink()
    Authority(ground.cluster.id).keep(ground.layout.authority)


def _mix(ground: Ground) -> None:
    own = (ground.layout.authority / "ca.crt").read_bytes()
    _exchange(ground)
    (ground.layout.authority / "ca.crt").write_bytes(own)


@pytest.mark.parametrize("harm", [_remove, _damage, _exchange, _mix])
def test_an_authority_that_is_not_the_clusters_certifies_nobody(ground: Ground, harm: object) -> None:
    """Gone, as in a cluster of 0.1.0, damaged, another, or of two halves: said, with what to do; nothing is made."""
    harm(ground)  # type: ignore[operator]
    before = ground.files()
    for call in (
        lambda: issue(ground.layout.root, "zoe", "operator", ""),
        lambda: renew(ground.layout.root, "ana", "person"),
    ):
        with pytest.raises((AuthorityAbsent, AuthorityUnusable)) as error:
            call()
        assert harm is not _remove or "aerodb certificate replace-authority" in error.value.message
    assert ground.files() == before


@pytest.mark.parametrize(("life", "good"), [(dt.timedelta(days=5), True), (dt.timedelta(hours=-1), False)])
def test_no_certificate_outlives_its_authority(tmp_path: Path, life: dt.timedelta, *, good: bool) -> None:
    """What the authority certifies ends with it, and one that has expired certifies nobody."""
    ground = Ground(tmp_path, life)
    if not good:
        with pytest.raises(AuthorityUnusable, match="expired"):
            issue(tmp_path, "zoe", "operator", "")
        return
    issued = issue(tmp_path, "zoe", "operator", "")
    left = ground.holds("zoe").not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=4) < left <= dt.timedelta(days=5)
    assert abs(issued.expires - ground.holds("zoe").not_valid_after_utc) < dt.timedelta(minutes=1)


# Renewing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("ana", "person"), ("n2", "agent"), ("control", "control")])
def test_a_certificate_is_renewed_for_the_key_that_is_there(ground: Ground, name: str, kind: str) -> None:
    """One file is replaced; the key stays, and the new certificate lets in as the old one did."""
    before = ground.files()
    path, _ = renew(ground.layout.root, name, kind)  # type: ignore[arg-type]
    assert {each for each, data in ground.files().items() if data != before.get(each)} == {str(path)}
    old, new = (x509.load_pem_x509_certificate(data) for data in (before[str(path)], path.read_bytes()))
    assert old.serial_number != new.serial_number
    assert (old.subject, old.public_key(), list(old.extensions)) == (
        new.subject,
        new.public_key(),
        list(new.extensions),
    )
    assert lets_in(ground.layout.control, ground.layout.profile("ana"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("zoe", "person"), ("../control", "person"), ("control", "person"), ("n9", "agent"), ("../..", "agent"),
     ("ana", "control"), ("monitor", "monitor"), ("ana", "balancer"), ("balancer", "balancer"), ("..", "balancer")],
)  # fmt: skip
def test_who_has_no_certificate_here_has_none_renewed(ground: Ground, name: str, kind: str) -> None:
    """No name leads anywhere else than to its own holder's folder."""
    before = ground.files()
    with pytest.raises(HolderAbsent):
        renew(ground.layout.root, name, kind)  # type: ignore[arg-type]
    assert ground.files() == before


def test_who_is_revoked_has_none_renewed(ground: Ground) -> None:
    """As soon as any node here has taken the revocation."""
    ground.take("n3", enrol("zoe"))
    issue(ground.layout.root, "zoe", "", "")
    renew(ground.layout.root, "zoe", "person")
    ground.take("n3", Change(kind="revoke", name="zoe", before="operator", after="revoked"))
    with pytest.raises(ChangeRefused, match="revoked"):
        renew(ground.layout.root, "zoe", "person")


@pytest.mark.parametrize(
    ("kind", "serves"), [("person", False), ("monitor", False), ("agent", True), ("control", True)]
)
def test_nobody_who_only_calls_answers_in_a_nodes_name(
    ground: Ground, tmp_path: Path, kind: str, *, serves: bool
) -> None:
    """A person may be called as a node is: whoever looks at the name alone would take their certificate for its."""
    (tmp_path / "n2").mkdir()
    kept_authority(ground.layout, ground.cluster, unasked).issue(tmp_path / "n2", "n2", kind)
    assert lets_in(tmp_path / "n2", ground.layout.control, "n2") is serves
    assert lets_in(ground.layout.control, tmp_path / "n2")


# Balancers ------------------------------------------------------------------------------------------------------------


def test_a_balancer_has_a_folder_of_its_own_and_is_good_for_calling_alone(ground: Ground) -> None:
    """By its certificate it is nobody who serves, and it is enrolled nowhere."""
    before = ground.files()
    folder, until = issue_balancer(ground.layout.root, "lb2")
    assert folder == ground.layout.profile("lb2").resolve()
    assert {path.name for path in folder.iterdir()} == {
        "ca.crt", "tls.crt", "tls.key", "haproxy.cfg", "pgbouncer.ini", "README.md"
    }  # fmt: skip
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    held = ground.holds("lb2")
    assert held.subject.rfc4514_string().startswith("CN=lb2,OU=balancer,")
    assert list(held.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert lets_in(ground.layout.control, folder)
    assert not lets_in(folder, ground.layout.control, "lb2")
    assert f"cd {folder} && haproxy -c" in balancer_lines(folder, until)[-1]
    assert {path: data for path, data in ground.files().items() if path in before} == before


@pytest.mark.parametrize(
    ("name", "code"),
    [("n1", "input.name-refused"), ("../lb", "input.name-refused"), ("", "input.name-refused"),
     ("ana", FolderTaken.code), ("control", FolderTaken.code)],
)  # fmt: skip
def test_no_balancer_is_called_as_something_else(ground: Ground, name: str, code: str) -> None:
    """Neither a node's name nor a folder that is there."""
    before = ground.files()
    with pytest.raises(AeroError) as error:
        issue_balancer(ground.layout.root, name)
    assert error.value.code == code
    assert ground.files() == before


def test_balancers_have_theirs_renewed_and_replaced(ground: Ground) -> None:
    """The first one's and every other's."""
    for name in ("balancer", "lb2"):
        issue_balancer(ground.layout.root, name)
        serial = ground.holds(name).serial_number
        path, _ = renew(ground.layout.root, name, "balancer")
        assert path == ground.layout.profile(name) / "tls.crt"
        assert ground.holds(name).serial_number != serial
    assert {"balancer (balancer)", "lb2 (balancer)"} <= set(replace_authority(ground.layout.root))
    assert lets_in(ground.layout.control, ground.layout.profile("lb2"))


# A new authority ------------------------------------------------------------------------------------------------------


def test_a_new_authority_is_everybodys_but_of_who_is_revoked(ground: Ground) -> None:
    """Where none is kept, and in the place of one whose key is not safe: what the old one certified opens nothing."""
    ground.take("n1", enrol("zoe"))
    ground.take("n1", enrol("ben"))
    for name in ("zoe", "ben"):
        issue(ground.layout.root, name, "", "")
    ground.take("n1", Change(kind="revoke", name="ben", before="operator", after="revoked"))
    _remove(ground)
    assert set(replace_authority(ground.layout.root)) == {
        "ana (person)", "zoe (person)", "n1 (agent)", "n2 (agent)", "n3 (agent)", "control (control)",
    }  # fmt: skip
    folders = {name: lets_in(ground.layout.control, ground.layout.profile(name)) for name in ("ana", "zoe", "ben")}
    assert folders == {"ana": True, "zoe": True, "ben": False}
    assert lets_in(ground.layout.control, ground.layout.node("n1"))
    issue(ground.layout.root, "olga", "observer", "")
    before = (ground.layout.authority / "ca.key").read_bytes()
    replace_authority(ground.layout.root)
    assert before not in ground.files().values()
    assert list(ground.layout.root.rglob(".*")) == []
