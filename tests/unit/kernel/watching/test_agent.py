"""An agent that only watches has no hands: by type, by what it loads, and by what every route that acts answers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aerodb.errors import AeroError
from aerodb.kernel.agent import Agent
from aerodb.kernel.errors import AgentAlone, NodeFolderBroken, OnlyWatched, RequestUnknown
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.looking import Acting, Looking
from aerodb.kernel.node import Node, NodeFile
from aerodb.kernel.service import ROUTES, AgentRoute, watching_application
from aerodb.kernel.watching.agent import WatchingAgent, WatchingEye
from aerodb.past.speaking import FIRST, SECOND, RulesApart, stated
from aerodb.protocol import canonical
from aerodb.protocol.facts import Facts, Report, State
from aerodb.protocol.holdings import open_holdings
from aerodb.protocol.plan import Extent
from aerodb.protocol.signed import Signed, open_signed
from aerodb.protocol.watched import NOBODY, Watched
from aerodb.rules.invariants import RULES
from aerodb.transport.errors import Refused
from aerodb.transport.tls import Caller
from tests.unit.kernel.watching.places import CLUSTER, MEMBERS, watched_node
from tests.unit.neighbours.wire import Wire

NONCE = "11111111-2222-4333-8444-555555555555"
ACTS = {name for name in vars(Acting) if not name.startswith("_")} - {*vars(Looking)}
HANDS = (
    "aerodb.actions", "aerodb.kernel.agent", "aerodb.kernel.hands", "aerodb.kernel.orders", "aerodb.kernel.store",
    "aerodb.kernel.postgres.children", "aerodb.kernel.postgres.installation", "aerodb.kernel.postgres.instance",
    "aerodb.kernel.postgres.process", "aerodb.kernel.postgres.replicating", "aerodb.kernel.postgres.session",
)  # fmt: skip
LOADS = """
import sys
import aerodb.assembly, aerodb.kernel.metrics
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.service import watching_application
from aerodb.kernel.watching.agent import WatchingAgent
from aerodb.transport.server import Server
print(*(name for name in sys.modules if name.startswith("aerodb.")))
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Return a watched node, at whose socket nobody answers."""
    return watched_node(tmp_path)


@pytest.fixture
def agent(node: Node) -> WatchingAgent:
    """Return its agent."""
    return WatchingAgent(node)


@pytest.fixture
def wire(node: Node, agent: WatchingAgent) -> Wire:
    """Return a caller with the control plane's certificate."""
    return Wire(watching_application(agent, NodeObserved(agent, node)), Caller(name="control", kind="control"))


def test_it_has_no_method_that_acts(agent: WatchingAgent) -> None:
    """What a service calls in order to act, and what starts or stops PostgreSQL, is none of its attributes."""
    assert sorted(ACTS) == ["hold", "judge", "outcome", "run", "trigger", "withdraw"]
    for name in (*ACTS, "start_with_host", "stop_with_host", "end"):
        assert hasattr(Agent, name)
        for one in (agent, agent.eye("test")):
            assert not hasattr(one, name)
    public = {name for kind in (WatchingAgent, WatchingEye) for name in vars(kind) if not name.startswith("_")}
    looks = {*vars(Looking), *Looking.__annotations__}
    assert public - looks == {"facts_of", "trace"}


def test_what_it_loads_has_no_hands() -> None:
    """A process that watches never loads what runs orders, keeps a standing, or controls a PostgreSQL's process."""
    loaded = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, check=True).stdout.split()
    assert "aerodb.kernel.watching.agent" in loaded
    assert [name for name in loaded if name.startswith(HANDS)] == []


@pytest.mark.parametrize("route", [each for each in ROUTES if each.acts], ids=lambda route: route.path)
def test_every_route_that_acts_is_refused(wire: Wire, route: AgentRoute) -> None:
    """Whatever is sent, nothing was executed, and the code says why."""
    path = route.path.format(request=NONCE) if "{" in route.path else route.path
    for body in (b"", b"{}"):
        with pytest.raises(Refused) as error:
            wire.post(path, body)
        assert (error.value.code, error.value.status, error.value.executed) == (
            "kernel.only-watched",
            409,
            "not executed",
        )
        assert "n1 is only watched: its agent has no hands" in error.value.message


def test_what_changes_a_node_is_a_route_that_acts() -> None:
    """Nothing but looking is left to an agent without hands: a route that takes more than GET acts."""
    assert {route.path for route in ROUTES if "POST" in route.methods} == {route.path for route in ROUTES if route.acts}


def test_what_is_not_for_the_control_plane_alone_is_guarded_as_ever(agent: WatchingAgent, node: Node) -> None:
    """A node's peer may ask for the role alone; it is refused before it hears that there are no hands."""
    wire = Wire(watching_application(agent, NodeObserved(agent, node)), Caller(name="n2", kind="agent"))
    for path in ("/v1/orders", "/v1/judge"):
        with pytest.raises(Refused) as error:
            wire.post(path, b"{}")
        assert error.value.code == "control.role-denied"


def facts_of(wire: Wire) -> Facts:
    """Return the facts of a genuine report."""
    signed = canonical.decode(wire.get(f"/v1/report?nonce={NONCE}&rules={stated((RULES,))}"), Signed)
    report = open_signed(signed, Report, MEMBERS["n1"].public_key)
    assert (report.cluster, report.node, report.nonce) == ("shop-id", "n1", NONCE)
    return report.facts


def test_a_report_says_that_it_is_only_watched(wire: Wire) -> None:
    """It has promised and been granted nothing; where nobody answers, no guess stands in place of what is not seen."""
    facts = facts_of(wire)
    assert isinstance(facts.watched, Watched)
    assert (facts.configuration, facts.rules, facts.entries, facts.checkpoint) == (CLUSTER.digest, RULES, 0, "")
    assert (facts.standing.role, facts.standing.pledged, facts.standing.granted) == ("standby", NOBODY, NOBODY)
    instance = facts.instance
    assert instance is not None
    assert (instance.state, instance.recovery, instance.position) == (State.UNREACHABLE, None, None)
    assert facts.watched.survey is None
    (damage,) = instance.damage
    assert damage.startswith("process: nobody answers at the socket in ")
    assert "whether PostgreSQL runs cannot be seen with these rights" in damage


def test_it_says_nothing_in_words_that_would_leave_that_out(wire: Wire) -> None:
    """Earlier rules have no word for it: by them the node would be in charge of itself, as any other."""
    for rules in ((FIRST,), (SECOND,)):
        with pytest.raises(Refused) as error:
            wire.get(f"/v1/report?nonce={NONCE}&rules={stated(rules)}")
        assert error.value.code == RulesApart.code


def test_it_holds_nothing(wire: Wire) -> None:
    """No checkpoint, no request; and it says so, signed."""
    assert canonical.decode(wire.get("/v1/checkpoint"), Extent).size == 0
    assert canonical.decode(wire.get("/v1/checkpoint?within=7"), Extent).size == 0
    held = open_holdings(CLUSTER, "n1", canonical.decode(wire.get(f"/v1/holdings?nonce={NONCE}"), Signed), NONCE)
    assert (held.checkpoints, held.given_up, held.requests) == ((), (), ())
    with pytest.raises(Refused) as error:
        wire.get(f"/v1/holdings/{NONCE}")
    assert error.value.code == RequestUnknown.code


def test_it_serves_in_no_role_while_nobody_answers(wire: Wire) -> None:
    """What cannot be seen counts as no."""
    for path in ("/primary", "/standby", "/standby?lag=16MB"):
        with pytest.raises(AeroError, match="none: PostgreSQL does not answer"):
            wire.get(path)


def test_its_metrics_promise_nothing(wire: Wire) -> None:
    """It is watched (1); it has no term that it pledged or was granted, no journal, and no role until one is seen."""
    text = wire.get("/metrics").decode()
    assert "aerodb_node_watched 1.0" in text
    for name in (
        "pledged_term",
        "granted_term",
        "wal_term",
        "node_halted",
        "journal_requests",
        "log_checkpoint",
        "node_role",
    ):
        assert f"aerodb_{name}" not in text


def test_it_writes_its_lock_and_nothing_else(node: Node, wire: Wire) -> None:
    """No standing, no journal of requests: whatever was asked."""
    facts_of(wire)
    wire.get("/metrics")
    wire.get("/v1/events")
    assert [path.relative_to(node.folder).as_posix() for path in sorted(node.folder.rglob("*"))] == [
        "state", "state/agent.lock",
    ]  # fmt: skip


def test_one_agent_a_node(node: Node, agent: WatchingAgent) -> None:
    """A second one is refused, while the first one lives."""
    with pytest.raises(AgentAlone):
        WatchingAgent(node)
    os.close(agent._alone)
    WatchingAgent(node)


def test_a_folder_is_of_one_kind(node: Node, tmp_path: Path) -> None:
    """No agent with hands is made for a watched node; none without for a folder that holds a standing."""
    with pytest.raises(OnlyWatched):
        Agent(node)
    file = NodeFile(name="n1", home="", binaries="", account="", starts="no")
    with pytest.raises(NodeFolderBroken):
        WatchingAgent(Node(folder=tmp_path, file=file, cluster=CLUSTER, key=node.key))
    node.state.mkdir()
    (node.state / "standing.json").write_text("{}")
    with pytest.raises(NodeFolderBroken, match="holds the standing of an agent with hands"):
        WatchingAgent(node)
