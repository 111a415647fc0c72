"""Mutual TLS: every service authenticates its callers, and every caller its service, even on one machine.

- A certificate's common name says who its holder is, its organisational unit of which kind: agent, control, person.
- Keys are files that only their owner can read.

Source: RFC 8446 (TLS 1.3), RFC 5280 (certificates).
"""

import ssl
from pathlib import Path
from typing import Any, Final

import msgspec

from aerodb.transport import expiry
from aerodb.transport.errors import CallerUnknown

BALANCER: Final = "balancer"
"""The kind of a certificate that asks /primary and /standby, and nothing else; it is good for calling alone."""


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """One party's files: its authority's certificate, its own certificate, its own key."""

    ca: Path
    certificate: Path
    key: Path


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who called: a name and a kind (agent, control, person, ...), from a certificate; kind `peer` is an address."""

    name: str
    kind: str


def tls_in(folder: Path) -> Tls:
    """Return the files of the party that keeps them in `folder`."""
    return Tls(ca=folder / "ca.crt", certificate=folder / "tls.crt", key=folder / "tls.key")


def pages_tls(folder: Path, address: str) -> Tls | None:
    """Return the certificate of the admin UI at `address` (host:port); None on the loopback interface.

    It is web.crt and web.key if the control plane's folder has them, else the control plane's own certificate.
    """
    host = address.rpartition(":")[0].strip("[]")
    if host in {"localhost", "::1"} or host.startswith("127."):
        return None
    own = tls_in(folder)
    certificate, key = folder / "web.crt", folder / "web.key"
    return Tls(ca=own.ca, certificate=certificate, key=key) if certificate.exists() else own


def witness_tls(folder: Path) -> Tls | None:
    """Return a log witness's certificate; None, for plain HTTP, if its folder has no tls.crt."""
    own = tls_in(folder)
    return own if own.certificate.exists() else None


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return a caller's context: it trusts only the cluster's authority, and shows its own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _prepared(context, tls)


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return a service's context: it refuses callers without a certificate from the cluster's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # Nobody resumes; and an unread ticket makes a kept connection look closed by the service.
    return _prepared(context, tls)


def page_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of a service for browsers: it shows its certificate, and asks callers for none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tls.certificate, tls.key)
    expiry.note_pages(tls.certificate)
    return context


def _prepared(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(tls.ca)
    context.load_cert_chain(tls.certificate, tls.key)
    expiry.note_own(context, tls.certificate)
    return context


def caller_of(certificate: dict[str, Any] | None) -> Caller:
    """Return the holder of a verified certificate, in the form of `ssl.SSLSocket.getpeercert`.

    Raises:
        CallerUnknown: there is none, or it names nobody.
    """
    subject = {key: value for part in (certificate or {}).get("subject", ()) for key, value in part}
    name, kind = subject.get("commonName"), subject.get("organizationalUnitName")
    if not name or not kind:
        raise CallerUnknown("the caller's certificate names nobody")
    return Caller(name=name, kind=kind)
