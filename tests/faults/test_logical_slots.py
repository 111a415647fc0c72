"""A logical slot that a person has synchronised goes on at the successor, and its reader misses nothing."""

import struct
from collections.abc import Iterator

import pytest

from aerodb.local.writer import Writer
from aerodb.protocol.carrying import Carrying
from tests.faults.behind import append_to, instance_of, run
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until

NODES = ("n1", "n2", "n3")
DATABASE = "app"
INSERT = b"I"
COPIES_FROM = 17


def _read(running: Running, node: str) -> Iterator[int]:
    """Yield the numbers of the rows that the slot has for its reader, and confirm them."""
    changes = (
        "select data from pg_logical_slot_get_binary_changes('cdc', null, null, 'proto_version', '1', "
        "'publication_names', 'all_of_it')"
    )
    for (data,) in run(running, node, changes, DATABASE):
        if data[:1] == INSERT:  # The relation's id, N, the number of columns, and the first of them: t, length, text.
            (length,) = struct.unpack_from(">i", data, 9)
            yield int(data[13 : 13 + length])


def _set_up(running: Running) -> None:
    """Have n2 copy the slots of n1 as a DBA would: settings, a line in pg_hba.conf, and a physical slot."""
    for node in NODES:
        conf = running.home(node) / "conf"
        append_to(conf / "postgresql.conf", "wal_level = logical\nhot_standby_feedback = on\n")
        append_to(conf / "pg_hba.conf", "host postgres aerodb_n2 127.0.0.1/32 scram-sha-256\n")
    settings = "sync_replication_slots = on\nprimary_slot_name = 'n2'\n"
    append_to(running.home("n2") / "conf" / "postgresql.conf", settings)
    running.api.do("restart", "n1")
    run(running, "n1", "select pg_create_physical_replication_slot('n2')")
    for node in NODES[1:]:
        running.api.do("restart", node)
    wait_until(running.settled)


def test_a_slot_goes_on_at_the_successor_and_its_reader_misses_nothing(fresh: Running) -> None:
    """The plan says so of the one that n2 has, and that the other one is lost; all that was written is read."""
    if int(instance_of(fresh, "n1").major) < COPIES_FROM:
        pytest.skip("this version copies no slots")
    _set_up(fresh)
    assert [instance_of(fresh, node).drift for node in NODES] == [(), (), ()]
    assert "n3 has no slot n2, which n2 asks for" in fresh.api.ask("follow", "n2", upstream="n3").plan
    writer = Writer(fresh.layout.dsn())
    run(fresh, "n1", "create publication all_of_it for table ledger", DATABASE)
    run(fresh, "n1", "select pg_create_logical_replication_slot('cdc', 'pgoutput', false, false, true)", DATABASE)
    run(fresh, "n1", "select pg_create_logical_replication_slot('here', 'pgoutput')", DATABASE)
    writer.start()
    assert writer.wait_for_more(20)
    read = list[int]()

    def ready() -> bool:
        """Read on, since a copy becomes ready only once its original has moved beyond where the copy began."""
        read.extend(_read(fresh, "n1"))
        return _copies(fresh) == [("cdc", True, False)]

    wait_until(ready)
    fresh.api.do("follow", "n3", upstream="n2")
    planned = fresh.api.ask("demote", "n1", for_="n2")
    assert planned.accepted
    assert "Logical slot cdc (database app) goes on at n2" in planned.plan
    assert "Logical slot here (database app) IS LOST: n2 has no such slot, and it is no failover slot" in planned.plan
    assert writer.wait_for_more(20)
    fresh.api.confirm(planned)
    promotion = fresh.api.ask("promote", "n2")
    assert "Logical slot cdc (database app) goes on at n2" in promotion.plan
    assert fresh.api.confirm(promotion).result == "executed"
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []
    assert run(fresh, "n2", "select slot_name from pg_replication_slots") == [("cdc",)]
    read += _read(fresh, "n2")
    assert {each.number for each in writer.acknowledged} <= set(read)


def _copies(running: Running) -> list[tuple[str, bool, bool]]:
    carrying = instance_of(running, "n2").carrying
    assert isinstance(carrying, Carrying)
    return [(each.name, each.synced, each.temporary) for each in carrying.logical]


def test_what_does_not_go_on_is_said_on_every_version(fresh: Running) -> None:
    """A slot that nobody copies is lost, with the version's reason; an archive that n2 has no settings for ends."""
    archiving = "wal_level = logical\narchive_mode = on\narchive_command = '/bin/true'\nmax_slot_wal_keep_size = 64GB\n"
    append_to(fresh.home("n1") / "conf" / "postgresql.conf", archiving)
    fresh.api.do("restart", "n1")
    run(fresh, "n1", "select pg_create_logical_replication_slot('here', 'pgoutput')", DATABASE)
    wait_until(fresh.settled)  # The standbys come back to a primary that was restarted.
    planned, major = fresh.api.ask("demote", "n1", for_="n2"), int(instance_of(fresh, "n1").major)
    assert planned.accepted
    why = "n2 has no such slot" if major >= COPIES_FROM else f"PostgreSQL {major} cannot copy it to n2"
    assert f"Logical slot here (database app) IS LOST: {why}" in planned.plan
    assert "WAL will NOT BE ARCHIVED at n2, as it is at n1: archive_mode is off there" in planned.plan
    assert "up to 64 GB each (max_slot_wal_keep_size)" in planned.plan
