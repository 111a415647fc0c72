"""The admin UI on a host of its own, off the loopback interface: over TLS with its own certificate, or not at all."""

import base64
import datetime as dt
import hashlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from playwright.sync_api import Browser, Error

from aerodb.protocol.cluster import Cluster
from tests.browser.browsing import Visitor, another
from tests.faults.conftest import Ground, Running

pytestmark = pytest.mark.timeout(300)
HOST = "ui.aerodb.test"


def everywhere(cluster: Cluster) -> Cluster:
    """Return the configuration with the admin UI on every interface, and browsers told a name of its own."""
    port = cluster.web.rpartition(":")[2]
    return replace(cluster, web=f"0.0.0.0:{port}", web_origin=f"https://{HOST}:{port}")


@pytest.fixture(scope="module")
def running(ground: Ground) -> Iterator[Running]:
    """Return a cluster whose admin UI is off the loopback interface, with a certificate of its own."""
    one = ground.begin(everywhere)
    write_certificate(one.layout.control)
    one.restart_control()
    yield one
    ground.end()


def write_certificate(folder: Path) -> None:
    """Write web.crt and web.key, which nobody but its owner vouches for."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "web.crt").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "web.key").write_bytes(private)
    (folder / "web.key").chmod(0o600)


def pin(running: Running) -> str:
    """Return the pin by which a browser is told to trust the certificate: the digest of its public key."""
    certificate = x509.load_pem_x509_certificate((running.layout.control / "web.crt").read_bytes())
    info = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(info).digest()).decode()


def address(running: Running) -> tuple[str, int]:
    """Return an address of this machine that is not of the loopback interface, and the admin UI's port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))  # Nothing is sent: this only asks which address would be used.
        return asked.getsockname()[0], int(running.cluster.web.rpartition(":")[2])


@pytest.fixture
def trusting(running: Running, browser: Browser) -> Iterator[Browser]:
    """Return a browser that finds the host at that address, and trusts this certificate and no other."""
    host, _ = address(running)
    rules = f"--host-resolver-rules=MAP {HOST} {host}"
    one = another(browser.browser_type, rules, f"--ignore-certificate-errors-spki-list={pin(running)}")
    yield one
    one.close()


def test_a_request_is_confirmed_over_tls(running: Running, trusting: Browser) -> None:
    """Signed in, registered, enrolled, confirmed: as on localhost, for this origin; the cookie goes over TLS alone."""
    visitor = Visitor(trusting, running.layout)
    (cookie,) = visitor.context.cookies()
    assert cookie["name"].startswith("__Host-aerodb-")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    assert visitor.page.evaluate("isSecureContext")
    said = visitor.terminal.types("register", "--reason", "a new key")
    assert (said.code, "input.origin-elsewhere" in said.text) == (2, True), said.text
    assert HOST in said.text
    said = visitor.register()
    assert "The control plane serves the admin UI" in " ".join(said.text.split())
    assert "aerodb register" not in said.text
    request = visitor.do("follow", "n3", "over TLS", upstream="n1")
    assert running.api.events(request) == ["requested", "confirmed", "outcome"]
    assert f"https://{HOST}" in running.api.authenticators()[0].endorsement
    visitor.close()


def test_a_browser_that_was_not_told_to_trust_it_opens_nothing(running: Running, browser: Browser) -> None:
    """A certificate that nobody vouches for is an error, as for any site."""
    host, _ = address(running)
    one = another(browser.browser_type, f"--host-resolver-rules=MAP {HOST} {host}")
    try:
        page = one.new_page()
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            page.goto(running.cluster.web_origin)
    finally:
        one.close()


def test_plain_http_gets_no_answer(running: Running, trusting: Browser) -> None:
    """Whoever asks without TLS is told nothing, on any interface, in a browser or out of it."""
    host, port = address(running)
    for each in (host, "127.0.0.1"):
        connection = http.client.HTTPConnection(each, port, timeout=30)
        connection.request("GET", "/", headers={"Host": f"{HOST}:{port}"})
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
        connection.close()
    page = trusting.new_page()
    with pytest.raises(Error, match="ERR_"):
        page.goto(f"http://{HOST}:{port}/")


def test_its_own_certificate_and_no_old_tls(running: Running) -> None:
    """web.crt is what is shown, over TLS 1.3 alone; the cluster's own authority has no part in it."""
    host, port = address(running)
    context = ssl.create_default_context(cafile=str(running.layout.control / "web.crt"))
    with (
        socket.create_connection((host, port), 30) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secure,
    ):
        assert secure.version() == "TLSv1.3"
        shown = secure.getpeercert(binary_form=True)
    written = x509.load_pem_x509_certificate((running.layout.control / "web.crt").read_bytes())
    assert shown == written.public_bytes(serialization.Encoding.DER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection((host, port), 30) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname=HOST)
    cluster_only = ssl.create_default_context(cafile=str(running.layout.control / "ca.crt"))
    with socket.create_connection((host, port), 30) as plain, pytest.raises(ssl.SSLCertVerificationError):
        cluster_only.wrap_socket(plain, server_hostname=HOST)


def test_another_name_gets_nothing(running: Running) -> None:
    """A host that was made to point here opens no page, over TLS as without."""
    host, port = address(running)
    context = ssl.create_default_context(cafile=str(running.layout.control / "web.crt"))
    for name, status in ((f"{HOST}:{port}", 401), (f"{host}:{port}", 421), (f"localhost:{port}", 421), (HOST, 421)):
        with socket.create_connection((host, port), 30) as plain:
            connection = http.client.HTTPConnection(HOST, port)
            connection.sock = context.wrap_socket(plain, server_hostname=HOST)
            connection.request("GET", "/", headers={"Host": name})
            assert connection.getresponse().status == status, name
            connection.close()
