"""What refuses a request now, as its plan says."""

from aerodb.protocol import canonical
from aerodb.protocol.plan import Plan, Verdict
from tests.faults.conftest import Running


def planned_for(running: Running, action: str, target: str, **arguments: str) -> Plan:
    """Return the plan of a request now."""
    return canonical.decode(running.api.ask(action, target, **arguments).plan.encode(), Plan)


def refusing(running: Running, action: str, target: str, **arguments: str) -> dict[str, Verdict]:
    """Return the verdicts that refuse an action now, by invariant; empty where it would be accepted."""
    verdicts = planned_for(running, action, target, **arguments).verdicts
    return {verdict.invariant: verdict for verdict in verdicts if verdict.result != "holds"}


def failing(running: Running, action: str, target: str, **arguments: str) -> dict[str, str]:
    """Return the invariants that refuse an action now, with their evidence; empty where it would be accepted."""
    return {name: verdict.evidence for name, verdict in refusing(running, action, target, **arguments).items()}
