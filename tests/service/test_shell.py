"""Hands and habits: the version, completion by real shells, what is nearly a command, what is said of errors."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aerodb
from aerodb.actions import catalogue
from aerodb.cli.completion import SHELLS
from aerodb.cli.failures import ProfileUnusable
from aerodb.cli.help import COMMANDS, COMPLETE_VARIABLE
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.rules.invariants import STATEMENTS
from aerodb.transport.errors import Interrupted
from tests.unit.cli.stage import Stage, stage_in

BIN = Path(sys.executable).parent
ASKING = {
    "bash": "source <(aerodb completion bash); COMP_WORDS=(aerodb {words}); COMP_CWORD={last}; "
    'set -- "${{COMP_WORDS[@]}}"; _aerodb_completion "$1"; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": "aerodb completion fish | source; complete -C 'aerodb {words}'",
}
"""What is typed in a real shell in order to see what it offers."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program."""
    said = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment}
    return subprocess.run([BIN / "aerodb", *words], capture_output=True, text=True, check=False, env=said)


# The version ----------------------------------------------------------------------------------------------------------


def test_the_version_is_said_by_the_program_and_by_its_group(stage: Stage) -> None:
    """Alone, or after another option: the version of what is installed, and nothing else."""
    assert program("--version").stdout == f"aerodb {aerodb.__version__}\n"
    shown = stage.run("--profile", "nowhere", "--version")
    assert (shown.code, shown.plain) == (0, f"aerodb {aerodb.__version__}\n")


# Completion -----------------------------------------------------------------------------------------------------------


def offered(shell: str, words: tuple[str, ...], profile: Path) -> list[str]:
    """Return what the program offers a shell for the last word; the first column, where it says more."""
    if shell == "fish":
        said = {"COMP_WORDS": " ".join(("aerodb", *words)), "COMP_CWORD": words[-1]}
    else:
        said = {"COMP_WORDS": " ".join(("aerodb", *words)), "COMP_CWORD": str(len(words))}
    shown = program(**{COMPLETE_VARIABLE: f"{shell}_complete", "AERODB_PROFILE": str(profile), **said})
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    if shell == "zsh":
        return lines[1::3]
    return [line.split(",", 1)[1].split("\t")[0] for line in lines]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_offered_commands_and_nodes(shell: str, stage: Stage) -> None:
    """By the very program that a shell asks, which is told the words in its environment, and no command runs."""
    assert offered(shell, ("prom",), stage.profile) == ["promote"]
    assert offered(shell, ("promote", "n"), stage.profile) == ["n1", "n2", "n3"]
    assert not stage.sent


def test_arguments_are_completed_by_what_they_are(stage: Stage) -> None:
    """Nodes for options too, and the names of actions, invariants and options: the same in every shell."""
    assert offered("bash", ("follow", "n3", "--upstream", "n"), stage.profile) == ["n1", "n2", "n3"]
    assert offered("bash", ("catalogue", "pledges"), stage.profile) == ["pledges-kept"]
    assert offered("bash", ("explain", "st"), stage.profile) == ["start", "stop"]
    assert "--reason" in offered("bash", ("stop", "n1", "--rea"), stage.profile)


@pytest.mark.parametrize("shell", ASKING)
def test_a_real_shell_completes(shell: str, stage: Stage) -> None:
    """What `aerodb completion` writes is taken by the shell itself, and offers what the program does."""
    if shell == "fish" and shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    for words, wanted in ((("prom",), ["promote"]), (("promote", "n2"), ["n2"])):
        typed = ASKING[shell].format(words=" ".join(words), last=len(words))
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "AERODB_PROFILE": str(stage.profile), "HOME": str(stage.profile)}
        found = subprocess.run([shell, "-c", typed], capture_output=True, text=True, check=False, env=environment)
        assert [line.split("\t")[0] for line in found.stdout.splitlines()] == wanted, found.stderr


# What is nearly it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("statsu",), "status"),
        (("promot",), "promote"),
        (("explain", "folow"), "follow"),
        (("audit", "verfy"), "verify"),
    ],
)
def test_what_is_nearly_a_command_is_answered_with_it(words: tuple[str, ...], meant: str, stage: Stage) -> None:
    """An input error as ever, and nothing is run; of what is near nothing is guessed."""
    shown = stage.run(*words)
    assert (shown.code, "No such command" in shown.err, f"'{meant}'" in shown.err) == (2, True, True)
    assert "Did you mean" not in stage.run("xyzzy").err


# The catalogue --------------------------------------------------------------------------------------------------------


def test_every_invariant_is_explained_by_its_name(stage: Stage) -> None:
    """Its statement, when it is judged, and all actions that rely on it; as a document too."""
    for invariant, (title, statement) in STATEMENTS.items():
        said = " ".join(stage.run("catalogue", invariant.value).plain.split())
        relying = [action.name for action in catalogue().values() if invariant in action.invariants]
        assert statement in said
        assert said.endswith(f"RELIED ON BY {', '.join(relying)}")
        told = canonical.decode(stage.run("catalogue", invariant.value, "--json").out.strip().encode(), dict)
        assert (told["title"], told["actions"], told["name"]) == (title, relying, invariant.value)


def test_no_invariant_is_called_as_an_action_is() -> None:
    """One name, one thing."""
    assert not {each.value for each in STATEMENTS} & {*catalogue(), *COMMANDS}


@pytest.mark.parametrize(
    ("name", "meant"), [("pledge-kept", "pledges-kept"), ("promot", "promote"), ("xyzzy", "lists")]
)
def test_what_the_catalogue_does_not_have_is_answered_with_what_is_near(name: str, meant: str, stage: Stage) -> None:
    """Of actions and invariants alike."""
    shown = stage.run("catalogue", name)
    assert (shown.code, "input.action-unknown" in shown.err, meant in shown.err) == (2, True, True)


# Errors ---------------------------------------------------------------------------------------------------------------


def test_after_a_mere_look_nobody_is_told_that_nothing_was_executed(stage: Stage) -> None:
    """It could not have been: said of looks, the sentence says nothing where it matters. What is unknown is said."""
    stage.fail["GET /v1/whoami"] = ProfileUnusable("x")
    assert "executed" not in stage.run("whoami").err
    stage.fail["GET /v1/whoami"] = Interrupted("x", executed="unknown")
    assert "Whether it was executed is unknown." in stage.run("whoami").err


def test_of_an_action_that_failed_it_is_always_said(stage: Stage) -> None:
    """Refused before anything was sent, and where nobody is at the terminal."""
    stage.fail["POST /v1/requests"] = AeroError("x")
    assert "Nothing was executed." in stage.run("stop", "n3", "--reason", "x").err
    assert "Nothing was executed." in stage.run("stop", "n3", "--reason", "x", terminal=False).err


def test_who_stops_waiting_is_told_that_the_work_goes_on(stage: Stage) -> None:
    """Ctrl-C after the confirmation was sent stops the waiting and nothing else; how to ask is said."""
    stage.fail["POST /v1/requests/ID/confirmation"] = KeyboardInterrupt()
    shown = stage.run("stop", "n3", "--reason", "x", typed="n3\n")
    assert (shown.code, "KeyboardInterrupt" in shown.err) == (3, False)
    assert "what was sent goes on" in shown.err
    assert "aerodb outcome" in shown.err
