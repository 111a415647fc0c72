"""The commands that make or replace keys and certificates: what each does, in its order, and what it then says.

A person's part is given: how words are compared, and how a passphrase is asked for.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from aerodb.local.admitting import Admitting, opened_hosts, opened_operators, refuse_taken
from aerodb.local.certifying import (
    HolderKind,
    balancer_lines,
    issue,
    issue_balancer,
    issued_lines,
    renew,
    renewed_line,
)
from aerodb.local.joining import JoinAsked, complete, join, opened
from aerodb.local.protecting import protect, protected_lines
from aerodb.local.renewing import ask, asked_lines, give, given_lines, put, put_lines, wanted, wanted_lines
from aerodb.local.replacing import renew_authority, renewed_lines
from aerodb.local.replacing import replace_authority as replace
from aerodb.local.told import admission_lines, admitted_lines, asking_lines, completed_lines, joined_lines
from aerodb.transport.passphrase import PassphraseAsked

WordsCompared = Callable[[list[str], str], bool]
"""Shows a person lines, and tells whether they then typed the cluster's name."""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def issue_certificate(folder: Path, name: str, role: str, line: str, passphrase: PassphraseAsked) -> int:
    """Make the profile of a person of the cluster in `folder`, and say how they are enrolled."""
    for said in issued_lines(issue(folder, name, role, line, passphrase), name):
        _say(said)
    return 0


def issue_balancer_certificate(folder: Path, name: str, passphrase: PassphraseAsked) -> int:
    """Make the folder of a load balancer of the cluster in `folder`, and say what it is for."""
    for said in balancer_lines(*issue_balancer(folder, name, passphrase)):
        _say(said)
    return 0


Renewable = HolderKind | Literal["authority"]


def renew_certificate(folder: Path, name: str, kind: Renewable, passphrase: PassphraseAsked) -> int:
    """Renew a certificate of the cluster in `folder`, and say until when it is good."""
    if kind == "authority":
        for said in renewed_lines(*renew_authority(folder, name, passphrase)):
            _say(said)
    else:
        _say(renewed_line(*renew(folder, name, kind, passphrase), kind))
    return 0


def join_watched(asked: dict[str, Any]) -> int:
    """Make the keys of a node on this host, and say what to do next; `asked` is as in `JoinAsked`."""
    for said in joined_lines(join(JoinAsked(**asked))):
        _say(said)
    return 0


def join_admitted(admission: bytes, folder: Path | None, confirmed: WordsCompared) -> int:
    """Let the node that awaits its admission on this host join, once a person has compared the words."""
    awaited = opened(admission, folder)
    if not confirmed(admission_lines(awaited), awaited.cluster.name):
        return 1
    complete(awaited)
    for said in completed_lines(awaited):
        _say(said)
    return 0


def ask_renewal(folder: Path | None, name: str, into: Path) -> int:
    """Write the request of a node on this host for a new certificate, and say its words."""
    for said in asked_lines(ask(folder, name, into)):
        _say(said)
    return 0


def renew_node(data: bytes, folder: Path, confirmed: WordsCompared, passphrase: PassphraseAsked) -> int:
    """Give a node's host a new certificate, once a person has compared the words of its request."""
    asking = wanted(folder, data)
    if not confirmed(wanted_lines(asking), asking.cluster.name):
        return 1
    for said in given_lines(*give(asking, passphrase)):
        _say(said)
    return 0


def put_renewed(data: bytes, folder: Path | None) -> int:
    """Put a node's new certificate into its place on this host."""
    for said in put_lines(*put(data, folder)):
        _say(said)
    return 0


def admit(
    files: list[tuple[str, bytes]],
    name: str,
    folder: Path,
    control: str,
    operators: list[tuple[str, str]],
    confirmed: WordsCompared,
    passphrase: PassphraseAsked,
) -> int:
    """Make a cluster of the hosts that ask to join, once a person has compared the words of each."""
    refuse_taken(folder)
    admitting = Admitting(opened_hosts(files), name, control, opened_operators(operators))
    if not confirmed(asking_lines(admitting), name):
        return 1
    admitting.make(folder, passphrase())
    for said in admitted_lines(admitting, folder):
        _say(said)
    return 0


def protect_authority(folder: Path, present: PassphraseAsked, new: PassphraseAsked) -> int:
    """Encrypt the key of the authority in `folder` by a new passphrase."""
    for line in protected_lines(folder, before=protect(folder, present, new)):
        _say(line)
    return 0


def replace_authority(folder: Path, passphrase: PassphraseAsked) -> int:
    """Make a new certificate authority for the cluster in `folder`, and say who has a certificate of it."""
    holders = replace(folder, passphrase)
    _say(f"A new authority is in {folder / 'authority'}. Of it are the certificates of:")
    for holder in holders:
        _say(f"  {holder}")
    return 0
