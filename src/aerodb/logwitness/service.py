"""The log witness's HTTP service, by C2SP tlog-witness.

Callers are not authenticated: anyone may bring a checkpoint with the log's own signature and a proof, and nobody gets
anything without them.

POST /add-checkpoint   an old size, the path from there, and the log's checkpoint; the answer is the cosignature

It may answer over plain HTTP, because all that is said is signed and nothing is secret. Callers are told apart by
address, and each has a limit (`aerodb.transport.rooms`).
"""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from aerodb.audit.adding import ADDITION_BYTES_MAX, PATH, SIZE_TYPE, read_addition
from aerodb.logwitness.errors import SizeDiffers
from aerodb.logwitness.judging import origin_of
from aerodb.logwitness.memory import Memory
from aerodb.transport.rooms import Room, Share
from aerodb.transport.web import PROBLEMS, TracedRoute, body_of

LOGS = Room(
    name="logs", connections=Share(192, 64), calls=Share(16, 8), looks=Share(0, 0),
    body_bytes=Share(4 << 20, 1 << 20), bodies={PATH: ADDITION_BYTES_MAX},
)  # fmt: skip
"""The room of all callers."""


def application(memories: Mapping[str, Memory]) -> Starlette:
    """Return the web application of a log witness; `memories` are by the logs' names."""

    def cosigned(data: bytes) -> str:
        addition = read_addition(data)
        return memories[origin_of(addition, memories)].cosigned(addition)

    async def add_checkpoint(request: Request) -> Response:
        data = await body_of(request, ADDITION_BYTES_MAX)
        try:
            line = await run_in_threadpool(cosigned, data)
        except SizeDiffers as error:
            return Response(f"{error.size}\n", error.status, headers={"Content-Type": SIZE_TYPE})
        return Response(line, media_type="text/plain")

    return Starlette(
        routes=[TracedRoute(PATH, add_checkpoint, methods=["POST"])],
        exception_handlers=PROBLEMS,
    )
