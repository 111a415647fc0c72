"""Every released version's standing cluster comes up under this build, knows all that it knew, and goes on."""

import re
import threading
from collections.abc import Iterator

import pytest

from aerodb.audit.store import earlier_log, judge_folder
from aerodb.errors import AeroError
from aerodb.kernel.node import read_node
from aerodb.kernel.postgres.installation import find_installation
from aerodb.local.stage import READY_SECONDS_MAX
from aerodb.protocol import canonical
from aerodb.protocol.api import Requests
from aerodb.protocol.epoch import EPOCH_FIRST
from release.story import Story, rows_on
from tests.faults.behind import run
from tests.faults.conftest import Running
from tests.faults.people import order_of
from tests.golden.conftest import Kept

pytestmark = pytest.mark.xdist_group("golden")  # One place holds the cluster that they are about.

EPOCHS = "select term, (select epoch from aerodb.epochs e where e.term = t.term) from aerodb.terms t"
ROWS = re.compile(r"with (\d+) rows")
pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def up(standing: Kept) -> Iterator[Running]:
    """Return the cluster, brought up by real processes of this build; PostgreSQL's data must be of the same major."""
    data = read_node(standing.layout.node(standing.cluster.genesis)).place().link
    made_by = int((data / "PG_VERSION").read_text(encoding="ascii"))
    if made_by != find_installation().major:
        pytest.skip(f"its data is PostgreSQL {made_by}'s, which is not installed here")
    running = Running(standing.layout)
    try:
        troubles = running.stage.start_what_starts(threading.Event(), READY_SECONDS_MAX)
        assert not troubles
        yield running
    finally:
        assert running.stage.stop_with_postgres() == []


@pytest.fixture(scope="module", autouse=True)
def rows_found(standing: Kept, up: Running) -> set[int]:
    """Return how many rows the nodes hold, each, as they come up: before any test writes more."""
    return {rows_on(standing.layout, node) for node in up.cluster.data_nodes}


def test_nothing_that_was_committed_is_gone(standing: Kept, rows_found: set[int]) -> None:
    """Every node holds every row that the application had committed when the cluster was shut down."""
    found = ROWS.search((standing.folder / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    assert rows_found == {int(found[1])}


def test_what_was_decided_is_remembered(up: Running) -> None:
    """The control plane shows every request, and answers from its node's journal; no node runs an id again."""
    listed = canonical.decode(up.api.client.get("/v1/requests"), Requests).requests
    executed = [line for line in listed if line.state == "executed"]
    assert executed
    for line in executed:
        assert up.api.outcome(line.request).result == "executed"
    line = executed[0]
    node = up.api.decision(line.request).records[0].record
    target = re.search(r'"target":"(\w+)"', node)
    assert target is not None
    with pytest.raises(AeroError) as error:
        up.impostor.run(target[1], order_of(up.api, line.request, up.impostor.seen(target[1])))
    assert error.value.code == "kernel.request-duplicate"


def test_it_goes_on(standing: Kept, up: Running) -> None:
    """A switchover on it is explained, signed, logged and executed; its log is one with the log of then."""
    primary = next(name for name, _ in up.stage.primaries().items())
    successor, other = (name for name in standing.cluster.data_nodes if name != primary)
    up.api.do("follow", other, upstream=successor)
    up.api.do("demote", primary, for_=successor)
    up.api.do("promote", successor)
    up.api.do("follow", primary, upstream=successor)
    written = {int(str(term)): epoch for term, epoch in run(up, successor, EPOCHS)}
    assert written[max(written)] == EPOCH_FIRST  # What 0.1.0 wrote names none, and stays as it is.
    story = Story(up)
    story.rows = rows_on(standing.layout, successor)
    story.write()
    up.restart_control()
    with earlier_log(standing.folder / "log.jsonl", standing.cluster.log_key) as earlier:
        verdict = judge_folder(standing.layout.control / "log", standing.trust, (earlier,))
    assert verdict.whole, verdict
