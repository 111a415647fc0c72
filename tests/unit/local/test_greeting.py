"""What `aerodb up` says of the way to another primary."""

import pytest

from aerodb.local.up import switchover_lines
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
