"""An order that awaits its turn: what its node signs of it, what it waits for, and how to have it dropped."""

import msgspec

from aerodb.cli.failures import AWAITED, OutcomeUnverified, PlanAltered
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.session import Session, read
from aerodb.cli.terminal import Terminal, escape
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER, Held, read_earlier
from aerodb.protocol.api import Done, Status
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Plan, Request
from aerodb.protocol.signed import Signed
from aerodb.rules.view import open_report
from aerodb.views.observed import observe
from aerodb.views.sequence import first_command, turn_sentence

ORDER_HELD = "kernel.order-held"


def check_held(cluster: Cluster, plan: Plan, digest: str, signed: Signed | None) -> None:
    """Hold what a control plane says of a held order against its node's signed report.

    Raises:
        OutcomeUnverified: the node has not signed that it holds the order of that plan.
    """
    asked = plan.request
    try:
        if signed is None:
            raise PlanAltered("it is not signed")
        held = open_report(cluster, asked.target, signed, asked.id).facts.held
        if isinstance(held, msgspec.UnsetType) or (held.request, held.plan) != (asked.id, digest):
            raise PlanAltered("it says something else")
    except AeroError as error:
        raise OutcomeUnverified(
            f"that {asked.target} holds the order is not what it has signed: {error.message}",
            executed="not executed", request=asked.id,
        ) from error  # fmt: skip


def show_held(terminal: Terminal, asked: Request) -> None:
    """Show that a node holds an order, by its signed report; what it waits for, and how to have it dropped."""
    terminal.line("HELD, by its node's own signed report", "warn")
    terminal.line(escape(f"  - {turn_sentence(asked.target, read_earlier(asked.arguments[AFTER]))}"))
    terminal.line("Confirm that one:")
    terminal.line(escape(f"  {first_command(asked)}"), "heading")
    terminal.line(escape(f"  To have it dropped: aerodb decline {asked.id}"), "dim")


def found_held(profile: Profile, caller: Caller, asked: tuple[str, str, str]) -> tuple[Held, Signed] | None:
    """Return what a node signs now of the order that it holds, if that is the one of a request and its plan.

    `asked` are the request, its target, and its plan's digest.

    Raises:
        AeroError: the nodes cannot be looked at.
    """
    (request, target, digest), status = asked, read(caller.get("/v1/status"), Status)
    facts, signed = observe(profile.cluster, status).facts.get(target), status.snapshot.reports.get(target)
    held = facts.held if facts else None
    return (held, signed) if held and signed is not None and (held.request, held.plan) == (request, digest) else None


def show_found_held(session: Session, found: tuple[Held, Signed], asked: Request, *, as_json: bool) -> int:
    """Show an order that was found to be held, and return the exit code of that."""
    held, signed = found
    if as_json:
        done = Done(request=held.request, result="held", outcome=signed, sequence=None, code=ORDER_HELD, message="")
        session.terminal.document(canonical.encode(done))
    else:
        show_held(session.terminal, asked)
    return AWAITED
