"""A switchover signed ahead, on real processes, under a writer: executed; and with somebody killed at each place.

Whoever dies, no acknowledged commit is lost, there are never two primaries, and requests alone lead to the new one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aerodb.errors import AeroError
from aerodb.local.writer import Writer
from aerodb.protocol import canonical
from aerodb.protocol.api import Done, Planned, RequestLine
from aerodb.protocol.facts import State
from aerodb.protocol.plan import plan_digest
from tests.faults.behind import connect, facts_of, instance_of
from tests.faults.conftest import Running
from tests.faults.dying import dying_agent
from tests.faults.people import new_id
from tests.faults.test_control_crashes import dying_control
from tests.faults.waiting import wait_until

DROPPED = ("not executed", "kernel.order-dropped")


@pytest.fixture
def writer(fresh: Running) -> Iterator[Writer]:
    """Yield a writer that writes, to a cluster whose third node follows the second one already."""
    fresh.api.do("follow", "n3", upstream="n2")
    wait_until(lambda: [each.state for each in instance_of(fresh, "n2").senders] == ["streaming"])
    made = Writer(fresh.layout.dsn())
    made.start()
    assert made.wait_for_more(20)
    yield made
    made.stop()


def held(running: Running) -> tuple[Planned, str]:
    """Have n2 hold a promotion; return its plan, and the id of the demotion that it comes after."""
    later, first = promotion(running)
    assert running.api.confirm(later).result == "held"
    return later, first


def promotion(running: Running) -> tuple[Planned, str]:
    """Ask for a promotion that comes after a demotion; return its plan, and that one's id."""
    first = new_id()
    later = running.api.ask("promote", "n2", after=f"demote:n1:{first}")
    assert later.accepted, later.plan
    return later, first


def demotion(running: Running, later: Planned, first: str) -> Planned:
    """Ask for the demotion."""
    then = f"{later.request}:{plan_digest(later.plan)}"
    planned = running.api.ask("demote", "n1", first, for_="n2", then=then)
    assert planned.accepted, planned.plan
    return planned


def declined(running: Running, planned: Planned) -> str:
    """Decline a held order, and return what the list then says of it."""
    line = running.api.client.post(f"/v1/requests/{planned.request}/decline", b"{}")
    return canonical.decode(line, RequestLine).state


def primaries(running: Running) -> list[str]:
    """Return the nodes that run and are out of recovery."""
    found = {node: instance_of(running, node) for node in running.cluster.data_nodes}
    return [node for node, each in found.items() if each.state is State.RUNNING and each.recovery is False]


def said(done: Done) -> tuple[str, str]:
    """Return what became of a request, and its code."""
    return done.result, done.code


@contextmanager
def interrupted() -> Iterator[None]:
    """Expect that whoever was asked dies of it."""
    with pytest.raises(AeroError) as error:
        yield
    assert (error.value.code, error.value.executed) == ("transport.interrupted", "unknown")


def ends_at_n2(running: Running, writer: Writer) -> None:
    """Demand that n2 is the one primary, acknowledges, and has all that was ever acknowledged; n1 comes back to it."""
    assert primaries(running) == ["n2"]
    assert writer.wait_for_more(20)
    running.api.do("follow", "n1", upstream="n2")
    if instance_of(running, "n1").state is not State.RUNNING:
        running.api.do("start", "n1")
    writer.stop()
    assert writer.lost() == []
    assert primaries(running) == ["n2"]


@pytest.mark.older_too
def test_one_signature_switches_over(fresh: Running, writer: Writer) -> None:
    """The demotion's confirmation runs both; commits are acknowledged at once; nothing is lost."""
    later, first = held(fresh)
    planned = demotion(fresh, later, first)
    assert writer.wait_for_more(20)
    done = fresh.api.confirm(planned)
    assert isinstance(done.then, Done)
    assert (said(done), said(done.then)) == (("executed", ""), ("executed", ""))
    assert fresh.api.events(later.request) == ["requested", "confirmed", "triggered", "outcome"]
    ends_at_n2(fresh, writer)


def test_sessions_that_were_cut_off_while_it_was_held_are_opened_anew(fresh: Running, writer: Writer) -> None:
    """What was made ready for its turn is no more: the turn takes longer, and is none the worse."""
    later, first = held(fresh)
    planned = demotion(fresh, later, first)
    with connect(fresh, "n2") as session:
        ended = session.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'aerodb agent'"
        ).fetchall()
    assert ended == [(True,)]
    done = fresh.api.confirm(planned)
    assert isinstance(done.then, Done)
    assert (said(done), said(done.then)) == (("executed", ""), ("executed", ""))
    ends_at_n2(fresh, writer)


def test_the_holder_dies(fresh: Running, writer: Writer) -> None:
    """The demotion is refused by n1 itself, which goes on; what was held never runs; both are asked for anew."""
    later, first = held(fresh)
    planned = demotion(fresh, later, first)
    fresh.stage.kill("n2")
    fresh.stage.start_agent("n2", leave_down=True)
    fresh.stage.wait_for("n2")
    assert not facts_of(fresh, "n2").held
    done = fresh.api.confirm(planned)
    assert isinstance(done.then, Done)
    assert (said(done), said(done.then)) == (("not executed", "kernel.verdicts-differ"), DROPPED)
    assert primaries(fresh) == ["n1"]
    assert writer.wait_for_more(20)
    assert said(fresh.api.outcome(later.request)) == DROPPED
    fresh.api.do("demote", "n1", for_="n2")
    fresh.api.do("promote", "n2")
    ends_at_n2(fresh, writer)


def test_the_control_plane_dies_after_the_hold(fresh: Running, writer: Writer) -> None:
    """The next one carries on nothing: the order can be declined, and a new sequence is signed."""
    with dying_control(fresh, "after hold", 1):
        later, _ = promotion(fresh)
        with interrupted():
            fresh.api.confirm(later)
    assert (facts_of(fresh, "n2").held or later).request == later.request
    with pytest.raises(AeroError) as error:
        fresh.api.outcome(later.request)
    assert error.value.code == "kernel.order-held"
    assert declined(fresh, later) == "not executed"
    assert said(fresh.api.outcome(later.request)) == DROPPED
    assert writer.wait_for_more(20)
    again, first = held(fresh)
    done = fresh.api.confirm(demotion(fresh, again, first))
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result) == ("executed", "executed")
    ends_at_n2(fresh, writer)


def test_the_control_plane_dies_before_the_turn(fresh: Running, writer: Writer) -> None:
    """n1 is down and n2 waits: nothing happens by itself; declined, it is promoted by a request of its own."""
    with dying_control(fresh, "before trigger", 1):
        later, first = held(fresh)
        planned = demotion(fresh, later, first)
        with interrupted():
            fresh.api.confirm(planned)
    assert fresh.api.outcome(planned.request).result == "executed"
    assert primaries(fresh) == []
    assert (facts_of(fresh, "n2").held or planned).request == later.request
    assert fresh.api.events(later.request) == ["requested", "confirmed", "triggered"]
    assert declined(fresh, later) == "not executed"
    assert said(fresh.api.outcome(later.request)) == DROPPED
    fresh.api.do("promote", "n2")
    ends_at_n2(fresh, writer)


@pytest.mark.parametrize(("step", "expected"), [(1, "not executed"), (2, "not executed"), (3, "executed")])
def test_the_old_primarys_agent_dies(fresh: Running, writer: Writer, step: int, expected: str) -> None:
    """What became of the demotion is not in hand, so nothing follows it; what is found out later is gone on from."""
    later, first = held(fresh)
    planned = demotion(fresh, later, first)
    with dying_agent(fresh, "n1", step):
        done = fresh.api.confirm(planned)
    assert isinstance(done.then, Done)
    assert (done.result, said(done.then)) == ("unknown", DROPPED)
    assert fresh.api.outcome(planned.request).result == expected
    assert len(primaries(fresh)) <= 1
    if expected == "not executed":
        if instance_of(fresh, "n1").state is not State.RUNNING:
            fresh.api.do("start", "n1")
        fresh.api.do("demote", "n1", for_="n2")
    fresh.api.do("promote", "n2")
    ends_at_n2(fresh, writer)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, "not executed"), (2, "not executed"), (3, "unknown"), (4, "executed"), (6, "executed")],
)
def test_the_new_primarys_agent_dies(fresh: Running, writer: Writer, step: int, expected: str) -> None:
    """It is asked what became of the promotion, which cannot be declined any more, and gone on from there."""
    with dying_agent(fresh, "n2", step):
        later, first = held(fresh)
        done = fresh.api.confirm(demotion(fresh, later, first))
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result, done.then.outcome) == ("executed", "unknown", None)
    with pytest.raises(AeroError) as error:
        declined(fresh, later)
    assert (error.value.code, error.value.executed) == ("kernel.order-not-held", "unknown")
    assert fresh.api.outcome(later.request).result == expected
    assert len(primaries(fresh)) <= 1
    if expected == "unknown":
        fresh.api.do("stop", "n2")
        assert fresh.api.outcome(later.request).result == "not executed"
        fresh.api.do("start", "n2")
    if expected != "executed":
        fresh.api.do("promote", "n2")
    ends_at_n2(fresh, writer)
