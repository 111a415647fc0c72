"""A log witness against logs that lie, callers that jam it, crashes, and hands on its memory: it only ever goes on."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aerodb.audit.adding import ADDITION_BYTES_MAX, SIZE_TYPE
from aerodb.audit.cosignature import cosigned_by, with_lines
from aerodb.audit.note import open_checkpoint, signature_line
from aerodb.audit.tree import root_of
from aerodb.errors import AeroError
from aerodb.logwitness.errors import LogUnknown, LogUnsigned, SeenOther, WitnessAlone
from aerodb.logwitness.folder import add_log, give_up
from aerodb.protocol.marks import Mark, mark_of
from aerodb.protocol.vkey import COSIGNATURE, parse_verifier_key
from aerodb.transport.certificates import Authority
from aerodb.transport.outside import ServicePlace
from tests.faults.witnessing import SomeLog, WitnessProcess, garbage

OFFSET = 900
"""Where the ports of these tests begin, above those of a cluster."""
LOG, OTHER = SomeLog(), SomeLog("aerodb.log/other", 2)


@pytest.fixture
def made(tmp_path: Path, ports_from: int) -> Iterator[WitnessProcess]:
    """Return a log witness that watches two logs, and does not run."""
    witness = WitnessProcess(tmp_path / "w1", ports_from + OFFSET, logs=(LOG.vkey, OTHER.vkey))
    yield witness
    witness.kill()


@pytest.fixture
def witness(made: WitnessProcess) -> WitnessProcess:
    """Return the same, running."""
    made.start()
    return made


def remembered(witness: WitnessProcess, log: SomeLog = LOG) -> int:
    """Return the size that the witness remembers on its disk, by the log's own signature and the witness's."""
    text = witness.memory(log.vkey).read_text(encoding="utf-8")
    assert len(cosigned_by(text, (parse_verifier_key(witness.vkey, COSIGNATURE),))) == 1
    return open_checkpoint(text, log.vkey).size


def test_it_goes_on_with_each_log_by_itself(witness: WitnessProcess) -> None:
    """Each log from its own last checkpoint, the same one again too; and after an end and a start it knows it still."""
    assert witness.cosigns(LOG, 0, 5)
    assert witness.cosigns(LOG, 5, 9)
    assert witness.cosigns(LOG, 9, 9)
    assert witness.cosigns(OTHER, 0, 3)
    assert (remembered(witness), remembered(witness, OTHER)) == (9, 3)
    os.kill(witness.pid, signal.SIGTERM)
    assert witness.wait() == 0
    witness.start()
    assert not witness.cosigns(LOG, 0, 9)
    assert witness.cosigns(LOG, 9, 10)


def test_its_answers_are_those_of_the_specification(witness: WitnessProcess) -> None:
    """Each refusal has its status; a wrong old size is told the right one, in the type and form of the protocol."""
    assert witness.cosigns(LOG, 0, 5)
    for old in (0, 3, 6):
        answer = witness.bring(LOG.addition(old, 7))
        assert (answer.status, answer.type, answer.body) == (409, SIZE_TYPE, b"5\n")
    assert witness.bring(LOG.addition(5, 5, fork=2)).status == 409
    assert witness.bring(LOG.addition(5, 7, fork=2)).status == 422
    assert witness.bring(LOG.addition(4, 7, old_said=5)).status == 422
    assert witness.bring(LOG.addition(5, 7).replace(b"\n\n", f"\n{garbage(32)}\n\n".encode(), 1)).status == 422
    assert witness.bring(LOG.addition(5, 7, old_said=8)).status == 400
    assert witness.bring(SomeLog("aerodb.log/unknown").addition(0, 7)).status == 404
    assert witness.bring(SomeLog(LOG.origin, 3).addition(5, 7)).status == 403
    assert witness.cosigns(LOG, 5, 7)
    assert remembered(witness) == 7


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\xff\xfe",
        lambda data: data.replace(b"old 0", b"old 00"),
        lambda data: data.replace(b"old 0", b"old -1"),
        lambda data: data.replace(b"old 0", b"old  0"),
        lambda data: data.replace(b"old 0\n", b""),
        lambda data: data.replace(b"\n\n", b"\n", 1),
        lambda data: data.replace(b"old 0\n", f"old 0\n{garbage(31)}\n".encode()),
        lambda data: data.replace(b"old 0\n", b"old 0\n?\n"),
        lambda data: data.replace(b"old 0\n", b"old 0\n" + f"{garbage(32)}\n".encode() * 64),
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data.replace(b"\n5\n", b"\n05\n"),
    ],
)
def test_what_is_malformed_is_refused_as_that(witness: WitnessProcess, change: Callable[[bytes], bytes]) -> None:
    """400, with a stable code; nothing is remembered of it."""
    answer = witness.bring(change(LOG.addition(0, 5)))
    assert answer.status == 400
    assert b"input.addition-malformed" in answer.body
    assert witness.cosigns(LOG, 0, 5)


def test_signatures_by_others_beside_the_log_s(witness: WitnessProcess) -> None:
    """They are ignored, and not remembered; a checkpoint with ever so many of them is too large."""
    more = [signature_line(f"w{each}", bytes(4), bytes(4_000)) for each in range(16)]
    assert witness.bring(LOG.addition(0, 5) + "".join(more).encode()).status == 200
    assert witness.memory(LOG.vkey).read_text(encoding="utf-8").count("\u2014 ") == 2
    assert witness.bring(LOG.addition(5, 6) + b"x" * ADDITION_BYTES_MAX).status == 413


def test_a_log_that_signed_two_logs_is_kept_as_proof(witness: WitnessProcess) -> None:
    """The first other note of the same size stays in the witness's memory, as the log's own key signed it."""
    assert witness.cosigns(LOG, 0, 5)
    assert witness.bring(LOG.addition(5, 5, fork=2)).status == 409
    kept = witness.memory(LOG.vkey).with_suffix(".another").read_text(encoding="utf-8")
    assert open_checkpoint(kept, LOG.vkey) == open_checkpoint(LOG.checkpoint(5, 2), LOG.vkey)
    assert remembered(witness) == 5


def test_many_at_once(witness: WitnessProcess) -> None:
    """Of two logs that both extend what it saw, brought at once and ever again, it cosigns one."""
    assert witness.cosigns(LOG, 0, 2)
    with ThreadPoolExecutor(7) as pool:  # One caller has eight calls at once, and one more comes from here.
        brought = [pool.submit(witness.cosigns, LOG, 2, 3 + each % 4, 2 if each % 2 else None) for each in range(24)]
        assert witness.cosigns(OTHER, 0, 1)
    cosigned = [each % 2 for each, found in enumerate(brought) if found.result()]
    assert len(cosigned) == 1
    assert open_checkpoint(witness.memory(LOG.vkey).read_text(encoding="utf-8"), LOG.vkey).size > 2


def test_two_of_one_folder(witness: WitnessProcess) -> None:
    """A second process on the same memory does not run, nor is a log added under a running one."""
    assert "control.log-witness-running" in witness.fails_to_start()
    with pytest.raises(AeroError) as error:
        add_log(witness.folder, SomeLog("aerodb.log/third", 4).vkey)
    assert error.value.code == "control.log-witness-running"


def test_killed_between_writing_and_answering(made: WitnessProcess) -> None:
    """What it wrote it has seen, though nobody was told: started anew it goes on from there, and cosigns no fork."""
    made.start()
    assert made.cosigns(LOG, 0, 5)
    made.kill()
    made.start("tests.faults.dying_witness")
    with pytest.raises(AeroError) as error:
        made.bring(LOG.addition(5, 8))
    assert (error.value.code, error.value.executed) == ("transport.interrupted", "unknown")
    assert made.wait() == -signal.SIGKILL
    assert remembered(made) == 8
    made.start()
    answer = made.bring(LOG.addition(5, 7, fork=6))
    assert (answer.status, answer.body) == (409, b"8\n")
    assert made.bring(LOG.addition(8, 8, fork=6)).status == 409
    assert made.cosigns(LOG, 8, 9)


def _kill_after(begun: threading.Event, witness: WitnessProcess) -> None:
    begun.wait()
    witness.kill()


def test_killed_ever_again_while_it_is_brought_checkpoints(made: WitnessProcess) -> None:
    """Whenever it dies, what it has cosigned it still knows: no cosignature is ever ahead of its memory."""
    told = 0
    for _ in range(6):
        made.start()
        begun = threading.Event()
        killer = threading.Thread(target=_kill_after, args=(begun, made))
        killer.start()
        known = remembered(made) if told else 0
        while True:
            try:
                assert made.cosigns(LOG, known, known + 1)
            except AeroError:
                break
            told = known = known + 1
            begun.set()
        killer.join()
        assert remembered(made) >= told


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"\n5\n", b"\n4\n")),
        lambda path: path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n\n"),
        lambda path: path.write_text(LOG.checkpoint(5), encoding="utf-8"),
        lambda path: shutil.copy(path.parent / "other", path),
    ],
)
def test_a_damaged_memory(made: WitnessProcess, damage: Callable[[Path], object]) -> None:
    """Missing, empty, cut off, changed, not its own, or another log's: it does not run, and never begins anew."""
    made.start()
    assert made.cosigns(LOG, 0, 5)
    assert made.cosigns(OTHER, 0, 7)
    made.kill()
    path = made.memory(LOG.vkey)
    shutil.copy(made.memory(OTHER.vkey), path.parent / "other")
    damage(path)
    said = made.fails_to_start()
    assert "control.log-witness-memory" in said
    assert str(path) in said
    assert "anew" in said
    with pytest.raises(AeroError) as error:
        add_log(made.folder, LOG.vkey)
    assert error.value.code == "input.log-witness-log-known"


def test_a_memory_that_is_changed_under_it(witness: WitnessProcess) -> None:
    """An older memory put back while it runs: it cosigns nothing any more, and says so."""
    assert witness.cosigns(LOG, 0, 3)
    older = witness.memory(LOG.vkey).read_bytes()
    assert witness.cosigns(LOG, 3, 5)
    witness.memory(LOG.vkey).write_bytes(older)
    for old, size in ((5, 6), (5, 5)):
        answer = witness.bring(LOG.addition(old, size))
        assert answer.status == 500
        assert b"control.log-witness-memory" in answer.body


def test_no_more_can_be_written(witness: WitnessProcess) -> None:
    """Where what it saw cannot be written it cosigns nothing, and with room again it goes on from what it knew."""
    assert witness.cosigns(LOG, 0, 5)
    most = resource.prlimit(witness.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(witness.pid, resource.RLIMIT_FSIZE, (64, most))
    answer = witness.bring(LOG.addition(5, 8))
    assert answer.status == 507
    assert b"control.log-witness-full" in answer.body
    assert remembered(witness) == 5
    resource.prlimit(witness.pid, resource.RLIMIT_FSIZE, (most, most))
    assert witness.cosigns(LOG, 5, 7, fork=6)
    assert not witness.cosigns(LOG, 7, 8)


def test_a_full_disk(made: WitnessProcess) -> None:
    """The same on a file system with no room at all, from which nothing can be told but what was there."""
    memory = made.folder / "memory"
    aside = made.folder / "aside"
    shutil.copytree(memory, aside)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "aerodb-test", str(memory)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        for path in aside.iterdir():
            shutil.copy2(path, memory)
        made.start()
        assert made.cosigns(LOG, 0, 5)
        with pytest.raises(OSError, match="space"):
            (memory / "filler").write_bytes(bytes(1 << 20))
        assert made.bring(LOG.addition(5, 8)).status == 507
        assert remembered(made) == 5
        (memory / "filler").unlink()
        assert made.cosigns(LOG, 5, 8)
    finally:
        made.kill()
        subprocess.run(["umount", str(memory)], check=True)


def test_callers_who_jam_it(witness: WitnessProcess) -> None:
    """Hundreds of connections that say nothing, and bodies that never end: a log is answered all the same."""
    address = ("127.0.0.1", int(witness.place.url.rpartition(":")[2]))
    with ThreadPoolExecutor(1) as pool:
        idle = [socket.create_connection(address) for _ in range(200)]
        slow = [socket.create_connection(address) for _ in range(40)]
        for each in slow:
            each.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        assert pool.submit(witness.cosigns, LOG, 0, 5).result(60)
        for each in (*idle, *slow):
            each.close()


def test_what_the_commands_say(tmp_path: Path) -> None:
    """It is made, and told of a log, by commands that need neither a cluster nor a profile; each once."""
    folder = tmp_path / "w"

    def run(*arguments: str | Path) -> tuple[int, str]:
        command = [sys.executable, "-m", "aerodb", "witness-log", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    code, said = run("init", "--folder", folder, "--name", "witness.example/w1")
    assert (code, parse_verifier_key(said.strip(), COSIGNATURE).name) == (0, "witness.example/w1")
    assert run("add", "--folder", folder, "--log", LOG.vkey)[0] == 0
    assert "input.log-witness-log-known" in run("add", "--folder", folder, "--log", LOG.vkey)[1]
    assert "input.log-witness-log-known" in run("add", "--folder", folder, "--log", SomeLog(LOG.origin, 9).vkey)[1]
    assert "control.log-witness-folder" in run("init", "--folder", folder, "--name", "x")[1]
    assert "input.verifier-key-invalid" in run("init", "--folder", tmp_path / "v", "--name", "a b")[1]
    assert "input.verifier-key-invalid" in run("add", "--folder", folder, "--log", "x")[1]
    assert "control.log-witness-folder" in run("run", "--folder", tmp_path / "none", "--listen", "127.0.0.1:1")[1]
    assert [path.stat().st_mode & 0o077 for path in folder.rglob("*")] == [0] * len(list(folder.rglob("*")))


def _mark(size: int) -> Mark:
    return mark_of(size, root_of(LOG.leaves(size, None)))


def test_a_restored_log_is_taken_by_name_and_in_no_other_way(made: WitnessProcess) -> None:
    """What it cosigned is given up by who has its folder, named as it is remembered, and kept; then it only grows."""
    made.start()
    assert made.cosigns(LOG, 0, 9)
    with pytest.raises(WitnessAlone):
        give_up(made.folder, _mark(9), LOG.checkpoint(5))
    made.kill()
    for wrong, checkpoint, error in (
        (_mark(8), LOG.checkpoint(5), SeenOther),
        (_mark(9), SomeLog(LOG.origin, 9).checkpoint(5), LogUnsigned),
        (_mark(9), SomeLog("aerodb.log/third").checkpoint(5), LogUnknown),
        (_mark(9), "no checkpoint", LogUnsigned),
    ):
        with pytest.raises(error):
            give_up(made.folder, wrong, checkpoint)
        assert remembered(made) == 9
    kept = give_up(made.folder, _mark(9), LOG.checkpoint(5))
    assert open_checkpoint(kept.read_text(encoding="utf-8"), LOG.vkey).size == 9
    assert remembered(made) == 5
    made.start()
    assert not made.cosigns(LOG, 4, 6)
    assert made.cosigns(LOG, 5, 7)


def test_a_cosignature_that_is_brought_back_is_of_that_checkpoint_alone(witness: WitnessProcess) -> None:
    """The answer verifies under the checkpoint that was brought, by the witness's key, and under no other."""
    answer = witness.bring(LOG.addition(0, 5))
    key = parse_verifier_key(witness.vkey, COSIGNATURE)
    assert cosigned_by(with_lines(LOG.checkpoint(5), (answer.body.decode(),)), (key,))
    with pytest.raises(AeroError):
        cosigned_by(with_lines(LOG.checkpoint(6), (answer.body.decode(),)), (key,))


def test_its_files_are_private_and_its_key_is_told_to_nobody(made: WitnessProcess) -> None:
    """Whatever umask it was started with; and after a crash its memory is written nowhere."""
    before = os.umask(0)
    try:
        made.start()
        assert made.cosigns(LOG, 0, 5)
        answers = [made.bring(each).body for each in (b"", LOG.addition(0, 7), LOG.addition(5, 7, fork=2))]
        made.bring(LOG.addition(5, 5, fork=2))
    finally:
        os.umask(before)
    assert [path for path in made.folder.rglob("*") if path.stat().st_mode & 0o077] == []
    assert resource.prlimit(made.pid, resource.RLIMIT_CORE)[0] == 0
    key = (made.folder / "witness.key").read_bytes().splitlines()[1]
    command = Path(f"/proc/{made.pid}/cmdline").read_bytes()
    assert all(key not in said for said in (*answers, made.said.read_bytes(), command))


def test_over_tls(made: WitnessProcess) -> None:
    """With a certificate in its folder it speaks TLS and nothing else; who names its authority is answered."""
    Authority("witness").issue(made.folder, "localhost", "agent")
    made.start()
    plain = made.place
    made.place = ServicePlace(
        url=plain.url.replace("http://127.0.0.1", "https://localhost"), ca=str(made.folder / "ca.crt")
    )
    assert made.cosigns(LOG, 0, 5)
    made.place = plain
    with pytest.raises(AeroError):
        made.bring(LOG.addition(5, 6))
    assert remembered(made) == 5
