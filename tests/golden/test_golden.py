"""Every released version's past is opened, verified, replayed and carried on by this build, without a server."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aerodb.audit.adding import Addition
from aerodb.audit.evidence import examine
from aerodb.audit.export import lines_in
from aerodb.audit.findings import PLAN
from aerodb.audit.record import Record, decode_record
from aerodb.audit.store import Log, LogVerdict, as_folder, earlier_log, judge_export, judge_folder
from aerodb.audit.tree import consistency_path, hashes_of, leaf_hash
from aerodb.kernel.node import read_node
from aerodb.kernel.store import Store
from aerodb.logwitness.folder import read_witness
from aerodb.protocol import canonical
from aerodb.protocol.plan import Outcome
from tests.golden.conftest import Kept

pytestmark = pytest.mark.xdist_group("golden")  # One place holds the cluster that they are about.


def holds(verdict: LogVerdict) -> None:
    """Check that a log is intact, authentic and replayed, with nothing left unchecked, and extends what it must."""
    assert verdict.whole, verdict
    assert verdict.meaning.held[PLAN]


def records(kept: Kept) -> list[Record]:
    """Return the records in the export."""
    lines = [msgspec.json.decode(line) for line in (kept.folder / "log.jsonl").read_bytes().splitlines()]
    return [decode_record(line["record"].encode()) for line in lines if "record" in line]


def log_key(kept: Kept) -> Ed25519PrivateKey:
    """Return the log's private key."""
    key = load_pem_private_key((kept.layout.control / "log.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def test_the_log_verifies_as_folder_export_and_backup(kept: Kept) -> None:
    """Intact, authentic and replayed; the folder and the backup extend the export, which was made before them."""
    with (kept.folder / "log.jsonl").open("rb") as file:
        holds(judge_export(lines_in(file), kept.trust))
    with earlier_log(kept.folder / "log.jsonl", kept.cluster.log_key) as earlier:
        holds(judge_folder(kept.layout.control / "log", kept.trust, (earlier,)))
        with as_folder(kept.place / "log.backup") as folder:
            holds(judge_folder(folder, kept.trust, (earlier,)))


def test_the_log_holds_what_can_happen(kept: Kept) -> None:
    """So that what verifies is not an empty past."""
    found = records(kept)
    events = {record.event for record in found}
    assert events >= {"requested", "rejected", "refused", "confirmed", "outcome", "read", "declined", "lapsed",
                      "signed-in"}  # fmt: skip
    assert "endorsed" in events or any(record.action == "configure" for record in found)  # Since 0.2.0: enrolled.
    assert {record.action for record in found} >= {
        "checkpoint",
        "follow",
        "demote",
        "promote",
        "fence",
        "stop",
        "start",
    }


def test_every_evidence_file_verifies(kept: Kept) -> None:
    """Of an executed request, of a rejected one, of one that was not executed, of one that nobody confirmed."""
    files = sorted((kept.folder / "evidence").iterdir())
    assert {path.stem for path in files} >= {"executed", "rejected", "not-executed", "declined"}
    for path in files:
        examined = examine(path.read_bytes(), kept.trust)
        assert not examined.meaning.unchecked
        assert examined.meaning.held[PLAN] == 1


def test_the_log_is_carried_on(kept: Kept, tmp_path: Path) -> None:
    """This build appends to it; it verifies again, whole, extends the export, and its witness cosigns it."""
    folder = kept.copied("cluster/control/log", tmp_path)
    with Log(folder, kept.cluster.origin, log_key(kept)) as log:
        before = log.size
        last = decode_record(log.record(before - 1))
        log.append(Record(event="read", at=last.at, clock=last.clock, request="", operator="auditor",
                          configuration=kept.cluster.digest))  # fmt: skip
        assert log.size == before + 1
        checkpoint = log.checkpoint
        leaves = [leaf_hash(body) for _, body in log.records()]
    with earlier_log(kept.folder / "log.jsonl", kept.cluster.log_key) as earlier:
        holds(judge_folder(folder, kept.trust, (earlier,)))
    (memory,) = read_witness(kept.copied("witness", tmp_path)).memories().values()
    seen = memory.known.size
    assert seen
    path = tuple(consistency_path(hashes_of(leaves), seen, len(leaves)))
    assert memory.cosigned(Addition(old_size=seen, path=path, unverified_checkpoint=checkpoint))
    assert memory.known.size == before + 1


def test_the_agents_know_what_they_promised_and_ran(kept: Kept) -> None:
    """Each agent's durable state opens: its standing, its term, and every request's id that it ever used."""
    said = [each.outcome for each in records(kept) if each.outcome is not None]
    outcomes = [canonical.decode(each.document.encode(), Outcome) for each in said]
    for node in kept.cluster.data_nodes:
        read_node(kept.layout.node(node))
        store = Store(kept.layout.node(node) / "state")
        own = {each.request: each for each in outcomes if each.node == node}
        assert own
        assert all(store.knows(request) for request in own)
        for request, outcome in own.items():
            ended = store.ended(request)
            assert ended is not None
            assert canonical.decode(ended.outcome.document.encode(), Outcome).result == outcome.result
        assert store.standing.granted.term > 1
        assert store.seen.size


def aerodb(kept: Kept, person: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person of the golden past."""
    environment = {**os.environ, "AERODB_PROFILE": str(kept.layout.profile(person))}
    command = [sys.executable, "-m", "aerodb", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_line_opens_the_profiles(kept: Kept, tmp_path: Path) -> None:
    """Of each person, who verify, with the profile's configuration alone, all that is kept."""
    assert aerodb(kept, "operator", "audit", "keys").returncode == 0
    backup = tmp_path / "copy.backup"
    backup.write_bytes((kept.place / "log.backup").read_bytes())
    for path in (kept.folder / "log.jsonl", backup, kept.folder / "evidence" / "executed.json"):
        ended = aerodb(kept, "auditor", "audit", "verify", str(path))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "VERIFIED" in ended.stdout
    against = aerodb(kept, "observer", "audit", "verify", str(kept.layout.control / "log"), "--against",
                     str(kept.folder / "log.jsonl"))  # fmt: skip
    assert against.returncode == 0, against.stdout
