"""Facts by which an outcome is established: what may still be under way counts as a process that does not answer.

- A postmaster that may not have taken up what it was sent is not taken for one that simply runs.
- A process that works in the data folder without a postmaster, or before it has one, is not taken for none.
"""

from collections.abc import Callable

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.kernel.postgres.errors import StartFailed
from aerodb.kernel.postgres.instance import Postgres
from aerodb.protocol.facts import Facts, State
from aerodb.rules.specification import Established


def what_is_over(look: Callable[[], Facts], postgres: Postgres | None) -> Facts:
    """Return the facts as they are now, with whatever may not be over yet as unreachable.

    A postmaster takes up what it was sent before it accepts the next connection. It must accept one before it is looked
    at, so that what it was told shows; and one afterwards, so that nothing was taken up in the instant before.
    """
    accepted = postgres is not None and postgres.accepts()
    facts = look()
    instance = facts.instance
    if postgres is None or instance is None or instance.state is State.UNREACHABLE:
        return facts
    if (accepted and postgres.accepts()) if instance.state is State.RUNNING else postgres.gone:
        return facts
    return replace(facts, instance=replace(instance, state=State.UNREACHABLE))


def as_watched(found: Established, failure: AeroError) -> Established:
    """Return what is established, with what the agent itself saw: a server that ended before it was ready never ran."""
    if found.final and isinstance(failure, StartFailed) and failure.executed == "not executed":
        return Established(result="not executed", evidence="PostgreSQL ended before it was ready")
    return found
