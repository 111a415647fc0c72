"""Damage of the log under a server that runs: it is never served, never sealed, and never trusted by the next start."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aerodb.audit.store.files import DATABASE, SEAL
from aerodb.audit.tree import HASH_BYTES, leaf_hash
from aerodb.errors import AeroError
from tests.faults.conftest import Running
from tests.faults.people import REASON

LIE = "a lie!"
"""As long as the reason of every request here."""


def _change_record(folder: Path, number: int, *, leaf_too: bool) -> None:
    """Change a record's reason as whoever may write the files can, and its hash beside it where they know of it."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        query = "SELECT body, nodes FROM record WHERE sequence = ?"
        body, nodes = connection.execute(query, (number,)).fetchone()
        changed = body.replace(REASON.encode(), LIE.encode())
        assert changed != body
        if leaf_too:
            nodes = leaf_hash(changed) + nodes[HASH_BYTES:]
        connection.execute("UPDATE record SET body = ?, nodes = ? WHERE sequence = ?", (changed, nodes, number))


@pytest.mark.parametrize("leaf_too", [False, True])
def test_a_record_changed_under_the_running_server_is_never_served(fresh: Running, *, leaf_too: bool) -> None:
    """Listed, by its number, searched, in its request, in the timeline, in an export: refused everywhere, and said."""
    planned, other = fresh.api.ask("stop", "n3"), fresh.api.ask("stop", "n2")
    _change_record(fresh.layout.control / "log", 0, leaf_too=leaf_too)
    for path in (
        "/v1/audit/records", "/v1/audit/records?start=0&count=1", "/v1/audit/records/0", "/v1/audit/search",
        "/v1/requests", f"/v1/requests/{planned.request}", "/v1/timeline", "/v1/audit/export",
    ):  # fmt: skip
        with pytest.raises(AeroError) as error:
            assert LIE.encode() not in fresh.api.client.get(path), path
        recorded = path.endswith("export")  # What must be recorded first is not even begun: the files are not ours.
        assert error.value.code == ("control.log-replaced" if recorded else "control.log-verification-failed"), path
    assert len(fresh.api.status().snapshot.reports) == 3
    if not leaf_too:
        assert fresh.api.decision(other.request).line.state == "planned"


def _change_in_place(path: Path) -> None:
    """Change the bytes of a reason wherever they lie in a file, and put the file's times back."""
    status, data = path.stat(), path.read_bytes()
    assert REASON.encode() in data
    with path.open("r+b") as file:
        file.write(data.replace(REASON.encode(), LIE.encode()))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_was_changed_in_place_is_not_sealed_and_not_trusted(fresh: Running) -> None:
    """The file looks untouched from outside; the clean stop seals nothing, and the next start refuses the log."""
    folder = fresh.layout.control / "log"
    fresh.api.ask("stop", "n3")
    for change in (lambda _: None, _change_in_place):
        fresh.stage.process("control").send_signal(signal.SIGTERM)
        assert (fresh.stage.process("control").wait(60), (folder / SEAL).exists()) == (0, True)
        fresh.stage.start_control()
        fresh.stage.wait_for("control")
        change(folder / DATABASE)
    assert fresh.api.status().log_writable  # Nothing can be seen of it from outside.
    process = fresh.stage.process("control")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) != 0
    assert not (folder / SEAL).exists()
    fresh.stage.start_control()
    assert fresh.stage.process("control").wait(60) != 0
