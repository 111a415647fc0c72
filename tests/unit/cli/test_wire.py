"""The shipped program, in a process of its own, at a real terminal, over real mutual TLS."""

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.transport.certificates import Authority
from aerodb.transport.server import Server, listen
from aerodb.transport.tls import tls_in
from tests.unit.cli.stage import Stage, stage_in

PROGRAM = (sys.executable, "-c", "from aerodb.cli.main import main; main()")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a control plane that listens."""
    with stage_in(tmp_path) as made:
        authority = Authority(made.cluster.id)
        (tmp_path / "control").mkdir()
        authority.issue(tmp_path / "control", "control", "control")
        authority.issue(made.profile, "alice", "person")
        bound = listen("127.0.0.1:0")
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        (made.profile / "profile.json").write_text(json.dumps({"control": address, "operator": "alice"}))
        server = Server(made.room.api, tls_in(tmp_path / "control"))
        ending = threading.Event()
        serving = threading.Thread(target=server.run_on, args=(bound, ending))
        serving.start()
        yield made
        ending.set()
        serving.join()
        bound.close()


def at_a_terminal(profile: Path, *words: str, typed: str) -> tuple[int, str]:
    """Run the program on a terminal, answer its question, and return its exit code and what it showed."""
    leader, follower = pty.openpty()
    command = [*PROGRAM, "--profile", str(profile), *words]
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        seen, answered = b"", False
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # Linux's way to say that nobody has the other end any more.
                break
            seen += part
            if not answered and b"type the node's name (n3): " in seen:
                os.write(leader, typed.encode())
                answered = True
        code = process.wait()
    os.close(leader)
    return code, seen.decode()


def test_a_person_at_a_terminal_stops_a_node(stage: Stage) -> None:
    """The whole path in the shipped program: plan, typed name, signature, one confirmation, signed outcome."""
    code, seen = at_a_terminal(stage.profile, "stop", "n3", "--reason", "tidy up", typed="n3\n")
    assert (code, len(stage.executed)) == (0, 1), seen
    assert "EXECUTED on n3" in seen


def test_a_person_who_hesitates_stops_nothing(stage: Stage) -> None:
    """Another answer, typed at the same terminal, executes nothing."""
    code, seen = at_a_terminal(stage.profile, "stop", "n3", "--reason", "tidy up", typed="no\n")
    assert (code, stage.executed) == (1, []), seen


def test_a_read_goes_over_the_wire(stage: Stage) -> None:
    """A read in a pipe gives the API's own bytes."""
    command = [*PROGRAM, "whoami", "--json", "--profile", str(stage.profile)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, '{"operator":"alice","role":"operator"}\n'), done.stderr
