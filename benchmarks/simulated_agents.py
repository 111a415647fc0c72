"""`python -m benchmarks.simulated_agents FOLDER`: the simulated agents of a large cluster, each a service of its own.

Each listens at its own address with its own certificate, behind the real transport, and signs its report anew for each
nonce, as an agent does. Only PostgreSQL is missing: the facts are synthetic. One process serves them all.
"""

import asyncio
import signal
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aerodb.protocol import canonical
from aerodb.protocol.authority import Branch, Position
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, Load, Receiver, Report, Sender, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import sign
from aerodb.rules.invariants import RULES
from aerodb.rules.standing import genesis
from aerodb.transport.server import Server, listen
from aerodb.transport.tls import tls_in
from aerodb.transport.web import PROBLEMS, answer

LSN = Lsn(0x3000000)
LINEAGE = (Branch(timeline=1, begin=Lsn(0), term=1),)


def facts_of(cluster: Cluster, name: str) -> Facts:
    """Return the facts of a healthy node: the first is the primary, and all others stream from it."""
    primary = name == cluster.genesis
    senders = tuple(
        Sender(node=each, state="streaming", sync_state="quorum", sent=LSN, flushed=LSN, replayed=LSN)
        for each in cluster.data_nodes
        if each != cluster.genesis
    )
    instance = Instance(
        system="7000000000000000001", folder="data", version="18.1", state=State.RUNNING, recovery=not primary,
        position=Position(term=1, bound=1, timeline=1, lsn=LSN), lineage=LINEAGE, quorum=1,
        attached=None if primary else cluster.genesis, restores=False,
        receiver=None if primary else Receiver(status="streaming", upstream="127.0.0.1:1", flushed=LSN), replayed=True,
        senders=senders if primary else (), drift=(), shutdown=None,
        load=Load(sessions=1, longest_transaction_seconds=0, prepared_transactions=0, backups=0, logical_slots=0,
                  waiting_commits=0),
    )  # fmt: skip
    return Facts(
        node=name, rules=RULES, configuration=cluster.digest, standing=genesis(name, cluster.genesis, witness=False),
        instance=instance, unfinished=None, entries=0, checkpoint="",
    )  # fmt: skip


def application(cluster: Cluster, name: str, key: Ed25519PrivateKey) -> Starlette:
    """Return one simulated agent's application; `/bare` answers with nothing at once."""
    facts = facts_of(cluster, name)

    async def report(request: Request) -> Response:
        nonce = request.query_params["nonce"]
        return answer(sign(Report(cluster=cluster.id, node=name, nonce=nonce, facts=facts), name, key))

    async def bare(_: Request) -> Response:
        return Response(b"{}")

    return Starlette(routes=[Route("/v1/report", report), Route("/bare", bare)], exception_handlers=PROBLEMS)


async def serve(folder: Path) -> None:
    """Serve every agent of the cluster in `folder` until SIGTERM."""
    cluster = canonical.decode((folder / "cluster.json").read_bytes(), Cluster)
    servers, bound = [], []
    for member in cluster.members:
        own = folder / member.name
        key = Ed25519PrivateKey.from_private_bytes((own / "raw.key").read_bytes())
        servers.append(Server(application(cluster, member.name, key), tls_in(own)))
        bound.append(listen(member.agent))
    serving = [asyncio.create_task(one._serve(sockets=[at])) for one, at in zip(servers, bound, strict=True)]  # noqa: SLF001

    def end() -> None:
        for one in servers:
            one.end()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    print("ready", flush=True)
    await asyncio.gather(*serving)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
