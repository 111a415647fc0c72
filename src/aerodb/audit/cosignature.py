"""Cosignatures: what others than the log say of a checkpoint, in the field's own form (cosignature/v1).

- A cosigner says: of all that I was shown of this log, this is the longest, and each extended the one before.
- The time in it is the cosigner's own clock's. It is shown, and nothing is decided by it.
- Who counts is configured: the cluster's log witnesses by their verifier keys, and each of its nodes by the key that it
  signs everything with. Whatever else stands under a checkpoint is ignored.
- The Ed25519 form does not sign the cosigner's name, so no two of them may have one key: the configuration holds that.

Pure: no I/O, no clock; times and keys are passed in. Source: C2SP tlog-cosignature (Ed25519).
"""

from collections.abc import Iterable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import CheckpointForged, Note, check_ed25519, open_checkpoint, read_note, signature_line
from aerodb.protocol.base64text import from_base64
from aerodb.protocol.cluster import Cluster, Member
from aerodb.protocol.vkey import (
    COSIGNATURE,
    VerifierKey,
    VerifierKeyInvalid,
    key_id,
    parse_verifier_key,
    verifier_key,
)

SECONDS_MAX = 2**63 - 1

_TIME_BYTES, _SIGNATURE_BYTES = 8, 64


class Cosignature(msgspec.Struct, frozen=True, kw_only=True):
    """A verified cosignature: whose it is, as its key names it, and when it was made by their clock (POSIX seconds)."""

    name: str
    seconds: int


class Cosigned(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint of `size` records, who of those that are known cosigned it, and how many others signed it too."""

    size: int
    by: tuple[Cosignature, ...]
    others: int


def _message(body: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{body}".encode()


def cosign(text: str, name: str, key: Ed25519PrivateKey, seconds: int) -> str:
    """Return the signature line by which `name` cosigns the checkpoint `text`, as of `seconds` (POSIX).

    Raises:
        CheckpointForged: `text` is no signed note.
    """
    return cosign_body(read_note(text).unverified_body, name, key, seconds)


def cosign_body(body: str, name: str, key: Ed25519PrivateKey, seconds: int) -> str:
    """Return the signature line by which `name` cosigns a checkpoint with this `body`, as of `seconds` (POSIX)."""
    signature = key.sign(_message(body, seconds))
    identity = key_id(name, key.public_key().public_bytes_raw(), COSIGNATURE)
    return signature_line(name, identity, seconds.to_bytes(_TIME_BYTES) + signature)


def cosigned_by(text: str, keys: Iterable[VerifierKey]) -> tuple[Cosignature, ...]:
    """Return whose cosignatures stand under the checkpoint `text`, of those with these `keys`, in the keys' order.

    That the log itself signed it is not looked at.

    Raises:
        CheckpointForged: it is no note, or one that says that it is by one of the keys does not verify, or is there
            twice.
    """
    note = read_note(text)
    found = ((key, note.signature_of(key)) for key in keys)
    return tuple(_verified(note, key, data) for key, data in found if data is not None)


def cosigned(text: str, vkey: str, keys: Iterable[VerifierKey]) -> Cosigned:
    """Return who cosigned the checkpoint `text` of the log with the verifier key `vkey`, of those with these `keys`.

    Raises:
        CheckpointForged: the log did not sign it, or a cosignature by one of the keys is not its own.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    size, by = open_checkpoint(text, vkey).size, cosigned_by(text, keys)
    return Cosigned(size=size, by=by, others=len(read_note(text).signatures) - 1 - len(by))


def _verified(note: Note, key: VerifierKey, data: bytes) -> Cosignature:
    seconds = int.from_bytes(data[:_TIME_BYTES])
    if len(data) != _TIME_BYTES + _SIGNATURE_BYTES or seconds > SECONDS_MAX:
        raise CheckpointForged(f"the cosignature of {key.name!r} is malformed")
    check_ed25519(key, data[_TIME_BYTES:], _message(note.unverified_body, seconds))
    return Cosignature(name=key.name, seconds=seconds)


def node_name(cluster: Cluster, node: str) -> str:
    """Return the name under which a node cosigns."""
    return f"aerodb.node/{cluster.id}/{node}"


def node_key(cluster: Cluster, member: Member) -> VerifierKey | None:
    """Return the key by which a node's cosignatures are verified; None where its name cannot stand in a note."""
    name = node_name(cluster, member.name)
    try:
        public_raw = from_base64(member.public_key)
        return parse_verifier_key(verifier_key(name, public_raw, COSIGNATURE), COSIGNATURE)
    except (VerifierKeyInvalid, ValueError):
        return None


def node_keys(cluster: Cluster) -> tuple[VerifierKey, ...]:
    """Return the keys by which the nodes' cosignatures are verified."""
    found = (node_key(cluster, member) for member in cluster.members)
    return tuple(key for key in found if key is not None)


def with_lines(text: str, lines: Iterable[str]) -> str:
    """Return a checkpoint with more signature lines under it."""
    return text + "".join(lines)


def only_by(text: str, keys: Iterable[VerifierKey]) -> str:
    """Return a checkpoint with the signatures alone that say that they are by `keys`, in the order of these.

    Nothing is verified. So a checkpoint under which these keys alone have signed has one form.

    Raises:
        CheckpointForged: it is no signed note, or one key's signature is there twice.
    """
    note = read_note(text)
    found = ((key, note.signature_of(key)) for key in keys)
    lines = [signature_line(key.name, key.id, data) for key, data in found if data is not None]
    return f"{note.unverified_body}\n{''.join(lines)}"


def cosigners(cluster: Cluster) -> tuple[VerifierKey, ...]:
    """Return the keys of everybody whose cosignatures tell something: the log witnesses, and the nodes."""
    return *cluster.log_witnesses, *node_keys(cluster)


def cosigners_of(clusters: Iterable[Cluster], more: Iterable[VerifierKey] = ()) -> tuple[VerifierKey, ...]:
    """Return the keys of everybody whose cosignatures tell something under one of these configurations, and `more`."""
    named = [key for cluster in clusters for key in cosigners(cluster)]
    return tuple(dict.fromkeys((*named, *more)))


def known_keys(cluster: Cluster) -> tuple[VerifierKey, ...]:
    """Return the keys of everybody who signs checkpoints: the log, and who cosigns."""
    return parse_verifier_key(cluster.log_key), *cosigners(cluster)


def bare(text: str, vkey: str) -> str:
    """Return a checkpoint of the log with the verifier key `vkey` as the log itself signed it.

    Raises:
        CheckpointForged: it is not one.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    open_checkpoint(text, vkey)
    return only_by(text, (parse_verifier_key(vkey),))
