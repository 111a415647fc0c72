"""What the profile and the nodes have seen of the log, held against what the control plane shows: lies are found."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aerodb.audit.export import export
from aerodb.audit.note import sign_checkpoint, stated_size
from aerodb.audit.record import read_record
from aerodb.audit.tree import leaf_hash, root_of
from aerodb.cli.remembered import FILE
from aerodb.protocol import canonical
from aerodb.protocol.api import Agreement, Compared, Status
from tests.unit.cli.stage import Stage, stage_in

PLACE = "GET /v1/audit/comparison"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a control plane and alice, whom it may lie to."""
    with stage_in(tmp_path) as found:
        yield found


def memory(stage: Stage) -> str:
    """Return what alice's profile remembers."""
    return (stage.profile / FILE).read_text()


def another(stage: Stage, size: int) -> str:
    """Return a checkpoint of another log that the same key signed."""
    leaves = [leaf_hash(bytes([at])) for at in range(size)]
    return sign_checkpoint(stage.cluster.origin, size, root_of(leaves), stage.log_key)


def test_the_newest_is_remembered_and_must_be_extended(stage: Stage) -> None:
    """Each look remembers the log as it was proven then; the next one demands that it was only added to."""
    for _ in range(3):
        assert stage.run("status").code == 0
        assert stated_size(memory(stage)) == stage.log.size
        stage.run("stop", "n3", "--reason", "a test", typed="n3\n")


@pytest.mark.parametrize("size", [1, 2, 40])
def test_a_log_that_does_not_extend_it_is_signed_for_by_nobody(stage: Stage, size: int) -> None:
    """Behind what this profile has seen, or another: the cluster is shown, and nothing is signed or forgotten."""
    for _ in range(2):
        stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    (stage.profile / FILE).write_text(another(stage, size))
    before = memory(stage)
    shown = stage.run("status")
    assert (shown.code, "this profile" in shown.out, "n2" in shown.out) == (6, True, True), shown.out
    asked = stage.run("stop", "n3", "--reason", "a test", typed="n3\n")
    code = "control.log-behind" if size == 40 else "control.log-forked"
    assert (asked.code, code in asked.err, stage.executed) == (6, True, []), asked.err
    assert memory(stage) == before


def test_a_fork_that_a_node_was_shown_cannot_be_hidden(stage: Stage) -> None:
    """The node signs what it saw: a control plane that says nothing of it gets no signature."""
    stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    stage.has_seen("n2", another(stage, 1), 1)
    shown = stage.run("status", "--json")
    views = {view.who: view.agreement for view in canonical.decode(shown.out.encode().strip(), Status).log_views}
    assert (shown.code, views["n2"], views["n3"]) == (6, Agreement.FORKED, Agreement.NOTHING)
    asked = stage.run("stop", "n3", "--reason", "a test", typed="n3\n")
    assert (asked.code, "control.log-forked" in asked.err, "n2" in asked.err, stage.executed) == (6, True, True, [])


def _older(stage: Stage) -> Callable[[bytes], bytes]:
    """Show the log as it was once, which its key signed too."""
    leaves = [leaf_hash(data) for _, data in stage.log.records(0, 1)]
    old = sign_checkpoint(stage.cluster.origin, 1, root_of(leaves), stage.log_key)
    return lambda data: canonical.encode(msgspec.structs.replace(canonical.decode(data, Compared), checkpoint=old))


def _unproven(stage: Stage) -> Callable[[bytes], bytes]:
    """Show no path at all."""
    del stage
    return lambda data: canonical.encode(msgspec.structs.replace(canonical.decode(data, Compared), paths={}))


def _unsigned(stage: Stage) -> Callable[[bytes], bytes]:
    """Show a checkpoint that nobody signed."""
    del stage
    return lambda data: data.replace(b"\\u2014", b"-").replace("\u2014".encode(), b"-")


@pytest.mark.parametrize("lie", [_older, _unproven, _unsigned])
def test_a_control_plane_that_proves_nothing_gets_nothing(
    stage: Stage, lie: Callable[[Stage], Callable[[bytes], bytes]]
) -> None:
    """An older checkpoint, no proof, no signature: the cluster is still shown, and nothing is signed or remembered."""
    for _ in range(2):
        stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    before = memory(stage)
    stage.log.append(read_record(stage.log.record(0)))
    stage.alter[PLACE] = lie(stage)
    shown = stage.run("status")
    assert (shown.code, "n2" in shown.out) == (6, True)
    asked = stage.run("stop", "n3", "--reason", "a test", typed="n3\n")
    assert (asked.code, stage.executed, memory(stage)) == (6, [], before)


def test_a_damaged_memory_hides_no_cluster(stage: Stage) -> None:
    """The file is no checkpoint: that is said, with the cluster; nothing is signed until a person has looked at it."""
    (stage.profile / FILE).write_text("nonsense")
    shown = stage.run("status")
    assert (shown.code, "n2" in shown.out, FILE in shown.out) == (6, True, True)
    asked = stage.run("stop", "n3", "--reason", "a test", typed="n3\n")
    assert (asked.code, stage.executed) == (6, [])


@pytest.mark.parametrize("size", [1, 2, 40])
@pytest.mark.parametrize("words", [("explain", "stop", "n3"), ("audit", "verify")])
def test_a_look_that_fetches_the_log_or_a_plan_demands_it_too(stage: Stage, size: int, words: tuple[str, ...]) -> None:
    """A plan that would be, and a log that is whole, authentic and replayed in itself: not where it is another's."""
    for _ in range(2):
        stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    assert stage.run(*words).code == 0
    (stage.profile / FILE).write_text(another(stage, size))
    before = memory(stage)
    assert stage.run(*words, "--json").code == 6
    shown = stage.run(*words)
    assert shown.code == 6, shown
    assert memory(stage) == before
    if words[0] == "explain":
        assert ("control.log-behind" if size == 40 else "control.log-forked") in shown.err
        assert "sha256" not in shown.out
    else:
        assert f"{stage.profile / FILE}" in shown.plain
        assert ("BEHIND" if size == 40 else "ANOTHER LOG") in shown.plain


def test_verifying_what_is_fetched_remembers_it(stage: Stage) -> None:
    """What was verified whole must be extended from then on; both comparisons are made where another is asked for."""
    stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    first = stage.profile / "first"
    first.write_text(stage.log.checkpoint)
    assert stage.run("audit", "verify").code == 0
    assert memory(stage) == stage.log.checkpoint
    stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    shown = stage.run("audit", "verify", "--against", str(first))
    assert (shown.code, memory(stage)) == (0, stage.log.checkpoint)
    assert shown.plain.count("against      this log extends") == 2
    (stage.profile / FILE).write_text("nonsense")
    assert stage.run("audit", "verify").code == 6
    assert memory(stage) == "nonsense"


def test_verifying_a_file_neither_asks_nor_changes_the_memory(stage: Stage) -> None:
    """A file may be of any age: what it is compared with is said by whoever verifies it."""
    stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    file = stage.profile / "export"
    file.write_bytes(b"".join(export(stage.log)))
    (stage.profile / FILE).write_text(another(stage, 40))
    before = memory(stage)
    assert stage.run("audit", "verify", str(file)).code == 0
    assert memory(stage) == before


@pytest.mark.parametrize("size", [1, 2, 40])
def test_what_is_fetched_is_held_against_what_nodes_have_seen(stage: Stage, size: int) -> None:
    """A node that was shown another log is named, and nothing is remembered; what a silent one saw is unknown."""
    for _ in range(2):
        stage.run("stop", "n3", "--reason", "a test", typed="no\n")
    stage.has_seen("n1", stage.log.checkpoint, stage.log.size)
    stage.has_seen("n2", "nonsense", 1)
    stage.missing["n3"] = "it sleeps"
    shown = stage.run("audit", "verify")
    assert (shown.code, "extends what n1 has seen, by the signed report shown" in shown.plain) == (0, True), shown
    assert "what n2, n3 has seen of it: no report that says so is shown" in shown.plain
    before = memory(stage)
    stage.has_seen("w1", another(stage, size), size)
    shown = stage.run("audit", "verify")
    assert (shown.code, "w1 has seen, by the signed report shown" in shown.plain.split("\n")[0]) == (6, True), shown
    assert ("BEHIND" if size == 40 else "ANOTHER LOG") in shown.plain
    assert memory(stage) == before
    assert json.loads(stage.run("audit", "verify", "--json").out)["silent"] == ["n2", "n3"]
