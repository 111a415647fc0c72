"""What `aerodb up` says of the way to another primary."""

from pathlib import Path

import pytest

from aerodb.local.layout import Layout
from aerodb.local.up import ended_line, switchover_lines, up_line
from tests.unit.rules.scenes import sized


@pytest.mark.parametrize(("data", "witness"), [(2, False), (3, False), (3, True), (5, False)])
def test_the_switchover_is_laid_out_signed_ahead(data: int, *, witness: bool) -> None:
    """As the pages and the procedure have it: the promotion before the demotion, each naming the other."""
    lines = switchover_lines(sized(data, 1, witness=witness), "n1", "n2")
    typed = [line.strip().removesuffix(' --reason "..."') for line in lines if line.startswith("  aerodb")]
    at = typed.index("aerodb promote n2 --after demote:n1")
    assert typed[at + 1] == "aerodb demote n1 --for n2 --then REQUEST"
    assert f"is {len(typed)} requests" in lines[0]
    assert not [line for line in typed if line in ("aerodb promote n2", "aerodb demote n1 --for n2")]
    assert any(line.startswith("REQUEST is the id of the promotion") for line in lines)
    assert all(len(line) <= 120 for line in lines)


def test_what_came_up_is_said_and_nothing_else() -> None:
    """A control plane that is not there is not said to be; nor is a list of nodes that none is on."""
    cluster = sized(2, 1)
    assert up_line(cluster, 1, {}, made=True).endswith(
        f"made and up in 1.0 s: n1, n2, and the control plane at {cluster.control}."
    )
    assert up_line(cluster, 1, {"n1": "no", "control": "no"}, made=False).endswith("up in 1.0 s: n2.")
    assert up_line(cluster, 1, {"n1": "no", "n2": "no", "control": "no"}, made=False).endswith(": nothing.")


def test_a_part_that_ends_is_named_with_how(tmp_path: Path) -> None:
    """Killed, or ended by itself; and what goes on without it."""
    layout = Layout(root=tmp_path)
    assert ended_line(layout, "n2", -9).startswith("THE AGENT OF n2 was killed by SIGKILL: its PostgreSQL")
    assert "has ended with the exit code 3: the nodes go on" in ended_line(layout, "control", 3)
