"""The life of a request that changes who may act, and of those that were on their way when it did.

The real control plane, its API and its agents; PostgreSQL alone is in memory.
"""

import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.record import read_record
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Done, Planned, Requests, Status
from aerodb.protocol.chain import changed, step_of
from aerodb.protocol.change import Change, step_text
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Plan, Result
from aerodb.protocol.sshkey import of_public
from aerodb.rules.invariants import Invariant
from aerodb.rules.versions import taken
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import STOP, act, ask, confirm, events, outcome, records

REVOKED = Change(kind="revoke", name="bob", before="operator", after="revoked")
CHECKPOINT = Ask(action="checkpoint", target="n1", arguments={}, reason="a test")
FENCE = Ask(action="fence", target="w1", arguments={"for": "n2"}, reason="a test")
NEW_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def line_of(room: MemoryCluster, person: str) -> str:
    """Return somebody's public key, as version 1 enrols it."""
    enrolled = room.cluster.operator(person)
    assert enrolled is not None
    return enrolled.ssh_key


def rekeyed(room: MemoryCluster) -> Change:
    """Return the change that gives bob a new key."""
    after = of_public(NEW_KEY.public_key()).line
    return Change(kind="re-key", name="bob", before=line_of(room, "bob"), after=after)


def asking(before: Cluster, change: Change, node: str = "n1") -> Ask:
    """Return what is asked in order to have a node take the version that follows `before`."""
    arguments = {"change": step_text(step_of(before, change))}
    return Ask(action="configure", target=node, arguments=arguments, reason="people change")


def change(room: MemoryCluster, before: Cluster, made: Change, node: str = "n1") -> Cluster:
    """Have a node take the version that follows `before`, and return it."""
    act(room, "configure", node, **asking(before, made, node).arguments)
    return changed(before, made)


def plan_of(planned: Planned) -> Plan:
    """Return a plan."""
    return canonical.decode(planned.plan.encode(), Plan)


def shown(room: MemoryCluster, planned: Planned) -> str:
    """Return a request's state, as the list shows it."""
    found = canonical.decode(room.caller("alice").get("/v1/requests"), Requests)
    return next(line.state for line in found.requests if line.request == planned.request)


def versions(room: MemoryCluster) -> dict[str, int]:
    """Return how many versions each node has taken."""
    return {name: len(taken(house.agent.facts())) for name, house in room.houses.items()}


# Who was revoked ------------------------------------------------------------------------------------------------------


def test_a_revoked_person_is_nobody_from_the_moment_the_primary_has_taken_it(room: MemoryCluster) -> None:
    """Neither asking, nor what they had asked for, nor declining, nor reading: nothing is sent to any node."""
    waiting = [ask(room, STOP, "bob"), ask(room, CHECKPOINT, "bob")]
    change(room, room.cluster, REVOKED)
    assert versions(room) == {"n1": 2, "n2": 1, "n3": 1, "w1": 1}
    for planned in waiting:
        with pytest.raises(Refused) as refused:
            confirm(room, planned, "bob")
        assert (refused.value.code, refused.value.executed) == ("control.caller-revoked", "not executed")
        with pytest.raises(Refused):
            room.caller("bob").post(f"/v1/requests/{planned.request}/decline", b"{}")
    with pytest.raises(Refused) as refused:
        ask(room, person="bob")
    assert refused.value.code == "control.caller-revoked"
    with pytest.raises(Refused):
        room.caller("bob").get("/v1/status")
    assert [server.done for server in room.servers.values()] == [[], [], []]


def test_a_new_control_plane_knows_who_was_revoked(room: MemoryCluster) -> None:
    """From its log alone, before it has asked any node."""
    change(room, room.cluster, REVOKED)
    room.silent = dict.fromkeys(room.houses, "nobody is reached")
    room.begin()
    with pytest.raises(Refused) as refused:
        room.caller("bob").get("/v1/requests")
    assert refused.value.code == "control.caller-revoked"


@pytest.mark.parametrize("again", [False, True])
def test_a_lost_outcome_of_a_revocation_is_made_good_by_the_next_look(room: MemoryCluster, *, again: bool) -> None:
    """The node took it and its word was lost: as soon as its report is read bob is nobody, a new process or not."""
    planned = ask(room, asking(room.cluster, REVOKED))
    room.cut["n1"] = "the connection broke"
    assert confirm(room, planned).result == "unknown"
    del room.cut["n1"]
    if again:
        room.begin()
    assert versions(room)["n1"] == 2
    canonical.decode(room.caller("alice").get("/v1/status"), Status)
    with pytest.raises(Refused) as refused:
        ask(room, person="bob")
    assert refused.value.code == "control.caller-revoked"
    assert outcome(room, planned).result == "executed"
    assert events(room, planned) == ["requested", "confirmed", "outcome", "established"]


def test_a_change_that_nobody_carried_out_changes_nobody(room: MemoryCluster) -> None:
    """Confirmed, and the node never reached: bob acts as before, and the version is not the newest."""
    planned = ask(room, asking(room.cluster, REVOKED))
    room.silent["n1"] = "connection refused"
    assert confirm(room, planned).result == "not executed"
    del room.silent["n1"]
    assert confirm(room, ask(room, person="bob"), "bob").result == "executed"
    assert versions(room)["n1"] == 1


# Who has another key --------------------------------------------------------------------------------------------------


def test_a_key_counts_where_and_as_long_as_the_node_has_it(room: MemoryCluster) -> None:
    """The plan's own version says which key signs it: the old one until the node has taken the new, and no longer.

    What the old one signs of a plan of before is not even logged: it would fail verification there, for good.
    """
    late = ask(room, CHECKPOINT, "bob")
    change(room, room.cluster, rekeyed(room))
    with pytest.raises(Refused) as refused:
        confirm(room, late, "bob")
    assert (refused.value.code, refused.value.executed) == ("control.plan-not-pending", "not executed")
    assert events(room, late) == ["requested", "refused"]
    here = ask(room, CHECKPOINT, "bob")
    with pytest.raises(Refused) as refused:
        confirm(room, here, "bob")
    assert refused.value.code == "kernel.signature-invalid"
    behind = ask(room, FENCE, "bob")
    assert confirm(room, behind, "bob").result == "executed"
    old, room.people["bob"] = room.people["bob"], NEW_KEY
    assert confirm(room, here, "bob").result == "executed"
    assert old is not NEW_KEY
    assert room.servers["n1"].done == ["checkpoint"]


def test_who_was_enrolled_acts_where_it_was_taken_and_is_told_so_elsewhere(room: MemoryCluster) -> None:
    """Where the node does not know them yet nothing is planned for it, and the refusal says what comes first."""
    enrolled = Change(kind="enrol", name="zoe", before="", after=f"operator {of_public(NEW_KEY.public_key()).line}")
    change(room, room.cluster, enrolled)
    room.people["zoe"] = NEW_KEY
    with pytest.raises(Refused) as refused:
        ask(room, STOP, "zoe")
    assert refused.value.code == "control.version-untaken"
    assert "configure" in refused.value.message
    planned = ask(room, CHECKPOINT, "zoe")
    assert confirm(room, planned, "zoe").result == "executed"
    change(room, room.cluster, enrolled, "n3")
    assert confirm(room, ask(room, STOP, "zoe"), "zoe").result == "executed"


# Plans of before ------------------------------------------------------------------------------------------------------


def test_a_plan_that_its_node_has_left_behind_awaits_nothing(room: MemoryCluster) -> None:
    """Whoever signs it, by whatever key: it is listed as lapsed, only why is logged of it, and it can be declined."""
    late, other = ask(room, CHECKPOINT), ask(room, FENCE)
    change(room, room.cluster, rekeyed(room))
    assert [shown(room, each) for each in (late, other)] == ["lapsed", "planned"]
    with pytest.raises(Refused, match="n1 has taken version 2 of the configuration since the plan was made: ask anew"):
        confirm(room, late)
    assert (events(room, late), room.servers["n1"].done) == (["requested", "refused"], [])
    room.caller("alice").post(f"/v1/requests/{late.request}/decline", b"{}")
    assert shown(room, late) == "declined"
    assert confirm(room, other).result == "executed"


def test_a_node_that_takes_a_version_while_a_confirmation_is_logged_is_told_of_none(room: MemoryCluster) -> None:
    """Each is recorded or refused in the log's own order: what the log shows as taken before is never confirmed after.

    The version is taken after the confirmation was checked, and before it is written.
    """
    late = ask(room, CHECKPOINT, "bob")
    recorder, seen = room.plane._recorder, list[str]()
    there = recorder.log.ensure_reserve

    def meanwhile() -> None:
        """Let a node take a version in between, once."""
        if not seen:
            seen.append("")
            change(room, room.cluster, rekeyed(room))
        there()

    recorder.log.ensure_reserve = meanwhile  # type: ignore[method-assign]
    with pytest.raises(Refused) as refused:
        confirm(room, late, "bob")
    assert (refused.value.code, refused.value.executed) == ("control.plan-not-pending", "not executed")
    assert (events(room, late), room.servers["n1"].done) == (["requested", "refused"], [])
    assert shown(room, late) == "lapsed"


# Versions -------------------------------------------------------------------------------------------------------------


def test_a_plan_for_a_node_that_is_behind_is_made_and_recorded_under_its_own_version(room: MemoryCluster) -> None:
    """Each record names the version that its plan was made under; what is of no plan is under the newest."""
    second = change(room, room.cluster, REVOKED)
    planned = ask(room, FENCE)
    assert plan_of(planned).configuration == room.cluster.digest
    assert any("w1 has taken version 1 of the configuration, of 2" in note for note in plan_of(planned).notes)
    assert confirm(room, planned).result == "executed"
    assert {each.configuration for each in records(room, planned)} == {room.cluster.digest}
    with pytest.raises(Refused):
        ask(room, person="olga")
    last = read_record(room.log.record(room.log.size - 1))
    assert (last.event, last.configuration) == ("refused", second.digest)


@pytest.mark.parametrize("node", ["n2", "n3", "w1"])
def test_nobody_is_asked_to_take_what_the_primary_has_not(room: MemoryCluster, node: str) -> None:
    """The plan is a rejection that names the rule; confirmed all the same, nothing is sent."""
    planned = ask(room, asking(room.cluster, REVOKED, node))
    failing = [each.invariant for each in plan_of(planned).verdicts if each.result is not Result.HOLDS]
    assert (planned.accepted, failing) == (False, [Invariant.PRIMARY_FIRST])
    with pytest.raises(Refused):
        confirm(room, planned)
    assert versions(room)[node] == 1


def test_of_two_changes_that_were_planned_together_one_is_made(room: MemoryCluster) -> None:
    """Both plans were accepted, and both are signed: the primary takes the one that comes first, and refuses the other.

    Whichever it is, all that know the chain know the same one.
    """
    first, second = ask(room, asking(room.cluster, REVOKED)), ask(room, asking(room.cluster, rekeyed(room)))
    done, met = dict[str, Done | AeroError](), threading.Barrier(2)

    def confirmed(name: str, planned: Planned) -> None:
        met.wait()
        try:
            done[name] = confirm(room, planned)
        except AeroError as error:
            done[name] = error

    calls = [threading.Thread(target=confirmed, args=each) for each in (("first", first), ("second", second))]
    for each in calls:
        each.start()
    for each in calls:
        each.join()
    results = {name: each.result for name, each in done.items() if isinstance(each, Done)}
    assert sorted(results.values()) == ["executed", "not executed"], done
    made = changed(room.cluster, REVOKED if results["first"] == "executed" else rekeyed(room))
    assert room.houses["n1"].agent.facts().versions == (room.cluster.digest, made.digest)
    assert room.plane._parts.versions.newest == made


def test_an_agent_that_comes_back_judges_by_what_it_took(room: MemoryCluster) -> None:
    """Killed after it took a version, before anybody was told: the next agent of the node begins with that one."""
    change(room, room.cluster, REVOKED)
    room.houses["n1"].again()
    assert versions(room)["n1"] == 2
    room.begin()
    assert plan_of(ask(room, CHECKPOINT)).configuration != room.cluster.digest
