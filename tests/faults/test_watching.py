"""A PostgreSQL that others run is watched: seen as far as pg_monitor sees, and in nothing changed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.kernel.postgres.installation import Installation, find_installation
from aerodb.kernel.service import ROUTES
from aerodb.kernel.watching.session import WatchingSession
from aerodb.past.speaking import stated
from aerodb.protocol import canonical
from aerodb.protocol.events import RUNS_AS
from aerodb.protocol.facts import Report, State, structural
from aerodb.protocol.signed import Signed, open_signed
from aerodb.protocol.watched import WATCH_ROLE, Watched
from aerodb.rules.invariants import RULES
from aerodb.transport.certificates import Authority, write_private
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.faults.alone import installations
from tests.faults.waiting import wait_until
from tests.faults.watching import HOST, WATCHES, Others, Watcher, digest, others

ID = "11111111-2222-4333-8444-555555555555"
QUIET = ("wal_level=minimal", "max_wal_senders=0")
"""With these PostgreSQL writes nothing by itself while nobody works."""


@pytest.fixture(scope="module")
def own() -> Installation:
    """Return the wheel's PostgreSQL."""
    return find_installation()


@pytest.fixture
def primary(own: Installation, ports_from: int) -> Iterator[Others]:
    """Return a PostgreSQL that runs and may be watched."""
    with others(own, ports_from) as database:
        database.start("cluster_name=15/main")
        database.execute(*WATCHES)
        yield database


@pytest.mark.parametrize("installation", installations(), ids=lambda each: str(each.major))
def test_it_is_seen_on_every_version(installation: Installation, ports_from: int, tmp_path: Path) -> None:
    """By a role with pg_monitor alone: its WAL, its settings and where they are set, its slots, and what manages it."""
    with others(installation, ports_from) as database:
        with (database.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("wal_level = logical\narchive_mode = on\narchive_command = 'true'\n")
        database.start("cluster_name=15/main")
        database.execute(
            *WATCHES, "select pg_create_logical_replication_slot('changes', 'pgoutput')", "create schema repmgr",
            "alter system set synchronous_standby_names = 'FIRST 2 (a, b)'", "alter role postgres set work_mem = '5MB'",
            "alter database template1 set synchronous_commit = local", "select pg_reload_conf()",
        )  # fmt: skip
        watcher = Watcher(tmp_path, "n1", database)
        wait_until(lambda: watcher.survey().waits_for == 2)
        facts, instance, survey = watcher.facts(), watcher.instance(), watcher.survey()
        with database.session() as session:
            end = session.execute("select pg_current_wal_flush_lsn() - '0/0'").fetchone()
        assert (instance.state, instance.recovery, instance.damage) == (State.RUNNING, False, ())
        assert instance.version.startswith(str(installation.major))
        assert instance.position is not None
        assert (instance.position.timeline, instance.position.term, instance.position.bound) == (1, None, None)
        assert (instance.position.lsn.value,) == end
        assert (instance.folder, instance.identity, instance.lineage) == (str(database.data), None, ())
        assert (instance.load.logical_slots if instance.load else None) == 1
        assert instance.keeping.wal is not None
        assert (facts.standing.role, facts.entries) == ("primary", 0)
        settings = {
            each.name: (each.value, each.place.rpartition("/")[2].partition(":")[0]) for each in survey.settings
        }
        assert settings["wal_level"] == ("logical", "postgresql.conf")
        assert settings["synchronous_standby_names"] == ("FIRST 2 (a, b)", "postgresql.auto.conf")
        assert settings["full_page_writes"] == ("on", "")
        assert settings["synchronous_commit of a role or database"] == ("1", "pg_db_role_setting")
        assert survey.logical_slots == ("changes",)
        assert (survey.archiving, survey.archive_command, survey.tablespaces, survey.wal_apart) == (
            "on",
            True,
            (),
            None,
        )
        assert survey.managers == ("repmgr (a schema of that name)",)
        assert structural(watcher.facts()) == structural(watcher.facts())
        assert watcher.agent.refused_as_primary(watcher.agent.serving()) == ""
        database.stop()
        assert watcher.instance().state is State.UNREACHABLE


def test_receivers_are_known_by_where_they_come_from(
    primary: Others, own: Installation, ports_from: int, tmp_path: Path
) -> None:
    """A standby is the member at its address, whatever it calls itself; an archiver there is a stranger.

    Both sides see what begins and ends, and that somebody promotes by hand.
    """
    first = Watcher(_made(tmp_path / "n1"), "n1", primary)
    first.observe()
    with others(own, ports_from + 1, primary) as standby:
        standby.start("cluster_name=15/main")
        second = Watcher(_made(tmp_path / "n2"), "n2", standby)
        first.sees("sender", "n2", "streaming async")
        second.sees("receiver", "", f"streaming from {HOST['n1']}:{primary.port}")
        (sender,) = first.instance().senders
        assert (sender.node, sender.replayed is not None) == ("n2", True)
        assert [(each.node, each.application) for each in first.survey().names] == [("n2", "15/main")]
        seen, survey = second.instance(), second.survey()
        assert (seen.recovery, seen.attached, seen.replayed) == (
            True,
            "n1" if primary.port == 5432 else seen.attached,
            True,
        )
        assert [each.place.rpartition("/")[2] for each in survey.settings if each.name == "primary_conninfo"] == [
            "postgresql.auto.conf:3",
        ]  # fmt: skip
        assert structural(second.facts()) == structural(second.facts())
        assert structural(first.facts()) == structural(first.facts())
        assert second.agent.refused_as_standby(second.agent.serving(), 1 << 30) == ""
        assert second.agent.refused_as_primary(second.agent.serving()) == "PostgreSQL is in recovery"

        with _archiver(own, primary, tmp_path):
            first.sees("sender", f"archiver at {HOST['n2']}", "streaming async")
            assert [each.node for each in first.instance().senders] == ["n2"]
            assert [(each.address, each.application) for each in first.watched().strangers] == [
                (HOST["n2"], "archiver")
            ]
        first.sees("sender", f"archiver at {HOST['n2']}", "gone")

        standby.promote()
        second.sees("recovery", "", "no")
        assert second.events("role") == [(RUNS_AS, "", "standby"), (RUNS_AS, "standby", "primary")]
        second.sees("timeline", "", "2")
        assert second.agent.refused_as_primary(second.agent.serving()) == ""
        first.sees("sender", "n2", "gone")
        standby.stop()
        second.sees("state", "", "unreachable")
        assert second.facts().standing.role == "primary"  # As it was last seen.
        standby.start("cluster_name=15/main")
        second.sees("state", "", "running")
        assert len(second.events("restart")) == 1
        assert second.events("role") == [(RUNS_AS, "", "standby"), (RUNS_AS, "standby", "primary")]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


class _archiver:  # noqa: N801 - it is used as a function is.
    """A program that receives WAL, and is no standby."""

    def __init__(self, installation: Installation, source: Others, folder: Path) -> None:
        self._arguments: list[str | Path] = [
            installation.bin / "pg_receivewal", "-D", folder, "-d",
            f"host={HOST['n1']} port={source.port} user=postgres application_name=archiver",
        ]  # fmt: skip

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def test_what_is_missing_is_said_in_words_to_act_on(own: Installation, ports_from: int, tmp_path: Path) -> None:
    """Whether the role, its right or its way in is missing: with the very SQL, or the line; the agent goes on."""
    with others(own, ports_from) as database:
        watcher = Watcher(tmp_path, "n1", database)
        (damage,) = watcher.instance().damage
        assert damage.startswith("process: nobody answers at the socket in ")
        database.start()
        (damage,) = watcher.instance().damage
        assert f"create role {WATCH_ROLE} login; grant pg_monitor to {WATCH_ROLE};" in damage
        assert "PostgreSQL answers" in damage
        database.execute(f"create role {WATCH_ROLE} login")
        seen = watcher.instance()
        (damage,) = seen.damage
        assert damage.startswith(f"rights: {WATCH_ROLE} lacks pg_monitor; a superuser gives it: grant pg_monitor to ")
        assert (seen.state, seen.recovery, seen.position is not None) == (State.RUNNING, False, True)
        assert (seen.load, seen.receiver, seen.senders, watcher.watched().survey) == (None, None, (), None)
        assert watcher.agent.refused_as_primary(watcher.agent.serving()) == ""
        database.execute(f"grant pg_monitor to {WATCH_ROLE}")
        assert watcher.instance().damage == ()
        assert watcher.watched().survey is not None
        database.execute(f"alter role {WATCH_ROLE} createdb")
        (damage,) = watcher.instance().damage
        assert damage == f"rights: {WATCH_ROLE} may do more than watch: make it a role with pg_monitor alone"

        (database.data / "pg_hba.conf").write_text(f"local all {WATCH_ROLE} reject\nlocal all postgres trust\n")
        database.execute("select pg_reload_conf()")
        database.stop()
        database.start()
        (damage,) = watcher.instance().damage
        assert f"pg_hba.conf needs the line 'local postgres {WATCH_ROLE} peer'" in damage


def test_a_lock_that_blinds_a_look_is_not_taken_for_a_missing_right(primary: Others, tmp_path: Path) -> None:
    """What PostgreSQL answers all the same is seen, and the rest is said to be unknown, with PostgreSQL's reason."""
    watcher = Watcher(tmp_path, "n1", primary)
    watcher.observe()
    assert watcher.instance().damage == ()
    with primary.session() as session, session.transaction():
        session.execute("lock table pg_tablespace in access exclusive mode")
        seen, watched = watcher.instance(), watcher.watched()
        (damage,) = seen.damage
        assert damage == "look: PostgreSQL refused: canceling statement due to lock timeout"
        assert (seen.state, seen.recovery, watched.survey) == (State.RUNNING, False, None)
        assert "PostgreSQL did not answer all of the look" in watched.unseen[-1]
        watcher.observe()
    assert watcher.instance().damage == ()
    watcher.observe()
    assert [kind for kind in ("state", "role", "sender", "receiver") if len(watcher.events(kind)) > 1] == []


def test_a_postgresql_that_hangs_holds_up_only_looks(primary: Others, tmp_path: Path) -> None:
    """A look ends in time, and says that nobody answered; it sees again once PostgreSQL goes on."""
    watcher = Watcher(tmp_path, "n1", primary)
    fresh = watcher.agent.eye("fresh")
    watcher.eyes.append(fresh)
    assert watcher.instance().state is State.RUNNING
    stopped = [primary.postmaster(), *_sessions(primary)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert watcher.instance().state is State.UNREACHABLE
        instance = fresh.facts().instance
        assert instance is not None
        assert instance.damage[0].startswith("process: nobody answered within 2 seconds at the socket in ")
        assert watcher.agent.refused_as_primary(watcher.agent.serving()) == "PostgreSQL does not answer"
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: watcher.instance().state is State.RUNNING)


def _sessions(database: Others) -> list[int]:
    with database.session() as session:
        return [pid for (pid,) in session.execute("select pid from pg_stat_activity where usename = 'aerodb_watch'")]


def test_its_session_can_do_nothing_but_read(primary: Others, request: pytest.FixtureRequest) -> None:
    """The role is a member of pg_monitor alone, and may nothing by itself; its session is read-only.

    What was set for the role does not reach it.
    """
    primary.execute(
        f"alter role {WATCH_ROLE} set default_transaction_read_only = off",
        f"alter role {WATCH_ROLE} set statement_timeout = '1ms'",
        f"alter role {WATCH_ROLE} set search_path = nowhere",
        f"alter role {WATCH_ROLE} set transaction_timeout = '1ms'",
        f"alter role {WATCH_ROLE} set idle_session_timeout = '1ms'",
    )
    with primary.session() as session:
        groups = session.execute(
            "select roleid = 'pg_monitor'::regrole from pg_auth_members where member = %s::regrole", [WATCH_ROLE]
        ).fetchall()
        rights = session.execute(
            "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles "
            "where rolname = %s",
            [WATCH_ROLE],
        ).fetchone()
    assert groups == [(True,)]
    assert rights == (False,) * 5
    watching = WatchingSession(primary.place, "test")
    request.addfinalizer(watching.close)
    asked = "select json_build_object('is', current_setting(%(name)s)) as found"
    found = {name: watching.read(asked, {"name": name})["is"] for name in (
        "transaction_read_only", "statement_timeout", "search_path", "role", "transaction_timeout",
        "idle_session_timeout",
    )}  # fmt: skip
    assert found == {
        "transaction_read_only": "on", "statement_timeout": "2s", "search_path": "pg_catalog", "role": "none",
        "transaction_timeout": "0", "idle_session_timeout": "0",
    }  # fmt: skip
    for statement in ("create table public.t ()", "select pg_reload_conf()", "select pg_promote()", "checkpoint"):
        with pytest.raises(AeroError, match="PostgreSQL refused"):
            watching.read(statement)
    for statement in ("create table public.t ()", "select pg_switch_wal()"):  # Nor would it, were it not read-only.
        with primary.session() as other:
            other.execute(f"set role {WATCH_ROLE}".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute(statement.encode())


# As it is run ---------------------------------------------------------------------------------------------------------


class Daemon:
    """An agent in a process of its own, as `aerodb agent` runs it, and the control plane's way to it."""

    def __init__(self, folder: Path, watcher: Watcher, port: int) -> None:
        """Make its folder as it is made for it, and start it."""
        folder.mkdir()
        self.folder, self._address = folder, f"127.0.0.1:{port}"
        cluster = watcher.node.cluster
        members = tuple(replace(each, agent=self._address) for each in cluster.members)
        authority = Authority(cluster.id)
        self._control = folder.with_name("control")
        self._control.mkdir()
        authority.issue(self._control, "control", "control")
        authority.issue(folder, "n1", "agent")
        key = watcher.node.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(folder / "node.key", key)
        write_private(folder / "cluster.json", canonical.encode(replace(cluster, members=members)))
        write_private(folder / "node.json", canonical.encode(replace(watcher.node.file, watch_seconds=1)))
        with folder.with_name("log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aerodb", "agent", "--folder", str(folder)], stdout=log, stderr=log
            )

    def client(self) -> Client:
        """Return a caller with the control plane's certificate."""
        return Client(self._address, tls_in(self._control), "n1", 30)

    def answers(self) -> bool:
        """Tell whether it answers."""
        try:
            self.client().get("/v1/checkpoint")
        except AeroError:
            return False
        return True


def test_watching_changes_nothing_on_disk(own: Installation, ports_from: int, tmp_path: Path) -> None:
    """Neither the data nor the settings, whatever an agent is asked, and however it ends.

    SIGINT, with which an agent that has hands shuts PostgreSQL down, leaves it running. In its own folder an agent
    without hands writes its lock and its events.
    """
    with others(own, ports_from) as database:
        database.start(*QUIET)
        database.execute(*WATCHES)
        watcher = Watcher(_made(tmp_path / "warm"), "n1", database)
        watcher.observe()
        database.execute("vacuum freeze", "checkpoint")
        watcher.close()
        watcher.observe()  # PostgreSQL itself writes down what the first session after that read of the catalogue.
        postmaster, before = database.postmaster(), digest(database.data)
        daemon = Daemon(tmp_path / "n1", watcher, ports_from + 1)
        try:
            wait_until(daemon.answers)
            client = daemon.client()
            for _ in range(3):
                signed = canonical.decode(client.get(f"/v1/report?nonce={ID}&rules={stated((RULES,))}"), Signed)
                facts = open_signed(signed, Report, watcher.node.member.public_key).facts
                assert isinstance(facts.watched, Watched)
                assert facts.instance is not None
                assert facts.instance.damage == ()
                assert b"aerodb_node_watched 1.0" in client.get("/metrics")
                assert client.get("/primary") == b"primary\n"
                with pytest.raises(AeroError):
                    client.get("/standby")
            wait_until(lambda: json.loads(client.get("/v1/events"))["last"] >= 5)
            for route in ROUTES:
                if route.acts:
                    with pytest.raises(Refused) as error:
                        client.post(route.path.format(request=ID), b"{}")
                    assert error.value.code == "kernel.only-watched"
        finally:
            daemon.process.send_signal(signal.SIGINT)
            assert daemon.process.wait(60) == 0
        assert digest(database.data) == before
        assert database.postmaster() == postmaster
        made = {path.relative_to(daemon.folder).as_posix() for path in daemon.folder.rglob("*") if path.is_file()}
        assert {path.partition("/")[0] for path in made} == {
            "ca.crt", "tls.crt", "tls.key", "cluster.json", "node.json", "node.key", "state", "events",
        }  # fmt: skip
        assert [path for path in made if path.startswith("state/")] == ["state/agent.lock"]
        database.execute("create table seen ()", "checkpoint")
        assert digest(database.data) != before
