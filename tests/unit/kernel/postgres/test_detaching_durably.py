"""Detaching: what is durable when, as a crash at any moment would find it."""

import os
from pathlib import Path
from typing import Any, cast

import pytest

from aerodb.kernel.postgres import process
from aerodb.kernel.postgres.ground import Ground
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.replicating import Replicating
from aerodb.kernel.postgres.session import PostgresSession


class _Installation:
    """Programs that this process's own user runs."""

    account = None


class _Session:
    """A standby that takes its settings up at once, and whose receiver is gone then; it notes when it is asked."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def run(self, statement: str, _: object = None) -> list[dict[str, Any]]:
        """Answer as one that is detached."""
        asked = "receiver" if "walreceiver" in statement else "settings"
        self._seen.append(f"asked: {asked}")
        return [{"it": True, "receiving": 0, "startup": "RecoveryRetrieveRetryInterval"}]


def test_settings_are_whole_before_they_have_their_name_and_durable_before_it_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are on the disk first; then PostgreSQL is told; the name is durable before anybody rests on it."""
    seen, real = list[str](), os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(f"on the disk: {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real(descriptor)

    def reload(place: Place) -> None:
        text = (place.conf / "standing.conf").read_text(encoding="utf-8")
        seen.append(f"told: {'detached' if 'upstream' not in text else 'attached'}, {place.passfile.exists()}")

    place = Place(name="n2", home=tmp_path, host="127.0.0.1", port=1, quorum=1, data_nodes=("n1", "n2"))
    place.conf.mkdir()
    (place.conf / "standing.conf").write_text("# upstream: n1\n", encoding="utf-8")
    place.passfile.write_text("secret", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(process, "postmaster", lambda _: 1)
    monkeypatch.setattr(process, "reload", reload)
    session = cast("PostgresSession", _Session(seen))
    Replicating(Ground(cast("Any", _Installation()), place, session, cast("Any", None), lambda _: ("", 0))).detach()
    assert seen == [
        "on the disk: .standing.conf.new",
        "told: detached, False",
        "on the disk: conf",
        "asked: settings",
        "asked: receiver",
    ]
