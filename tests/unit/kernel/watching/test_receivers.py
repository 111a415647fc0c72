"""Who receives is known by where it comes from: a name is anybody's choice, and no secret of a setting is shown."""

from typing import Any

import pytest

from aerodb.kernel.watching.receivers import (
    named_upstream,
    shared_addresses,
    shown_setting,
    strangers_in,
    told_apart,
    upstreams_in,
)
from tests.unit.kernel.watching.places import MEMBERS

OTHERS = {"n2": frozenset({"10.0.0.2", "2001:db8::2"}), "n3": frozenset({"10.0.0.3"})}


def row(
    address: str | None, name: str = "15/main", state: str = "streaming", replayed: str | None = "0/5"
) -> dict[str, Any]:
    """Return a row of pg_stat_replication; only a standby replays."""
    return {
        "role": "replicator", "name": name, "address": address, "state": state, "sync": "async", "sent": "0/5",
        "flushed": "0/5", "replayed": replayed, "ahead": False, "silent": 0, "flush_lag": None, "replay_lag": None,
    }  # fmt: skip


def found(*rows: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the members that receive, and the addresses of the strangers."""
    senders, names, strangers = told_apart(rows, OTHERS)
    assert [each.node for each in senders] == [each.node for each in names]
    return [each.node for each in senders], [each.address for each in strangers_in(strangers)]


def test_a_member_is_known_by_its_address() -> None:
    """Two standbys of one application_name are told apart, whichever of its addresses each uses."""
    assert found(row("10.0.0.3"), row("2001:0db8::0002")) == (["n2", "n3"], [])
    _, names, _ = told_apart([row("10.0.0.3", name="15/main")], OTHERS)
    assert [(each.node, each.application) for each in names] == [("n3", "15/main")]


def test_a_name_proves_nothing() -> None:
    """Whoever calls itself as a member does is a stranger, at another address or over the local socket."""
    assert found(row("10.0.0.9", name="n2"), row(None, name="n3")) == ([], ["", "10.0.0.9"])


def test_what_does_not_replay_is_no_standby() -> None:
    """A copy, or an archiver, that runs on a member's host is not taken for its standby."""
    archiver, backup = row("10.0.0.2", "pg_receivewal", replayed=None), row("10.0.0.2", "copy", "backup", None)
    assert found(archiver, backup) == ([], ["10.0.0.2", "10.0.0.2"])
    assert found(archiver, row("10.0.0.2"), backup) == (["n2"], ["10.0.0.2", "10.0.0.2"])


def test_of_two_standbys_at_one_address_neither_is_named() -> None:
    """Rather nobody than the wrong one."""
    assert found(row("10.0.0.2"), row("10.0.0.2", name="n2"), row("10.0.0.3")) == (["n3"], ["10.0.0.2", "10.0.0.2"])
    shared = {"n2": frozenset({"10.0.0.2"}), "n3": frozenset({"10.0.0.2", "10.0.0.3"})}
    senders, _, strangers = told_apart([row("10.0.0.2")], shared)
    assert (senders, len(strangers)) == ((), 1)
    assert shared_addresses(shared) == ("Which receiver is whose: n2 and n3 are at one address, so neither is named.",)
    assert shared_addresses(OTHERS) == ()


@pytest.mark.parametrize(
    ("conninfo", "upstreams"),
    [
        ("host=10.0.0.1 port=5433 password='a b' user=r", (("10.0.0.1", 5433),)),
        ("host='10.0.0.1' user=r", (("10.0.0.1", 5432),)),
        ("postgresql://r:secret@db1,db2:5433/x", (("db1", 5432), ("db2", 5433))),
        ("host=db1,db2 port=5433", (("db1", 5433), ("db2", 5433))),
        ("host=db1 hostaddr=10.0.0.1", (("10.0.0.1", 5432),)),
        ("user=r", (("", 5432),)),
        ("", ()),
        ("host", None),
        ("host=a,b,c port=1,2", None),
        ("host=a port=x", None),
    ],
)
def test_of_a_connection_string_hosts_and_ports_are_read(
    conninfo: str, upstreams: tuple[tuple[str, int], ...] | None
) -> None:
    """In every form that PostgreSQL takes."""
    assert upstreams_in(conninfo) == upstreams


def test_an_upstream_is_a_member_by_its_host_and_port() -> None:
    """As an address or as the name that the member has; otherwise the host and the port stand for it."""
    known = {"n1": frozenset({"127.0.0.9"}), "n2": frozenset({"127.0.0.1"})}
    for host, port, upstream in (
        ("127.0.0.9", 5432, "n1"), ("::ffff:127.0.0.9", 5432, "n1"), ("127.0.0.9", 5433, "127.0.0.9:5433"),
        ("elsewhere", 5432, "elsewhere:5432"), ("", 5432, ":5432"),
    ):  # fmt: skip
        assert named_upstream(host, port, MEMBERS, known) == upstream


def test_no_secret_of_a_setting_is_shown() -> None:
    """A connection string may hold a password, and so may a command."""
    for secret in ("host=h password=geheim", "postgresql://u:geheim@h/x", "host=h password='geh", "geheim"):
        assert "geheim" not in shown_setting("primary_conninfo", secret)
    assert shown_setting("primary_conninfo", "host=h port=5 password=geheim") == "h:5"
    assert shown_setting("restore_command", "TOKEN=geheim fetch %f %p") == "set, and not shown"
    assert shown_setting("restore_command", "") == ""
    assert shown_setting("wal_level", "replica") == "replica"
