"""A log witness's folder: its name, its key, the logs that it watches, and what it remembers of each.

witness.json     the witness's name, and the verifier keys of the logs that it watches
witness.key      its private key, for its owner alone
memory/          one file per log: the newest checkpoint that it cosigned, a signed note for auditors of the log
tls.crt tls.key  its certificate, if it answers over TLS

A person adds a log, once; its memory is made then, and never again. Only a person can make the witness give up what it
remembers, by naming it; it is kept aside.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import CheckpointForged, checkpoint_of, open_checkpoint, read_note
from aerodb.errors import AeroError
from aerodb.kernel.durable import sync_folder, write_durably
from aerodb.logwitness.errors import (
    LogUnknown,
    LogUnsigned,
    LogWatched,
    MemoryBroken,
    SeenOther,
    WitnessAlone,
    WitnessBroken,
)
from aerodb.logwitness.memory import Memory, Signing, nothing_yet, path_of, read_memory
from aerodb.protocol import canonical
from aerodb.protocol.formats import Format, MadeLater
from aerodb.protocol.marks import Mark, mark_of
from aerodb.protocol.vkey import parse_verifier_key

FILE, KEY, MEMORY, LOCK = "witness.json", "witness.key", "memory", "witness.lock"


class WitnessFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """witness.json: the witness's name, and the verifier keys of the logs that it watches."""

    FORMAT: ClassVar[Format] = Format(kind="log witness file")

    logs: tuple[str, ...]
    name: str


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a log witness's folder."""

    folder: Path
    file: WitnessFile
    signing: Signing

    def memories(self) -> dict[str, Memory]:
        """Return what the witness remembers of each log, by the log's name.

        Raises:
            MemoryBroken: the memory of one is missing or damaged.
        """
        return {
            parse_verifier_key(vkey).name: Memory(path_of(self.folder / MEMORY, vkey), vkey, self.signing)
            for vkey in self.file.logs
        }


def make_witness(folder: Path, name: str) -> Witness:
    """Make the folder of a new log witness, which watches no log yet.

    Raises:
        VerifierKeyInvalid: `name` cannot stand in a verifier key.
        WitnessBroken: the folder is not empty, or the disk refused.
    """
    signing = Signing(name=name, key=Ed25519PrivateKey.generate())
    file = WitnessFile(logs=(), name=signing.verifier.name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise WitnessBroken(f"{folder} is not empty")
        (folder / MEMORY).mkdir(mode=0o700)
        pem = signing.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_durably(folder / KEY, pem)
        write_durably(folder / FILE, canonical.encode(file))
    except OSError as error:
        raise WitnessBroken(f"{folder} cannot be written: {error.strerror}") from error
    return Witness(folder=folder, file=file, signing=signing)


def read_witness(folder: Path) -> Witness:
    """Read a log witness's folder.

    Raises:
        WitnessBroken: a part is missing or damaged.
    """
    try:
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
        file = canonical.decode((folder / FILE).read_bytes(), WitnessFile)
        if not isinstance(key, Ed25519PrivateKey):
            raise WitnessBroken(f"{folder / KEY} is not an Ed25519 key")
        return Witness(folder=folder, file=file, signing=Signing(name=file.name, key=key))
    except MadeLater:
        raise
    except (OSError, ValueError, AeroError) as error:
        raise WitnessBroken(f"{folder} is not a log witness's folder: {error}") from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock a log witness's folder for this process; the operating system unlocks it when the process ends.

    Raises:
        WitnessAlone: another process holds it.
        WitnessBroken: it cannot be locked.
    """
    try:
        held = os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WitnessBroken(f"{folder} is not a log witness's folder: {error.strerror}") from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WitnessAlone(f"another process is at work on {folder}; end it first") from error
        yield
    finally:
        os.close(held)


def add_log(folder: Path, vkey: str) -> None:
    """Make the log witness in `folder` watch the log with the verifier key `vkey` from now on.

    Raises:
        VerifierKeyInvalid: `vkey` is malformed.
        LogWatched: it already watches a log of that name.
        MemoryBroken: it remembers that log although it does not watch it: a person must decide.
        WitnessBroken, WitnessAlone: the folder is not a witness's, or is in use; or the disk refused.
    """
    name = parse_verifier_key(vkey).name
    with alone_in(folder):
        witness = read_witness(folder)
        if any(parse_verifier_key(each).name == name for each in witness.file.logs):
            raise LogWatched(f"{witness.file.name} watches the log {name} already")
        path = path_of(folder / MEMORY, vkey)
        if path.exists() and read_memory(path.read_text(encoding="utf-8"), vkey, witness.signing).size:
            raise MemoryBroken(f"{path} remembers the log {name}: it is not made anew")
        try:
            write_durably(path, nothing_yet(vkey, witness.signing).encode())
            sync_folder(path.parent)
            file = msgspec.structs.replace(witness.file, logs=(*witness.file.logs, vkey))
            write_durably(folder / FILE, canonical.encode(file))
        except OSError as error:
            raise WitnessBroken(f"{folder} cannot be written: {error.strerror}") from error


def give_up(folder: Path, seen: Mark, checkpoint: str) -> Path:
    """Make the log witness in `folder` give up what it cosigned of a log, and go on from a restored checkpoint.

    `seen` names what is given up, exactly as it is remembered; `checkpoint` is the log's signed one to go on from.
    Return the path at which the given-up memory is kept.

    Raises:
        LogUnknown, LogUnsigned: the checkpoint is of a log that is not watched, or the log's key did not sign it.
        SeenOther: the witness has cosigned something else than `seen`.
        MemoryBroken, WitnessBroken: its memory or its folder is damaged, or the disk refused.
        WitnessAlone: the witness is running.
        MemoryFull: the new memory cannot be written.
    """
    with alone_in(folder):
        witness = read_witness(folder)
        vkey = _watched(witness, checkpoint)
        try:
            new = open_checkpoint(checkpoint, vkey)
        except CheckpointForged as error:
            raise LogUnsigned(error.message) from error
        path = path_of(folder / MEMORY, vkey)
        memory = Memory(path, vkey, witness.signing)
        known = mark_of(memory.known.size, memory.known.root)
        if known != seen:
            raise SeenOther(f"{witness.file.name} has cosigned {known} of {new.origin}, and {seen} is named")
        kept = path.with_suffix(f".given-up-{known.size}-{known.root_bytes.hex()[:8]}")
        try:
            write_durably(kept, path.read_bytes())
        except OSError as error:
            raise WitnessBroken(f"{folder} cannot be written: {error.strerror}") from error
        memory.take(checkpoint)
        return kept


def _watched(witness: Witness, checkpoint: str) -> str:
    """Return the verifier key of the log that a checkpoint names; nothing is verified."""
    try:
        origin = checkpoint_of(read_note(checkpoint)).origin
    except CheckpointForged as error:
        raise LogUnsigned(error.message) from error
    found = next((each for each in witness.file.logs if parse_verifier_key(each).name == origin), None)
    if found is None:
        raise LogUnknown(f"{witness.file.name} watches no log of the name {origin}")
    return found
