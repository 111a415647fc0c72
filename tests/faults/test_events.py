"""The journal of transitions on a real cluster: what is seen, what is marked as not seen, what is left alone."""

import os
import signal
from pathlib import Path

import pytest

from aerodb.kernel.node import read_node
from aerodb.protocol import canonical
from aerodb.protocol.events import Event, EventPage, Kind
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import new_id
from tests.faults.waiting import wait_until


def page(running: Running, node: str, since: int = 0) -> EventPage:
    """Return a node's events."""
    return canonical.decode(running.impostor.agent(node).get(f"/v1/events?since={since}"), EventPage)


def has(running: Running, node: str, kind: Kind, subject: str = "", after: str = "", since: int = 0) -> bool:
    """Tell whether a node has seen a transition."""
    return any(
        event.kind is kind and subject in event.subject and event.after.startswith(after)
        for event in page(running, node, since).events
    )


def test_a_request_and_what_it_changed_are_seen(fresh: Running) -> None:
    """A follow is seen by the follower, with its request, and by both upstreams; the log's request is named."""
    wait_until(lambda: has(fresh, "n1", Kind.SENDER, "n3"))
    planned = fresh.api.ask("follow", "n3", upstream="n2")
    assert fresh.api.confirm(planned).result == "executed"
    wait_until(lambda: has(fresh, "n3", Kind.REQUEST, planned.request, "ended: executed"))
    wait_until(lambda: has(fresh, "n1", Kind.SENDER, "n3", "gone"))
    wait_until(lambda: has(fresh, "n2", Kind.SENDER, "n3", "streaming"))
    events = page(fresh, "n3").events
    about = [event.kind for event in events if event.sequence > _begun(events, planned.request)]
    assert Kind.UPSTREAM in about
    assert about[-1] is Kind.REQUEST
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    _crash_and_restart(fresh)


def _begun(events: tuple[Event, ...], request: str) -> int:
    return next(event.sequence for event in events if event.subject == request)


def _postmaster(running: Running, node: str) -> int:
    home = Path(read_node(running.layout.node(node)).file.home)
    return int((home / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


def _crash_and_restart(running: Running) -> None:
    """PostgreSQL crashes and is started by a person; so is its agent, which marks that nobody looked meanwhile."""
    before = page(running, "n3").last  # It may have been found crashed, before it was first started.
    os.kill(_postmaster(running, "n3"), signal.SIGQUIT)
    wait_until(lambda: has(running, "n3", Kind.STATE, after="crashed", since=before))
    running.api.do("start", "n3")
    wait_until(lambda: has(running, "n3", Kind.CRASH_RECOVERY))
    wait_until(lambda: has(running, "n3", Kind.RESTART))
    last = page(running, "n3").last
    running.stage.kill("n3")
    running.stage.start_agent("n3", leave_down=True)
    running.stage.wait_for("n3")
    wait_until(lambda: has(running, "n3", Kind.STATE, after="running", since=last))
    gap = page(running, "n3", last).events[0]
    assert (gap.kind, gap.before, gap.after) == (Kind.GAP, str(last), str(last + 1))
    _frozen(running)


def _frozen(running: Running) -> None:
    """A PostgreSQL that hangs is said to be unreachable, and what becomes of it afterwards is seen again."""
    postmaster = _postmaster(running, "n2")
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    processes = [postmaster, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        wait_until(lambda: has(running, "n2", Kind.STATE, after="unreachable"))
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    before = page(running, "n2").last
    wait_until(lambda: has(running, "n2", Kind.STATE, after="running", since=before))


def test_looking_on_changes_nothing(shared: Running) -> None:
    """While the observers look, standing, journal and PostgreSQL's settings stay as they are."""
    wait_until(lambda: page(shared, "n1").last > 0)
    before = {name: _files(shared, name) for name in ("n1", "n2", "n3")}
    facts = shared.impostor.facts("n1")
    last = page(shared, "n1").last
    shared.stage.kill("n2")
    shared.stage.start_agent("n2", leave_down=True)
    shared.stage.wait_for("n2")
    wait_until(lambda: has(shared, "n2", Kind.GAP))
    assert {name: _files(shared, name) for name in before} == before
    assert shared.impostor.facts("n1").standing == facts.standing
    assert page(shared, "n1").last >= last


def _files(running: Running, node: str) -> dict[str, tuple[bytes, int]]:
    """Return what an observer must never write: the agent's state and PostgreSQL's settings, with their times.

    Apart from that how far the node's WAL has been, which the agent notes of itself: no observation, but its memory.
    """
    folder = running.layout.node(node)
    home = Path(read_node(folder).file.home)
    kept = [path for path in (folder / "state").rglob("*.json") if path.name != "reach.json"]
    paths = [*kept, *(home / "conf").iterdir(), home / "data" / "postgresql.auto.conf"]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.mark.parametrize("person", ["operator", "observer"])
def test_only_the_control_plane_reads_them(shared: Running, person: str) -> None:
    """A person asks the control plane, never an agent."""
    with pytest.raises(Refused) as error:
        shared.impostor.agent("n1", shared.layout.profile(person)).get("/v1/events")
    assert error.value.code == "control.role-denied"


def test_a_query_that_is_no_number_is_refused(shared: Running) -> None:
    """Bad input names its field."""
    with pytest.raises(Refused) as error:
        shared.impostor.agent("n1").get(f"/v1/events?since={new_id()}")
    assert (error.value.code, error.value.field) == ("input.query-malformed", "since")
