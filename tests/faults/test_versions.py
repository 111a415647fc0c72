"""What the table says of PostgreSQL's versions is so of each that is here; data and programs of two are kept apart."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.kernel.node import NodeFile
from aerodb.kernel.postgres.capabilities import MAJORS, TABLE, Capability, has
from aerodb.local.errors import ProcessFailed
from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from tests.faults.alone import Database, folder_for_postgres, installations
from tests.faults.behind import instance_of
from tests.faults.conftest import Running
from tests.faults.verdicts import failing
from tests.faults.waiting import wait_until

GROUPS = {
    "runtime-config-client": "Client Connection Defaults /%",
    "runtime-config-replication": "Replication /%",
    "runtime-config-compatible": "Version and Platform Compatibility /%",
}
"""The group of settings that each page of the manual describes."""


@pytest.fixture(scope="module", params=installations(), ids=lambda each: each.version)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Yield a PostgreSQL of each version that is on this machine."""
    with folder_for_postgres() as folder:
        made = Database(request.param, folder)
        made.start()
        yield made
        made.end()


def _is_there(database: Database, capability: Capability) -> bool:
    """Tell whether a running server, or a program of its version, really has what the table names."""
    if TABLE[capability].kind == "option":
        program, option = capability.split()
        said = database.installation.run(program, "--help", timeout_seconds=60).output
        return option in said.replace("=", " ").split()
    view, _, name = capability.rpartition(".")
    asked = {
        "setting": "select 1 from pg_settings where name = %(name)s",
        "column": "select 1 from pg_attribute where attrelid = to_regclass(%(view)s) and attname = %(name)s",
    }[TABLE[capability].kind]
    with database.session() as session:
        return bool(session.execute(asked.encode(), {"name": name, "view": view}).fetchall())


@pytest.mark.parametrize("capability", Capability)
def test_a_version_has_what_the_table_says_and_lacks_the_rest(database: Database, capability: Capability) -> None:
    """Asked of the server itself, and of its programs."""
    assert _is_there(database, capability) is has(database.major, capability)


def test_the_table_names_the_page_of_the_manual_that_a_setting_is_on(database: Database) -> None:
    """As the server groups its settings."""
    asked = "select 1 from pg_settings where name = %(name)s and category like %(group)s"
    with database.session() as session:
        for capability, line in TABLE.items():
            if line.kind == "setting" and has(database.major, capability):
                told = {"name": str(capability), "group": GROUPS[line.manual]}
                assert session.execute(asked, told).fetchall(), capability


def test_a_version_writes_the_formats_that_the_table_says(database: Database) -> None:
    """The layout of its control file, as its own program tells, and the number with which its WAL begins."""
    said = database.installation.run("pg_controldata", "-D", database.data, timeout_seconds=60).output
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in said.splitlines())}
    assert int(fields["pg_control version number"]) == MAJORS[database.major].control_version
    segment = min((database.data / "pg_wal").glob("0*"))
    assert int.from_bytes(segment.read_bytes()[:2], "little") == MAJORS[database.major].page_magic


class Programs:
    """Programs that say of themselves which version they are, and do nothing else."""

    def __init__(self, folder: Path) -> None:
        """Make none yet."""
        self.bin = folder / "bin"
        self.bin.mkdir()
        folder.chmod(0o755)

    def say(self, version: str) -> None:
        """Be of another version."""
        program = self.bin / "postgres"
        program.write_text(f"#!/bin/sh\n[ $# = 1 ] && echo 'postgres (PostgreSQL) {version}'\n", encoding="utf-8")
        program.chmod(0o755)


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Yield programs that every account can reach."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    yield Programs(folder)
    shutil.rmtree(folder)


def _give(running: Running, node: str, binaries: str) -> str:
    """Have a node's agent begin anew with other programs; return those that it had."""
    path = running.layout.node(node) / "node.json"
    file = canonical.decode(path.read_bytes(), NodeFile)
    running.stage.kill(node)
    changed = NodeFile(name=node, home=file.home, binaries=binaries, account=file.account, starts=file.starts)
    path.write_bytes(canonical.encode(changed))
    running.stage.start_agent(node, leave_down=True)
    return file.binaries


def _other_than(major: int) -> int:
    return next(each for each in MAJORS if each != major)


def test_programs_of_another_major_version_do_nothing_to_a_node(fresh: Running, programs: Programs) -> None:
    """The reason is said wherever it matters, and nothing is begun; with the right programs all is as it was."""
    fresh.api.do("stop", "n3")
    before = instance_of(fresh, "n3")
    other = _other_than(int(before.major))
    programs.say(f"{other}.1")
    own = _give(fresh, "n3", str(programs.bin))
    fresh.stage.wait_for("n3")
    found = instance_of(fresh, "n3")
    assert (found.state, found.position) == (State.UNREADABLE, None)
    why = f"is of PostgreSQL {before.major}, and the programs in {programs.bin} are {other}"
    assert any(said.startswith("data folder: ") and why in said for said in found.damage), found.damage
    assert "what cannot be read: data folder" in failing(fresh, "start", "n3")["running-fits"]
    assert "what cannot be read: data folder" in failing(fresh, "follow", "n3", upstream="n1")["running-fits"]
    copied = failing(fresh, "reclone", "n3", upstream="n1")["running-fits"]
    assert f", and on n3 {other}.1: a copy of one major version's data does not start" in copied
    assert sorted(path.name for path in fresh.home("n3").glob("*data*")) == ["data", "data-0001"]
    _give(fresh, "n3", own)
    fresh.stage.wait_for("n3")
    after = instance_of(fresh, "n3")
    assert replace(after, keeping=before.keeping) == before  # How full the disk is, others tell too.
    fresh.api.do("start", "n3")
    wait_until(fresh.settled)


def test_programs_that_were_changed_under_a_running_server_copy_nothing(fresh: Running, programs: Programs) -> None:
    """What runs is of the source's major version still, so the plan holds; the node refuses before it begins."""
    before = instance_of(fresh, "n3")
    other = _other_than(int(before.major))
    programs.say(f"{other}.1")
    own = _give(fresh, "n3", str(programs.bin))
    fresh.stage.wait_for("n3")
    done = fresh.api.confirm(fresh.api.ask("reclone", "n3", upstream="n1"))
    assert (done.result, done.code) == ("not executed", "kernel.postgres-major-differs")
    assert f"the source is PostgreSQL {before.major}" in done.message
    _give(fresh, "n3", own)
    fresh.stage.wait_for("n3")
    wait_until(fresh.settled)
    after = instance_of(fresh, "n3")
    assert (after.folder, after.attached, after.started) == (before.folder, before.attached, before.started)


@pytest.mark.parametrize("version", ["14.23", "19beta1"])
def test_an_agent_does_not_run_a_major_version_that_is_not_known(
    fresh: Running, programs: Programs, version: str
) -> None:
    """It ends at once and says why; a server that ran goes on, untouched."""
    server = fresh.postmaster("n3")
    programs.say(version)
    own = _give(fresh, "n3", str(programs.bin))
    assert fresh.stage.process("n3").wait(60) not in {0, -signal.SIGKILL}
    with pytest.raises(
        ProcessFailed, match=rf"PostgreSQL {version} in \S+ is not run: AeroDB runs PostgreSQL 15 to 18"
    ):
        fresh.stage.wait_for("n3")
    assert fresh.postmaster("n3") == server
    _give(fresh, "n3", own)
    fresh.stage.wait_for("n3")
    wait_until(fresh.settled)
