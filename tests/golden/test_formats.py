"""Documents that were released are read for ever as they are; what is new is a version beside them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aerodb.audit.evidence import examine
from aerodb.audit.export import read_lines
from aerodb.audit.logged import Logged
from aerodb.audit.meaning import judged
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.record import LaterRecord, Record, RecordEvent, TurnRecord, decode_record, read_record
from aerodb.audit.tree import leaf_hash
from aerodb.cli.profile import read_profile
from aerodb.kernel.node import read_node
from aerodb.kernel.store import Store
from aerodb.logwitness.folder import read_witness
from aerodb.protocol import canonical, formats
from aerodb.protocol.formats import Format, MadeLater
from release import shapes
from tests.golden.conftest import Kept
from tests.golden.documents import documents

SAID_ON_DEMAND = {"holdings"}
"""What nodes sign for whoever asks, and nobody keeps."""
MADE_LAST = {"endorsement": ("0.1.0",)}
"""What no later release makes any more: by which ones it was made."""
IN_JSON_LINES = {"export", "record in an export", "blob in an export"}


class RecordWithMore(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record as one field more makes it, without a version of its own: what nobody may do."""

    more: str = ""


class RecordFour(LaterRecord, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same field as a version that follows the newest one, beside it."""

    FORMAT: ClassVar[Format] = Format(
        kind="record",
        version=4,
        earlier=TurnRecord,
        lifted=lambda record: RecordFour(**{**msgspec.structs.asdict(record), "format": 4}),
    )

    event: RecordEvent  # type: ignore[assignment]
    format: Literal[4] = 4  # type: ignore[assignment]
    more: str = ""


# Released documents ---------------------------------------------------------------------------------------------------


def test_every_released_document_is_read_by_its_own_reader(kept: Kept) -> None:
    """Byte for byte: each is the one form of what was read; and no kind of document is missing from the past."""
    readers, every, met = shapes.newest(), shapes.formats(), set[str]()
    for kind, data in documents(kept):
        met.add(kind)
        own = every[kind, formats.stated_version(data, readers[kind].FORMAT)]  # type: ignore[attr-defined]
        if kind in IN_JSON_LINES:
            read: object = formats.read(data, own, lambda text, reader: msgspec.json.decode(text, type=reader))
            assert msgspec.json.encode(read) + b"\n" == data
        else:
            assert canonical.encode(canonical.decode(data, own)) == data
            assert isinstance(canonical.decode(data, readers[kind]), (readers[kind], own))
    ended = {kind for kind, last in MADE_LAST.items() if kept.version not in last}
    assert met == shapes.kinds_of(kept.version) - SAID_ON_DEMAND - ended


def test_the_shape_of_a_released_document_never_changes() -> None:
    """Each has its reader in this build, with every field, type and default as it was; and some are on the list."""
    shapes.check_unchanged(shapes.formats())
    assert shapes.released()


def test_every_kind_in_use_is_released_or_new() -> None:
    """Version 1 names nothing; every later version names kind and number; each stands on the one before it."""
    for (name, version), reader in shapes.formats().items():
        form = formats.format_of(reader)
        assert form is not None
        assert (form.kind, form.version) == (name, version)
        fields = {field.encode_name: field for field in msgspec.structs.fields(reader)}
        if version == 1:
            assert "format" not in fields
        else:
            assert fields[form.field].type == Literal[version]
            assert formats.format_of(form.earlier) is not None
            assert form.lifted is not None
            assert "kind" in fields


# One field more -------------------------------------------------------------------------------------------------------


def golden_records(kept: Kept) -> list[bytes]:
    """Return the records of the golden log."""
    return [data for kind, data in documents(kept) if kind == "record"]


def test_one_added_field_makes_every_earlier_record_fail(kept: Kept) -> None:
    """Where it is added to the released version: the fault that versions are there against."""
    for data in golden_records(kept):
        with pytest.raises(canonical.NotCanonical):
            canonical.decode(data, RecordWithMore)


def test_an_added_field_fails_the_build() -> None:
    """The list of what was released finds it, whichever way the shape was changed, or where the reader is gone."""
    now = shapes.formats()
    with pytest.raises(shapes.ShapeChanged, match="record 1"):
        shapes.check_unchanged({**now, ("record", 1): RecordWithMore})
    with pytest.raises(shapes.ShapeChanged, match="record 1"):
        shapes.check_unchanged({name: reader for name, reader in now.items() if name != ("record", 1)})


def test_a_changed_part_changes_the_shape_of_all_that_it_is_in() -> None:
    """A field more in a part, a value more that a field may have, a default: each is another shape. A name is not."""

    def made(default: str, values: Any, name: str = "Part") -> type:
        part = msgspec.defstruct(name, [("said", values, default)], kw_only=True)
        return msgspec.defstruct("Whole", [("part", part)], kw_only=True)

    plain = shapes.digest(made("", str))
    assert shapes.digest(made("", str, "Other")) == plain
    others = [made("x", str), made("", Literal[""]), made("", Literal["", "x"]), made("", str | None)]
    assert len({plain, *(shapes.digest(each) for each in others)}) == 5


def test_an_added_field_is_a_version_beside_the_first(kept: Kept) -> None:
    """Through the real reader: every golden record reads, in the words of version 4; new ones name their version."""
    for data in golden_records(kept):
        read = canonical.decode(data, RecordFour)
        assert (type(read), read.more) == (RecordFour, "")
        before = msgspec.structs.asdict(decode_record(data)) | {"format": 4}
        assert before.items() <= msgspec.structs.asdict(read).items()
    new = msgspec.structs.replace(canonical.decode(golden_records(kept)[0], RecordFour), more="told")
    assert canonical.decode(canonical.encode(new), RecordFour) == new
    now = {**shapes.formats(), **shapes.formats({"record": RecordFour})}
    shapes.check_unchanged(now)


def test_each_version_is_read_strictly_by_its_own_reader(kept: Kept) -> None:
    """None has a field of a later version, or another form than its one."""
    first = golden_records(kept)[0]
    bare = msgspec.json.decode(first)
    second = {**bare, "format": 2}
    for said in (
        {**bare, "more": "x"}, {**bare, "second": None}, {**bare, "format": 1}, {**second, "more": "x"},
        {**second, "format": 3}, {**second, "format": 4, "less": ""},
    ):  # fmt: skip
        with pytest.raises(canonical.NotCanonical):
            canonical.decode(canonical.encode(said), RecordFour)
    for data in (first.replace(b",", b", ", 1), b"{}", b"[]", b"", b"\xff"):
        with pytest.raises(canonical.NotCanonical):
            canonical.decode(data, RecordFour)


# Made later -----------------------------------------------------------------------------------------------------------


def later(data: bytes, field: str = "format") -> bytes:
    """Return a document as a later version might have written it."""
    return canonical.encode({**msgspec.json.decode(data), field: 9, "unheard_of": "x"})


@pytest.mark.parametrize("reader", shapes.newest().values(), ids=shapes.newest())
def test_a_later_version_is_called_that(reader: type) -> None:
    """Of every kind, and never malformed; what names no later version is refused as ever."""
    form = formats.format_of(reader)
    assert form is not None
    with pytest.raises(MadeLater, match=f"this {form.kind} is in format 9"):
        canonical.decode(canonical.encode({form.field: 9}), reader)
    for said in ({}, {form.field: "9"}, {form.field: True}, {form.field: 0}, {form.field: None}):
        with pytest.raises(canonical.NotCanonical):
            canonical.decode(canonical.encode(said), reader)


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("cluster/nodes/n1/state/standing.json", lambda kept: Store(kept.layout.node("n1") / "state")),
        ("cluster/nodes/n1/state/checkpoint.json", lambda kept: Store(kept.layout.node("n1") / "state")),
        ("cluster/nodes/n1/node.json", lambda kept: read_node(kept.layout.node("n1"))),
        ("cluster/nodes/n1/cluster.json", lambda kept: read_node(kept.layout.node("n1"))),
        ("cluster/operator/profile.json", lambda kept: read_profile(kept.layout.profile("operator"))),
        ("cluster/operator/cluster.json", lambda kept: read_profile(kept.layout.profile("operator"))),
        ("witness/witness.json", lambda kept: read_witness(kept.place / "witness")),
    ],
)
def test_files_of_a_later_version_are_called_that(kept: Kept, name: str, opened: Callable[[Kept], object]) -> None:
    """An agent, a person's profile and a log witness that were downgraded say so, and begin nothing anew."""
    path = kept.place / name
    before = path.read_bytes()
    opened(kept)
    try:
        path.write_bytes(later(before))
        with pytest.raises(MadeLater):
            opened(kept)
    finally:
        path.write_bytes(before)


def test_a_log_with_a_later_record_is_not_called_malformed(kept: Kept, tmp_path: Path) -> None:
    """Signed by the log's key: offline verification says which record, in which format, and what to verify with."""
    key = load_pem_private_key((kept.layout.control / "log.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    record = later(golden_records(kept)[0])
    checkpoint = sign_checkpoint(kept.cluster.origin, 1, leaf_hash(record), key)
    lines = ({"checkpoint": checkpoint}, {"sequence": 0, "record": record.decode()})
    export = tmp_path / "later.jsonl"
    export.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    said = verified(kept, export)
    assert "this record is in format 9" in said
    with pytest.raises(MadeLater):
        read_record(record)


def test_evidence_and_exports_of_a_later_version_are_called_that(kept: Kept, tmp_path: Path) -> None:
    """By the library, and on the command line: with its code, the format, and exit code 6."""
    evidence = tmp_path / "evidence.json"
    evidence.write_bytes(later((kept.folder / "evidence" / "executed.json").read_bytes(), "version"))
    with pytest.raises(MadeLater):
        examine(evidence.read_bytes(), kept.trust)
    assert "this evidence file is in format 9" in verified(kept, evidence)
    export = tmp_path / "later.jsonl"
    with (kept.folder / "log.jsonl").open("rb") as file:
        first, rest = file.readline(), file.read()
    export.write_bytes(later(first) + b"\n" + rest)
    with pytest.raises(MadeLater):
        list(read_lines(export.read_bytes().splitlines(keepends=True), kept.cluster.log_key))
    assert "this export is in format 9" in verified(kept, export)


@pytest.mark.parametrize("part", ["plan", "snapshot"])
def test_what_a_later_version_made_is_not_checked(kept: Kept, part: str) -> None:
    """A plan or a snapshot that a record names in a later format: never that it fails, and never that it holds."""
    blobs = {canonical.digest(data): data for kind, data in documents(kept) if kind in {"plan", "snapshot"}}
    record = next(each for data in golden_records(kept) if (each := decode_record(data)).event == "requested")
    data = later(blobs[getattr(record, part)])
    blobs[canonical.digest(data)] = data
    record = msgspec.structs.replace(record, **{part: canonical.digest(data)})
    text = canonical.encode(record).decode()
    found = list(judged(kept.trust, [Logged(sequence=0, text=text, record=record)], blobs.get))
    assert not [each for each in found if each.state == "fails"]
    (told,) = (each for each in found if each.state == "unchecked")
    assert f"this {part} is in format 9" in told.said


def verified(kept: Kept, path: Path) -> str:
    """Return what the command line says of a file that a later version made."""
    environment = {**os.environ, "AERODB_PROFILE": str(kept.layout.profile("auditor")), "COLUMNS": "400"}
    command = [sys.executable, "-m", "aerodb", "audit", "verify", str(path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 6, said
    assert MadeLater.code in said
    assert "malformed" not in said
    assert "made by a later version" in said
    return said
