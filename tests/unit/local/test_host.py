"""What a host says of itself: never a guess where there are several answers, and nothing is asked without an end."""

import json
from pathlib import Path

import pytest

from aerodb.local.errors import AddressUnclear, PostgresUnplaced
from aerodb.local.host import PostgresPlace, debian_place, named_place, own_address, reached_at
from aerodb.protocol.joining import AddressRefused


class Programs:
    """The programs that a host has, as scripts in a folder that is searched first."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have none yet."""
        self._folder = folder
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(self, name: str, script: str) -> None:
        """Have a program."""
        path = self._folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    def addresses(self, *addresses: str) -> None:
        """Have interfaces with these addresses, as iproute2 lists them: what was filtered out is empty."""
        told = [{}, {"ifname": "eth0", "addr_info": [*({"local": each} for each in addresses), {}]}]
        self.write("ip", f"echo '{json.dumps(told)}'")

    def settings(self, **settings: str) -> None:
        """Have a cluster of Debian's with these settings alone."""
        cases = "".join(f"{name}) echo '{value}';;\n" for name, value in settings.items())
        self.write("pg_conftool", f'case "$6" in\n{cases}*) echo "# $6 not found in postgresql.conf"; exit 1;;\nesac')


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return a host's programs."""
    return Programs(tmp_path, monkeypatch)


@pytest.mark.parametrize(("address", "at"), [("10.0.0.1", "10.0.0.1:7401"), ("fd00::1", "[fd00::1]:7401")])
def test_the_only_address_is_taken(programs: Programs, address: str, at: str) -> None:
    """With the agent's usual port."""
    programs.addresses(address)
    assert own_address() == at


def test_of_several_addresses_none_is_guessed(programs: Programs) -> None:
    """All are said; so it is where there is none, or where they cannot be listed."""
    programs.addresses("10.0.0.1", "192.168.0.1")
    with pytest.raises(AddressUnclear, match=r"10\.0\.0\.1, 192\.168\.0\.1: name the one"):
        own_address()
    programs.addresses()
    with pytest.raises(AddressUnclear, match="no address but its own loopback"):
        own_address()
    for script in ("exit 1", "echo", "echo null", "echo '[1]'", """echo '[{"addr_info": [{"local": "x"}]}]'"""):
        programs.write("ip", script)
        with pytest.raises(AddressUnclear, match="cannot be listed"):
            own_address()


def test_debians_own_program_says_where_postgresql_listens(programs: Programs) -> None:
    """The first of several sockets; what no file sets is as PostgreSQL has it."""
    programs.settings(port="5433", unix_socket_directories="/run/one, /run/two", listen_addresses="*")
    assert debian_place("15/main") == PostgresPlace(socket="/run/one", port=5433, listens="*")
    programs.settings()
    assert debian_place("15/main") == PostgresPlace(socket="/var/run/postgresql", port=5432, listens="localhost")
    assert str(debian_place("15/main").socket_file) == "/var/run/postgresql/.s.PGSQL.5432"


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"unix_socket_directories": ""}, "logs in over one"), ({"unix_socket_directories": "@abstract"}, "over one"),
     ({"unix_socket_directories": "run"}, "over one"), ({"port": "many"}, "'many'"), ({"port": "0"}, "0 is no port")],
)  # fmt: skip
def test_a_postgresql_that_cannot_be_reached_over_a_socket_is_not_watched(
    programs: Programs, settings: dict[str, str], why: str
) -> None:
    """It is said, with what to type instead."""
    programs.settings(**settings)
    with pytest.raises(PostgresUnplaced, match=why):
        debian_place("15/main")


def test_what_the_program_refuses_is_said_in_its_words(programs: Programs) -> None:
    """A cluster that is not there; a program that is not there, or says nothing."""
    programs.write("pg_conftool", 'echo "Error: Cluster 15 x does not exist" >&2; exit 1')
    with pytest.raises(PostgresUnplaced, match="Cluster 15 x does not exist"):
        debian_place("15/x")
    programs.write("pg_conftool", "exit 2")
    with pytest.raises(PostgresUnplaced, match="says nothing"):
        debian_place("15/x")


def test_where_debians_program_is_not_the_socket_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any other layout is typed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PostgresUnplaced, match="--socket and --port"):
        debian_place("15/main")
    place = named_place("/run/postgresql", 5432)
    assert reached_at("10.0.0.1:7401", place, "") == ("10.0.0.1", 5432)
    assert reached_at("10.0.0.1:7401", place, "[fd00::1]:6000") == ("fd00::1", 6000)
    with pytest.raises(AddressRefused) as error:
        reached_at("10.0.0.1:7401", place, "10.0.0.1")
    assert error.value.field == "postgres-address"
