"""Of which size a new cluster is: what cannot be is refused, and a port that is taken is named."""

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from aerodb.kernel.node import NodeFile
from aerodb.kernel.postgres.errors import PostgresNotBundled
from aerodb.local.errors import PortsTaken, SizeRefused
from aerodb.local.layout import Layout
from aerodb.local.making import Making
from aerodb.local.profiles import pem
from aerodb.local.size import HOST, PORT_MAX, Size, free_ports, is_free, ports_of, size_of
from aerodb.local.up import reopen_or_make
from aerodb.protocol import canonical
from aerodb.transport.certificates import Authority


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port on which somebody listens; those just below it are free, and nobody is lent them meanwhile."""
    *_, port = free_ports(4, 29_000)
    with socket.create_server((HOST, port)):
        yield port


@given(
    st.builds(
        Size,
        nodes=st.integers(1, 9),
        witness=st.booleans(),
        quorum=st.integers(-1, 10),
        ports_from=st.one_of(st.just(0), st.integers(-5, 70_000)),
    )
)
def test_what_no_cluster_can_be_is_refused(size: Size) -> None:
    """More standbys than there are cannot flush a commit, and there are no ports beyond the last one."""
    fits = 0 <= size.quorum <= size.nodes - 1
    ports = size.ports_from == 0 or (size.ports_from > 0 and size.ports_from + size.ports - 1 <= PORT_MAX)
    if fits and ports:
        size.refuse_odd()
        return
    with pytest.raises(SizeRefused) as error:
        size.refuse_odd()
    assert (error.value.field, error.value.executed) == ("quorum" if not fits else "ports-from", "not executed")


def test_a_port_that_is_taken_is_named(taken: int, tmp_path: Path) -> None:
    """Wherever in the run it is; nothing is made, and a run that is searched for leaves it out."""
    size = Size(nodes=2, ports_from=taken - 3)
    with pytest.raises(PortsTaken, match=f"port {taken} of {HOST} is taken; 6 are needed from {taken - 3} on"):
        ports_of(size)
    with pytest.raises(PortsTaken, match=f"port {taken} "):
        reopen_or_make(Layout(root=tmp_path / "cluster"), {"nodes": 2, "ports_from": taken - 3})
    assert not (tmp_path / "cluster").exists()
    assert not is_free(taken)


@pytest.mark.parametrize(("host", "free"), [(HOST, False), ("[::1]", True), ("192.0.2.1", True)])
def test_a_port_is_taken_where_somebody_listens_and_nowhere_else(taken: int, host: str, *, free: bool) -> None:
    """Of an address that is not here nothing is said: whoever listens there is told why not."""
    assert is_free(taken, host) is free


@pytest.mark.parametrize("witness", [False, True])
def test_every_member_has_ports_of_its_own_from_the_first_on(tmp_path: Path, *, witness: bool) -> None:
    """In the configuration: control plane, agents, PostgreSQL on data nodes alone, admin UI; and the size is told."""
    size = Size(nodes=2, witness=witness, quorum=1).at_free_ports(28_000)
    made = Making(Layout(root=tmp_path), size).cluster
    agents = [int(member.agent.rpartition(":")[2]) for member in made.members]
    data = [member.postgres_port for member in made.members if not member.witness]
    ports = [int(made.control.rpartition(":")[2]), *agents, *data, int(made.web.rpartition(":")[2])]
    assert ports == list(range(size.ports_from, size.ports_from + size.ports))
    assert [member.name for member in made.members if member.witness] == (["w1"] if witness else [])
    assert (made.quorum, size_of(made)) == (1, size)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"nodes": 3}, "nodes 2"),
        ({"witness": True, "quorum": 1}, "witness no"),
        ({"ports_from": 1}, "ports-from "),
        ({"nodes": 5, "quorum": 0}, "nodes 2, quorum 1"),
    ],
)
def test_a_cluster_that_is_there_is_not_made_otherwise(asked: dict[str, int], why: str, tmp_path: Path) -> None:
    """What is asked of its size must hold, and is never left unheard; what is not asked for may be anything."""
    layout = Layout(root=tmp_path)
    cluster = Making(layout, Size(nodes=2)).cluster
    layout.configuration.write_bytes(canonical.encode(cluster))
    with pytest.raises(SizeRefused, match=why):
        reopen_or_make(layout, asked)
    same = msgspec.structs.asdict(size_of(cluster))
    assert [reopen_or_make(layout, each) for each in ({}, {"nodes": 2}, same)] == [False] * 3


@pytest.mark.parametrize(("of_n2", "refused"), [("", True), ("/usr/lib/postgresql/15/bin", True), (None, False)])
def test_a_cluster_that_is_there_keeps_its_programs(tmp_path: Path, of_n2: str | None, *, refused: bool) -> None:
    """What is named must be what every node runs, and is never left unheard; naming none is always right."""
    layout, programs = Layout(root=tmp_path / "cluster"), (tmp_path / "programs").resolve()
    programs.mkdir()
    (programs / "postgres").touch()
    making = Making(layout, Size(nodes=2))
    for name in ("n1", "n2"):
        binaries = of_n2 if name == "n2" and of_n2 is not None else str(programs)
        file = NodeFile(name=name, home=str(tmp_path), binaries=binaries, account="", starts="no")
        layout.node(name).mkdir(parents=True)
        for path, text in (
            ("node.json", canonical.encode(file)),
            ("cluster.json", canonical.encode(making.cluster)),
            ("node.key", pem(making._keys[name], serialization.PrivateFormat.PKCS8)),
        ):
            (layout.node(name) / path).write_bytes(text)
    layout.configuration.write_bytes(canonical.encode(making.cluster))
    assert reopen_or_make(layout, {}) is False
    if not refused:
        assert reopen_or_make(layout, {}, str(programs)) is False
        return
    with pytest.raises(SizeRefused, match=re.escape(f"runs the programs in {of_n2 or 'aerodb[local]'};")) as error:
        reopen_or_make(layout, {}, str(programs))
    assert error.value.field == "postgres"


def test_a_cluster_that_is_there_is_refused_where_its_programs_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of it is begun; not where programs are named, nor by a node whose folder says nothing."""
    layout = Layout(root=tmp_path)
    making = Making(layout, Size(nodes=2))
    layout.configuration.write_bytes(canonical.encode(making.cluster))
    (tmp_path / "nodes").mkdir()
    monkeypatch.setattr(sys, "path", [])  # As where the extra was left out: there is no such package anywhere.
    assert not reopen_or_make(layout, {})
    authority = Authority(making.cluster.id)
    for name, programs in (("n1", "/usr/lib/postgresql/18/bin"), ("n2", "")):
        assert not reopen_or_make(layout, {})
        folder = making._make_folder(authority, name, 0o700)
        file = NodeFile(name=name, home=str(folder / "postgres"), binaries=programs, account="", starts="standby")
        (folder / "node.json").write_bytes(canonical.encode(file))
    other = tmp_path / "programs"
    other.mkdir()
    (other / "postgres").touch()
    for named in ("", str(other)):  # What is named does not run what another one made: it is no way out.
        with pytest.raises(PostgresNotBundled, match=r"`binaries` in the node\.json"):
            reopen_or_make(layout, {}, named)
