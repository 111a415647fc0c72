"""What is read at the end of a round: the logs of the control planes, the journals, and what PostgreSQL logged."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.record import Record, decode_record
from aerodb.audit.store import Log
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Outcome, plan_digest
from aerodb.protocol.signed import Signed, open_signed
from tests.attack.history import Begun, Happened, Logged, Word
from tests.faults.conftest import Running

LINE = re.compile(r"^(?:backend> )*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] (.*)$")
"""A line of PostgreSQL's log; a backend that loses postmaster and client leaves a prompt in front of the next one."""
SHUTTING = re.compile(r"received (fast|smart|immediate) shutdown request")
TIMELINE = re.compile(r"selected new timeline ID: (\d+)")


def records_of(control: Path, cluster: Cluster) -> list[Record]:
    """Return the records of a log that nobody has open."""
    key = serialization.load_pem_private_key((control / "log.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    log = Log(control / "log", cluster.origin, key)
    try:
        return [decode_record(log.record(sequence)) for sequence in range(log.size)]
    finally:
        log.close()


def logged(name: str, records: list[Record]) -> Iterator[Logged]:
    """Yield what a log says of requests."""
    for record in records:
        if record.request:
            yield Logged(
                log=name, event=record.event, request=record.request, plan=record.plan,
                at=dt.datetime.fromisoformat(record.at).timestamp(), result=record.result, code=record.code,
            )  # fmt: skip


def _word(cluster: Cluster, signed: Signed, source: str) -> Iterator[Word]:
    """Yield the outcome in a signed document, if it verifies."""
    with suppress(AeroError):
        outcome = open_signed(signed, Outcome, cluster.member(signed.signer).public_key)
        yield Word(
            request=outcome.request, node=outcome.node, result=outcome.result, established=outcome.established,
            source=source,
        )  # fmt: skip


def words_of(running: Running, records: dict[str, list[Record]], courier: Path) -> Iterator[Word]:
    """Yield every signed outcome that was found: in the logs, in the journals, in the courier's hands."""
    for name, some in records.items():
        for record in some:
            if record.outcome is not None:
                yield from _word(running.cluster, record.outcome, f"{record.event} in the log of {name}")
    for member in running.cluster.members:
        for path in sorted((running.layout.node(member.name) / "state" / "journal").glob("*.ended.json")):
            with suppress(OSError, ValueError, KeyError):
                found = json.loads(path.read_bytes())["outcome"]
                signed = Signed(document=found["document"], signer=found["signer"], signature=found["signature"])
                yield from _word(running.cluster, signed, "the journal")
    if courier.exists():
        for line in courier.read_text(encoding="utf-8").splitlines():
            _, document, signer, signature = json.loads(line)
            signed = Signed(document=document, signer=signer, signature=signature)
            yield from _word(running.cluster, signed, "the courier's hands")


def begun_of(running: Running) -> Iterator[Begun]:
    """Yield what the journals have begun."""
    for member in running.cluster.members:
        for path in sorted((running.layout.node(member.name) / "state" / "journal").glob("*.begun.json")):
            with suppress(OSError, ValueError, KeyError):
                found = json.loads(path.read_bytes())
                yield Begun(
                    node=member.name, request=found["request"], plan=plan_digest(found["plan"]),
                    at=path.stat().st_mtime,
                )  # fmt: skip


def happened_in(text: str, node: str, since: float) -> Iterator[Happened]:
    """Yield what PostgreSQL's log says happened, from a time on."""
    shutting, starting = "", False
    for line in text.splitlines():
        found = LINE.match(line)
        if not found:
            continue
        at = dt.datetime.strptime(f"{found[1]} +0000", "%Y-%m-%d %H:%M:%S.%f %z").timestamp()
        said = found[2]
        kind = detail = ""
        if asked := SHUTTING.search(said):
            shutting = asked[1]
        elif "starting PostgreSQL" in said:
            shutting, starting = "", True
        elif "database system is shut down" in said and shutting in {"fast", "smart"}:
            kind, detail, shutting = "shutdown", shutting, ""
        elif made := TIMELINE.search(said):
            kind, detail = "timeline", made[1]
        elif "database system is ready to accept" in said and starting:
            starting = False
            kind, detail = "ready", "read-only" if "read-only" in said or "read only" in said else "writable"
        if kind and at >= since:
            yield Happened(node=node, at=at, kind=kind, detail=detail)


def happened_of(running: Running, since: float) -> Iterator[Happened]:
    """Yield what happened on every node."""
    for node in running.cluster.data_nodes:
        with suppress(OSError):
            text = (running.home(node) / "run" / "postgres.log").read_text(encoding="utf-8", errors="replace")
            yield from happened_in(text, node, since)
