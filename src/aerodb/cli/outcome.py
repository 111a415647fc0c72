"""What became of a request, as its agent signed it; and asking for it afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from aerodb.cli.decided import decision_of
from aerodb.cli.failures import BY_RESULT, OutcomeUnknown, Unverified
from aerodb.cli.held import ORDER_HELD, found_held, show_found_held
from aerodb.cli.named import request_argument, whole_id
from aerodb.cli.paths import GAP_PATH, request_path
from aerodb.cli.profile import Caller
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Terminal
from aerodb.cli.verification import read_plan, verified_outcome
from aerodb.errors import AeroError
from aerodb.protocol.api import Done, GapFound
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Request, plan_digest
from aerodb.transport.errors import Refused, Unreachable
from aerodb.views.render import outcome_lines, unsigned_outcome_lines

REQUEST_UNKNOWN = "input.request-unknown"


def show_outcome(terminal: Terminal, cluster: Cluster, request: str, target: str, digest: str, done: Done) -> None:
    """Show an outcome, once it is verified.

    Raises:
        OutcomeForged: it does not verify.
    """
    outcome = verified_outcome(cluster, request, target, digest, done)
    if outcome is not None:
        terminal.lines(outcome_lines(outcome))
    else:
        terminal.lines(unsigned_outcome_lines(done.result, done.code, done.message))
        if done.result == "unknown":
            terminal.line(f"  Nothing is sent again. Ask: aerodb outcome {request}", "warn")
    if done.sequence is not None:
        terminal.line(f"  record {done.sequence} of the audit log", "dim")


@contextmanager
def unknown_from_here(request: str, after: str = "") -> Iterator[None]:
    """From here on something is sent: whatever goes wrong, what became of the request is unknown until it is asked.

    `after` says what follows once it is executed, without another question (empty: nothing does).

    Raises:
        Unreachable: nothing was sent after all.
        Refused: the control plane refused, and says whether anything was executed.
        Unverified: an answer came, and does not verify.
        OutcomeUnknown: anything else, a person's Ctrl-C too.
    """
    try:
        yield
    except (Unreachable, Refused) as error:
        error.request = error.request or request
        raise
    except Unverified as error:
        error.executed, error.request = "unknown", request
        raise
    except KeyboardInterrupt as error:
        why = "you stopped waiting for the answer; what was sent goes on, and does not stop with you"
        why += f"; {after}" if after else ""
        raise OutcomeUnknown(why, executed="unknown", request=request) from error
    except Exception as error:
        why = error.message if isinstance(error, AeroError) else f"{type(error).__name__} {error}"
        why += f"; {after}" if after else ""
        raise OutcomeUnknown(f"no answer was understood: {why}", executed="unknown", request=request) from error


@click.command(cls=ClientCommand)
@request_argument
@json_option
@click.pass_obj
def outcome(session: Session, request: str, *, as_json: bool) -> int:
    """Ask what became of a request; the answer of the node's agent is recorded, and nothing is tried again."""
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    request = whole_id(session, caller, request)
    try:
        with unknown_from_here(request):
            target, digest, asked = _asked(caller, request)
            try:
                body = caller.post(request_path(request, "/outcome"), b"{}")
            except Refused as error:
                found = found_held(profile, caller, (request, target, digest)) if error.code == ORDER_HELD else None
                if found is None or asked is None:
                    raise
                return show_found_held(session, found, asked, as_json=as_json)
            done = read(body, Done)
            if as_json:
                verified_outcome(profile.cluster, request, target, digest, done)
                session.terminal.document(body)
            else:
                show_outcome(session.terminal, profile.cluster, request, target, digest, done)
    except Unreachable as error:
        error.executed = "unknown"  # This question was not sent; the request that it is about may have been executed.
        raise
    return BY_RESULT[done.result]


def _asked(caller: Caller, request: str) -> tuple[str, str, Request | None]:
    """Return the target of a request, the digest of its plan ("" where it has none), and what that plan asks for.

    Where the log has lost the request they are taken from the node that holds it.

    Raises:
        Refused: neither the log nor a node knows it.
    """
    try:
        decision = decision_of(caller, request)
    except Refused as error:
        found = read(caller.get(GAP_PATH), GapFound) if error.code == REQUEST_UNKNOWN else None
        lost = next((each for each in found.lost if each.held.request == request), None) if found else None
        if lost is None:
            raise
        return lost.node, plan_digest(lost.held.plan) if lost.held.plan else "", None
    if decision.plan is None:
        return decision.line.target, "", None
    asked = read_plan(decision.plan).request
    return asked.target, plan_digest(decision.plan), asked
