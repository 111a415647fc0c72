"""A log witness's memory of one log: the newest checkpoint that it cosigned, as a signed note.

- It is on disk before a cosignature is given: a witness that dies in between remembers more than it said, never less.
- The size only grows, unless a person gives it up. One call at a time reads, judges and writes.
- A memory is accepted only with the witness's own cosignature and the log's signature; an empty memory is cosigned too.
  So one that is missing, cut off or changed is an error, never a fresh start.
- Nobody else may write it while the witness runs: the file must be what the witness wrote last.
- If a log signed two logs of one size, the first note that proves it is kept.
"""

import base64
import threading
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.adding import Addition
from aerodb.audit.cosignature import bare, cosign_body, cosigned_by, with_lines
from aerodb.audit.note import Checkpoint, CheckpointForged, checkpoint_of, open_checkpoint, read_note
from aerodb.audit.tree import EMPTY_ROOT
from aerodb.kernel.durable import write_durably
from aerodb.logs import say
from aerodb.logwitness.errors import LogAnother, MemoryBroken, MemoryFull
from aerodb.logwitness.judging import judged
from aerodb.protocol.vkey import COSIGNATURE, VerifierKey, parse_verifier_key, verifier_key


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """Who cosigns: a witness's name and key."""

    name: str
    key: Ed25519PrivateKey

    @property
    def vkey(self) -> str:
        """Return the verifier key by which a cluster's configuration names the witness.

        Raises:
            VerifierKeyInvalid: the name is not allowed in one.
        """
        return verifier_key(self.name, self.key.public_key().public_bytes_raw(), COSIGNATURE)

    @property
    def verifier(self) -> VerifierKey:
        """Return the verifier key, parsed."""
        return parse_verifier_key(self.vkey, COSIGNATURE)

    def cosigns(self, body: str) -> str:
        """Return the witness's cosignature line, with the time now, for a checkpoint with this body."""
        return cosign_body(body, self.name, self.key, int(time.time()))


def path_of(folder: Path, vkey: str) -> Path:
    """Return the path of the memory of the log with the verifier key `vkey`."""
    return folder / f"{sha256(parse_verifier_key(vkey).name.encode()).hexdigest()[:32]}.checkpoint"


def nothing_yet(vkey: str, signing: Signing) -> str:
    """Return the memory of a log of which nothing was cosigned yet."""
    body = f"{parse_verifier_key(vkey).name}\n0\n{base64.b64encode(EMPTY_ROOT).decode()}\n"
    return f"{body}\n{signing.cosigns(body)}"


def read_memory(text: str, vkey: str, signing: Signing) -> Checkpoint:
    """Return the checkpoint in a witness's memory of the log with the verifier key `vkey`.

    Raises:
        MemoryBroken: it is not what the witness wrote.
    """
    try:
        if len(cosigned_by(text, (signing.verifier,))) != 1:
            raise MemoryBroken("the witness's own cosignature is missing")
        found = checkpoint_of(read_note(text))
        if found.origin != parse_verifier_key(vkey).name:
            raise MemoryBroken(f"it is of the log {found.origin}")
        return open_checkpoint(text, vkey) if found.size else found
    except CheckpointForged as error:
        raise MemoryBroken(error.message) from error


class Memory:
    """The memory of one log, in one file. Safe to use from several threads, in one process."""

    def __init__(self, path: Path, vkey: str, signing: Signing) -> None:
        """Read the file.

        Raises:
            MemoryBroken: it is missing, damaged, or not this witness's.
        """
        self._path, self._vkey, self._signing = path, vkey, signing
        self._lock = threading.Lock()
        self._text = self._on_disk()
        self.known = self._read()

    def _on_disk(self) -> str:
        try:
            return self._path.read_bytes().decode(errors="replace")
        except OSError as error:
            raise MemoryBroken(
                f"{self._path} cannot be read: {error.strerror}. The witness does not begin anew by itself: put back "
                "what was there last, or have people decide that it forgets this log (docs/operating.md)"
            ) from error

    def _read(self) -> Checkpoint:
        try:
            return read_memory(self._text, self._vkey, self._signing)
        except MemoryBroken as error:
            raise MemoryBroken(
                f"{self._path} is not what this witness wrote last: {error.message}. It does not begin anew by itself"
            ) from error

    def cosigned(self, addition: Addition) -> str:
        """Remember a log's checkpoint durably, and return the witness's cosignature line.

        Raises:
            LogUnsigned, AdditionMalformed, SizeDiffers, LogAnother, Unproven: it must not be cosigned.
            MemoryBroken: somebody else has written the memory.
            MemoryFull: it cannot be written; nothing is cosigned.
        """
        with self._lock:
            try:
                new = judged(self.known, addition, self._vkey)
            except LogAnother:
                self._keep(addition.unverified_checkpoint)
                raise
            if self._on_disk() != self._text:
                raise MemoryBroken(f"{self._path} is not what this witness wrote last: somebody else has written it")
            line = self._signing.cosigns(read_note(addition.unverified_checkpoint).unverified_body)
            if new.size > self.known.size:
                self._write(with_lines(bare(addition.unverified_checkpoint, self._vkey), (line,)))
                say("checkpoint cosigned", origin=new.origin, size=new.size)
            return line

    def take(self, checkpoint: str) -> None:
        """Remember a checkpoint of the log's in place of the cosigned one, which a person gave up.

        Raises:
            MemoryFull: writing failed; the memory is whichever of the two is on disk.
        """
        with self._lock:
            line = self._signing.cosigns(read_note(checkpoint).unverified_body)
            self._write(with_lines(bare(checkpoint, self._vkey), (line,)))

    def _write(self, text: str) -> None:
        try:
            write_durably(self._path, text.encode())
        except OSError as error:
            self._text = self._on_disk()  # Either the old or the new: the rename may have succeeded.
            self.known = self._read()
            raise MemoryFull(f"{self._path} cannot be written: {error.strerror}; nothing was cosigned") from error
        self._text = text
        self.known = self._read()

    def _keep(self, checkpoint: str) -> None:
        """Keep the first note that proves that the log signed two logs; if it cannot be kept, go on without it."""
        say("the log signed two logs", origin=self.known.origin, size=self.known.size)
        path = self._path.with_suffix(".another")
        with suppress(OSError):
            if not path.exists():
                write_durably(path, bare(checkpoint, self._vkey).encode())
