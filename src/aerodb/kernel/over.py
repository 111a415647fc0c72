"""Facts by which an outcome is established: what may still be under way counts as a process that does not answer.

- A postmaster that may not have taken up what it was sent is not taken for one that simply runs.
- A process that works in the data folder without a postmaster, or before it has one, is not taken for none.
"""

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.kernel.postgres.errors import StartFailed
from aerodb.kernel.postgres.instance import Postgres
from aerodb.protocol.facts import Facts, State
from aerodb.rules.specification import Established


def what_is_over(facts: Facts, postgres: Postgres | None) -> Facts:
    """Return facts that were seen just now, with whatever may not be over yet as unreachable."""
    instance = facts.instance
    if postgres is None or instance is None or instance.state is State.UNREACHABLE:
        return facts
    if postgres.accepts() if instance.state is State.RUNNING else postgres.gone:
        return facts
    return replace(facts, instance=replace(instance, state=State.UNREACHABLE))


def as_watched(found: Established, failure: AeroError) -> Established:
    """Return what is established, with what the agent itself saw: a server that ended before it was ready never ran."""
    if found.final and isinstance(failure, StartFailed) and failure.executed == "not executed":
        return Established(result="not executed", evidence="PostgreSQL ended before it was ready")
    return found
