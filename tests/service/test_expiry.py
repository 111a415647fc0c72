"""Certificates of short life, over real mutual TLS: their end is known beforehand, and the error says so."""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aerodb.protocol.certificates import DAYS_SOON, DAYS_URGENT, Certificate
from aerodb.transport import counts, expiry
from aerodb.transport.certificates import Authority
from aerodb.transport.client import Client
from aerodb.transport.errors import CertificateExpired, OwnCertificateExpired
from aerodb.transport.server import Server, listen
from aerodb.transport.tls import tls_in
from aerodb.views.certificates import certificate_sentences, certificates_text

PATIENCE_SECONDS = 300.0
"""Against hanging alone."""
YEARS = dt.timedelta(days=3650)


class Ring:
    """A cluster's certificates, each with a life of its own."""

    def __init__(self, folder: Path) -> None:
        """Make an authority whose own certificate is good for years."""
        self._folder, self._authority = folder, Authority("c", YEARS)

    def of(self, name: str, kind: str, life: dt.timedelta) -> Path:
        """Return the folder of somebody whose certificate lives so long from now on."""
        folder = self._folder / name
        folder.mkdir()
        self._authority.issue(folder, name, kind, life)
        return folder


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    """Return a ring."""
    return Ring(tmp_path)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve with the certificate in a folder; give the address."""
    served: list[bytes] = []

    async def handle(request: Request) -> Response:
        served.append(await request.body())
        return Response(str(len(served)))

    bound, ended = listen("127.0.0.1:0"), threading.Event()
    server = Server(Starlette(routes=[Route("/", handle, methods=["GET", "POST"])]), tls_in(folder))
    thread = threading.Thread(target=server.run_on, args=(bound, ended))
    thread.start()
    try:
        yield f"127.0.0.1:{bound.getsockname()[1]}"
    finally:
        ended.set()
        thread.join()


def end_of(folder: Path) -> int:
    """Return when a certificate expires, as another reader of certificates has it."""
    read = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    return int(read.not_valid_after_utc.timestamp())


def known(holder: str) -> Certificate:
    """Return what is known of somebody's certificate."""
    return next(each for each in expiry.known() if each.holder == holder)


def test_each_end_is_known_as_it_is(ring: Ring) -> None:
    """Both sides know their own, the authority's and the other side's; so do the metrics, as seconds since 1970."""
    service = ring.of("quay", "agent", dt.timedelta(days=40))
    caller = ring.of("ship", "control", dt.timedelta(days=13))
    with serving(service) as address:
        Client(address, tls_in(caller), "quay", PATIENCE_SECONDS).get("/")
    for folder, days in ((service, 39), (caller, 12)):
        found = known(folder.name)
        assert expiry.expires_at(folder / "tls.crt") == end_of(folder)
        assert dt.datetime.fromisoformat(found.expires).timestamp() == end_of(folder)
        assert found.days_left == days
    family = next(iter(expiry.families()))
    assert family.name == "aerodb_certificate_expiration_timestamp_seconds"
    values = {(each.labels["holder"], each.labels["kind"]): each.value for each in family.samples}
    assert values["quay", "agent"] == end_of(service)
    assert values["ship", "control"] == end_of(caller)
    assert ("authority", "authority") in values


def test_a_renewed_certificate_takes_the_old_ones_place(ring: Ring, tmp_path: Path) -> None:
    """Whoever was warned of is not warned of any more."""
    service = ring.of("mole", "agent", YEARS)
    old = ring.of("raft", "control", dt.timedelta(days=3))
    with serving(service) as address:
        Client(address, tls_in(old), "mole", PATIENCE_SECONDS).get("/")
        assert known("raft").days_left == 2
        (tmp_path / "raft").rename(tmp_path / "gone")
        Client(address, tls_in(ring.of("raft", "control", YEARS)), "mole", PATIENCE_SECONDS).get("/")
    assert known("raft").days_left > DAYS_SOON


def _expiring(ring: Ring, caller: Path, seconds: int) -> Certificate | None:
    """Ask a service whose certificate lives so long, and again afterwards; None where it was over before."""
    service = ring.of(f"ebb-{seconds}", "agent", dt.timedelta(seconds=seconds))
    with serving(service) as address:
        client = Client(address, tls_in(caller), service.name, PATIENCE_SECONDS)
        try:
            assert client.get("/") == b"1"
        except CertificateExpired:
            assert time.time() > end_of(service)
            return None
        while time.time() <= end_of(service) + 1:
            time.sleep(0.05)
        with pytest.raises(CertificateExpired) as error:
            client.post("/", b"x")
    assert error.value.executed == "not executed"
    assert "its certificate has expired, and must be replaced" in error.value.message
    return known(service.name)


def test_a_service_whose_certificate_expires_while_it_runs(ring: Ring) -> None:
    """It answers until then; afterwards the error says why it cannot be reached, and that nothing was executed."""
    caller = ring.of("tug", "control", YEARS)
    for seconds in (2, 8, 32, 128):  # A slow machine may not have asked before the first of them is over.
        found = _expiring(ring, caller, seconds)
        if found is not None:
            assert found.days_left < 0
            return
    pytest.fail("the service was never asked in time")


def test_a_caller_whose_own_certificate_has_expired(ring: Ring) -> None:
    """The error names the file and the time; the service counts it, and never served it."""
    service, caller = ring.of("pier", "agent", YEARS), ring.of("wreck", "control", dt.timedelta(seconds=-30))
    before = counts.counted().get("expired certificate", 0)
    with serving(service) as address:
        client = Client(address, tls_in(caller), "pier", PATIENCE_SECONDS)
        for body in (None, b"x"):
            with pytest.raises(OwnCertificateExpired) as error:
                client.get("/") if body is None else client.post("/", body)
            assert error.value.executed == ("not executed" if body is None else "unknown")
            assert str(caller / "tls.crt") in error.value.message
            assert known("wreck").expires in error.value.message
        assert Client(address, tls_in(ring.of("crane", "control", YEARS)), "pier", PATIENCE_SECONDS).get("/") == b"1"
    assert counts.counted()["expired certificate"] == before + 2


def test_authorities_change_hands_while_calls_go_on(ring: Ring, tmp_path: Path) -> None:
    """With both authorities in every `ca.crt`, old and new certificates are taken alike; the older end counts."""
    old = ring.of("old", "agent", YEARS)
    (tmp_path / "new").mkdir()
    Authority("c", dt.timedelta(days=50)).issue(tmp_path / "new", "new", "agent", YEARS)
    both = b"".join((folder / "ca.crt").read_bytes() for folder in (old, tmp_path / "new"))
    for folder in (old, tmp_path / "new"):
        (folder / "ca.crt").write_bytes(both)
    for service, caller in ((old, tmp_path / "new"), (tmp_path / "new", old)):
        with serving(service) as address:
            assert Client(address, tls_in(caller), service.name, PATIENCE_SECONDS).get("/") == b"1"
    assert known("authority").days_left == 49


def told(days: int) -> list[tuple[str, str]]:
    """Return what is said of a certificate that has so many days left."""
    return certificate_sentences(
        [Certificate(holder="n1", kind="agent", expires="2030-01-01T00:00:00Z", days_left=days)]
    )


def test_what_expires_is_said_months_before() -> None:
    """Nothing before that, then a warning, then worse, and what has expired is said to have."""
    assert told(DAYS_SOON) == []
    assert told(DAYS_SOON - 1)[0] == (
        "warn", "The certificate of n1 (agent) expires in 89 days, at 2030-01-01T00:00:00Z: replace it.",
    )  # fmt: skip
    assert told(DAYS_URGENT)[0][0] == "warn"
    assert told(DAYS_URGENT - 1)[0][0] == "bad"
    assert "expires in 1 day," in told(1)[0][1]
    assert told(0)[0][0] == "bad"
    assert "expires in 0 days" in told(0)[0][1]
    assert told(-1)[0] == ("bad", "The certificate of n1 (agent) has expired, at 2030-01-01T00:00:00Z: replace it.")


def test_the_next_to_expire_is_said_first() -> None:
    """However they come."""
    days = {"c": 80, "a": 3, "b": -4}
    made = [
        Certificate(holder=name, kind="agent", expires=f"2030-01-01T00:00:{left + 10:02}Z", days_left=left)
        for name, left in days.items()
    ]
    assert [text.split()[3] for _, text in certificate_sentences(made)] == ["b", "a", "c"]
    assert certificates_text(made).startswith("certificates: 3; first to expire ")
    assert certificates_text([]) == ""


def test_a_certificate_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    """A file that is missing, or is none, has no end that is known; nothing fails by looking."""
    (tmp_path / "none").write_text("no certificate", encoding="utf-8")
    assert expiry.expires_at(tmp_path / "none") is None
    assert expiry.expires_at(tmp_path / "missing") is None
    assert expiry.expired(tmp_path / "missing") == ""
    expiry.note_peer(None)
    expiry.note_peer({"subject": (), "notAfter": "never"})
