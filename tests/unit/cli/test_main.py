"""The command line itself: help without weight, exit codes, errors without stack traces, a real terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from aerodb.actions import catalogue
from aerodb.cli import failures
from aerodb.cli.act import argument_option, node_argument
from aerodb.cli.commands import root
from aerodb.cli.help import COMMANDS, TYPED, action_names
from aerodb.cli.session import Session
from aerodb.errors import AeroError
from aerodb.rules.arguments import KindName
from aerodb.transport.errors import Interrupted, Unreachable
from tests.unit.cli.stage import Stage, stage_in
from tests.unit.rules.scenes import argument_of

HEAVY = ("msgspec", "cryptography", "aerodb.protocol", "aerodb.rules", "aerodb.actions", "aerodb.audit")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


def child(code: str) -> str:
    """Return what a fresh interpreter writes."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("words", [["--help"], ["up", "--help"], ["demo", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Help is fast, because it loads click and little else."""
    loaded = child(
        "import sys; from aerodb.cli.commands import run; from aerodb.cli.session import Session\n"
        f"code = run({words!r}, Session()); print('MODULES', code, *sorted(sys.modules))"
    ).rpartition("MODULES ")[2]
    assert loaded.split()[0] == "0"
    assert not set(HEAVY) & set(loaded.split())


def test_ctrl_c_in_the_first_moments_is_a_sentence() -> None:
    """They pass with imports: whichever is under way, no stack trace is shown."""
    for module in ("aerodb.cli.help", "aerodb.private", "aerodb.cli.commands", "click"):
        code = (
            "import sys\n"
            "class Stops:\n"
            "    def find_spec(self, name, *_):\n"
            f"        if name == {module!r}: raise KeyboardInterrupt\n"
            "sys.argv = ['aerodb', 'status']\n"
            "sys.meta_path.insert(0, Stops())\n"
            "from aerodb.cli.main import main\n"
            "main()"
        )
        ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert (ended.returncode, "stopped by hand" in ended.stderr) == (1, True), module
        assert "Traceback" not in ended.stderr


def test_the_help_is_one_text_and_needs_no_library(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """`aerodb --help` loads not even click, and says what the group of commands says."""
    code = "import sys; sys.argv = ['aerodb', '--help']; from aerodb.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: print('MODULES', *sys.modules)"
    text, _, loaded = child(code).rpartition("MODULES ")
    assert "click" not in loaded.split()
    assert stage.run("--help").code == 0
    assert capsys.readouterr().out == text


def test_no_command_imports_the_kernel_or_the_control_plane() -> None:
    """The command line is a client: all its commands together load neither, nor a web framework."""
    loaded = child(
        "import sys, click; from aerodb.cli.commands import root\n"
        "group, context = root(), click.Context(root())\n"
        "for name in group.list_commands(context): group.get_command(context, name)\n"
        "print(*sys.modules)"
    ).split()
    forbidden = ("aerodb.kernel", "aerodb.control", "aerodb.api", "aerodb.assembly", "litestar", "psycopg")
    assert not [name for name in loaded if name.startswith(forbidden)]


def test_every_action_is_a_command_and_none_hides_another() -> None:
    """The catalogue's actions are exactly the generated commands, and share no name with the others."""
    assert action_names() == list(catalogue())
    assert not set(COMMANDS) & set(catalogue())


def test_every_command_is_there_and_has_help(stage: Stage) -> None:
    """Every listed command can be loaded, and says what it does and what it takes."""
    group = root()
    for name in group.list_commands(click.Context(group)):
        shown = stage.run(name, "--help")
        assert shown.code == 0, name
    for action in catalogue().values():
        command = group.get_command(click.Context(group), action.name)
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        own = set() if action.name in TYPED else {argument.option for argument in action.arguments}
        assert own | {"--reason", "--profile"} <= options
        assert not {"--yes", "-y", "--force"} & options


def test_help_documents_every_exit_code(capsys: pytest.CaptureFixture[str], stage: Stage) -> None:
    """The exit codes are part of the interface, and stand in the help."""
    assert stage.run("--help").code == 0
    text = capsys.readouterr().out
    for code in range(7):
        assert f"\n  {code}  " in text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (failures.ProfileUnusable("x"), 2),
        (Unreachable("x"), 4),
        (Interrupted("x"), 4),
        (Interrupted("x", executed="unknown"), 3),
        (failures.TerminalMissing("x"), 5),
        (failures.PlanAltered("x"), 6),
        (failures.OutcomeUnverified("x", executed="unknown"), 6),
        (AeroError("x"), 1),
        (RuntimeError("x"), 1),
        (KeyboardInterrupt(), 1),
    ],
)
def test_every_error_has_its_exit_code_and_no_stack_trace(stage: Stage, error: BaseException, code: int) -> None:
    """An error is shown as code and message on stderr; of a mere look, what was executed only where it is unknown."""
    stage.fail["GET /v1/whoami"] = error
    shown = stage.run("whoami")
    assert shown.code == code
    assert shown.out == ""
    assert ("executed" in shown.err) == (getattr(error, "executed", "") == "unknown")
    assert "Traceback" not in shown.err


def test_an_error_shows_its_field_and_invariants_and_escapes_what_it_quotes(stage: Stage) -> None:
    """Everything that an error holds is shown, and no control character in it reaches the terminal."""
    stage.fail["GET /v1/whoami"] = AeroError("a\x1b[2Jb\u202ec", field="reason\x07", invariants=("wal-prefix",))
    shown = stage.run("whoami", terminal=False)
    assert "control.internal: a\\u001b[2Jb\\u202ec" in shown.err
    assert "field       reason\\u0007" in shown.err
    assert "invariants  wal-prefix" in shown.err


def test_json_on_a_terminal_shows_no_control_characters(stage: Stage) -> None:
    """A document is written byte for byte to a file, and escaped, still the same JSON, to a terminal."""
    stage.alter["GET /v1/whoami"] = lambda body: body.replace(b"alice", "al\u202e\x9bice".encode())
    assert "al\\u202e\\u009bice" in stage.run("whoami", "--json").out
    assert "al\u202e\x9bice" in stage.run("whoami", "--json", terminal=False).out


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_turned_off(stage: Stage, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Colour is for terminals that want it; the words say the same without it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = stage.run("whoami")
    assert "\x1b[" in coloured.out
    monkeypatch.setenv(variable, value)
    assert stage.run("whoami").out == coloured.plain


@pytest.mark.parametrize("name", ["profile.json", "cluster.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"control": 1, "operator": "alice"}', b"[" * 9999])
def test_an_unusable_profile_is_named(stage: Stage, name: str, content: bytes | None) -> None:
    """A missing or malformed profile is an input error that names the file; nothing is sent."""
    if content is None:
        (stage.profile / name).unlink()
    else:
        (stage.profile / name).write_bytes(content)
    shown = stage.run("whoami")
    assert shown.code == 2
    assert name in shown.err
    assert not stage.sent


def test_a_profile_can_be_named_before_and_after_the_command(stage: Stage, tmp_path: Path) -> None:
    """--profile may stand in either place; the one nearer to the command counts."""
    nowhere, there = str(tmp_path / "nowhere"), str(stage.profile)
    assert stage.run("--profile", nowhere, "whoami").code == 2
    assert stage.run("--profile", nowhere, "whoami", "--profile", there).code == 0
    assert stage.run("whoami", "--profile", nowhere).code == 2


def test_tls_files_that_are_missing_are_an_input_error(stage: Stage) -> None:
    """Without its certificate a profile cannot reach anybody, and says so."""
    environment = {**os.environ, "AERODB_PROFILE": str(stage.profile)}
    words = [sys.executable, "-c", "from aerodb.cli.main import main; main()", "whoami"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "input.profile-unusable" in done.stderr


def test_a_terminal_on_one_side_is_not_enough(stage: Stage) -> None:
    """A person must both read and type: with stdout in a pipe, or stdin from one, an action is refused."""
    code = "from aerodb.cli.main import main; main()"
    words = [sys.executable, "-c", code, "--profile", str(stage.profile), "stop", "n3", "--reason", "x"]
    leader, follower = pty.openpty()
    try:
        for stdin, stdout in ((follower, subprocess.PIPE), (subprocess.DEVNULL, follower)):
            done = subprocess.run(words, check=False, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
            assert done.returncode == 5
        both = subprocess.run(words, check=False, stdin=follower, stdout=follower, stderr=subprocess.PIPE)
        assert both.returncode == 2  # With a person there, the profile's missing certificate is the next refusal.
    finally:
        os.close(leader)
        os.close(follower)


@pytest.mark.parametrize(
    ("kind", "typed", "completed"),
    [("choice", "f", ["fast"]), ("node", "n", ["n1", "n2", "n3"]), ("count", "", []), ("log", "", [])],
)
def test_a_shell_completes_what_can_be_listed(kind: KindName, typed: str, completed: list[str], stage: Stage) -> None:
    """What the shell offers for an option is what the table of kinds lists in the profile's own cluster."""
    option = argument_option(argument_of(kind))
    context = click.Context(click.Command("x", params=[option]), obj=Session(folder=stage.profile))
    assert [item.value for item in option.shell_complete(context, typed)] == completed


def test_a_shell_completes_nothing_without_a_profile(tmp_path: Path) -> None:
    """A missing profile is no error while a person types."""
    context = click.Context(click.Command("x"), obj=Session(folder=tmp_path))
    assert node_argument().shell_complete(context, "") == []
