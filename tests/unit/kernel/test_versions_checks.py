"""What a node has taken, where two take at once, and where a later build wrote it."""

import threading
from pathlib import Path

import pytest

from aerodb.kernel.versions import TakenVersions
from aerodb.protocol import canonical
from aerodb.protocol.chain import VersionRefused, changed
from aerodb.protocol.formats import MadeLater
from tests.unit.kernel.test_versions import ONE, TWO, text_of
from tests.unit.protocol.test_chain import enrol

OTHER_TWO = changed(ONE, enrol("yan"))


class Document(str):
    """A version's text that notes, whenever it is read, whether anybody else could take a version meanwhile."""

    __slots__ = ("held", "lock")
    held: list[bool]
    lock: threading.Lock

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the bytes, as any text does."""
        self.held.append(self.lock.locked())
        return super().encode(encoding, errors)


def test_while_one_version_is_judged_no_other_is_taken(tmp_path: Path) -> None:
    """From the look at the newest version to the write nobody else takes one: the file is what was judged, and one."""
    versions, document = TakenVersions(tmp_path, ONE), Document(text_of(TWO))
    document.held, document.lock = [], versions._lock
    versions.take(document)
    assert set(document.held) == {True}
    assert not versions._lock.locked()


def test_of_two_versions_at_once_one_is_taken(tmp_path: Path) -> None:
    """However two orders meet, one version 2 is taken and the other refused; on the disk is the one in memory."""
    versions, met, refused = TakenVersions(tmp_path, ONE), threading.Barrier(4), list[str]()

    def take(document: str) -> None:
        met.wait()
        try:
            versions.take(document)
        except VersionRefused as error:
            refused.append(error.message)

    documents = [text_of(TWO), text_of(OTHER_TWO)] * 2
    threads = [threading.Thread(target=take, args=(each,)) for each in documents]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(refused) == 3
    assert TakenVersions(tmp_path, ONE).chain == versions.chain
    assert len(versions.chain.versions) == 2


def test_a_refused_version_lets_the_next_one_through(tmp_path: Path) -> None:
    """Whoever was refused holds up nobody."""
    versions = TakenVersions(tmp_path, ONE)
    with pytest.raises(VersionRefused):
        versions.take(text_of(ONE))
    versions.take(text_of(TWO))
    assert versions.chain.newest == TWO


def test_what_a_later_build_wrote_is_said_to_be_that(tmp_path: Path) -> None:
    """It is not called damaged: who went back to an earlier release is told which one wrote it, and nothing is lost."""
    path = tmp_path / "configuration.json"
    later = canonical.encode({"documents": [], "format": 2, "kind": "taken versions", "more": 1})
    path.write_bytes(later)
    with pytest.raises(MadeLater):
        TakenVersions(tmp_path, ONE)
    assert path.read_bytes() == later
