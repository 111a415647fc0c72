"""The cluster's own certificate authority: made once, when the cluster is made, and kept by whoever made it.

Source: RFC 5280. A certificate names a member of the cluster, not a host, so it is good wherever its service listens.
"""

import datetime as dt
import os
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aerodb.transport.passphrase import PassphraseAsked, PassphraseWrong, unasked

LIFETIME = dt.timedelta(days=3650)
PEM = serialization.Encoding.PEM
SERVING = frozenset({"agent", "control"})
"""The kinds of those who answer calls. A person, a monitor or a balancer calls, and nobody calls them."""


class Authority:
    """A certificate authority: its key and its own certificate, as whoever makes a cluster, or keeps one, holds it."""

    def __init__(self, cluster: str, life: dt.timedelta = LIFETIME, kept: "KeptAuthority | None" = None) -> None:
        """Take the one that was `kept` for the cluster with that id, or make a new one, which is good for so long."""
        self._cluster = cluster
        self._key, self._certificate = kept or _made(cluster, life)

    @property
    def pem(self) -> bytes:
        """Return the authority's own certificate."""
        return self._certificate.public_bytes(PEM)

    def renewed(self, life: dt.timedelta = LIFETIME) -> "Authority":
        """Return this authority with a new certificate of its own: same name, same key, good for so long from now."""
        return Authority(self._cluster, kept=(self._key, _self_certified(self._cluster, self._key, life)))

    @property
    def expires(self) -> dt.datetime:
        """Return until when the authority is good, and so whatever it certifies."""
        return self._certificate.not_valid_after_utc

    def keep(self, folder: Path, passphrase: bytes = b"") -> None:
        """Write the authority's certificate and its key into `folder`, for its owner alone.

        The key is encrypted by the passphrase; where that is empty, it is not.
        """
        write_private(folder / "ca.crt", self.pem)
        write_private(folder / "ca.key", key_pem(self._key, passphrase))

    def key_pem(self, passphrase: bytes) -> bytes:
        """Return the authority's key as it is kept, encrypted by a passphrase."""
        return key_pem(self._key, passphrase)

    def has_key(self, key: ec.EllipticCurvePrivateKey) -> bool:
        """Tell whether this is the authority's key."""
        return key.private_numbers() == self._key.private_numbers()

    def issue(self, folder: Path, name: str, kind: str, life: dt.timedelta = LIFETIME) -> None:
        """Write a new certificate and key for `name`, valid for `life`, into `folder`, readable by its owner alone."""
        key = new_key()
        write_private(folder / "ca.crt", self.pem)
        write_private(folder / "tls.crt", self.certified(key.public_key(), name, kind, life))
        write_private(folder / "tls.key", key_pem(key))

    def certified(self, key: ec.EllipticCurvePublicKey, name: str, kind: str, life: dt.timedelta = LIFETIME) -> bytes:
        """Return a certificate of `name` for a key that somebody has already, good for so long."""
        certificate = (
            _builder(_name(self._cluster, name, kind), self._certificate.subject, key, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage(_purposes(kind)), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(PEM)


# Requests: a key is certified whose owner keeps it --------------------------------------------------------------------


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key of the kind that is certified here."""
    return ec.generate_private_key(ec.SECP256R1())


def request_for(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    """Return the certificate signing request of a key, in PEM; its signature shows that whoever asks has the key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(PEM).decode()


def requested_key(request: str) -> ec.EllipticCurvePublicKey:
    """Return the key that a request asks a certificate for. Nothing else of the request counts.

    Raises:
        ValueError: it is no request, its signature is not by that key, or the key is of another kind than is used here.
    """
    try:
        found = x509.load_pem_x509_csr(request.encode())
        key, signed = found.public_key(), found.is_signature_valid
    except (UnsupportedAlgorithm, TypeError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("its key is not on the curve P-256")  # noqa: TRY004 - it is the request that is wrong.
    if not signed:
        raise ValueError("it is not signed by the key that it is for")
    return key


def subject_of(certificate: str) -> tuple[str, str]:
    """Return the name and the kind of whom a certificate is of, as it says itself.

    Raises:
        ValueError: it is no certificate, or says neither.
    """
    subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    said = [subject.get_attributes_for_oid(each) for each in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)]
    if [len(each) for each in said] != [1, 1]:
        raise ValueError("the certificate names nobody")
    return str(said[0][0].value), str(said[1][0].value)


def check_issued(
    certificate: str, authority: str, key: ec.EllipticCurvePublicKey, *, cluster: str, name: str, kind: str
) -> None:
    """Check that an authority of a cluster certified a key as that of `name`, and that both are good now.

    Raises:
        ValueError: it did not; the message says what is otherwise.
    """
    own, above = (x509.load_pem_x509_certificate(each.encode()) for each in (certificate, authority))
    if [own.public_bytes(PEM).decode(), above.public_bytes(PEM).decode()] != [certificate, authority]:
        raise ValueError("there is more in it than one certificate, or it is not in its one form")
    if own.public_key() != key:
        raise ValueError("the certificate is of another key than the one that was made here")
    if own.subject != _name(cluster, name, kind):
        raise ValueError(f"the certificate is of {own.subject.rfc4514_string()}")
    if above.subject != _name(cluster, "authority", "authority"):
        raise ValueError(f"the authority is {above.subject.rfc4514_string()}")
    try:
        above.verify_directly_issued_by(above)
        own.verify_directly_issued_by(above)
        constrained = above.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (InvalidSignature, TypeError, x509.ExtensionNotFound) as error:
        raise ValueError("the certificate is not by the authority that comes with it") from error
    if not constrained.ca:
        raise ValueError("what comes with the certificate is no authority")
    now = dt.datetime.now(dt.UTC)
    for each in (own, above):
        if not each.not_valid_before_utc <= now <= each.not_valid_after_utc:
            raise ValueError(
                f"a certificate is good from {each.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ} to "
                f"{each.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}, and this host's clock says {now:%Y-%m-%dT%H:%M:%SZ}"
            )


def same_authority(one: bytes, other: bytes) -> bool:
    """Tell whether among the authorities in `one` is that of `other`: by its name and its key, whenever it was made.

    Raises:
        ValueError: one of them holds no certificates.
    """
    found = x509.load_pem_x509_certificate(other)
    return any(_is_same(each, found) for each in x509.load_pem_x509_certificates(one))


def with_authority(trusted: bytes, renewed: bytes) -> bytes:
    """Return the authorities in `trusted`, with the certificate of one of them as it was renewed.

    What is trusted stays byte for byte as it is where that authority's
    certificate there is that one, or is good for longer.

    Raises:
        ValueError: one of them holds no certificates.
    """
    found, here = x509.load_pem_x509_certificate(renewed), x509.load_pem_x509_certificates(trusted)
    if any(each == found or (_is_same(each, found) and _ends(each) > _ends(found)) for each in here):
        return trusted
    others = [each for each in here if not _is_same(each, found)]
    return b"".join(each.public_bytes(PEM) for each in [found, *others])


def _ends(certificate: x509.Certificate) -> dt.datetime:
    return certificate.not_valid_after_utc


def _is_same(one: x509.Certificate, other: x509.Certificate) -> bool:
    return (one.subject, one.public_key()) == (other.subject, other.public_key())


# What is kept ---------------------------------------------------------------------------------------------------------

KeptAuthority = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]
"""An authority's key and its own certificate."""


def read_kept(folder: Path, passphrase: PassphraseAsked = unasked) -> KeptAuthority:
    """Return the authority that `Authority.keep` wrote into `folder`; `passphrase` is asked for if need be.

    Raises:
        OSError: a file cannot be read.
        ValueError: what they hold is no authority's key with its certificate.
        PassphraseWrong, PassphraseMissing: the key is encrypted, and does not open.
    """
    key = read_key(folder / "ca.key", passphrase)
    certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    if certificate.public_key() != key.public_key():
        raise ValueError("ca.crt is not the certificate of the key in ca.key")
    return key, certificate


def is_encrypted(path: Path) -> bool:
    """Tell whether the private key in a file is encrypted.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no private key.
    """
    try:
        serialization.load_pem_private_key(path.read_bytes(), None)
    except TypeError:  # So it says that there should have been a passphrase.
        return True
    return False


def read_key(path: Path, passphrase: PassphraseAsked = unasked) -> ec.EllipticCurvePrivateKey:
    """Return the private key in a file; `passphrase` is asked for if it is encrypted, and only then.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no key of the kind that is used here.
        PassphraseWrong, PassphraseMissing: it is encrypted, and does not open.
    """
    typed = passphrase() if is_encrypted(path) else None
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), typed)
    except (ValueError, TypeError):
        if typed is None:
            raise
        # From nothing: the cause is a library's, which knows the passphrase.
        raise PassphraseWrong(f"{path} does not open by this passphrase, or is damaged; nothing was changed") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name} holds no key on an elliptic curve")  # noqa: TRY004 - it is the file that is wrong.
    return key


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    """Return a private key as it is kept in a file: encrypted by the passphrase, unless that is empty."""
    closed = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, closed)


def _made(cluster: str, life: dt.timedelta) -> KeptAuthority:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, _self_certified(cluster, key, life)


def _self_certified(cluster: str, key: ec.EllipticCurvePrivateKey, life: dt.timedelta) -> x509.Certificate:
    name = _name(cluster, "authority", "authority")
    return (
        _builder(name, name, key.public_key(), life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _name(cluster: str, name: str, kind: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"aerodb {cluster}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, kind),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _purposes(kind: str) -> list[x509.ObjectIdentifier]:
    """Return what a certificate is good for: only those who serve can answer, whatever name another has."""
    calling = [ExtendedKeyUsageOID.CLIENT_AUTH]
    return [*calling, ExtendedKeyUsageOID.SERVER_AUTH] if kind in SERVING else calling


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read.

    Raises:
        FileExistsError: it is there already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
