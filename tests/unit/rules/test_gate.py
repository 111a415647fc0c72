"""The gate: what a node's files must say before anything starts its PostgreSQL without a person's request."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Standing
from aerodb.rules.gate import IN_RECOVERY, Files, Starts, refusal
from aerodb.rules.reach import PUT_BACK
from aerodb.rules.standing import genesis

PRIMARY = genesis("n1", "n1", witness=False, folder="a")
STANDBY = genesis("n1", "n2", witness=False, folder="a")
AS_PRIMARY = Files(control="in production", signal=False, copied=False, attached=None, unfinished=None, identity="a")
AS_STANDBY = Files(
    control="shut down in recovery", signal=True, copied=False, attached="n2", unfinished=None, identity="a"
)
FOR_N2 = Candidacy(term=2, node="n2")

REFUSED: dict[str, tuple[Starts, Standing, Files]] = {
    "nothing starts with the host": ("no", STANDBY, AS_STANDBY),
    "was stopped by a request": ("standing", replace(STANDBY, halted=True), AS_STANDBY),
    "has no outcome": ("standing", STANDBY, replace(AS_STANDBY, unfinished="1")),
    "cannot be read": ("standing", STANDBY, replace(AS_STANDBY, control=None)),
    "whether another has been elected": ("standby", PRIMARY, AS_PRIMARY),
    "has pledged term 2": ("standing", replace(PRIMARY, pledged=FOR_N2), AS_PRIMARY),
    "knows that term 2": ("standing", replace(PRIMARY, granted=FOR_N2), AS_PRIMARY),
    "would start as a standby": ("standing", PRIMARY, replace(AS_PRIMARY, signal=True)),
    "would start out of recovery": ("standby", STANDBY, replace(AS_STANDBY, signal=False)),
    "says 'shut down'": ("standby", STANDBY, replace(AS_STANDBY, control="shut down")),
    "says 'in production'": ("standby", STANDBY, replace(AS_STANDBY, control="in production")),
    "stands to follow nobody": ("standby", replace(STANDBY, upstream=None), AS_STANDBY),
    "settings name n3": ("standby", STANDBY, replace(AS_STANDBY, attached="n3")),
    "another than the one": ("standing", STANDBY, replace(AS_STANDBY, identity="b")),
    "an earlier state of the data folder": ("standing", PRIMARY, replace(AS_PRIMARY, identity=PUT_BACK)),
    "changed behind the agent's back on n1: synchronous_standby_names": (
        "standing",
        PRIMARY,
        replace(AS_PRIMARY, drift=("primary_conninfo", "synchronous_standby_names")),
    ),
    "changed behind the agent's back on n1: primary_conninfo": (
        "standby",
        STANDBY,
        replace(AS_STANDBY, drift=("primary_conninfo", "synchronous_standby_names")),
    ),
    "settings of n1 cannot be read": ("standing", PRIMARY, replace(AS_PRIMARY, drift=None)),
    "is a witness": ("standing", genesis("n1", "n2", witness=True), AS_STANDBY),
}


@pytest.mark.parametrize("why", REFUSED)
def test_the_gate_says_no_and_why(why: str) -> None:
    """Each reason alone keeps PostgreSQL down, and is said."""
    starts, standing, files = REFUSED[why]
    assert why in refusal(starts, "n1", standing, files)


@pytest.mark.parametrize("control", sorted(IN_RECOVERY))
def test_a_standby_that_was_in_recovery_all_along_may_start(control: str) -> None:
    """Stopped or crashed, attached or detached; a copy that was never started too."""
    assert refusal("standby", "n1", STANDBY, replace(AS_STANDBY, control=control)) == ""
    fresh = replace(AS_STANDBY, control="in production", copied=True)
    assert refusal("standby", "n1", STANDBY, fresh) == ""
    alone = replace(AS_STANDBY, control=control, attached=None)
    assert refusal("standby", "n1", replace(STANDBY, upstream=None), alone) == ""


def test_a_primary_starts_only_where_it_is_configured() -> None:
    """By default no node becomes a writable primary with its host."""
    assert refusal("standing", "n1", PRIMARY, AS_PRIMARY) == ""
    for starts in get_args(Starts):
        assert bool(refusal(starts, "n1", PRIMARY, AS_PRIMARY)) is (starts != "standing")


@given(
    st.sampled_from(get_args(Starts)), st.sampled_from(["primary", "standby"]), st.booleans(), st.booleans(),
    st.booleans(), st.sampled_from([None, "n2", "n3"]), st.sampled_from([None, "n2"]), st.integers(1, 3),
    st.sampled_from([None, *IN_RECOVERY, "shut down", "in production", "in crash recovery"]),
)  # fmt: skip
def test_whatever_the_gate_lets_through_serves_as_it_stands(  # noqa: PLR0913, PLR0917 - each is one thing in the files.
    starts: Starts, role: str, halted: bool, signal: bool, copied: bool, attached: str | None, upstream: str | None,  # noqa: FBT001
    pledged: int, control: str | None,
) -> None:  # fmt: skip
    """In recovery where it stands as a standby, receiving from nobody else; out of it only under its own grant."""
    standing = replace(PRIMARY, role=role, halted=halted, upstream=upstream, pledged=Candidacy(term=pledged, node="n2"))
    files = Files(control=control, signal=signal, copied=copied, attached=attached, unfinished=None, identity="a")
    if refusal(starts, "n1", standing, files):
        return
    assert not halted
    assert control is not None
    assert signal is (role == "standby")
    if role == "standby":
        assert attached == upstream
    else:
        assert (starts, attached) == ("standing", None)
        assert pledged <= standing.granted.term
