"""Log witnesses before a node acts: hostile control planes, dead and lying witnesses, old and borrowed cosignatures."""

import http.server
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.audit.adding import SIZE_TYPE, addition_bytes
from aerodb.audit.cosignature import cosign, cosigned_by, cosigners, with_lines
from aerodb.audit.note import stated_size
from aerodb.local.layout import Layout
from aerodb.local.person import Person
from aerodb.logwitness.folder import read_witness
from aerodb.protocol.api import Done
from aerodb.protocol.cluster import Cluster, Cosigning
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Order
from tests.faults.behind import instance_of
from tests.faults.conftest import Ground
from tests.faults.hostile import Hostile
from tests.faults.witnessing import WitnessProcess

OFFSET = 950
CONTROL, KERNEL = "control.cosignatures-missing", "kernel.cosignatures-missing"
W1, W2 = "witness.example/w1", "witness.example/w2"
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)


class Watched:
    """A cluster that two log witnesses watch."""

    def __init__(self, ground: Ground, folder: Path, port: int, demanded: int) -> None:
        """Make the witnesses, start them, and the cluster whose configuration names them."""
        self.witnesses: dict[str, WitnessProcess] = {}
        self._folder, self._port, self._demanded = folder, port, demanded
        self._control = Layout(root=ground._cluster).control
        self.running = ground.begin(self._changed)
        self.cluster, self.api = self.running.cluster, self.running.api

    def _changed(self, cluster: Cluster) -> Cluster:
        for at, name in enumerate((W1, W2)):
            witness = WitnessProcess(self._folder / f"w{at + 1}", self._port + at, name, (cluster.log_key,))
            self.witnesses[name] = witness
            witness.start()
        self.say_where({name: witness.place.url for name, witness in self.witnesses.items()})
        vkeys = tuple(witness.vkey for witness in self.witnesses.values())
        return replace(cluster, cosigning=Cosigning(witnesses=vkeys, demanded=self._demanded))

    def say_where(self, urls: dict[str, str]) -> None:
        """Tell the control plane where the witnesses are."""
        text = msgspec.json.encode({name: {"url": url} for name, url in urls.items()})
        (self._control / "log-witnesses.json").write_bytes(text)

    def seen_by(self, node: str) -> list[str]:
        """Return by whom the newest checkpoint that a node reports is cosigned."""
        text = self.running.impostor.facts(node).checkpoint
        return [each.name for each in cosigned_by(text, cosigners(self.cluster))]

    def node(self, name: str) -> str:
        """Return the name under which a node cosigns."""
        return f"aerodb.node/{self.cluster.id}/{name}"

    def refused(self, *told: str) -> Done:
        """Confirm a stop of n3: nothing is executed, nothing reaches the node, and these words say why."""
        entries = self.running.impostor.facts("n3").entries
        done = self.api.confirm(self.api.ask("stop", "n3"))
        assert (done.result, done.code) == ("not executed", CONTROL), done
        assert all(each in done.message for each in told), done.message
        assert self.running.impostor.facts("n3").entries == entries
        assert instance_of(self.running, "n3").state is State.RUNNING
        assert self.api.events(done.request) == ["requested", "confirmed", "outcome"]
        return done

    def end(self) -> None:
        """End the witnesses."""
        for witness in self.witnesses.values():
            witness.kill()


@pytest.fixture(scope="module")
def watched(ground: Ground, tmp_path_factory: pytest.TempPathFactory, ports_from: int) -> Iterator[Watched]:
    """Return a cluster whose nodes demand both witnesses' cosignatures; tests leave it as it was."""
    made = Watched(ground, tmp_path_factory.mktemp("watched"), ports_from + OFFSET, 2)
    yield made
    made.end()
    ground.end()


def again(watched: Watched) -> None:
    """Show that it works: an action on n3 and its counterpart."""
    watched.api.do("stop", "n3")
    watched.api.do("start", "n3")


def test_both_have_cosigned_what_the_node_acts_by(watched: Watched) -> None:
    """The node's report carries it whole, cosigned by the node too, and its outcome names them; the log verifies."""
    done = watched.api.do("stop", "n3")
    assert watched.seen_by("n3") == [W1, W2, watched.node("n3")]
    assert done.outcome is not None
    size = stated_size(watched.running.impostor.facts("n3").checkpoint)
    assert f"the log of {size} records was cosigned by {W1} and {W2}" in done.outcome.document
    watched.api.do("start", "n3")
    person = Person(watched.running.layout.profile("operator"), lambda _: None, colour=False)
    shown = person.types("status")
    assert shown.code == 0, shown.text
    verified = person.types("audit", "verify")
    assert (verified.code, "VERIFIED" in verified.text) == (0, True), verified.text


def test_a_control_plane_that_was_started_anew(watched: Watched) -> None:
    """It knows of no witness what that has seen; the protocol tells it."""
    again(watched)
    watched.running.restart_control()
    again(watched)


def test_many_confirmations_at_once(watched: Watched) -> None:
    """Each is cosigned, whichever order the witnesses and the nodes are reached in."""
    planned = [watched.api.ask("checkpoint", node) for node in ("n1", "n2", "n3")]
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(watched.api.confirm, planned))
    assert [each.result for each in done] == ["executed"] * 3, done


def test_a_witness_that_is_dead_or_does_not_answer(watched: Watched) -> None:
    """Nothing is executed, and it is said who did not answer; the other witness's word is not enough."""
    witness = watched.witnesses[W2]
    witness.kill()
    done = watched.refused(W2, "cannot be reached", "1 of the 2")
    assert f"{W1}:" not in done.message
    witness.start()
    again(watched)
    os.kill(witness.pid, signal.SIGSTOP)
    try:
        watched.refused(W2, "seconds")
    finally:
        os.kill(witness.pid, signal.SIGCONT)
    again(watched)


def test_a_witness_that_dies_once_it_has_written(watched: Watched) -> None:
    """It has seen what nobody was told of: nothing is executed, and the next order is cosigned from there."""
    witness = watched.witnesses[W1]
    witness.kill()
    witness.start("tests.faults.dying_witness")
    watched.refused(W1, "no whole answer")
    assert witness.wait() == -signal.SIGKILL
    witness.start()
    again(watched)


class Liar(http.server.BaseHTTPRequestHandler):
    """Answers as a witness might that is broken or hostile."""

    said: Callable[[bytes], tuple[int, str, bytes]]
    calls: list[bytes]

    def do_POST(self) -> None:
        """Answer one call."""
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).calls.append(asked)
        status, kind, body = type(self).said(asked)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _note(asked: bytes) -> str:
    return asked.decode().partition("\n\n")[2]


def _lies(key: Ed25519PrivateKey) -> dict[str, Callable[[bytes], tuple[int, str, bytes]]]:
    """Return the answers of a witness that lies: `key` is its own."""
    return {
        "a stranger's": lambda asked: (200, "text/plain", cosign(_note(asked), W2, STRANGER, 5).encode()),
        "nothing": lambda _: (200, "text/plain", b""),
        "bytes": lambda _: (200, "text/plain", b"\xff\x00" * 100),
        "of another log": lambda asked: (
            200, "text/plain", cosign(_note(asked).replace("\n", "\n1", 1), W2, key, 5).encode(),
        ),
        "twice": lambda asked: (200, "text/plain", cosign(_note(asked), W2, key, 5).encode() * 2),
        "too much": lambda _: (200, "text/plain", b"x" * (1 << 20)),
        "another size each time": lambda asked: (409, SIZE_TYPE, b"%d\n" % (len(asked) % 5 + 1)),
        "a longer log": lambda _: (409, SIZE_TYPE, b"1000000\n"),
        "no size": lambda _: (409, SIZE_TYPE, b"many\n"),
        "an error": lambda _: (500, "text/html", b"<h1>\x1b[31m</h1>"),
        "what no record can hold": lambda _: (500, "text/plain", "e\u0301\u202e\x1b[31m".encode()),
        "elsewhere": lambda _: (302, "text/plain", b""),
    }  # fmt: skip


class Server(socketserver.ThreadingTCPServer):
    """Serves the liar."""

    allow_reuse_address = True
    daemon_threads = True


def test_a_witness_that_lies(watched: Watched, ports_from: int) -> None:
    """Whatever it answers: nothing is executed, it is named, it is asked twice at most, and nothing fails inside."""
    witness = watched.witnesses[W2]
    witness.kill()
    port = ports_from + OFFSET + 9
    with Server(("127.0.0.1", port), Liar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        watched.say_where({W1: watched.witnesses[W1].place.url, W2: f"http://127.0.0.1:{port}/p"})
        watched.running.restart_control()
        for name, lie in _lies(read_witness(witness.folder).signing.key).items():
            Liar.said, Liar.calls = staticmethod(lie), []
            done = watched.refused(f"{W2}: ")
            assert "Error(" not in done.message, (name, done.message)
            assert 1 <= len(Liar.calls) <= 2, name
        server.shutdown()
    watched.say_where({name: each.place.url for name, each in watched.witnesses.items()})
    witness.start()
    watched.running.restart_control()
    again(watched)


def walk(export: Path, cluster: Path, against: Path) -> tuple[int, str]:
    """Verify as an auditor does, in an empty folder, with these three files and nothing else; return what is said."""
    folder = export.parent / "auditor"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "aerodb", "audit", "verify", str(export), "--cluster", str(cluster)]
    command += ["--against", str(against)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AERODB")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    return done.returncode, done.stdout + done.stderr


def exported(watched: Watched, folder: Path) -> tuple[Path, Path]:
    """Return an auditor's export and the configuration."""
    person = Person(watched.running.layout.profile("auditor"), lambda _: None, colour=False)
    assert person.types("audit", "export", "--output", str(folder / "export.jsonl")).code == 0
    shutil.copy(watched.running.layout.configuration, folder / "cluster.json")
    return folder / "export.jsonl", folder / "cluster.json"


def test_an_auditors_walk(watched: Watched, tmp_path: Path) -> None:
    """An export, the configuration, and what a witness or a node remembers: who vouches for how much of it is told.

    A change of one byte in what is remembered, or another witness's memory of another log, proves nothing.
    """
    again(watched)
    export, cluster = exported(watched, tmp_path)
    key = watched.cluster.log_key
    for name, witness in watched.witnesses.items():
        code, said = walk(export, cluster, witness.memory(key))
        assert (code, f"by {name}, 2" in said) == (0, True), said
        print(said)
    code, said = walk(export, cluster, watched.running.layout.node("n3") / "state" / "checkpoint.json")
    assert (code, *(f"by {name}, 2" in said for name in (W1, W2, watched.node("n3")))) == (0, True, True, True), said
    print(said)
    text = watched.witnesses[W1].memory(key).read_text(encoding="utf-8")
    (tmp_path / "changed").write_text(
        text.replace("\u2014 witness.example/w1 ", "\u2014 witness.example/w2 "), encoding="utf-8"
    )
    assert "by witness.example" not in walk(export, cluster, tmp_path / "changed")[1]
    (tmp_path / "cut").write_text(text[:-20] + "\n", encoding="utf-8")
    assert walk(export, cluster, tmp_path / "cut")[0] == 6


def _order(hostile: Hostile) -> Order:
    return hostile.order(*hostile.plan(hostile.request("stop", "n3")))


def _checkpoint(order: Order) -> str:
    return order.proof.partition("\n\n")[2]


def test_cosignatures_that_are_old_or_borrowed(watched: Watched, tmp_path: Path) -> None:
    """A hostile control plane with every key of its own sends what no witness cosigned: the node refuses, and says so.

    None at all; the old ones that the node itself has seen; a stranger's under a witness's name; one witness's, made in
    time, twice and under the other's name.
    """
    again(watched)
    old = ["\u2014" + line for line in watched.running.impostor.facts("n3").checkpoint.split("\u2014")[2:]]
    assert len(old) == 3
    key = read_witness(watched.witnesses[W1].folder).signing.key
    tries: tuple[Callable[[str], list[str]], ...] = (
        lambda _: [],
        lambda _: old,
        lambda text: [cosign(text, W1, STRANGER, 5), cosign(text, W2, STRANGER, 5)],
        lambda text: [cosign(text, "witness.example/w3", STRANGER, 5), cosign(text, W1, key, 5)],
        lambda text: [cosign(text, W1, key, 5)] * 2,
        lambda text: [cosign(text, W1, key, 5), cosign(text, W1, key, 6)],
        lambda text: [cosign(text, W1, key, 5), cosign(text, W2, key, 5)],
    )
    seen = watched.running.impostor.seen("n3")
    for at, lines in enumerate(tries):
        hostile = Hostile(watched.running, fork=tmp_path / f"copy{at}")
        order = _order(hostile)
        order = replace(order, proof=with_lines(order.proof, lines(_checkpoint(order))))
        outcome = watched.running.impostor.run("n3", order)
        hostile.close()
        assert (outcome.result, outcome.code) == ("not executed", KERNEL), (at, outcome)
        assert watched.running.impostor.seen("n3") == seen
    again(watched)


def test_a_node_without_a_word_of_where_the_witnesses_are(watched: Watched) -> None:
    """The control plane does not know where to ask: nothing is executed, and it says which file should tell."""
    watched.say_where({W1: watched.witnesses[W1].place.url})
    watched.running.restart_control()
    watched.refused(f"{W2}:", "log-witnesses.json")
    watched.say_where({name: witness.place.url for name, witness in watched.witnesses.items()})
    watched.running.restart_control()
    again(watched)


def test_one_fork_for_the_witness_and_another_for_a_node(ground: Ground, tmp_path: Path, ports_from: int) -> None:
    """Whoever has every key of the control plane's cannot show a node what the witnesses have not seen.

    The witnesses are shown a fork; a node is shown another one, with their genuine cosignatures: it refuses. When the
    real log comes to the witnesses they refuse it, nothing is executed, and it is said who has seen another log.
    """
    watched = Watched(ground, tmp_path, ports_from + OFFSET + 20, 1)
    try:
        again(watched)
        running = watched.running
        shown = Hostile(running, fork=tmp_path / "shown")
        first = _order(shown)
        witness = watched.witnesses[W1]
        text = _checkpoint(first)
        known = stated_size(running.impostor.facts("n3").checkpoint)
        answer = witness.bring(addition_bytes(known, shown.log.consistency(known), text))
        assert answer.status == 200, answer
        other = Hostile(running, fork=tmp_path / "other")
        second = _order(other)
        assert stated_size(_checkpoint(second)) == stated_size(text)
        outcome = running.impostor.run("n3", replace(second, proof=with_lines(second.proof, (answer.body.decode(),))))
        assert (outcome.result, outcome.code) == ("not executed", KERNEL), outcome
        assert witness.bring(addition_bytes(stated_size(text), (), _checkpoint(second))).status == 409
        assert witness.memory(watched.cluster.log_key).with_suffix(".another").exists()
        shown.close()
        other.close()
        watched.witnesses[W2].kill()
        done = watched.refused(f"{W1}:", f"{W2}:")
        assert "another" in done.message or "extension" in done.message, done.message
        watched.witnesses[W2].start()
        export, cluster = exported(watched, tmp_path)
        code, said = walk(export, cluster, witness.memory(watched.cluster.log_key))
        assert (code, "ANOTHER LOG" in said or "BEHIND" in said, f"by {W1}, 2" in said) == (6, True, True), said
        print(said)
        watched.api.do("checkpoint", "n1")  # One is demanded, and this one has seen the real log alone.
        assert watched.seen_by("n1") == [W2, watched.node("n1")]
    finally:
        watched.end()
        ground.end()
