"""From PostgreSQLs that others made to `aerodb status`, as typed: nothing of them is touched, words are compared."""

import getpass
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from aerodb.kernel.postgres.installation import find_installation
from aerodb.local.layout import Layout
from aerodb.local.person import Person, Said
from aerodb.transport.certificates import Authority, read_kept, read_key
from tests.faults.alone import folder_for_postgres
from tests.faults.waiting import wait_until
from tests.faults.watching import HOST, Others, digest, others
from tests.unit.local.joining import LOGIN, PASSPHRASE, reachable

USER = LOGIN if os.geteuid() == 0 else getpass.getuser()
"""Whose the nodes' folders become; this process's own user logs in as them by a map."""
AGENTS_AFTER, CONTROL_AFTER = 10, 20
"""Where ports lie, after the first one: PostgreSQL's come first."""
DEBIAN = "15/aerodbjoin"
STREAMING = "select count(*) from pg_stat_replication where state = 'streaming'"


@contextmanager
def cluster_of_others(port: int) -> Iterator[tuple[Others, Others]]:
    """Yield a primary and a standby that may be watched, at addresses of their own."""
    own = find_installation()
    with others(own, port) as primary:
        let_in(primary)
        primary.start("cluster_name=15/main")
        primary.execute(f'create role "{USER}" login', f'grant pg_monitor to "{USER}"')
        with others(own, port + 1, primary) as standby:
            let_in(standby)
            standby.start("cluster_name=15/main")
            with primary.session() as session:
                wait_until(lambda: session.execute(STREAMING).fetchone() == (1,))
            yield primary, standby


def let_in(database: Others) -> None:
    """Have PostgreSQL let this process's user log in as the role that watches."""
    hba = (database.data / "pg_hba.conf").read_text()
    (database.data / "pg_hba.conf").write_text(f'local postgres "{USER}" peer map=joining\n{hba}')
    with (database.data / "pg_ident.conf").open("a") as file:
        file.write(f'joining {getpass.getuser()} "{USER}"\n')


@contextmanager
def program(log: Path, *words: str) -> Iterator[None]:
    """Run a daemon."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "aerodb", *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            wait_until(lambda: process.poll() is not None or b'"listening"' in log.read_bytes())
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait()


def words_in(said: Said, line: str) -> str:
    """Return the words beneath a line of what was shown."""
    found = re.search(rf"^{line}.*\n +((?:[a-z]+ ){{7}}[a-z]+)$", said.text, re.MULTILINE)
    assert found is not None, said.text
    return found[1]


def test_hosts_of_others_are_watched_as_typed(ports_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, words, admission, agents, control plane, status; and each PostgreSQL's configuration is as it was."""
    monkeypatch.chdir(reachable(tmp_path))
    person = Person(tmp_path / "shop" / "operator", lambda _: None, colour=False, passphrase=PASSPHRASE)
    with cluster_of_others(ports_from) as databases, ExitStack() as running:
        before = [database.postmaster() for database in databases]
        settings = [(database.data / "postgresql.conf").read_bytes() for database in databases]
        words, agents = {}, dict[str, ExitStack]()
        for at, database in enumerate(databases, 1):
            agent = f"{HOST['n1']}:{ports_from + AGENTS_AFTER + at}"
            said = person.types(
                "join", "--watch", "--socket", database.place.socket, "--port", str(database.port), "--name", f"n{at}",
                "--login", USER, "--address", agent, "--folder", str(tmp_path / f"n{at}"),
            )  # fmt: skip
            assert said.code == 0, said.text
            assert "There is no such socket" not in said.text
            words[f"n{at}"] = words_in(said, f"The words of n{at}.join")
        control = f"127.0.0.1:{ports_from + CONTROL_AFTER}"
        said = person.types("admit", "n1.join", "n2.join", "--name", "shop", "--control", control)
        assert said.code == 0, said.text
        assert {name: words_in(said, name) for name in words} == words
        for name in words:
            file = f"shop/admitted/{name}.admitted"
            joined = person.types("join", "--admitted", file, "--folder", str(tmp_path / name))
            assert joined.code == 0, joined.text
            assert words_in(joined, "The words of the cluster") == words_in(said, "The cluster shop")
            if name == "n1":
                _ends_soon(tmp_path / name)
            started = program(tmp_path / f"{name}.log", "agent", "--folder", str(tmp_path / name))
            agents[name] = running.enter_context(ExitStack())
            agents[name].enter_context(started)
        running.enter_context(program(tmp_path / "control.log", "serve", "--folder", "shop/control"))
        status = person.types("status")
        assert status.code == 0, status.text
        assert "acknowledged by n1 alone" in status.text
        assert "standby of n1" in status.text
        assert "Only watched: every action is rejected" in status.text
        assert "The certificate of n1 (agent) expires in 79 days" in status.text
        refused = person.types("checkpoint", "n1", "--reason", "a test")
        assert (refused.code, "is only watched" in refused.text) == (1, True)
        _renewed_as_typed(person, tmp_path)
        agents["n1"].close()
        agents["n1"].enter_context(program(tmp_path / "again.log", "agent", "--folder", str(tmp_path / "n1")))
        wait_until(lambda: _shown_for(person, "n1") == _ends_at(tmp_path / "n1"))
        status = person.types("status")
        assert (status.code, "expires in" in status.text) == (0, False), status.text
        assert [database.postmaster() for database in databases] == before
        assert [(database.data / "postgresql.conf").read_bytes() for database in databases] == settings


def _renewed_as_typed(person: Person, root: Path) -> None:
    """Renew the authority and the certificate of n1, as a person does; words are the same on both machines."""
    said = person.types("certificate", "renew", "authority", "--kind", "authority", "--folder", "shop")
    assert said.code == 0, said.text
    before = _ends_at(root / "n1")
    asked = person.types("join", "--renew", "--folder", str(root / "n1"))
    assert asked.code == 0, asked.text
    given = person.types("certificate", "renew-node", "n1.renewal", "--folder", "shop")
    assert given.code == 0, given.text
    assert words_in(given, "n1 of shop") == words_in(asked, "The words of n1.renewal")
    put = person.types("join", "--renewed", "shop/renewed/n1.renewed", "--folder", str(root / "n1"))
    assert (put.code, "which PostgreSQL does not notice" in put.text) == (0, True), put.text
    assert _ends_at(root / "n1") > before


def _ends_soon(folder: Path) -> None:
    """Give a node's folder a certificate that has 80 days left, in the place of its own."""
    cluster = Layout(root=Path("shop")).cluster()
    authority = Authority(cluster.id, kept=read_kept(Path("shop/authority"), PASSPHRASE.encode))
    key = read_key(folder / "tls.key").public_key()
    (folder / "tls.crt").write_bytes(authority.certified(key, folder.name, "agent", timedelta(days=80)))


def _ends_at(folder: Path) -> str:
    """Return until when the certificate in a folder is good."""
    certificate = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    return f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"


def _shown_for(person: Person, node: str) -> str:
    """Return until when status says that the certificate of a node is good."""
    status = person.types("status", "--json")
    found = json.loads(status.text)["certificates"] if status.code == 0 else []
    return next((str(each["expires"]) for each in found if each["holder"] == node), "")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("pg_createcluster") is None, reason="needs Debian's PostgreSQL 15, and root"
)
def test_debians_cluster_is_joined_by_its_name_and_not_touched(
    ports_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket and port are found where Debian's files say so, in whichever of them; nothing of it changes."""
    monkeypatch.chdir(reachable(tmp_path))
    version, name = DEBIAN.split("/")
    settings = Path("/etc/postgresql") / DEBIAN
    with folder_for_postgres() as folder:
        subprocess.run(["chown", "postgres:", str(folder)], check=True)
        made = ["pg_createcluster", "--port", str(ports_from), "-d", str(folder / "data"), version, name, "--", "-N"]
        subprocess.run(made, check=True, capture_output=True)
        try:
            text = f"port = {ports_from + 1}\nunix_socket_directories = '{folder}, /tmp'\nlisten_addresses = '*'\n"
            (settings / "conf.d" / "site.conf").write_text(text)
            before = digest(settings), digest(folder / "data")
            said = Person(tmp_path, lambda _: None, colour=False).types(
                "join", "--watch", "--postgres", DEBIAN, "--name", "n1", "--login", USER,
                "--address", "10.0.0.1:7401", "--folder", str(tmp_path / "n1"),
            )  # fmt: skip
            assert said.code == 0, said.text
            assert f"PostgreSQL   10.0.0.1:{ports_from + 1}; here {folder}/.s.PGSQL.{ports_from + 1}" in said.text
            assert "no other host reaches it" not in said.text
            assert (digest(settings), digest(folder / "data")) == before
        finally:
            with suppress(subprocess.CalledProcessError):
                subprocess.run(["pg_dropcluster", version, name], check=True, capture_output=True)
