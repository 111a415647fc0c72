"""A log of a million records: searching it, one decision, one proof, and verifying it whole; beside bare SQLite.

The log is made in bulk, a thousand records a transaction, with the bytes that appending them one by one would have
left: the same records, tree nodes and signed checkpoint. Every request shares one plan and one snapshot; so it is then
found intact, and what it means is not judged. The limit of a page is the same question to a bare table with an index,
bodies included; ours reads each record through the log, checked against the tree and held to the question.
"""

import resource
import sqlite3
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.export import export
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.record import Record, encode_record
from aerodb.audit.search import Query
from aerodb.audit.store import Log, SearchBehind, newest_requests, search, verify_export
from aerodb.audit.store.database import Database, open_to_write
from aerodb.audit.store.folder import PART_RECORDS, Part, verify_part
from aerodb.audit.store.index import ENDING
from aerodb.audit.store.seal import file_digests, remove_seal, write_seal
from aerodb.audit.tree import Frontier, leaf_hash
from aerodb.control.agents import Agents
from aerodb.control.comparison import Comparisons
from aerodb.control.cosigning import LogWitnesses
from aerodb.control.dispatch import Dispatcher
from aerodb.control.meters import Meters
from aerodb.control.reading import Reader
from aerodb.control.record import Recorder
from aerodb.control.sequences import Sequences
from aerodb.control.versions import KnownVersions
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.transport.certificates import Authority
from aerodb.transport.tls import tls_in
from benchmarks.clusters import Clusters
from benchmarks.measured import Measured, say, spread

RECORDS, RECORDS_QUICK = 1_000_000, 30_000
ROUNDS = 50
PAGE = 50
AT_ONCE = 1_000
ORIGIN = "aerodb.log/measured"
PLAN, SNAPSHOT = b'{"plan":"' + b"p" * 4_000 + b'"}', b'{"snapshot":"' + b"s" * 12_000 + b'"}'
ACTIONS, NODES = ("fence", "follow", "promote", "renew", "stop"), ("n1", "n2", "n3", "n4", "n5", "n6", "n7")
VERIFY = """
import resource, sys, time
from pathlib import Path
from aerodb.audit.store import verify_folder
if __name__ == "__main__":
    begun = time.perf_counter()
    size = verify_folder(Path(sys.argv[1]), sys.argv[2]).size
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(size, time.perf_counter() - begun, *peaks)
"""


def record_of(number: int) -> Record:
    """Return the record `number`: the request, confirmation and outcome of one request after another."""
    of, step = divmod(number, 3)
    digest = "sha256:" + "5" * 64
    return Record(
        event=("requested", "confirmed", "outcome")[step],
        at=f"20{of // 22_000 + 26:02}-{of // 1_900 % 12 + 1:02}-{of // 70 % 28 + 1:02}T{of % 24:02}:00:00.000Z",
        clock="system clock of somewhere",
        request=str(uuid.UUID(int=(of * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128))),
        operator=("ada", "grace")[of % 11 == 0],
        action=ACTIONS[of % len(ACTIONS)],
        target=NODES[of % len(NODES)],
        reason=f"change {of % 997} of the maintenance window",
        configuration=digest,
        plan=canonical.digest(PLAN),
        snapshot=canonical.digest(SNAPSHOT) if step < 2 else "",
        signature="-----BEGIN SSH SIGNATURE-----\n" + "U1NIU0lHAAAAAQ" * 28 if step == 1 else "",
        result="" if step < 2 else ("executed", "unknown")[of % 5_000 == 0],
        invariants=("commit-quorum",) if step == 0 and of % 40 == 0 else (),
    )


def fill(folder: Path, key: Ed25519PrivateKey, count: int) -> None:
    """Make the log in `folder` as `count` appends would have left it, closed and sealed."""
    Log.create(folder, ORIGIN, key).close()
    remove_seal(folder)
    database = open_to_write(folder / "log.db")
    for data in (PLAN, SNAPSHOT):
        database.insert_blob(canonical.digest(data), data)
    frontier = Frontier()
    for start in range(0, count, AT_ONCE):
        database.connection.execute("BEGIN IMMEDIATE")
        for number in range(start, min(start + AT_ONCE, count)):
            frontier = _insert(database, number, frontier)
        database.connection.execute("COMMIT")
    signed = sign_checkpoint(ORIGIN, count, frontier.root(), key)
    database.replace_checkpoint(database.newest(), (count, signed))
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    database.close()
    write_seal(folder, file_digests(folder), ORIGIN, key)


def _insert(database: Database, number: int, frontier: Frontier) -> Frontier:
    record = record_of(number)
    # The keys of a record are ASCII, and its texts here too: so msgspec's sorted form is the canonical one.
    body = msgspec.json.encode(record, order="sorted")
    if number % AT_ONCE == 0:
        assert body == encode_record(record)
    nodes, grown = frontier.grown(leaf_hash(body))
    database.insert_record((number, record.request, record.event, b"".join(nodes), body))
    return grown


def _bare(folder: Path, path: Path) -> sqlite3.Connection:
    """Return a bare table of the same bodies, with an index over the columns that are asked for."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("ATTACH ? AS log", (f"{(folder / 'log.db').absolute()}",))
    connection.execute("ATTACH ? AS found", (f"{folder.with_name(folder.name + ENDING).absolute()}",))
    connection.execute(
        "CREATE TABLE bare AS SELECT e.sequence, e.request, e.action, e.target, r.body "
        "FROM found.entry e JOIN log.record r USING (sequence) ORDER BY 1"
    )
    connection.execute("CREATE INDEX bare_target ON bare (action, target, sequence)")
    connection.execute("CREATE INDEX bare_sequence ON bare (sequence)")
    connection.execute("CREATE INDEX bare_request ON bare (request)")
    connection.execute("DETACH log")
    connection.execute("DETACH found")
    return connection


def _built(log: Log) -> list[float]:
    """Return the seconds of each question that it takes until the index is built; the last one is answered."""
    asked = []
    while True:
        begun = time.perf_counter()
        try:
            search(log, Query(operator="ada"), None, 1)
        except SearchBehind:
            asked.append(time.perf_counter() - begun)
        else:
            return [*asked, time.perf_counter() - begun]


def _times(ask: Callable[[int], object], befores: list[int]) -> list[float]:
    """Return the milliseconds of asking once a number."""
    found = []
    for before in befores:
        begun = time.perf_counter()
        ask(before)
        found.append(1000 * (time.perf_counter() - begun))
    return found


def _questions(log: Log, reader: Reader, count: int) -> Iterator[tuple[str, Callable[[int], object]]]:
    """Yield every question that is asked of the log, by name."""
    queries = {
        "operator": Query(operator="grace"),
        "rare_outcome": Query(outcome="unknown"),
        "invariant": Query(invariant="commit-quorum"),
        "time_span": Query(since="2030-03-01", until="2030-04-01"),
        "text": Query(text="CHANGE 500 OF"),
        "two_common": Query(operator="ada", event="confirmed"),
        "nothing": Query(operator="grace", action="fence", node="n1", text="no such words"),
    }
    for name, query in queries.items():
        yield f"search_{name}_ms", lambda before, query=query: search(log, query, before, PAGE)  # type: ignore[misc]
    yield "requests_page_ms", lambda before: reader.requests(before, PAGE)
    yield "decision_ms", lambda before: reader.decision(record_of(before % count).request)
    yield "proof_ms", lambda before: log.proof(before % count)


def _verified(folder: Path, vkey: str, script: Path) -> dict[str, object]:
    """Return the time and the peak memory of verifying the log in a process of its own, with as many as it starts."""
    script.write_text(VERIFY, encoding="utf-8")
    ended = subprocess.run([sys.executable, script, folder, vkey], capture_output=True, text=True, check=True)
    size, seconds, own, helper = ended.stdout.split()
    return {
        "verify_records": int(size),
        "verify_seconds": float(seconds),
        "verify_peak_mb": int(own) * 1024 / 1e6,
        "verify_helper_peak_mb": int(helper) * 1024 / 1e6,
    }


def _export_verified(log: Log) -> float:
    """Return the seconds that making an export and verifying it as it comes take together, in this one process."""
    begun = time.perf_counter()
    verify_export(export(log), log.verifier_key)
    return time.perf_counter() - begun


def _one_process(folder: Path, count: int) -> float:
    """Return the microseconds a record that one process takes, over one part."""
    begun = time.perf_counter()
    end = min(PART_RECORDS, count)
    verify_part(folder, Part(kind="records", end=end))
    return 1e6 * (time.perf_counter() - begun) / end


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure."""
    count = RECORDS_QUICK if quick else RECORDS
    top, key = clusters.folder("scale"), Ed25519PrivateKey.generate()
    folder = top / "log"
    begun = time.perf_counter()
    fill(folder, key, count)
    more: dict[str, object] = {"records": count, "made_in_seconds": time.perf_counter() - begun}
    say(f"  {count} records made in {more['made_in_seconds']:.0f} s")
    with Log(folder, ORIGIN, key) as log:
        vkey = log.verifier_key
        asked = _built(log)
        more.update({"index_built_in_seconds": sum(asked), "index_longest_question_seconds": max(asked)})
        say(f"  index built in {sum(asked):.0f} s, by {len(asked)} questions")
        befores = [count - 1 - number * (count // ROUNDS) for number in range(ROUNDS)]
        bare = _bare(folder, top / "bare.db")
        where = "action = 'promote' AND target = 'n2' AND sequence < ? ORDER BY sequence DESC LIMIT ?"
        statement = f"SELECT sequence, body FROM bare WHERE {where}"  # noqa: S608 - both parts stand here.
        query = Query(action="promote", node="n2")
        limit = _times(lambda before: bare.execute(statement, (before, PAGE)).fetchall(), befores)
        ours = _times(lambda before: search(log, query, before, PAGE), befores)
        for name, ask in _questions(log, _reader(log, top / "control"), count):
            more[name] = statistics.median(_times(ask, befores[:20]))
        more["export_verified_seconds"] = _export_verified(log)
        more["process_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        bare.close()
        assert [each for each, _ in newest_requests(log, None, 1)] == [record_of(count - 1).request]
    more.update(_verified(folder, vkey, top / "verify.py"))
    more["one_process_us_a_record"] = _one_process(folder, count)
    medians = statistics.median(ours), statistics.median(limit)
    say(f"  a page of {PAGE}: ours {medians[0]:.2f} ms, limit {medians[1]:.2f} ms; verified in "
        f"{more['verify_seconds']:.0f} s, peak {more['verify_peak_mb']:.0f} MB")  # fmt: skip
    return Measured(
        unit="ms", ours=medians[0], limit=medians[1], ratio=medians[0] / medians[1],
        more={**more, **spread("ours_min_median_max", ours), **spread("limit_min_median_max", limit)},
    )  # fmt: skip


def _reader(log: Log, folder: Path) -> Reader:
    """Return the control plane's own reader of this log; no agent is asked for anything."""
    cluster = Cluster(
        name="measured", id="measured", members=(), operators=(), quorum=1, genesis="n1", log_key=log.verifier_key,
        control="localhost:1",
    )  # fmt: skip
    folder.mkdir()
    Authority(cluster.id).issue(folder, "control", "control")
    meters = Meters(log)
    agents, comparisons = Agents(cluster, tls_in(folder), meters), Comparisons(cluster, log, meters)
    recorder = Recorder(log, canonical.encode(cluster), meters)
    dispatcher = Dispatcher(cluster, agents, recorder, comparisons, LogWitnesses(cluster, log, {}))
    sequences = Sequences(cluster, agents, recorder, dispatcher, comparisons)
    return Reader(KnownVersions(cluster), agents, log, comparisons, lambda _: False, sequences)
