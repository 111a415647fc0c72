"""Expiry dates of the certificates that this process holds or was shown: for people to look at, never for a decision.

- Only certificates that TLS itself used are known: a service's own and its authority's as loaded, and a peer's as shown
  in its handshake. A newer one of the same holder replaces the older one.
- The service's log warns three times of each certificate, once a stage: it expires soon, very soon, has expired.

prometheus-client is imported only when metrics are asked for.
"""

import datetime as dt
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aerodb.logs import say
from aerodb.protocol.certificates import DAYS_SOON, DAYS_URGENT, Certificate

if TYPE_CHECKING:
    from prometheus_client import Metric  # Only annotated here: see the module's docstring.

AUTHORITY, PAGES = "authority", "pages"
KNOWN_MAX = 1_000
"""How many certificates are kept. The cluster's authority issued each, so a sane one stays far below."""
_DAY_SECONDS = 86_400
_CERTIFICATE_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED, of OpenSSL's x509_vfy.h."""

_lock = threading.Lock()
_known: dict[tuple[str, str], int] = {}
_told: set[tuple[str, str, int, str]] = set()


def has_expired(error: BaseException | None) -> bool:
    """Tell whether a handshake failed because the other side's certificate has expired."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == _CERTIFICATE_EXPIRED


def expires_at(path: Path) -> int | None:
    """Return when the certificate in a file expires, in seconds since 1970; None where the file cannot be read."""
    return _expires(_read(path))


def _read(path: Path) -> dict[str, Any]:
    """Return the certificate in a file as `ssl.SSLSocket.getpeercert` would; empty if there is none to read."""
    try:
        # cryptography.x509 could read it too, but costs each agent 7 MB of memory for one date.
        found: dict[str, Any] = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined] # noqa: SLF001
    except (AttributeError, OSError, ssl.SSLError):
        return {}
    return found


def expired(path: Path) -> str:
    """Return when the certificate in a file expired, by this machine's clock; empty if it has not, or is unreadable."""
    expires = expires_at(path)
    return "" if expires is None or _days_until(expires) >= 0 else text_of(expires)


def text_of(expires: int) -> str:
    """Return an instant in seconds since 1970 as RFC 3339 in UTC."""
    return dt.datetime.fromtimestamp(expires, dt.UTC).isoformat().replace("+00:00", "Z")


def note_own(context: ssl.SSLContext, certificate: Path) -> None:
    """Note this process's own certificate, and of those of the authorities it trusts the one that expires first."""
    authorities = [found for each in context.get_ca_certs() if (found := _expires(each)) is not None]
    if authorities:
        _note(AUTHORITY, AUTHORITY, min(authorities))
    note_peer(_read(certificate))


def note_pages(certificate: Path) -> None:
    """Note the certificate that browsers are shown; another authority may have issued it."""
    expires = expires_at(certificate)
    if expires is not None:
        _note("admin UI", PAGES, expires)


def note_peer(certificate: Mapping[str, Any] | None) -> None:
    """Note a certificate, in the form of `ssl.SSLSocket.getpeercert`, that the other side showed and TLS verified."""
    shown = certificate or {}
    subject = {key: value for part in shown.get("subject", ()) for key, value in part}
    holder, kind, expires = subject.get("commonName"), subject.get("organizationalUnitName"), _expires(shown)
    if holder and kind and expires is not None:
        _note(str(holder), str(kind), expires)


def _expires(certificate: Mapping[str, Any]) -> int | None:
    try:
        return ssl.cert_time_to_seconds(certificate["notAfter"])
    except (KeyError, ValueError):
        return None


def _note(holder: str, kind: str, expires: int) -> None:
    with _lock:
        if (holder, kind) not in _known and len(_known) >= KNOWN_MAX:
            return
        _known[holder, kind] = expires
        days_left = _days_until(expires)
        stage = "expired" if days_left < 0 else "urgent" if days_left < DAYS_URGENT else "soon"
        fresh = days_left < DAYS_SOON and (holder, kind, expires, stage) not in _told and len(_told) < 4 * KNOWN_MAX
        if fresh:
            _told.add((holder, kind, expires, stage))
    if fresh:
        event = "certificate has expired" if days_left < 0 else "certificate expires"
        say(event, holder=holder, kind=kind, expires=text_of(expires), days_left=days_left)


def _days_until(expires: int) -> int:
    return int((expires - time.time()) // _DAY_SECONDS)


def known() -> tuple[Certificate, ...]:
    """Return all known certificates, the first to expire first."""
    with _lock:
        found = sorted((expires, kind, holder) for (holder, kind), expires in _known.items())
    return tuple(
        Certificate(holder=holder, kind=kind, expires=text_of(expires), days_left=_days_until(expires))
        for expires, kind, holder in found
    )


def families() -> Iterator["Metric"]:
    """Yield each certificate's expiry as a gauge for Prometheus."""
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - see the module's docstring.

    family = GaugeMetricFamily(
        "aerodb_certificate_expiration_timestamp_seconds",
        "When a certificate expires that this process holds, or was shown since it started.",
        labels=["holder", "kind"],
    )
    with _lock:
        found = sorted(_known.items())
    for (holder, kind), expires in found:
        family.add_metric([holder, kind], expires)
    yield family
