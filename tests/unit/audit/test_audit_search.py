"""Searching the log: the index finds what a scan of every record would, and is never believed."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.audit.note import verifier_key
from aerodb.audit.record import Record, RecordOne, decode_record, encode_record
from aerodb.audit.search import InstantMalformed, Query, instant, matches, required_instant
from aerodb.audit.store import Log, SearchBehind, newest_requests, search, verify_folder
from aerodb.audit.store.index import Index
from aerodb.errors import VerificationFailed
from aerodb.protocol import canonical

ORIGIN = "aerodb.log/test"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TIMES = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500Z", "2026-02-01T10:00:00.000Z", "no time at all")
TEXTS = ("", "Disk FULL on n1", "upgrade", "50%_of it", "Straße")

records = st.builds(
    Record,
    event=st.sampled_from(["requested", "rejected", "refused", "confirmed", "outcome", "established"]),
    at=st.sampled_from(TIMES),
    clock=st.just("test"),
    request=st.sampled_from(["", "aa", "ab", "b"]),
    operator=st.sampled_from(["ada", "bob"]),
    action=st.sampled_from(["", "stop", "promote"]),
    target=st.sampled_from(["n1", "n2"]),
    reason=st.sampled_from(TEXTS),
    result=st.sampled_from(["", "executed", "unknown"]),
    invariants=st.lists(st.sampled_from(["one", "two"]), max_size=3).map(tuple),
)
queries = st.builds(
    Query,
    operator=st.sampled_from(["", "ada", "nobody"]),
    event=st.sampled_from(["", "outcome"]),
    action=st.sampled_from(["", "stop"]),
    node=st.sampled_from(["", "n2"]),
    outcome=st.sampled_from(["", "executed"]),
    invariant=st.sampled_from(["", "one"]),
    since=st.sampled_from(["", "2026-01-01", "2026-01-01T00:00:00.25Z"]).map(lambda text: instant(text) or ""),
    until=st.sampled_from(["", "2026-02-01"]).map(lambda text: instant(text) or ""),
    request=st.sampled_from(["", "a", "aa"]),
    text=st.sampled_from(["", "full", "%", "STRASSE", "'"]),
)


# Escapes, letters that compose with marks, marks in the wrong order, and letters beyond ASCII and the first plane.
any_text = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    '\n"\\<enA\u0303\u0338\u0316\u0301\u00f1\ue000\U0001f600\u2028\x7f'
)


@settings(max_examples=400)
@given(
    record=st.builds(
        RecordOne, event=st.just("requested"), at=any_text, clock=any_text, request=any_text, operator=any_text,
        arguments=st.dictionaries(any_text, any_text), reason=any_text, touch=st.booleans(),
        invariants=st.lists(any_text).map(tuple),
    )
)  # fmt: skip
def test_what_is_quickly_taken_for_canonical_is_canonical(record: Record) -> None:
    """Whatever characters a record holds, its bytes are accepted exactly if they are the canonical ones."""
    quick = msgspec.json.encode(record, order="sorted")
    try:
        expected = canonical.encode(record)
    except canonical.NotCanonical:
        expected = None
    if quick == expected:
        assert decode_record(quick) == record
    else:
        with pytest.raises(canonical.NotCanonical):
            decode_record(quick)
    if expected is not None:
        assert decode_record(expected) == record


@pytest.mark.parametrize(
    "change",
    [lambda data: data + b" ", lambda data: data.replace(b'"reason"', b'"reason" '),
     lambda data: data.replace(b"why", b"wh\\u0079"), lambda data: data.replace(b',"touch":false', b""),
     lambda data: data.replace(b'"touch":false', b'"touch":false,"touch":false')],
)  # fmt: skip
def test_a_second_form_of_a_record_is_refused(change: Callable[[bytes], bytes]) -> None:
    """White space, needless escapes, missing and repeated members: none is the record's one form."""
    data = encode_record(a_record(1))
    assert decode_record(data) == a_record(1)
    assert change(data) != data
    with pytest.raises(canonical.NotCanonical):
        decode_record(change(data))


def made(folder: Path, content: list[Record]) -> Log:
    """Return a log of these records."""
    log = Log.create(folder, ORIGIN, KEY)
    append(log, content)
    return log


def append(log: Log, content: list[Record]) -> None:
    """Append these records."""
    for record in content:
        log.append(replace(record, plan="", snapshot="") if record.event == "confirmed" else record)


def scanned(log: Log, query: Query, before: int, limit: int) -> list[tuple[int, bytes]]:
    """Return what a scan of every record finds."""
    found = [(at, data) for at, data in log.records(0, before) if matches(query, decode_record(data))]
    return found[::-1][:limit]


@settings(max_examples=60)
@given(content=st.lists(records, max_size=12), asked=st.lists(queries, min_size=1, max_size=8),
       before=st.integers(0, 13), limit=st.integers(1, 4), bulk=st.booleans(), early=st.integers(0, 12))  # fmt: skip
def test_a_search_finds_what_a_scan_finds(
    content: list[Record], asked: list[Query], before: int, limit: int, early: int, *, bulk: bool
) -> None:
    """Whatever the records and the question, and whether the index is built at once, in bulk, or carried on."""
    with tempfile.TemporaryDirectory() as folder, made(Path(folder) / "log", content[:early]) as log:
        log.index = Index(Path(folder) / "log", log, bulk_records=1 if bulk else 99)
        assert search(log, Query(), None, 99) == scanned(log, Query(), 99, 99)
        append(log, content[early:])
        for query in asked:
            assert search(log, query, before, limit) == scanned(log, query, before, limit)


@settings(max_examples=30)
@given(content=st.lists(records, max_size=12), limit=st.integers(1, 4), bulk=st.booleans(), early=st.integers(0, 12))
def test_pages_of_requests_leave_none_out_and_show_none_twice(
    content: list[Record], limit: int, early: int, *, bulk: bool
) -> None:
    """Paging by the last number of each page lists every request once, the newest first."""
    expected = list(dict.fromkeys(record.request for record in content if record.request))[::-1]
    with tempfile.TemporaryDirectory() as folder, made(Path(folder) / "log", content[:early]) as log:
        log.index = Index(Path(folder) / "log", log, bulk_records=1 if bulk else 99)
        newest_requests(log)
        append(log, content[early:])
        found: list[str] = []
        before: int | None = None
        while page := newest_requests(log, before, limit):
            found += [request for request, _ in page]
            before = page[-1][1]
        assert found == expected


def a_record(number: int) -> Record:
    """Return one record."""
    return RecordOne(event="requested", at=TIMES[0], clock="test", request=f"r{number}", operator="ada", reason="why")


def ten(folder: Path) -> Log:
    """Return a log of ten records, which was searched."""
    log = made(folder, [a_record(number) for number in range(10)])
    assert search(log, Query(node="n9")) == []
    return log


def overwritten(path: Path) -> None:
    """Write over the middle of a file."""
    data = bytearray(path.read_bytes())
    data[100 : len(data)] = b"\xff" * (len(data) - 100)
    path.write_bytes(data)


def statement(text: str) -> Callable[[Path], None]:
    """Return what runs one statement on a database."""

    def run(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(text)
        connection.close()

    return run


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        overwritten,
        lambda path: path.write_bytes(b"not a database at all"),
        lambda path: path.write_bytes(b""),
        statement("DELETE FROM built"),
        statement("UPDATE built SET size = 11"),
        statement("UPDATE built SET root = x'00'"),
        statement("DROP TABLE reason"),
        statement("UPDATE entry SET operator = 'ada', target = 'n9' WHERE sequence = 3"),
        statement("INSERT INTO entry VALUES (99, 'r', 'outcome', 'ada', '', 'n9', '', '', 1)"),
    ],
    ids=["deleted", "overwritten", "no database", "empty", "no state", "ahead", "another log", "no table", "lies",
         "beyond"],
)  # fmt: skip
def test_a_harmed_index_is_built_anew(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    """Whatever becomes of the index under a stopped log, searches find what the log holds, and the log is untouched."""
    ten(tmp_path / "log").close()
    harm(tmp_path / "log.index")
    with Log(tmp_path / "log", ORIGIN, KEY) as log:
        assert search(log, Query(node="n9")) == []
        assert [number for number, _ in search(log, Query(operator="ada"))] == list(range(9, -1, -1))
        log.append(a_record(10))
        assert [number for number, _ in search(log, Query(request="r10"))] == [10]
    assert verify_folder(tmp_path / "log", log.verifier_key).size == 11


@pytest.mark.parametrize("bulk_records", [1, 99])
def test_a_question_is_refused_until_the_index_is_whole(tmp_path: Path, bulk_records: int) -> None:
    """Each question carries a long build on and says how far it is; none is answered from a part of the log."""
    with made(tmp_path / "log", [a_record(number) for number in range(10)]) as log:
        log.index = Index(tmp_path / "log", log, catch_up_records_max=4, bulk_records=bulk_records)
        with pytest.raises(SearchBehind, match="covers 4 of 10 records"):
            search(log, Query(operator="ada"))
        with pytest.raises(SearchBehind, match="covers 8 of 10 records"):
            newest_requests(log)
        assert [number for number, _ in search(log, Query(operator="ada"))] == list(range(9, -1, -1))
        assert newest_requests(log) == [(f"r{number}", number) for number in range(9, -1, -1)]


@pytest.mark.parametrize("bulk_records", [1, 99])
def test_an_index_whose_build_broke_off_is_whole_in_the_end(tmp_path: Path, bulk_records: int) -> None:
    """A log that is closed in the middle of building its index finds everything when it is opened again."""
    with made(tmp_path / "log", [a_record(number) for number in range(10)]) as log:
        log.index = Index(tmp_path / "log", log, catch_up_records_max=4, bulk_records=bulk_records)
        with pytest.raises(SearchBehind):
            search(log, Query())
    with Log(tmp_path / "log", ORIGIN, KEY) as log:
        assert len(search(log, Query(operator="ada"))) == 10
        assert len(newest_requests(log)) == 10


def test_the_index_of_an_older_state_is_carried_on(tmp_path: Path) -> None:
    """An index that was put back from an earlier copy is caught up with what was appended since."""
    ten(tmp_path / "log").close()
    kept = (tmp_path / "log.index").read_bytes()
    with Log(tmp_path / "log", ORIGIN, KEY) as log:
        log.append(a_record(10))
    (tmp_path / "log.index").write_bytes(kept)
    with Log(tmp_path / "log", ORIGIN, KEY) as log:
        assert len(search(log, Query(operator="ada"))) == 11


def test_the_index_of_another_log_is_not_used(tmp_path: Path) -> None:
    """An index of as many other records hides nothing: it is built anew."""
    ten(tmp_path / "log").close()
    with made(tmp_path / "other", [replace(a_record(number), operator="bob") for number in range(10)]) as other:
        assert len(search(other, Query(operator="bob"))) == 10
    shutil.copy(tmp_path / "other.index", tmp_path / "log.index")
    with Log(tmp_path / "log", ORIGIN, KEY) as log:
        assert len(search(log, Query(operator="ada"))) == 10


def test_an_index_that_cannot_be_written_fails_neither_appends_nor_searches(tmp_path: Path) -> None:
    """Where its file's place is taken by a folder, the log works, and is searched by a temporary index."""
    ten(tmp_path / "log").close()
    (tmp_path / "log.index").unlink()
    (tmp_path / "log.index").mkdir()
    with Log(tmp_path / "log", ORIGIN, KEY) as log:
        log.append(a_record(10))
        assert len(search(log, Query(operator="ada"))) == 11


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a log of ten records whose process died."""
    folder = tmp_path_factory.mktemp("crashed")
    with ten(folder / "log"):
        shutil.copytree(folder / "log", folder / "crashed")
    return folder / "crashed"


@pytest.mark.parametrize(
    ("statement_text", "said"),
    [
        ("UPDATE record SET body = cast(replace(body, 'why', 'who') AS BLOB) WHERE sequence = 5", "stored hash of"),
        ("UPDATE record SET nodes = CAST(zeroblob(64) AS BLOB) WHERE sequence = 5", "stored hash of"),
        ("UPDATE record SET nodes = CAST(substr(nodes, 1, 96) || zeroblob(32) AS BLOB) WHERE sequence = 7", "stored"),
        ("DELETE FROM record WHERE sequence = 6", "record 6"),
        ("INSERT INTO blob VALUES ('zzz', x'78')", "is altered"),
    ],
)
def test_side_by_side_finds_what_one_pass_finds(crashed: Path, tmp_path: Path, statement_text: str, said: str) -> None:
    """A log that is verified in parts by several processes is held to the same as one that is verified in one."""
    key = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
    shutil.copytree(crashed, tmp_path / "crashed")
    statement(statement_text)(tmp_path / "crashed" / "log.db")
    with pytest.raises(VerificationFailed, match=said):
        verify_folder(tmp_path / "crashed", key, part_records=4)
    with pytest.raises(VerificationFailed, match=said):
        verify_folder(tmp_path / "crashed", key)


def test_side_by_side_an_honest_log_is_whole(crashed: Path, tmp_path: Path) -> None:
    """Each part is told of once it is verified."""
    shutil.copytree(crashed, tmp_path / "crashed")
    told: list[tuple[int, int]] = []
    key = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
    assert verify_folder(tmp_path / "crashed", key, lambda *far: told.append(far), 4).size == 10
    assert told == [(4, 10), (8, 10), (10, 10)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000000000Z"),
        ("2026-01-31T23:59", "2026-01-31T23:59:00.000000000Z"),
        ("2026-01-31T23:59:59.5Z", "2026-01-31T23:59:59.500000000Z"),
        ("2026-13-01", None),
        ("2026-01-31T24:00Z", None),
        ("2026-01-31T10:00+02:00", None),
        ("yesterday", None),
    ],
)
def test_an_instant_has_one_form(text: str, expected: str | None) -> None:
    """Times are read as UTC or not at all, and what cannot be read is refused by name."""
    assert instant(text) == expected
    if expected is None:
        with pytest.raises(InstantMalformed) as refused:
            required_instant(text, "since")
        assert refused.value.field == "since"
