"""Every document in a golden past, by the kind that it is of: what was signed, stored and exported."""

from collections.abc import Iterator

import msgspec

from aerodb.audit.record import Record, decode_record
from aerodb.protocol.plan import Snapshot
from tests.golden.conftest import Kept

Document = tuple[str, bytes]
"""A document's kind, and its bytes."""

_KINDS_IN_STATE = {"standing.json": "standing", "checkpoint.json": "memory of the log"}
_KINDS_IN_JOURNAL = {".begun.json": "entry of what was begun", ".ended.json": "entry of what was ended"}


def documents(kept: Kept) -> Iterator[Document]:
    """Yield all of them; some more than once."""
    yield "configuration", (kept.folder / "cluster.json").read_bytes()
    yield from (("evidence file", path.read_bytes()) for path in sorted((kept.folder / "evidence").iterdir()))
    yield from _exported(kept)
    yield from _sealed((kept.layout.control / "log" / "seal.json").read_bytes())
    yield "profile", (kept.layout.profile("operator") / "profile.json").read_bytes()
    yield "log witness file", (kept.place / "witness" / "witness.json").read_bytes()
    for node in kept.cluster.data_nodes:
        yield from _of_node(kept, node)


def _exported(kept: Kept) -> Iterator[Document]:
    for line in (kept.folder / "log.jsonl").read_bytes().splitlines(keepends=True):
        said = msgspec.json.decode(line)
        if "record" in said:
            yield "record in an export", line
            yield from _in_record(said["record"].encode())
        elif "blob" in said:
            yield "blob in an export", line
            yield from _in_blob(said["text"].encode())
        else:
            yield "export", line


def _in_record(data: bytes) -> Iterator[Document]:
    yield "record", data
    record: Record = decode_record(data)
    if record.outcome is not None:
        yield from _signed(msgspec.json.encode(record.outcome), "outcome")
    if record.signature.startswith("{"):
        yield "assertion", record.signature.encode()


def _in_blob(data: bytes) -> Iterator[Document]:
    kind = msgspec.json.decode(data).get("kind", "configuration")
    yield kind, data
    if kind == "snapshot":
        for signed in msgspec.json.decode(data, type=Snapshot).reports.values():
            yield from _signed(msgspec.json.encode(signed, order="sorted"), "report")


def _signed(data: bytes, kind: str) -> Iterator[Document]:
    """Yield a signed document, and what was signed."""
    said = msgspec.json.decode(data)
    yield "signed document", msgspec.json.encode(said, order="sorted")
    yield kind, said["document"].encode()


def _sealed(data: bytes) -> Iterator[Document]:
    yield from _signed(data, "seal")


def _of_node(kept: Kept, node: str) -> Iterator[Document]:
    folder = kept.layout.node(node)
    yield "node file", (folder / "node.json").read_bytes()
    for name, kind in _KINDS_IN_STATE.items():
        yield kind, (folder / "state" / name).read_bytes()
    if (folder / "state" / "configuration.json").exists():
        yield "taken versions", (folder / "state" / "configuration.json").read_bytes()
    standing = msgspec.json.decode((folder / "state" / "standing.json").read_bytes())
    for kind in ("pledge", "grant"):
        if standing[kind] is not None:
            yield from _signed(msgspec.json.encode(standing[kind]), kind)
    for path in sorted((folder / "state" / "journal").iterdir()):
        for ending, kind in _KINDS_IN_JOURNAL.items():
            if path.name.endswith(ending):
                yield kind, path.read_bytes()
    for path in sorted((folder / "events").glob("*.jsonl")):
        yield from (("journal event", line) for line in path.read_bytes().splitlines())
