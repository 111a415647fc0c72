"""Judging a log's meaning takes no more memory for a longer log."""

import tracemalloc
import uuid
from pathlib import Path

from msgspec.structs import replace

from aerodb.audit.record import encode_record
from aerodb.audit.store.database import create_scratch
from aerodb.audit.store.judging import judge_part
from aerodb.audit.tree import Frontier, leaf_hash
from tests.unit.audit.forging import READ, REFUSED, REQUESTED, SIGNED_IN, Forged

EVERYTHING = ("", "\U0010ffff")


def peak_bytes(honest: Forged, folder: Path, requests: int) -> int:
    """Return how much memory it takes to judge so many requests, each refused twice, as many readings and sign-ins."""
    folder.mkdir()
    database, frontier = create_scratch(folder / "log.db"), Frontier()
    for digest, data in honest.blobs.items():
        database.insert_blob(digest, data)
    for number in range(requests):
        request = str(uuid.UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)))
        records = [replace(honest.records[at], request=request) for at in (REQUESTED, REFUSED, REFUSED)]
        for record in (*records, honest.records[READ], honest.records[SIGNED_IN]):
            body = encode_record(record)
            nodes, grown = frontier.grown(leaf_hash(body))
            database.insert_record((frontier.size, record.request, record.event, b"".join(nodes), body))
            frontier = grown
    database.connection.execute("COMMIT")
    database.close()
    tracemalloc.start()
    records_judged, meaning = judge_part(folder, honest.trust, EVERYTHING, frontier.size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert records_judged == 5 * requests
    assert sum(meaning.failed.values()) == requests  # Each has another request's snapshot; only the first are kept.
    assert len(meaning.faults) == min(50, requests)
    return peak


def test_memory_is_flat_in_the_number_of_records(honest: Forged, tmp_path: Path) -> None:
    """Of ten times as many requests no more is held at once: none is remembered once it is judged."""
    peak_bytes(honest, tmp_path / "once", 10)  # What is imported or cached once is so before anything is measured.
    few = peak_bytes(honest, tmp_path / "few", 200)
    many = peak_bytes(honest, tmp_path / "many", 2_000)
    assert many < 1.2 * few, (few, many)
