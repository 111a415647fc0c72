"""A cluster of 100 simulated agents: how long a status and an explanation take, beside 100 bare GETs over mutual TLS.

A status reads every agent twice, and verifies and judges what they signed; the limit asks each agent once for nothing,
by as many threads, over the same mutual TLS. The agents run in one process of their own on this machine.
"""

import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import verifier_key
from aerodb.audit.store import Log
from aerodb.control.plane import ControlPlane
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask
from aerodb.protocol.cluster import Cluster, Member, Operator, Role
from aerodb.protocol.signed import public_text
from aerodb.transport.certificates import Authority
from aerodb.transport.client import Client
from aerodb.transport.tls import Caller, Tls, tls_in
from benchmarks.clusters import Clusters
from benchmarks.measured import Measured, say, spread

AGENTS, AGENTS_QUICK = 100, 20
ROUNDS, ROUNDS_QUICK = 10, 3
PORTS_FROM = 20_300
THREADS = 32
"""As many as the control plane asks with."""


def make(folder: Path, count: int) -> tuple[Cluster, Ed25519PrivateKey]:
    """Write the keys, certificates and configuration of a cluster of `count` agents; return it and the log's key."""
    names = [f"n{number + 1}" for number in range(count)]
    authority, keys = Authority("scale"), {name: Ed25519PrivateKey.generate() for name in names}
    log_key = Ed25519PrivateKey.generate()
    for name in [*names, "control"]:
        (folder / name).mkdir()
        authority.issue(folder / name, name, "control" if name == "control" else "agent")
        if name in keys:
            (folder / name / "raw.key").write_bytes(keys[name].private_bytes_raw())
    cluster = Cluster(
        name="scale", id="scale", quorum=1, genesis=names[0], control="127.0.0.1:1",
        members=tuple(
            Member(name=name, witness=False, agent=f"127.0.0.1:{PORTS_FROM + at}", postgres_host="127.0.0.1",
                   postgres_port=1, public_key=public_text(keys[name]))
            for at, name in enumerate(names)
        ),
        operators=(Operator(name="operator", role=Role.OPERATOR),),
        log_key=verifier_key("aerodb.log/scale", log_key.public_key().public_bytes_raw()),
    )  # fmt: skip
    (folder / "cluster.json").write_bytes(canonical.encode(cluster))
    return cluster, log_key


def _bare(pool: ThreadPoolExecutor, cluster: Cluster, tls: Tls) -> None:
    def get(member: Member) -> bytes:
        return Client(member.agent, tls, member.name, 30).get("/bare")

    assert set(pool.map(get, cluster.members)) == {b"{}"}


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in turn."""
    folder = clusters.folder("agents")
    cluster, log_key = make(folder, AGENTS_QUICK if quick else AGENTS)
    serving = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.simulated_agents", folder], stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        tls = tls_in(folder / "control")
        with Log.create(folder / "log", cluster.origin, log_key) as log:
            return _measured(cluster, ControlPlane(cluster, tls, log), tls, ROUNDS_QUICK if quick else ROUNDS)
    finally:
        serving.terminate()
        serving.wait()


def _measured(cluster: Cluster, plane: ControlPlane, tls: Tls, rounds: int) -> Measured:
    access = plane.caller(Caller(name=cluster.operators[0].name, kind="person"))
    ask = Ask(action="demote", target="n1", reason="look", arguments={"for": "n2"})
    status = access.status(sensitive=False)
    ours, limit, explained = list[float](), list[float](), list[float]()
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(rounds):
            begun = time.perf_counter()
            status = access.status(sensitive=False)
            looked = time.perf_counter()
            _bare(pool, cluster, tls)
            between = time.perf_counter()
            access.look(ask)
            ours.append(1000 * (looked - begun))
            limit.append(1000 * (between - looked))
            explained.append(1000 * (time.perf_counter() - between))
            assert len(status.snapshot.reports) == len(cluster.members)
    medians = statistics.median(ours), statistics.median(limit)
    say(f"  {len(cluster.members)} agents: status {medians[0]:.0f} ms, explain {statistics.median(explained):.0f} ms, "
        f"bare GETs {medians[1]:.0f} ms")  # fmt: skip
    return Measured(
        unit="ms", ours=medians[0], limit=medians[1], ratio=medians[0] / medians[1],
        more={
            "agents": len(cluster.members), "cells": len(status.matrix), "unjudged": list(status.unjudged),
            "status_bytes": len(canonical.encode(status)), **spread("ours_min_median_max", ours),
            **spread("limit_min_median_max", limit), **spread("explain_min_median_max", explained),
        },
    )  # fmt: skip
