"""Which files PostgreSQL reads its settings from, as the settings files themselves say."""

from pathlib import Path

from aerodb.kernel.postgres.configured import _read_for, included

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
