"""The manual pages: one a command, what `man` understands, and part of the wheel."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from aerodb.cli.commands import root
from aerodb.cli.help import COMMANDS, EXIT_CODES, action_names
from docs.generator.man import escaped, pages

ROOT = Path(__file__).parents[2]
MAN = ROOT / "docs" / "man"


def words_of(command: click.Command, name: str) -> list[str]:
    """Return the names of the pages that a command and what is in it need."""
    found = [name]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            found += words_of(inner, f"{name}-{each}")
    return found


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    """Groups and what is in them too; no page is left of a command that is gone."""
    needed = words_of(root(), "aerodb")
    assert len(needed) > len(COMMANDS) + len(action_names())
    assert {path.stem for path in MAN.iterdir()} == set(needed)


@pytest.mark.parametrize("path", sorted(pages()))
def test_a_page_is_what_the_command_says_of_itself(path: str) -> None:
    """Its name and purpose stand in one line, as `apropos` reads it, and each of its options with what it does."""
    text = pages()[path]
    name = Path(path).stem.replace("-", "\\-")
    assert re.search(rf"^\.SH NAME\n{re.escape(name)} \\- \S[^\n]+$", text, re.MULTILINE)
    assert "\\fB\\-h, \\-\\-help\\fR" in text or path == "man/aerodb.1"
    assert not re.search(r"^\.TP\n[^\n]+\n(\.|$)", text, re.MULTILINE)


def test_the_first_page_lists_commands_and_exit_codes() -> None:
    """As `aerodb --help` does."""
    text = pages()["man/aerodb.1"]
    for name in (*COMMANDS, *action_names()):
        assert f"\\fBaerodb\\-{name.replace('-', chr(92) + '-')}\\fR(1)\n" in text
    for code in EXIT_CODES:
        assert f"\n\\fB{code}\\fR\n" in text


def complaints(*command: str) -> str:
    """Return what a program says of all the pages."""
    found = subprocess.run([*command, *map(str, sorted(MAN.iterdir()))], capture_output=True, text=True, check=False)
    return found.stdout + found.stderr


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_man_understands_them() -> None:
    """Formatted with every warning on, none complains."""
    assert complaints("groff", "-man", "-ww", "-z", "-Tutf8") == ""


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_understands_them() -> None:
    """The other reader of manual pages finds no error; that they bear no date is meant."""
    assert complaints("mandoc", "-Tlint", "-Werror") == ""


def test_no_text_is_taken_for_a_request() -> None:
    """What begins with a dot or a quote, has a backslash or is no ASCII stays the text that it is."""
    assert escaped(".TH\n'x\\fB -h \u2192") == "\\&.TH\n\\&'x\\efB \\-h \\[u2192]"


def test_the_wheel_carries_them() -> None:
    """Where `man` looks for the pages of a program that is on the PATH."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        wheel = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {"docs/man": "share/man/man1"}
