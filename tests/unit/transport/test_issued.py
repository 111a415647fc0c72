"""A certificate that comes from elsewhere is of one's own key and name, by the authority beside it, and good now."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from aerodb.transport.certificates import LIFETIME, Authority, check_issued, new_key, subject_of

CLUSTER, OTHER = "a cluster", "another cluster"
KEY = new_key()
HOUR = dt.timedelta(hours=1)


def made(*, named: str = CLUSTER, ca: bool = True, by_itself: bool = True) -> Authority:
    """Return an authority for the cluster whose own certificate has these parts."""
    usual, key = x509.load_pem_x509_certificate(Authority(named).pem), new_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(usual.subject)
        .issuer_name(usual.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(usual.not_valid_before_utc)
        .not_valid_after(usual.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key if by_itself else new_key(), hashes.SHA256())
    )
    return Authority(CLUSTER, kept=(key, certificate))


def check(authority: Authority, life: dt.timedelta = LIFETIME) -> None:
    """Check what an authority certifies as that of n1's key."""
    certificate = authority.certified(KEY.public_key(), "n1", "agent", life).decode()
    check_issued(certificate, authority.pem.decode(), KEY.public_key(), cluster=CLUSTER, name="n1", kind="agent")


def test_what_an_authority_certified_is_accepted() -> None:
    """And says of whom it is."""
    check(Authority(CLUSTER))
    check(made())
    assert subject_of(Authority(CLUSTER).certified(KEY.public_key(), "n1", "agent").decode()) == ("n1", "agent")


def test_what_is_no_authority_of_the_cluster_certifies_nobody() -> None:
    """Another cluster's, one that is no authority, one that another key vouches for."""
    with pytest.raises(ValueError, match="the authority is CN=authority,OU=authority,O=aerodb another cluster"):
        check(made(named=OTHER))
    with pytest.raises(ValueError, match="is no authority"):
        check(made(ca=False))
    with pytest.raises(ValueError, match="not by the authority"):
        check(made(by_itself=False))


def test_what_has_expired_is_not_good() -> None:
    """The certificate, or its authority; this host's clock is said, since it may be what is wrong."""
    for authority, life in ((Authority(CLUSTER), -HOUR), (Authority(CLUSTER, -HOUR), LIFETIME)):
        with pytest.raises(ValueError, match="this host's clock says"):
            check(authority, life)


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----", Authority(CLUSTER).pem.decode().replace("M", "N")])
def test_what_is_no_certificate_names_nobody(text: str) -> None:
    """It is an error of one kind, whatever is wrong with it."""
    with pytest.raises(ValueError):  # noqa: PT011 - the libraries below choose the words.
        subject_of(text)
