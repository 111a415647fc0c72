"""A log that is shown to one node alone, or that went back: noticed at once by whoever looks, acted on by nobody."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aerodb.audit.store import Log, judge_folder
from aerodb.audit.trust import Trust
from aerodb.errors import AeroError
from aerodb.local.person import Person
from aerodb.protocol.api import Agreement, Status
from aerodb.protocol.facts import State
from tests.faults.behind import instance_of
from tests.faults.conftest import Running
from tests.faults.hostile import Hostile, log_key
from tests.faults.people import Api
from tests.faults.restoring import start_control, stop_control
from tests.faults.waiting import wait_until

BEHIND, FORKED = "control.log-behind", "control.log-forked"


def agreements(status: Status) -> dict[str, Agreement]:
    """Return how what everyone has seen of the log stands to it, by name."""
    return {view.who: view.agreement for view in status.log_views}


def operator(running: Running) -> Person:
    """Return the operator at their terminal."""
    return Person(running.layout.profile("operator"), lambda _: None, colour=False)


def refused(running: Running, code: str, *names: str) -> None:
    """Show that nothing is planned on any node, that everyone who saw more is named, and that nothing is recorded."""
    before = running.api.status().log_size
    for node in ("n1", "n2", "n3"):
        with pytest.raises(AeroError) as error:
            running.api.ask("checkpoint", node)
        assert (error.value.code, error.value.executed) == (code, "not executed"), error.value.message
        assert all(name in error.value.message for name in names), error.value.message
    assert running.api.status().log_size == before


@pytest.mark.parametrize(("later", "code"), [(3, FORKED), (0, BEHIND)])
def test_a_log_shown_to_one_node_alone(fresh: Running, tmp_path: Path, later: int, code: str) -> None:
    """Whoever has every key of the control plane's has one node act by a log of its own; the next look tells of it.

    What was planned before is not sent, to no other node either; nothing is planned any more; looking goes on. While
    the real log is the shorter one it is behind; as soon as it is as long, it is shown to be another.
    """
    fresh.api.do("stop", "n3")
    fresh.api.do("start", "n3")
    planned, other = fresh.api.ask("stop", "n2"), fresh.api.ask("checkpoint", "n1")
    hostile = Hostile(fresh, fork=tmp_path / "fork")
    for _ in range(later):
        fresh.api.ask("stop", "n1")
    outcome = hostile.send(*hostile.plan(hostile.request("stop", "n3")))
    hostile.close()
    assert outcome.result == "executed"
    done = fresh.api.confirm(planned)
    assert (done.result, done.code) == ("not executed", code)
    assert "n3" in done.message
    assert instance_of(fresh, "n2").state is State.RUNNING
    found = agreements(fresh.api.status())
    assert found == {"n1": Agreement.NOTHING, "n2": Agreement.NOTHING, "n3": Agreement.FORKED}
    assert agreements(Api(fresh.layout, "observer").status()) == found
    refused(fresh, FORKED, "n3")
    with pytest.raises(AeroError) as declining:
        fresh.api.client.post(f"/v1/requests/{other.request}/decline", b"{}")
    assert (declining.value.code, fresh.api.events(other.request)) == (FORKED, ["requested"])
    shown = operator(fresh).types("status")
    assert (shown.code, "forked" in shown.text, "n3" in shown.text) == (6, True, True), shown.text
    size = fresh.api.status().log_size
    fresh.restart_control()
    refused(fresh, FORKED, "n3")
    assert fresh.api.status().log_size == size
    assert (fresh.api.decision(other.request).line.state, fresh.api.events(other.request)) == ("lapsed", ["requested"])
    _verification_tells_of_it(fresh, done.request)


def _verification_tells_of_it(running: Running, refused_request: str) -> None:
    """Whoever verifies is told: of what is fetched by the report that is shown; of the log alone by the recorded one.

    The report that was made after the confirmation stands in the log, by the very outcome that says what was refused.
    """
    fetched = operator(running).types("audit", "verify")
    assert (fetched.code, "n3 has seen, by the signed report shown" in fetched.text) == (6, True), fetched.text
    stop_control(running)
    verdict = judge_folder(running.layout.control / "log", Trust(clusters=(running.cluster,)))
    assert (verdict.meaning.whole, verdict.whole) == (True, False)
    assert [each.node for each in verdict.meaning.contradictions] == ["n3"]
    assert "n3 had seen the log" in verdict.relations[0].said
    with Log(running.layout.control / "log", running.cluster.origin, log_key(running)) as log:
        assert verdict.meaning.contradictions[0].last in log.sequences_of(refused_request)


def _with_its_head(running: Running) -> tuple[Path, ...]:
    """What a person restores who restores the whole folder of the control plane."""
    return running.layout.control / "log", running.layout.control / "log.head"


def _alone(running: Running) -> tuple[Path, ...]:
    """What a person restores who restores the log."""
    return (running.layout.control / "log",)


def _copied(paths: tuple[Path, ...], to: Path) -> None:
    for path in paths:
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, to / path.name)


def _put_back(paths: tuple[Path, ...], copies: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
    for path in paths:
        (shutil.copytree if (copies / path.name).is_dir() else shutil.copy2)(copies / path.name, path)


@pytest.mark.parametrize("restored", [_alone, _with_its_head])
def test_an_older_sealed_copy(fresh: Running, tmp_path: Path, restored: Callable[[Running], tuple[Path, ...]]) -> None:
    """A copy that was whole and sealed in its day is put back: the nodes have seen more, and are named."""
    fresh.api.do("checkpoint", "n1")
    stop_control(fresh)
    _copied(restored(fresh), tmp_path)
    start_control(fresh)
    fresh.api.do("stop", "n3")
    fresh.api.do("start", "n3")
    stop_control(fresh)
    _put_back(restored(fresh), tmp_path)
    start_control(fresh)
    found = agreements(fresh.api.status())
    assert (found["n1"], found["n2"], found["n3"]) == (Agreement.CONSISTENT, Agreement.NOTHING, Agreement.BEHIND)
    assert len(found) == (4 if restored is _alone else 3), found
    refused(fresh, BEHIND, "n3")
    shown = operator(fresh).types("status")
    assert (shown.code, "went back" in shown.text, "n3 has seen 8" in shown.text) == (6, True, True), shown.text


def test_a_log_that_went_back_is_not_made_longer_by_what_lapsed(fresh: Running, tmp_path: Path) -> None:
    """A plan that waits in the restored copy may be confirmed in the lost end: its lapse is shown, not recorded."""
    planned = fresh.api.ask("stop", "n3")
    fresh.stage.kill("control")
    _copied(_with_its_head(fresh), tmp_path)
    start_control(fresh)
    wait_until(lambda: fresh.api.events(planned.request) == ["requested", "lapsed"])
    fresh.api.do("stop", "n3")
    stop_control(fresh)
    _put_back(_with_its_head(fresh), tmp_path)
    start_control(fresh)
    assert agreements(fresh.api.status())["n3"] is Agreement.BEHIND
    refused(fresh, BEHIND, "n3")
    assert fresh.api.decision(planned.request).line.state == "lapsed"
    assert fresh.api.events(planned.request) == ["requested"]


def test_what_a_silent_node_has_seen_is_unknown_and_blocks_nothing(fresh: Running, tmp_path: Path) -> None:
    """The one node that saw more is silent: that is said, and holds nothing up; but the operator's profile knows."""
    stop_control(fresh)
    _copied(_with_its_head(fresh), tmp_path)
    start_control(fresh)
    fresh.api.do("stop", "n3")
    assert operator(fresh).types("status").code == 0
    stop_control(fresh)
    _put_back(_with_its_head(fresh), tmp_path)
    fresh.stage.kill("n3")
    start_control(fresh)
    assert agreements(fresh.api.status())["n3"] is Agreement.UNKNOWN
    assert fresh.api.ask("checkpoint", "n1").accepted
    asked = operator(fresh).types("checkpoint", "n2", "--reason", "a test")
    assert (asked.code, BEHIND in asked.text, "this profile" in asked.text) == (6, True, True), asked.text
    refused(fresh, BEHIND, "operator's profile")
    fresh.stage.start_agent("n3", leave_down=True)
    fresh.stage.wait_for("n3")
    refused(fresh, FORKED, "n3")  # As many records as it saw, and other ones.


def test_a_log_that_lost_its_end(fresh: Running) -> None:
    """Killed, and its write-ahead log cut in half: the records that are gone are missed at the start."""
    fresh.api.do("stop", "n3")
    for _ in range(8):
        fresh.api.ask("stop", "n2")
    size = fresh.api.status().log_size
    fresh.stage.kill("control")
    wal = fresh.layout.control / "log" / "log.db-wal"
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size // 2)
    start_control(fresh)
    status = fresh.api.status()
    assert status.log_size < size
    behind = [view for view in status.log_views if view.agreement is Agreement.BEHIND]
    assert [view.records for view in behind if view.who not in ("n1", "n2", "n3")] == [size]
    refused(fresh, BEHIND, "log.head", str(size))
    fresh.restart_control()
    refused(fresh, BEHIND, "log.head", str(size))
