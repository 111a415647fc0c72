"""Reading alone: what is behind each GET, as each role; a log that cannot be read, and whatever stands in a path.

Who may see which facts is in `test_disclosure.py` and the permission matrix; here what is not there is asked for.
"""

from urllib.parse import quote

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.api import Requests, Status
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, ask, confirm, records

PATHS = (
    "/v1/snapshots/{}", "/v1/snapshots/{}?sensitive=1", "/v1/requests/{}", "/v1/requests/{}?sensitive=1",
    "/v1/requests/{}/evidence", "/v1/requests/{}/replay", "/v1/audit/records/{}", "/v1/requests?before={}",
    "/v1/requests?limit={}", "/v1/audit/records?start={}", "/v1/audit/search?person={}", "/v1/audit/search?since={}",
    "/v1/timeline?node={}", "/v1/timeline?term={}", "/v1/timeline?records={}", "/v1/explain?action={}&target=n3",
    "/v1/explain?action=stop&target={}", "/v1/explain?action=follow&target=n3&upstream={}", "/v1/status?sensitive={}",
    "/v1/audit/comparison?seen={}", "/v1/procedures/{}", "/v1/procedures/return?node={}",
    "/v1/procedures/maintenance?node=n3&reason={}", "/v1/procedures/maintenance?node=n3&{}=n1",
)  # fmt: skip
TEXTS = ("", "\x00", "e\u0301", "..", "a/b", "?", "-1", "9" * 16, "\u0663", "1e3", "x" * 3000, "sha256:" + "0" * 64)
SIZE_BYTES_MAX = 300_000


@pytest.fixture
def digests(room: MemoryCluster) -> tuple[str, ...]:
    """Have alice do something; return the digests of everything that the log holds of it."""
    planned = ask(room)
    confirm(room, planned)
    first, *_, last = records(room, planned)
    return first.plan, first.snapshot, first.configuration, last.late


def test_whatever_stands_in_a_path_is_an_answer_or_a_refusal(room: MemoryCluster, digests: tuple[str, ...]) -> None:
    """For each role: what is no such thing is refused as their input or for their role, and never a failure of ours.

    A digest of another kind of document than the path is of, too. And looking in vain leaves no record of reading.
    """
    size, failed = room.log.size, list[tuple[str, str, int]]()
    for person in ("carol", "olga"):
        for path in PATHS:
            for text in (*TEXTS, *digests) if person == "carol" else (*TEXTS[:3], *digests[:1]):
                try:
                    answer = room.caller(person).get(path.format(quote(text, safe="")))
                except Refused as refused:
                    if not (400 <= refused.status < 500 and refused.executed == "not executed"):
                        failed.append((path, text, refused.status))
                else:
                    if len(answer) > SIZE_BYTES_MAX:
                        failed.append((path, text, len(answer)))
    assert failed == []
    read = [data for _, data in room.log.records(size) if b'"event":"read"' in data]
    assert len(read) == 2  # A snapshot that is one, and the peers' late reports, were shown to the auditor.


def test_a_log_that_is_gone_hides_no_state(room: MemoryCluster, digests: tuple[str, ...]) -> None:
    """The cluster is shown to an operator at any hour, and says that nothing can be recorded; the log's own say why."""
    request = canonical.decode(room.caller("olga").get("/v1/requests"), Requests).requests[0].request
    room.log.close()
    status = canonical.decode(room.caller("alice").get("/v1/status"), Status)
    assert (status.writes.acknowledged, status.log_writable) == ("yes", False)
    assert canonical.decode(room.caller("olga").get("/v1/status"), Status).writes.acknowledged == "yes"
    assert room.caller("alice").get("/v1/explain?action=stop&target=n2")
    for path in (f"/v1/requests/{request}", f"/v1/snapshots/{digests[1]}", "/v1/audit/records", "/v1/requests"):
        for person in PEOPLE:
            with pytest.raises(Refused) as refused:
                room.caller(person).get(path)
            assert refused.value.code in {"control.log-unavailable", "control.role-denied"}, (person, path)
            assert str(room.folder) not in refused.value.message or person in {"alice", "bob"}, (person, path)
