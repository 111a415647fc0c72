"""The control plane's single steps along the chain, each attacked where no other one stands behind it."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb import logs
from aerodb.actions import action_named
from aerodb.audit.record import Record
from aerodb.audit.search import PAGE_RECORDS_MAX
from aerodb.audit.store import Log
from aerodb.audit.store.index import Index
from aerodb.control.versions import KnownVersions, configuring
from aerodb.protocol.change import Change
from aerodb.protocol.plan import Request
from aerodb.protocol.signed import Signed
from aerodb.rules.view import peer_of
from tests.unit.control import test_known_versions
from tests.unit.control.test_known_versions import FIRST, FORK, ONE, SECOND, asked
from tests.unit.protocol.test_chain import key_of
from tests.unit.rules.scenes import healthy, request_for
from tests.unit.rules.test_versions import THREE, TWO, having

log = test_known_versions.log
AGAIN = replace(FIRST, id="00000004-2222-4333-8444-555555555555")
SIGNED = Signed(document="{}", signer="n1", signature="")


def recorded(request: Request, event: str, **fields: object) -> Record:
    """Return a record of a request."""
    return Record(
        event=event, at="2026-01-01T00:00:00.000Z", clock="none", request=request.id, operator=request.operator,  # type: ignore[arg-type]
        action=request.action, target=request.target, arguments=request.arguments, reason=request.reason,
        **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def read_from(log: Log, *records: Record) -> KnownVersions:
    """Return what a new control plane knows from a log with these records."""
    for each in records:
        log.append(each, {})
    versions = KnownVersions(ONE)
    versions.read_back(log)
    return versions


def reporting(versions: KnownVersions) -> KnownVersions:
    """Have n1 report that it has taken two versions."""
    versions.reported({"n1": peer_of(ONE, having(healthy(ONE), n1=THREE)["n1"])})
    return versions


# Reading back ---------------------------------------------------------------------------------------------------------


def test_what_was_confirmed_is_known_to_a_new_process_by_a_report(log: Log) -> None:
    """The order was sent and the process died: its change is followed as soon as the node says that it took it."""
    versions = read_from(log, recorded(FIRST, "confirmed"))
    assert versions.newest == ONE
    assert reporting(versions).newest == TWO
    assert versions.maker(TWO.digest) == FIRST.id


def test_what_was_only_asked_for_is_followed_nowhere(log: Log) -> None:
    """Nobody signed it: a report that names such a version is of one that is not known."""
    versions = read_from(log, recorded(FIRST, "requested"), recorded(SECOND, "declined"))
    assert reporting(versions).newest == ONE
    assert versions.maker(TWO.digest) == ""


@pytest.mark.parametrize(
    "outcome",
    [
        recorded(FIRST, "outcome", result="not executed", outcome=SIGNED),
        recorded(FIRST, "outcome", result="unknown"),
        recorded(FIRST, "outcome", result="executed"),
        recorded(FIRST, "refused", result="not executed"),
    ],
    ids=["not executed", "unknown", "said by nobody", "refused"],
)
def test_a_version_is_taken_by_a_nodes_own_word_alone(log: Log, outcome: Record) -> None:
    """Whatever else became of the request, the newest version is the one before."""
    assert read_from(log, recorded(FIRST, "confirmed"), outcome).newest == ONE


def test_a_lost_outcome_that_was_established_counts(log: Log) -> None:
    """Asked for afterwards, the node said that it had taken the version."""
    established = recorded(FIRST, "established", result="executed", outcome=SIGNED)
    assert read_from(log, recorded(FIRST, "confirmed"), established).newest == TWO


def test_every_record_of_a_long_chain_is_read_once(log: Log) -> None:
    """More than one question of the log finds are read, in the log's order, and none of other actions."""
    other = recorded(request_for(action_named("stop"), "n1", {}), "requested")
    for at in range(PAGE_RECORDS_MAX + 3):
        log.append(recorded(FIRST, "refused"), {})
        if at % 100 == 0:
            log.append(other, {})
    found = configuring(log)
    assert [sequence for sequence, _ in found] == [
        sequence for sequence, data in log.records() if b'"action":"configure"' in data
    ]
    assert len(found) == PAGE_RECORDS_MAX + 3


def test_a_log_whose_index_is_not_built_yet_is_read_all_the_same(log: Log, tmp_path: Path) -> None:
    """A control plane that begins in front of a long log asks until the index is whole."""
    for each in (recorded(FIRST, "confirmed"), recorded(FIRST, "outcome", result="executed", outcome=SIGNED)):
        log.append(each, {})
    log.index = Index(tmp_path / "log", log, catch_up_records_max=1, bulk_records=99)
    versions = KnownVersions(ONE)
    versions.read_back(log)
    assert versions.newest == TWO


# Following ------------------------------------------------------------------------------------------------------------


def test_other_requests_change_no_version() -> None:
    """What is confirmed and executed of other actions is none of the chain's, whatever its arguments are."""
    versions = KnownVersions(ONE)
    request = replace(request_for(action_named("fence"), "n3", {"for": "n2"}), arguments=dict(FIRST.arguments))
    for each in (request, replace(request, arguments={})):
        versions.confirmed(each)
        versions.executed(each)
    assert (reporting(versions).newest, versions.maker(TWO.digest)) == (ONE, "")


def test_who_made_a_version_is_the_first_that_was_executed_else_confirmed() -> None:
    """Several may have asked for the same change: the one that a node took it by has made it, and stays that."""
    versions = KnownVersions(ONE)
    versions.confirmed(FIRST)
    versions.confirmed(AGAIN)
    assert versions.maker(TWO.digest) == FIRST.id
    versions.executed(AGAIN)
    assert versions.maker(TWO.digest) == AGAIN.id
    versions.executed(FIRST)
    versions.confirmed(FIRST)
    assert versions.maker(TWO.digest) == AGAIN.id


def test_a_change_that_cannot_be_made_any_more_is_passed_over() -> None:
    """Somebody was given a new key under one version and revoked under another of its number: the chain goes on."""
    versions = KnownVersions(ONE)
    versions.executed(FIRST)
    change = Change(kind="re-key", name="bob", before=key_of("bob"), after=key_of("new"))
    versions.executed(asked(ONE, change, "00000005-2222-4333-8444-555555555555"))
    assert versions.newest == TWO
    versions.executed(FORK)
    versions.executed(SECOND)
    assert versions.newest == THREE


def test_a_new_version_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Operators of the control plane read of each version in what it says, when it is first known to be taken."""
    logs.configure("json", "a test")
    try:
        versions = KnownVersions(ONE)
        for _ in range(2):
            versions.executed(FIRST)
    finally:
        logs._loggers.clear()
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["event"], told["version"], told["digest"]) == ("the configuration has a new version", 2, TWO.digest)


class Watched(str):
    """A digest that notes, whenever it is compared, whether anybody else could add a version meanwhile."""

    __slots__ = ("held", "lock")
    held: list[bool]
    lock: threading.Lock

    def __eq__(self, other: object) -> bool:
        """Compare as any text does."""
        self.held.append(self.lock.locked())
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_two_that_learn_of_one_version_at_once_add_it_once() -> None:
    """From the look whether a version is known to its being added nobody else adds one."""
    versions = KnownVersions(ONE)
    versions.confirmed(FIRST)
    digest = Watched(TWO.digest)
    digest.held, digest.lock = [], versions._lock
    versions._follow((digest,))
    assert set(digest.held) == {True}
    assert not versions._lock.locked()
    calls: Iterable[threading.Thread] = [threading.Thread(target=reporting, args=(versions,)) for _ in range(4)]
    versions.confirmed(SECOND)
    for each in calls:
        each.start()
    for each in calls:
        each.join()
    assert versions.chain.path == (ONE.digest, TWO.digest, THREE.digest)
