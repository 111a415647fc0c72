"""Which files PostgreSQL reads its settings from, as the settings files themselves say."""

from pathlib import Path

from aerodb.kernel.postgres.configured import _read_for, included
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.observation import Observer
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.session import PostgresSession
from aerodb.kernel.postgres.settings import DEFAULTS

TEXT = """
include 'a.conf'
include = 'it''s b.conf'
  INCLUDE_IF_EXISTS '/etc/c.conf' # include 'no.conf'
include_dir conf.d
#include 'no.conf'
included_by = 'no.conf'
application_name = 'include'
"""


def test_every_way_to_include_is_followed() -> None:
    """Quoted or not, with or without a sign, relative to the file that says so; what is commented out is not."""
    found = list(included(Path("/conf/postgresql.conf"), TEXT))
    assert found == [Path("/conf/a.conf"), Path("/conf/it's b.conf"), Path("/etc/c.conf"), Path("/conf/conf.d")]


def test_what_is_included_is_read_in_turn_and_no_ring_is_followed_for_ever(tmp_path: Path) -> None:
    """A folder stands for the settings files in it, and for itself: a new file in it changes it."""
    (tmp_path / "more").mkdir()
    (tmp_path / "main.conf").write_text("include_dir 'more'\ninclude 'main.conf'\n", encoding="utf-8")
    (tmp_path / "more" / "one.conf").write_text("include_if_exists 'gone.conf'\n", encoding="utf-8")
    (tmp_path / "more" / "one.txt").write_text("include 'no.conf'\n", encoding="utf-8")
    names = ("main.conf", "more", "more/one.conf", "more/gone.conf")
    assert set(_read_for(tmp_path / "main.conf")) == {tmp_path / name for name in names}


def _counting(folder: Path) -> Installation:
    """Return an installation whose `postgres` notes each start, and prints what setting it was asked for."""
    program = folder / "bin" / "postgres"
    program.parent.mkdir()
    lines = ("#!/bin/sh", f'echo started >>"{folder}/starts"', "for last; do :; done", 'echo "$last"', "")
    program.write_text("\n".join(lines), encoding="ascii")
    program.chmod(0o755)
    return Installation(bin=program.parent, version="18.0", account=None)


def _place(home: Path) -> Place:
    return Place(name="n1", home=home, host="127.0.0.1", port=1, quorum=1, data_nodes=("n1", "n2"))


def test_all_who_look_share_what_was_read(tmp_path: Path) -> None:
    """Read ahead by one, no other starts a program for it, until a file changes; then it is read anew, once for all."""
    installation, place = _counting(tmp_path), _place(tmp_path)
    place.conf.mkdir()
    settings, data = place.conf / "postgresql.conf", tmp_path / "data-0001"
    data.mkdir()
    place.link.symlink_to(data.name)
    settings.write_text("fsync = on\nwal_level = replica\n", encoding="ascii")
    one, other = (Observer(installation, place, PostgresSession(place, 18, name)) for name in ("one", "other"))
    starts = tmp_path / "starts"
    one.read_ahead()
    read = starts.read_text(encoding="ascii")
    assert read.count("started") == 2
    for observer in (other, one, other):
        assert observer._would_start_with()["fsync"] == "fsync"
        observer.read_ahead()
    assert starts.read_text(encoding="ascii") == read
    settings.write_text("fsync = off\n", encoding="ascii")
    assert other._would_start_with()["wal_level"] == DEFAULTS["wal_level"]
    one.read_ahead()
    assert starts.read_text(encoding="ascii").count("started") == 3


def test_what_cannot_be_read_ahead_fails_nothing(tmp_path: Path) -> None:
    """Without a folder or programs nothing is read ahead; the look that needs it says why."""
    place = _place(tmp_path)
    bare = Installation(bin=tmp_path, version="18.0", account=None)
    Observer(bare, place, PostgresSession(place, 18)).read_ahead()
