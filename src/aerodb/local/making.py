"""`aerodb init`: a new cluster's keys, configuration and data, in one folder.

- Every key is made once, here and in `founding`.
- The configuration is written last: a folder without it is not a cluster.
"""

import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.errors import AeroError
from aerodb.kernel.node import NodeFile, place_of
from aerodb.kernel.postgres.account import traversable
from aerodb.kernel.postgres.creation import Passwords, make_durable, make_home, make_primary
from aerodb.kernel.postgres.installation import COPIES, Installation, find_installation
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.postgres.naming import programs_named
from aerodb.kernel.postgres.process import stop
from aerodb.kernel.store import Store
from aerodb.local.errors import FolderTaken
from aerodb.local.founding import Founding, keep_authority, web_host
from aerodb.local.layout import Layout
from aerodb.local.profiles import pem
from aerodb.local.size import HOST, Size, ports_of
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, Member, Operator
from aerodb.protocol.signed import public_text
from aerodb.rules.standing import genesis
from aerodb.transport.certificates import Authority, write_private
from aerodb.transport.passphrase import PassphraseAsked

WITNESS = "w1"


class Making:
    """One cluster in the making."""

    def __init__(self, layout: Layout, size: Size, postgres: str = "") -> None:
        """Draw the keys and the configuration; nothing is written yet. `postgres` names the programs, as `naming` says.

        Raises:
            SizeRefused: no cluster can be of this size.
            PortsTaken: there are not enough free ports.
            PostgresMissing, PostgresUnsupported: there are no such programs, or AeroDB does not run them.
        """
        size.refuse_odd()
        self._binaries = programs_named(postgres)
        self._installation = find_installation(self._binaries)
        self._layout = layout
        data = [f"n{number}" for number in range(1, size.nodes + 1)]
        names = [*data, *([WITNESS] if size.witness else [])]
        ports = ports_of(size)
        self._keys = {name: Ed25519PrivateKey.generate() for name in names}
        self._founding = Founding()
        self.cluster = Cluster(
            name=layout.root.resolve().name,
            id=self._founding.identity,
            members=tuple(
                Member(
                    name=name,
                    witness=name not in data,
                    agent=f"{HOST}:{ports[1 + index]}",
                    postgres_host=HOST if name in data else "",
                    postgres_port=ports[1 + len(names) + index] if name in data else 0,
                    public_key=public_text(self._keys[name]),
                )
                for index, name in enumerate(names)
            ),
            operators=self._people(),
            quorum=size.quorum,
            genesis=names[0],
            log_key=self._founding.log_key,
            control=f"{HOST}:{ports[0]}",
            web=f"{HOST}:{ports[-1]}",
            web_origin=f"http://{web_host(layout.root.resolve().name, self._founding.identity)}:{ports[-1]}",
        )
        self._passwords = Passwords(
            application=secrets.token_urlsafe(24),
            replication={name: secrets.token_urlsafe(24) for name in data},
        )

    def _people(self) -> tuple[Operator, ...]:
        return self._founding.people

    def make(self, progress: Callable[[str], None] = lambda _: None, passphrase: PassphraseAsked | None = None) -> None:
        """Write everything, the configuration last; `progress` is told what is begun.

        `passphrase` is asked for once nothing stands in the way, and encrypts the authority's key; None: nothing does.

        Raises:
            FolderTaken: the folder holds something already.
            AeroError: PostgreSQL's programs failed.
        """
        root = self._layout.root
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise FolderTaken(f"{root} is not empty and holds no cluster")
        closing = b"" if passphrase is None else passphrase()
        installation = self._installation
        mode = 0o711 if installation.account else 0o700
        for folder in (root, root / "nodes"):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        progress("keys and certificates")
        self._layout.logs.mkdir(mode=0o700)
        authority = Authority(self.cluster.id)
        keep_authority(self._layout, authority, closing)
        # Alone: a program that starts meanwhile would inherit the lock on the log.
        self._founding.make_control(self._layout, authority, self.cluster)
        first = self.cluster.genesis
        homes = {first: self._make_node(authority, installation, first, mode)}
        place = place_of(self.cluster, first, homes[first])
        progress(f"PostgreSQL on {first}")
        try:
            with ThreadPoolExecutor(1) as pool:  # Everything else is made while initdb works.
                primary = pool.submit(make_primary, installation, place, self._passwords)
                homes |= self._make_others(authority, installation, mode)
                primary.result()
            self._make_data(installation, homes, progress)
        except BaseException:
            with suppress(AeroError):  # It may not have been started yet.
                stop(place)
            raise
        write_private(self._layout.configuration, canonical.encode(self.cluster))

    def _make_others(self, authority: Authority, installation: Installation, mode: int) -> dict[str, Path]:
        """Make the folders of people, monitor, balancer and other nodes; return the data nodes' homes."""
        self._make_people(authority)
        self._founding.make_monitor(self._layout, authority, self.cluster)
        self._founding.make_balancer(self._layout, authority, self.cluster)
        for member in self.cluster.members:
            if member.witness:
                self._make_witness(authority, member.name, mode)
        others = [name for name in self.cluster.data_nodes if name != self.cluster.genesis]
        return {name: self._make_node(authority, installation, name, mode) for name in others}

    def _make_people(self, authority: Authority) -> None:
        self._founding.make_people(self._layout, authority, self.cluster)
        passfile = f"*:*:*:app:{self._passwords.application}\n"
        write_private(self._layout.profile("operator") / "app.pgpass", passfile.encode())

    def _make_folder(self, authority: Authority, name: str, mode: int) -> Path:
        """Make an agent's folder, with its keys and the configuration."""
        folder = self._layout.node(name)
        folder.mkdir()
        folder.chmod(mode)
        authority.issue(folder, name, "agent")
        write_private(folder / "cluster.json", canonical.encode(self.cluster))
        write_private(folder / "node.key", pem(self._keys[name], serialization.PrivateFormat.PKCS8))
        return folder

    def _make_witness(self, authority: Authority, name: str, mode: int) -> None:
        """Make the folder of a member that votes and holds no data."""
        folder = self._make_folder(authority, name, mode)
        file = NodeFile(
            name=name,
            home=str(folder.resolve() / "postgres"),
            binaries=str(self._binaries or ""),
            account="",
            starts="standby",
        )
        write_private(folder / "node.json", canonical.encode(file))
        Store.create(folder / "state", genesis(name, self.cluster.genesis, witness=True))

    def _make_node(self, authority: Authority, installation: Installation, name: str, mode: int) -> Path:
        folder = self._make_folder(authority, name, mode)
        home = folder.resolve() / "postgres"
        if not traversable(folder, installation.account):
            home = COPIES / self.cluster.id / name
            for above in (COPIES, home.parent):  # The umask is strict, and the account must be able to go through.
                above.mkdir(exist_ok=True)
                above.chmod(0o711)
        file = NodeFile(name=name, home=str(home), binaries=str(self._binaries or ""), account="", starts="standby")
        write_private(folder / "node.json", canonical.encode(file))
        make_home(installation, place_of(self.cluster, name, home), self._passwords)
        return home

    def _make_data(self, installation: Installation, homes: dict[str, Path], progress: Callable[[str], None]) -> None:
        """Copy the first primary, which runs, to the standbys, and shut it down; `up` starts them all."""
        first = self.cluster.genesis
        places = {name: place_of(self.cluster, name, home) for name, home in homes.items()}
        addresses = {member.name: (member.postgres_host, member.postgres_port) for member in self.cluster.members}
        instances = {name: Postgres(installation, place, addresses.__getitem__) for name, place in places.items()}

        def copy(name: str) -> None:
            instances[name].data.copy(first)
            instances[name].data.swap()
            instances[name].replication.attach(first)

        standbys = [name for name in places if name != first]
        progress(f"copies of it to {', '.join(standbys)}")
        with ThreadPoolExecutor() as pool:
            durable = pool.submit(make_durable, installation, places[first])
            list(pool.map(copy, standbys))
            durable.result()
        instances[first].stop()
        for name, instance in instances.items():  # A standing is bound to the data folder that it is of.
            standing = genesis(name, first, witness=False, folder=instance.identity() or "")
            Store.create(self._layout.node(name) / "state", standing)


def make_cluster(
    root: Path,
    size: Size,
    progress: Callable[[str], None] = lambda _: None,
    *,
    postgres: str = "",
    passphrase: PassphraseAsked | None = None,
) -> Cluster:
    """Make a new cluster in `root`; return its configuration. `progress` is told what is begun.

    `postgres` is a major version or a folder of programs; empty: those that `aerodb[local]` brings.
    `passphrase` is asked for the one that the authority's key is encrypted by; None: it is not.

    Raises:
        SizeRefused, FolderTaken, PortsTaken, PostgresMissing, PostgresUnsupported, AeroError: see `Making`.
    """
    previous = os.umask(0o077)
    try:
        making = Making(Layout(root=root), size, postgres)
        making.make(progress, passphrase)
    finally:
        os.umask(previous)
    return making.cluster
