"""The control plane in front of a cluster in memory, as the command line reaches it; and a person.

What answers is the real control plane over real agents: see `tests.unit.neighbours`. It is honest unless a test makes
it otherwise: `alter` changes an answer on its way, `fail` raises in its place.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aerodb.audit.evidence import Evidence
from aerodb.audit.record import read_record
from aerodb.audit.store import SearchBehind
from aerodb.cli.commands import run
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.control.access import PlaneParts
from aerodb.control.authenticators import Authenticators
from aerodb.kernel.seen import LogSeen
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision
from aerodb.protocol.cluster import Operator, Role
from aerodb.protocol.credentials import Authenticator
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Outcome
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.standing import genesis
from aerodb.transport.errors import Interrupted
from aerodb.transport.problem import problem_bytes, refused_by
from tests.unit.neighbours.cluster import NODES, MemoryCluster
from tests.unit.neighbours.postgres import Fault
from tests.unit.protocol.authenticator import SoftAuthenticator

FAULTS = {"executed": None, "not executed": Fault.BEFORE, "unknown": Fault.LOST}


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    terminal = True

    def isatty(self) -> bool:
        """Tell whether this is a terminal."""
        return self.terminal


@dataclass
class Shown:
    """What a run left: the exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def plain(self) -> str:
        """Return what was written to stdout, without colour."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.out)


def key_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as OpenSSH keeps it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


class Stage:
    """A cluster of three nodes and a witness, its control plane, and the operator alice with her profile folder."""

    def __init__(self, folder: Path, *others: str, made: type[MemoryCluster] = MemoryCluster) -> None:
        """Found the cluster, of the kind `made`, and write the profile folder; `others` are operators too."""
        self.folder = folder
        self.room = room = made(folder, dict.fromkeys(("alice", *others), Role.OPERATOR))
        self.cluster, self.log, self.log_key, self.keys = room.cluster, room.log, room.log_key, room.keys
        self.own, self.missing = room.people["alice"], room.silent
        self.sent = list[tuple[str, str, dict[str, str]]]()
        self.alter = dict[str, Callable[[bytes], bytes]]()
        self.fail = dict[str, BaseException]()
        self.behind = list[str]()
        self.breaks_off: int | None = None
        self.sits("alice")

    def sits(self, name: str) -> None:
        """Let another operator sit down at the terminal, with their own profile folder."""
        self.name = name
        self._way: Caller = self.room.caller(name)
        self.profile = self.folder / ("operator" if name == "alice" else f"operator-{name}")
        self.profile.mkdir(exist_ok=True)
        (self.profile / "profile.json").write_text(f'{{"control": "localhost:1", "operator": "{name}"}}')
        (self.profile / "cluster.json").write_bytes(canonical.encode(self.cluster))
        (self.profile / "id_ed25519").write_bytes(key_bytes(self.room.people[name]))

    # The cluster ------------------------------------------------------------------------------------------------------

    def change(self, name: str, **changes: Any) -> None:
        """Change what PostgreSQL on a node is seen to be."""
        self.room.servers[name].change(**changes)

    def restore(self, name: str) -> None:
        """Have a standby stand and stream as it did when the cluster was founded, as if nobody had stopped it."""
        self.room.houses[name].agent._store.write_standing(genesis(name, NODES[0], witness=False, folder=name))
        self.room.servers[name].start(standby=True)

    def fails_with(self, result: str) -> None:
        """Have the next shutdown end so that its outcome is `result`."""
        for server in self.room.servers.values():
            server.fault = FAULTS[result]

    def has_seen(self, name: str, checkpoint: str, size: int) -> None:
        """Have a node remember a checkpoint of the log."""
        self.room.houses[name].agent._store.write_seen(LogSeen(size=size, checkpoint=checkpoint))

    @property
    def facts(self) -> Mapping[str, Facts]:
        """Return every node's facts now, as its agent sees them."""
        return {name: house.agent.facts() for name, house in self.room.houses.items()}

    @property
    def executed(self) -> list[str]:
        """Return the requests that a node's journal knows, in the order of the log."""
        known = {request for house in self.room.houses.values() for request in house.agent._store.requests}
        return [request for request in self._requests() if request in known]

    def outcome(self, signed: Signed, **changes: Any) -> Signed:
        """Return a node's outcome changed, and truly signed by it."""
        outcome = canonical.decode(signed.document.encode(), Outcome)
        return sign(msgspec.structs.replace(outcome, **changes), signed.signer, self.keys[signed.signer])

    # The control plane ------------------------------------------------------------------------------------------------

    @property
    def _parts(self) -> PlaneParts:
        return self.room.plane._parts

    @property
    def person(self) -> Operator:
        """Return alice, as she is enrolled."""
        return self.cluster.operators[0]

    @property
    def authenticators(self) -> Authenticators:
        """Return the people's authenticators."""
        return self._parts.authenticators

    def register(self, key: SoftAuthenticator) -> Authenticator:
        """Register an authenticator for alice as a browser does."""
        challenge = self.authenticators.begin(self.person).challenge
        return self.authenticators.finish(self.person, key.registers(challenge))

    def _requests(self) -> list[str]:
        records = [read_record(data) for _, data in self.log.records()]
        return list(dict.fromkeys(each.request for each in records if each.event in {"requested", "rejected"}))

    @property
    def decisions(self) -> dict[str, Decision]:
        """Return what the log holds of each request."""
        return {request: self._parts.reader.decision(request) for request in self._requests()}

    def evidence(self, request: str) -> Evidence:
        """Return the evidence of a request; that it was read is not recorded."""
        return self._parts.reader.evidence(request)

    # A person ---------------------------------------------------------------------------------------------------------

    def run(self, *words: str, typed: str = "", terminal: bool = True, stdin: Screen | None = None) -> Shown:
        """Run one command as alice does, or who sits there; `typed` is what they type, or do at `stdin`."""
        streams = stdin or Screen(typed), Screen(), Screen()
        for stream in streams:
            stream.terminal = terminal
        session = Session(terminal=Terminal(*streams), connect=self._connect, folder=self.profile)
        code = run(words, session)
        return Shown(code, streams[1].getvalue(), streams[2].getvalue())

    def _connect(self, profile: Profile, timeout_seconds: float) -> "Stage":
        assert profile.operator == self.name
        assert timeout_seconds > 0
        return self

    # Her way to the API -----------------------------------------------------------------------------------------------

    def get(self, path: str) -> bytes:
        """Answer a GET."""
        return self._answer("GET", path, {}, lambda: self._way.get(path))

    def lines(self, path: str) -> Iterator[bytes]:
        """Answer a GET line by line; where the test says so, break off after so many."""
        for at, line in enumerate(self.get(path).splitlines(keepends=True)):
            if at == self.breaks_off:
                raise Interrupted("the answer broke off", executed="not executed")
            yield line

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Answer a POST."""
        return self._answer("POST", path, headers or {}, lambda: self._way.post(path, body, headers))

    def posts(self) -> list[str]:
        """Return the paths of the POSTs so far."""
        return [path for method, path, _ in self.sent if method == "POST"]

    def _answer(self, method: str, path: str, headers: dict[str, str], ask: Callable[[], bytes]) -> bytes:
        self.sent.append((method, path, headers))
        named = re.sub("/(requests|records|authenticators)/[^/]+", r"/\1/ID", urlsplit(path).path)
        place = f"{method} {named}"
        if place in self.fail:
            raise self.fail[place]
        if self.behind and place in ("GET /v1/requests", "GET /v1/audit/search"):
            raise refused_by(503, problem_bytes(SearchBehind(f"the index covers {self.behind.pop(0)} records")))
        data = ask()
        return self.alter[place](data) if place in self.alter else data


@contextmanager
def stage_in(folder: Path, *others: str, made: type[MemoryCluster] = MemoryCluster) -> Iterator[Stage]:
    """Yield a stage; its log is closed afterwards."""
    stage = Stage(folder, *others, made=made)
    try:
        yield stage
    finally:
        stage.room.close()
