"""An agent's metrics: what was seen, as numbers; what was not seen has no sample."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aerodb.kernel.metrics import families
from aerodb.protocol.events import JournalMark, Sighting, Trace
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.keeping import Keeping, Replay, Slot, Volume, Wal
from aerodb.transport.metrics import exposition
from tests.unit.rules.scenes import healthy, with_instance

TRACE = Trace(
    started="2030-01-02T03:04:05.678Z", engine="", settings={}, slots={"s": "lost"}, receiver_lag_bytes=7,
    unreplayed_bytes=None,
)  # fmt: skip
Samples = dict[tuple[str, tuple[str, ...]], float]


def scraped(facts: Facts | None, trace: Trace | None = None, journal: tuple[JournalMark, ...] = ()) -> bytes:
    """Return the text that a scrape gives."""
    sighting = Sighting(facts=facts, failure="", trace=trace, journal=journal)
    return exposition(lambda: families(sighting, 12, 1))


def samples(text: bytes) -> Samples:
    """Return every sample by its name and its labels' values."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_what_a_node_keeps() -> None:
    """Replay, pg_wal, room and slots have samples where they were seen, and none where they were not."""
    slots = (Slot(name="s", kind="physical", active=False, lost=False, held_bytes=5),)
    kept = Keeping(
        replay=Replay(paused=True, unreplayed_bytes=0, conflicts=0),
        wal=Wal(size_bytes=3, begin=None),
        volume=Volume(size_bytes=9, free_bytes=4),
        slots=slots,
    )
    found = samples(scraped(with_instance(healthy(), "n2", keeping=kept)["n2"]))
    names = ("replay_paused", "wal_kept_bytes", "volume_free_bytes", "slots_held_bytes")
    assert [found[f"aerodb_{name}", ()] for name in names] == [1, 3, 4, 5]
    unseen = samples(scraped(healthy()["n2"]))
    assert not any((f"aerodb_{name}", ()) in unseen for name in names)


def test_a_primary() -> None:
    """Role, terms, WAL, senders, load and counters are what the facts say."""
    marks = (JournalMark(request="r", result=""), JournalMark(request="r", result="not executed"))
    found = samples(scraped(healthy()["n1"], TRACE, marks))
    assert found["aerodb_node_role", ("primary",)] == 1
    assert found["aerodb_node_role", ("standby",)] == 0
    assert found["aerodb_wal_term", ()] == 1
    assert found["aerodb_wal_position_bytes", ()] == 5000
    assert found["aerodb_sender_flush_lag_bytes", ("n2",)] == 0
    assert found["aerodb_sender_synchronous", ("n3",)] == 1
    assert found["aerodb_requests_total", ("not_executed",)] == 1
    assert found["aerodb_requests_total", ("executed",)] == 0
    assert found["aerodb_events_total", ()] == 12
    assert found["aerodb_slots_invalidated", ()] == 1
    assert found["aerodb_receiver_lag_bytes", ()] == 7
    assert ("aerodb_replay_lag_bytes", ()) not in found
    assert found["aerodb_node_serves", ()] == 1


def test_what_was_not_seen_has_no_sample() -> None:
    """A node that could not be looked at says only that; a silent PostgreSQL has no position, lag or load."""
    nothing = samples(scraped(None))
    assert nothing["aerodb_node_observed", ()] == 0
    assert {name for name, _ in nothing} == {
        "aerodb_build_info", "aerodb_node_observed", "aerodb_events_total", "aerodb_requests_total",
        "aerodb_unfinished_requests",
    }  # fmt: skip
    silent = with_instance(
        healthy(), "n2", state=State.UNREACHABLE, recovery=None, position=None, receiver=None, load=None
    )
    found = samples(scraped(silent["n2"]))
    assert found["aerodb_postgres_state", ("unreachable",)] == 1
    assert found["aerodb_node_serves", ()] == 0
    unseen = {"aerodb_wal_position_bytes", "aerodb_sessions", "aerodb_receiver_streaming"}
    assert not unseen & {name for name, _ in found}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's package prometheus is not installed")
def test_promtool_finds_nothing_to_say() -> None:
    """Names, help and units are as the ecosystem has them."""
    text = scraped(healthy()["n1"], TRACE)
    ended = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")
