"""A cluster is upgraded from the golden release to this build, part by part, under load, both ways: nothing is lost.

Real processes of the released wheel and of this build, side by side. At every mixed step a signed action is executed;
a writer remembers what was acknowledged to it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aerodb.audit.store import judge_folder
from aerodb.audit.trust import Trust
from aerodb.errors import AeroError
from aerodb.local.stage import READY_SECONDS_MAX
from aerodb.local.writer import Writer
from aerodb.past.releases import MADE_BY
from aerodb.past.speaking import FIRST, HEADER, SPOKEN, RulesApart, spoken, stated
from aerodb.protocol import canonical
from aerodb.protocol.plan import Plan
from aerodb.rules.explain import TargetSilent
from aerodb.rules.invariants import RULES
from tests.faults.conftest import Ground, Running
from tests.faults.people import new_id
from tests.faults.releases import MixedStage, types, unpacked
from tests.faults.test_configure import second_operator

NODES = ("n1", "n2", "n3")
BEFORE = SPOKEN[-1]
RELEASE = MADE_BY[BEFORE]
"""The release that brought the rules before this build's."""


@contextmanager
def writing(running: Running) -> Iterator[Writer]:
    """Write meanwhile; in the end nothing that was acknowledged is lost."""
    writer = Writer(running.layout.dsn())
    writer.start()
    try:
        assert writer.wait_for_more(1)
        yield writer
        assert writer.wait_for_more(1)
    finally:
        writer.stop()
    assert writer.lost() == []


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the code of the release before this build's rules."""
    folder = tmp_path_factory.mktemp("released")
    return unpacked(RELEASE, folder / RELEASE)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the code of release 0.1.0, which knows of no later version of the configuration."""
    folder = tmp_path_factory.mktemp("first")
    return unpacked("0.1.0", folder / "0.1.0")


@pytest.fixture
def old(ground: Ground, golden: Path) -> Iterator[tuple[Running, MixedStage]]:
    """Return a cluster all of whose parts are of that release."""
    running = ground.begin()
    running.stage.stop_with_postgres()
    stage = MixedStage(running.layout, golden)
    running.stage = stage
    troubles = stage.start_what_starts(threading.Event(), READY_SECONDS_MAX)
    assert not troubles
    yield running, stage
    ground.end()


def does(running: Running, action: str, target: str, **arguments: str) -> str:
    """Have an action executed, and return by which rules."""
    planned = running.api.ask(action, target, **arguments)
    assert planned.accepted, planned.plan
    done = running.api.confirm(planned)
    assert done.result == "executed", done
    return canonical.decode(planned.plan.encode(), Plan).rules


def switches(running: Running, primary: str, successor: str) -> set[str]:
    """Let another node become the primary, and the former one follow it; return by which rules."""
    other = next(name for name in NODES if name not in (primary, successor))
    return {
        does(running, "follow", other, upstream=successor),
        does(running, "demote", primary, for_=successor),
        does(running, "promote", successor),
        does(running, "follow", primary, upstream=successor),
    }


def refused(running: Running, action: str, target: str) -> AeroError:
    """Return why an action is refused."""
    with pytest.raises(AeroError) as caught:
        running.api.ask(action, target)
    return caught.value


def verifies(running: Running) -> None:
    """Check that the log, which both releases wrote, holds in every part: every plan is made again by its rules."""
    running.stage.kill("control")
    verdict = judge_folder(running.layout.control / "log", Trust(clusters=(running.cluster,)), ())
    assert verdict.whole, verdict


def knows_no_sequence(running: Running, node: str) -> bool:
    """Tell whether a promotion that comes after another one is refused, where not all speak the new rules."""
    after = f"demote:{next(each for each in NODES if each != node)}:{new_id()}"
    with pytest.raises(AeroError) as caught:
        running.api.ask("promote", node, after=after)
    return "after" in caught.value.message and caught.value.executed == "not executed"


def test_agents_first(old: tuple[Running, MixedStage], golden: Path) -> None:
    """The old control plane works with new agents; then it is replaced, and the cluster speaks the new rules."""
    running, stage = old
    with writing(running) as writer:
        assert does(running, "checkpoint", "n1") == BEFORE
        for node, primary, successor in (("n3", "n1", "n2"), ("n1", "n2", "n3"), ("n2", "n3", "n1")):
            before = running.postmaster(node)
            stage.replace(node, None)
            assert running.postmaster(node) == before  # PostgreSQL goes on.
            assert switches(running, primary, successor) == {BEFORE}
            assert writer.wait_for_more(1)
        assert types(running.layout, golden, "status")[0] == 0
        assert types(running.layout, None, "status")[0] == 0
        stage.replace("control", None)
        assert switches(running, "n1", "n2") == {RULES}
        assert does(running, "reload", "n3") == RULES
    verifies(running)


def test_the_control_plane_first(old: tuple[Running, MixedStage], golden: Path) -> None:
    """The new control plane plans in what the old agents speak, says so, and refuses what came with the new rules."""
    running, stage = old
    with writing(running) as writer:
        stage.replace("control", None)
        assert switches(running, "n1", "n2") == {BEFORE}
        for node, primary, successor in (("n2", "n2", "n1"), ("n1", "n1", "n3")):
            assert knows_no_sequence(running, node)
            stage.replace(node, None)
            assert switches(running, primary, successor) == {BEFORE}
            assert writer.wait_for_more(1)
        code, said = types(running.layout, None, "explain", "checkpoint", "n3")
        assert code == 0
        assert f"By {BEFORE} (AeroDB {RELEASE})" in said
        code, said = types(running.layout, None, "status")
        assert (code, f"n3 speaks {BEFORE} (AeroDB {RELEASE})" in said, "n1 speaks" in said) == (0, True, False), said
        assert types(running.layout, golden, "status")[0] == 0
        stage.replace("n3", None)
        assert switches(running, "n3", "n1") == {RULES}
    verifies(running)


def test_an_old_command_line_is_planned_for_in_what_it_checks(old: tuple[Running, MixedStage], golden: Path) -> None:
    """All parts are new but somebody's command line: it gets plans that it can check, and reads what it asks for."""
    running, stage = old
    for name in ("control", *NODES):
        stage.replace(name, None)
    running.api.client.headers[HEADER] = stated(spoken(BEFORE))
    assert does(running, "checkpoint", "n2") == BEFORE
    assert knows_no_sequence(running, "n2")
    for words in (("status",), ("status", "--json"), ("explain", "checkpoint", "n2"), ("explain", "stop", "n1")):
        code, said = types(running.layout, golden, *words)
        assert (code, "Traceback" in said) == (0, False), said
    running.api.client.headers[HEADER] = "9,8"
    far = refused(running, "checkpoint", "n2")
    assert (far.code, "aerodb-rules/9" in far.message, RULES in far.message) == (RulesApart.code, True, True)
    verifies(running)


def test_a_new_command_line_with_all_old_parts(old: tuple[Running, MixedStage]) -> None:
    """It shows and checks what the old ones make, and is told that they know of no request after another."""
    running, _ = old
    code, said = types(running.layout, None, "status", "--json")
    assert (code, json.loads(said)["consistent"]) == (0, True)
    code, said = types(running.layout, None, "explain", "stop", "n3")
    assert (code, f"By {BEFORE} (AeroDB {RELEASE})" in said) == (0, True)
    code, said = types(running.layout, None, "explain", "promote", "n3", "--after", "demote:n1")
    assert (code == 0, "Traceback" in said, "after" in said) == (False, False, True)
    assert does(running, "checkpoint", "n3") == BEFORE
    assert knows_no_sequence(running, "n3")
    verifies(running)


def test_a_node_that_was_rolled_back_after_people_changed_holds_up_nobody(fresh: Running, first: Path) -> None:
    """It knows of version 1 alone, so it is silent: the others say truly what they have taken, and elect without it."""
    second_operator(fresh)
    fresh.stage.stop_with_postgres()
    stage = MixedStage(fresh.layout, None)
    fresh.stage = stage
    assert not stage.start_what_starts(threading.Event(), READY_SECONDS_MAX)
    stage.replace("n3", first)
    code, said = types(fresh.layout, None, "status")
    assert code == 0
    assert "not of this chain" not in said
    assert "runs another configuration" not in said
    assert f"{FIRST} (AeroDB 0.1.0)" in " ".join(said.split())
    error = refused(fresh, "stop", "n3")
    assert (error.code, error.invariants) == (RulesApart.code, ("configuration-agrees",))
    assert "the configuration has version 3" in error.message
    code, said = types(fresh.layout, first, "status")
    assert (code, RulesApart.code in said, "Traceback" in said) == (1, True, False), said
    assert {does(fresh, "demote", "n1", for_="n2"), does(fresh, "promote", "n2")} == {RULES}


def test_a_node_that_pledged_by_the_newer_rules_and_was_rolled_back_holds_up_nobody(
    fresh: Running, first: Path
) -> None:
    """Its own pledge is one that the older release cannot read: it says so, acts on nothing, and is back when it is."""
    fresh.stage.stop_with_postgres()
    stage = MixedStage(fresh.layout, None)
    fresh.stage = stage
    assert not stage.start_what_starts(threading.Event(), READY_SECONDS_MAX)
    assert does(fresh, "fence", "n3", for_="n3") == RULES
    stage.replace("n3", first)
    code, said = types(fresh.layout, None, "status")
    assert (code, "unknown field `epoch`" in said) == (0, True), said
    assert refused(fresh, "stop", "n3").code == TargetSilent.code
    assert {does(fresh, "demote", "n1", for_="n2"), does(fresh, "promote", "n2")} == {RULES}
    stage.replace("n3", None)
    assert does(fresh, "follow", "n3", upstream="n2") == RULES
