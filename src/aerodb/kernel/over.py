"""Facts from which an outcome is established: PostgreSQL counts as unreachable while anything may be under way.

- A postmaster that may not have acted yet on a signal it was sent does not count as running.
- A process that works in the data folder without a postmaster, or before there is one, does not count as none.
"""

from collections.abc import Callable

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.kernel.postgres.errors import StartFailed
from aerodb.kernel.postgres.instance import Postgres
from aerodb.protocol.facts import Facts, State
from aerodb.rules.specification import Established


def what_is_over(look: Callable[[], Facts], postgres: Postgres | None) -> Facts:
    """Return the facts as they are now; PostgreSQL is unreachable in them if something may not be over yet.

    A postmaster acts on pending signals before it accepts the next connection. So it must accept one before the look,
    so that the look shows their effect, and one after it, so that no signal took effect just before.
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
    """Add what the agent itself saw to what is established: a server that ended before it was ready never ran."""
    if found.final and isinstance(failure, StartFailed) and failure.executed == "not executed":
        return Established(result="not executed", evidence="PostgreSQL ended before it was ready")
    return found
