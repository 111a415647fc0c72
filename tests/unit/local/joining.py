"""Hosts that join and a machine that admits them, in one folder: what each has is in a folder of its own."""

import os
from pathlib import Path

from msgspec.structs import replace

from aerodb.local.admitting import Admitting, opened_hosts
from aerodb.local.joining import Awaited, JoinAsked, Joined, join, opened

LOGIN = "nobody"
"""A user that every machine has: as root, a node's folder becomes theirs."""
NAMES = ("n1", "n2", "n3")
PASSPHRASE = "four words of mine"
"""What the authority's key is encrypted by, as typed."""


def reachable(folder: Path) -> Path:
    """Let everybody pass through the folders above, as through /var/lib; return the folder."""
    if os.geteuid() == 0:
        for each in (folder, *folder.parents):
            each.chmod(each.stat().st_mode | 0o011)
    return folder


def asked(root: Path, name: str = "n1", **changes: object) -> JoinAsked:
    """Return what a person types on the host of a node."""
    into = root / "carried"
    into.mkdir(exist_ok=True)
    typed = JoinAsked(
        instance="", socket="/run/postgresql", port=5432, name=name, address=f"10.0.0.{name[1:]}:7401",
        postgres_address="", login=LOGIN, folder=root / "hosts" / name, into=into,
    )  # fmt: skip
    return replace(typed, **changes)


def joined(root: Path, *names: str) -> list[Joined]:
    """Have the hosts ask to join."""
    return [join(asked(root, name)) for name in names]


def admitting(root: Path, *names: str, control: str = "127.0.0.1:9") -> Admitting:
    """Return a cluster of hosts that have asked, in the making."""
    files = [(f"{name}.join", (root / "carried" / f"{name}.join").read_bytes()) for name in names]
    return Admitting(opened_hosts(files), "shop", control)


def admission(root: Path, name: str) -> bytes:
    """Return what is carried back to the host of a node."""
    return (root / "shop" / "admitted" / f"{name}.admitted").read_bytes()


def awaited(root: Path, name: str) -> Awaited:
    """Return a node's admission, as its host opens it."""
    return opened(admission(root, name), root / "hosts" / name)


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
