"""A log witness as a process of its own, and whoever brings checkpoints to it."""

import base64
import http.client
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.adding import PATH, addition_bytes
from aerodb.audit.cosignature import cosigned_by, with_lines
from aerodb.audit.note import sign_checkpoint, verifier_key
from aerodb.audit.tree import consistency_path, hashes_of, leaf_hash, root_of
from aerodb.logwitness.folder import add_log, make_witness
from aerodb.logwitness.memory import path_of
from aerodb.protocol.vkey import COSIGNATURE, parse_verifier_key
from aerodb.transport.outside import Answer, ServicePlace, post_outside
from tests.faults.waiting import wait_until

ROOT = Path(__file__).parents[2]


class SomeLog:
    """A log that signs whatever it is told to: its records, and the same ones forked."""

    def __init__(self, origin: str = "aerodb.log/some", seed: int = 1) -> None:
        """Draw nothing: the key is known."""
        self.origin, self._key = origin, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.vkey = verifier_key(origin, self._key.public_key().public_bytes_raw())

    def leaves(self, size: int, fork: int | None) -> list[bytes]:
        """Return the leaves of the log; from the record `fork` on it is another one."""
        return [leaf_hash(b"%d%s" % (at, b"x" if fork is not None and at >= fork else b"")) for at in range(size)]

    def checkpoint(self, size: int, fork: int | None = None) -> str:
        """Return its signed checkpoint."""
        return sign_checkpoint(self.origin, size, root_of(self.leaves(size, fork)), self._key)

    def addition(self, old: int, size: int, fork: int | None = None, *, old_said: int | None = None) -> bytes:
        """Return the text that asks a witness that knows `old` records to cosign `size`."""
        path = consistency_path(hashes_of(self.leaves(size, fork)), old, size)
        return addition_bytes(old if old_said is None else old_said, path, self.checkpoint(size, fork))


class WitnessProcess:
    """A log witness in a folder, on a port of its own."""

    def __init__(self, folder: Path, port: int, name: str = "witness.example/w1", logs: Iterable[str] = ()) -> None:
        """Make its folder, and have it watch these logs; start nothing."""
        self.folder, self.name = folder, name
        self.vkey = make_witness(folder, name).signing.vkey
        for vkey in logs:
            add_log(folder, vkey)
        self.place = ServicePlace(url=f"http://127.0.0.1:{port}")
        self.said = folder.with_name(f"{folder.name}.log")
        self._address = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def memory(self, vkey: str) -> Path:
        """Return the file in which it remembers a log."""
        return path_of(self.folder / "memory", vkey)

    def start(self, module: str = "aerodb", *more: str) -> None:
        """Start it, or in its place another `module`, and return once it listens."""
        assert not self.listens, f"somebody else listens at {self._address}"
        command = [sys.executable, "-m", module, "witness-log", "run", "--folder", str(self.folder)]
        with self.said.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--listen", self._address, *more],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=ROOT,
            )  # fmt: skip
        wait_until(lambda: self.listens or self.ended)
        assert self.listens, self.said.read_text(encoding="utf-8")[-2000:]

    def fails_to_start(self) -> str:
        """Start it, show that it ends by itself, and return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "aerodb", "witness-log", "run", "--folder", self.folder, "--listen", self._address],
            capture_output=True, text=True, check=False, timeout=60, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 1, done
        return done.stdout + done.stderr

    @property
    def ended(self) -> bool:
        """Tell whether its process is gone."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        """Return its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def listens(self) -> bool:
        """Tell whether it accepts connections."""
        connection = http.client.HTTPConnection(self._address, timeout=5)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def wait(self) -> int:
        """Return how its process ended."""
        assert self._process is not None
        return self._process.wait(60)

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def bring(self, data: bytes) -> Answer:
        """Bring it a checkpoint."""
        return post_outside(self.place, PATH, data, 30)

    def cosigns(self, log: SomeLog, old: int, size: int, fork: int | None = None) -> bool:
        """Bring it a checkpoint; tell whether it answers with its own cosignature of that one."""
        answer = self.bring(log.addition(old, size, fork))
        if answer.status != 200:
            return False
        key = parse_verifier_key(self.vkey, COSIGNATURE)
        text = with_lines(log.checkpoint(size, fork), (answer.body.decode(),))
        return [each.name for each in cosigned_by(text, (key,))] == [self.name]


def garbage(size: int) -> str:
    """Return a line that is a hash's base64, of zeros."""
    return base64.b64encode(bytes(size)).decode()
