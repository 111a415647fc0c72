"""What people do with a cluster in memory: ask, confirm, ask what became of it; and what the log then holds."""

import uuid

from msgspec.structs import replace

from aerodb.audit.record import Record, read_record
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Confirm, Done, Planned, RequestLine
from aerodb.protocol.chain import step_of
from aerodb.protocol.change import ASKED, NOT_ASKED, Change, step_text
from aerodb.protocol.cluster import Role
from aerodb.protocol.plan import Plan, Result
from aerodb.protocol.sshsig import sign_with_key
from tests.unit.neighbours.cluster import MemoryCluster

PEOPLE = {"alice": Role.OPERATOR, "bob": Role.OPERATOR, "carol": Role.AUDITOR, "olga": Role.OBSERVER}
STOP = Ask(action="stop", target="n3", arguments={}, reason="a test")


def ask(room: MemoryCluster, asked: Ask = STOP, person: str = "alice", request: str = "") -> Planned:
    """Ask for something, under a new id."""
    key = {"Idempotency-Key": request or str(uuid.uuid4())}
    return canonical.decode(room.caller(person).post("/v1/requests", canonical.encode(asked), key), Planned)


def confirm(room: MemoryCluster, planned: Planned, person: str = "alice", key: str = "") -> Done:
    """Confirm a plan as somebody, by their own key or another's."""
    signature = sign_with_key(room.people[key or person], planned.plan.encode())
    body = canonical.encode(Confirm(signature=signature))
    return canonical.decode(room.caller(person).post(f"/v1/requests/{planned.request}/confirmation", body), Done)


def outcome(room: MemoryCluster, planned: Planned) -> Done:
    """Ask what became of a request."""
    return canonical.decode(room.caller("alice").post(f"/v1/requests/{planned.request}/outcome", b"{}"), Done)


def records(room: MemoryCluster, planned: Planned) -> list[Record]:
    """Return what the log holds of a request."""
    return [read_record(room.log.record(each)) for each in room.log.sequences_of(planned.request)]


def events(room: MemoryCluster, planned: Planned) -> list[str]:
    """Return the log's events of a request."""
    return [each.event for each in records(room, planned)]


def act(room: MemoryCluster, action: str, target: str, **arguments: str) -> Done:
    """Ask and confirm, and demand that it was executed."""
    planned = ask(room, Ask(action=action, target=target, arguments=arguments, reason="a test"))
    plan = canonical.decode(planned.plan.encode(), Plan)
    assert planned.accepted, [each for each in plan.verdicts if each.result is not Result.HOLDS]
    done = confirm(room, planned)
    assert (done.result, done.message) == ("executed", "")
    return done


# A second person ------------------------------------------------------------------------------------------------------


def sign_first(room: MemoryCluster, planned: Planned, person: str = "alice", key: str = "") -> RequestLine:
    """Sign a plan as its requester, where a second person must sign it too."""
    signature = sign_with_key(room.people[key or person], planned.plan.encode())
    body = canonical.encode(Confirm(signature=signature))
    return canonical.decode(room.caller(person).post(f"/v1/requests/{planned.request}/signature", body), RequestLine)


def change(room: MemoryCluster, node: str, made: Change) -> Ask:
    """Return the question to make a change of the newest version that the control plane knows, on a node."""
    step = step_of(room.plane.cluster, made)
    return Ask(action="configure", target=node, arguments={"change": step_text(step)}, reason="a test")


def second_person(kind: str, *, asked: bool = True) -> Change:
    """Return the change that asks for a second person for a class of actions, or for none any more."""
    before, after = (NOT_ASKED, ASKED) if asked else (ASKED, NOT_ASKED)
    return Change(kind="second-person", name=kind, before=before, after=after)


def ask_for_seconds(room: MemoryCluster, kind: str = "running", nodes: tuple[str, ...] = ("n1", "n3")) -> None:
    """Have nodes, the primary first, take a version that asks for a second person for a class of actions."""
    asked = change(room, nodes[0], second_person(kind))
    for node in nodes:
        planned = ask(room, replace(asked, target=node))
        assert confirm(room, planned).result == "executed"
