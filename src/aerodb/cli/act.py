"""One command for each action of the catalogue: ask, read the plan, type the target's name, sign, send once.

- Nothing is sent unless a person is at a terminal; there is no option that confirms.
- What is signed is the plan's exact text, after it was checked here and shown; what is folded in it is shown for a `?`.
- The confirmation is sent once. Whatever goes wrong after that, what became of it is unknown until it is asked for.
- Where a second person is due, the requester's signature is recorded, and nothing is sent before theirs.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import click

from aerodb.actions import action_named, needs_second
from aerodb.cli import verification
from aerodb.cli.chained import under
from aerodb.cli.completed import complete_nodes, completed
from aerodb.cli.decided import decision_of
from aerodb.cli.dropped import show_dropped
from aerodb.cli.failures import AWAITED, BY_RESULT, REJECTED, TerminalMissing
from aerodb.cli.outcome import unknown_from_here
from aerodb.cli.paths import request_path
from aerodb.cli.profile import Profile
from aerodb.cli.remembered import check_before_signing
from aerodb.cli.sequence import following_of, in_sequence, next_sentence, show_over, show_sequence
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.cli.signing import sign
from aerodb.cli.terminal import EXECUTED, Terminal, escape
from aerodb.cli.waiting import telling
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.api import Ask, Confirm, Done, Planned, RequestLine
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Plan, Request
from aerodb.rules.arguments import Argument
from aerodb.rules.explain import check_request
from aerodb.rules.second import who_could
from aerodb.rules.specification import Action
from aerodb.tracing import note
from aerodb.views.brief import SignedNext, brief_lines, prompt_of
from aerodb.views.render import ALL_ASKED, BY_KEY, by_command, plan_lines
from aerodb.views.requests import executed_of

REQUEST_KNOWN = "control.request-known"
EXECUTION_TIMEOUT_SECONDS = 24 * 3600.0
"""A reclone copies a whole database before it answers."""


def argument_option(argument: Argument) -> click.Option:
    """Return the option for one argument of an action."""
    help_text = _sentence(argument.help)
    return click.Option(
        [argument.option, argument.name],
        required=not argument.optional,
        metavar=argument.typed,
        help=help_text,
        shell_complete=partial(completed, partial(_typed_values, argument)),
    )


def _typed_values(argument: Argument, cluster: Cluster) -> tuple[str, ...] | None:
    """Return what can be typed for an argument: of the request before, its action and its node."""
    before = tuple(f"{action}:{node}" for action in argument.choices_before for node in cluster.data_nodes)
    return before or argument.values(cluster)


def node_argument() -> click.Argument:
    """Return the target of an action, which a shell can complete."""
    return click.Argument(["node"], metavar="NODE", shell_complete=complete_nodes)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def action_command(name: str) -> click.Command:
    """Return the command of the action called `name`.

    Raises:
        ActionUnknown: the catalogue has none.
    """
    action = action_named(name)

    @click.pass_obj
    def callback(session: Session, /, *, node: str, reason: str, ssh_agent: bool, **given: str | None) -> int:
        arguments = {name: text for name, text in given.items() if text is not None}
        return act(session, action, node, arguments, reason, by_agent=ssh_agent)

    return ClientCommand(
        name,
        callback=callback,
        help=f"{action.summary}\n\nNODE: {action.target}. Outage: {action.outage}",
        epilog=f"The plan is shown first; nothing happens until you type the node's name. See: aerodb catalogue {name}",
        params=[
            node_argument(),
            *(argument_option(argument) for argument in action.arguments),
            click.Option(["--reason"], required=True, metavar="TEXT", help="Why, in your words; it is recorded."),
            click.Option(["--ssh-agent"], is_flag=True, help="Sign by the ssh-agent, even where a key file is."),
        ],
    )


def act(session: Session, action: Action, node: str, arguments: dict[str, str], reason: str, *, by_agent: bool) -> int:
    """Ask for one action once, and return the exit code of what became of it.

    Raises:
        TerminalMissing: there is no person at a terminal.
        AeroError: as each step says; `executed` says whether anything was.
    """
    profile = person_profile(session)
    request, named = in_sequence(session, profile, node, arguments)
    asked = Request(
        id=request,
        action=action.name,
        target=node,
        arguments=named,
        operator=profile.operator,
        reason=_normal(reason),
    )
    check_request(profile.cluster, action, asked)
    try:
        planned, plan, judging = _ask(session, profile, asked)
    except KeyboardInterrupt:
        session.terminal.line(f"If its plan was made, it awaits: aerodb confirm {asked.id}", "warn")
        raise
    return show_and_confirm(session, judging, plan, planned.plan, by_agent=by_agent)


def person_profile(session: Session) -> Profile:
    """Return the profile of the person at the terminal.

    Raises:
        TerminalMissing: there is none.
        ProfileUnusable: see `Session.profile`.
    """
    session.acts = True
    if not session.terminal.interactive:
        raise TerminalMissing("an action is confirmed by a person: stdin and stdout must both be a terminal")
    return session.profile()


def show_and_confirm(session: Session, profile: Profile, plan: Plan, text: str, *, by_agent: bool) -> int:
    """Show a checked plan, and where the node's name is typed, sign its exact `text` and send that, once.

    Raises:
        AeroError: as each step says; `executed` says whether anything was.
    """
    terminal, request, node = session.terminal, plan.request.id, plan.request.target
    note(request=request, action=plan.request.action, node=node)
    terminal.lines(plan_lines(plan, text, unfold=BY_KEY if plan.accepted else by_command(request)))
    terminal.line("  Computed again on this machine from the nodes' signed reports: the same bytes.", "dim")
    if not plan.accepted:
        show_over(terminal, plan)
        return REJECTED
    following, mine = following_of(session, profile, plan), plan.request.operator == profile.operator
    with _left_waiting(terminal, request):
        typed = _typed(terminal, plan, text, following, mine=mine)
    if typed is None:
        terminal.line(f"Not confirmed. It still awaits: aerodb confirm {request}", "bad")
        return REJECTED
    if typed != node and mine:
        declined(session, profile, request)
        show_over(terminal, plan)
        return REJECTED
    if typed != node:
        terminal.line("Not signed, and nothing is recorded: another operator still may, or who asked declines.", "bad")
        return REJECTED
    with _left_waiting(terminal, request):
        signature = _signature(profile, terminal, request, text, by_agent=by_agent)
    if mine and needs_second(profile.cluster, plan.request):
        return signed_first(session, profile, plan, signature)
    caller = session.connect(profile, EXECUTION_TIMEOUT_SECONDS)
    does = "holds it until its turn" if AFTER in plan.request.arguments else "acts"
    terminal.line(f"Signed. Sending it, once: {node} judges again, then {does}. Waiting for its answer...", "dim")
    with unknown_from_here(request, next_sentence(plan)):
        body = canonical.encode(Confirm(signature=signature))
        with telling(session, profile, plan.request):
            answer = caller.post(request_path(request, "/confirmation"), body)
        said = read(answer, Done)
        done = show_sequence(terminal, profile.cluster, plan, text, following, said)
        show_dropped(terminal, profile.cluster, caller, node, said)
    note(outcome=done.result, code=done.code)
    return BY_RESULT[done.result]


@contextmanager
def _left_waiting(terminal: Terminal, request: str) -> Iterator[None]:
    """Say, where a person stops the command inside, that the plan goes on waiting, and how to come back to it."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        terminal.line("")
        terminal.line(f"Not confirmed. It still awaits: aerodb confirm {request}", "bad")
        raise


def _signature(profile: Profile, terminal: Terminal, request: str, text: str, *, by_agent: bool) -> str:
    """Return the signature over a plan; where none can be made, say that the plan goes on waiting.

    Raises:
        AeroError: as `sign` says.
    """
    try:
        return sign(profile, terminal, text.encode(), by_agent=by_agent)
    except AeroError:
        terminal.line(f"Nothing was signed. The plan still awaits its confirmation: aerodb confirm {request}", "warn")
        raise


def signed_first(session: Session, profile: Profile, plan: Plan, signature: str) -> int:
    """Have the requester's signature recorded, and say who signs next; return the exit code.

    Raises:
        AeroError: it cannot be recorded, or the plan awaits nothing any more. Nothing is executed by it.
    """
    terminal, request = session.terminal, plan.request.id
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    body = canonical.encode(Confirm(signature=signature))
    line = read(caller.post(request_path(request, "/signature"), body), RequestLine)
    could = ", ".join(who_could(profile.cluster, plan.request.operator))
    terminal.line(escape(f"{line.state.upper()}: your signature is recorded. Nothing was sent, or executed."), "warn")
    terminal.line(escape(f"Another operator signs the same plan next (who could: {could}):"))
    terminal.line(f"  aerodb confirm {request}", "heading")
    note(outcome=line.state)
    return AWAITED


def _normal(reason: str) -> str:
    """Return the reason in Unicode normal form C, as everything recorded is; undecodable bytes become "?"."""
    return unicodedata.normalize("NFC", reason.encode(errors="replace").decode())


def _ask(session: Session, profile: Profile, asked: Request) -> tuple[Planned, Plan, Profile]:
    """Return the plan of a new request, checked, and the profile under the version that it was made under.

    Nothing can be executed before it is confirmed.
    """
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    body = Ask(action=asked.action, target=asked.target, arguments=asked.arguments, reason=asked.reason)
    try:
        answer = caller.post("/v1/requests", canonical.encode(body), {"Idempotency-Key": asked.id})
    except AeroError as error:
        if error.code != REQUEST_KNOWN:  # That one tells what became of the request when it was asked for before.
            error.executed = "not executed"
        raise
    planned = read(answer, Planned)
    plan = verification.planned_plan(planned)
    verification.check_request(plan, asked)
    decision = decision_of(caller, asked.id)
    judging = under(profile, caller, plan.configuration)
    verification.check_recomputed(judging.cluster, plan, planned.plan, decision.snapshot)
    check_before_signing(profile, caller, plan, decision.snapshot)
    return planned, plan, judging


def _typed(terminal: Terminal, plan: Plan, text: str, following: SignedNext | None, *, mine: bool) -> str | None:
    """Return what a person types for the node's name, beneath what weighs; asked for all of the plan, show it first."""
    while True:
        terminal.line("")
        terminal.lines(brief_lines(plan, text, following, mine=mine))
        typed = terminal.ask(prompt_of(plan))
        if typed != ALL_ASKED:
            return typed
        terminal.lines(plan_lines(plan, text, full=True))


def declined(session: Session, profile: Profile, request: str) -> None:
    """Let a plan go unconfirmed, for good, and say so.

    Raises:
        AeroError: it awaits nothing any more, or it is somebody else's.
    """
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    line = read(caller.post(request_path(request, "/decline"), b"{}"), RequestLine)
    became = EXECUTED[executed_of(line.state)]  # A held order may have had its turn meanwhile.
    final = "" if line.state == "unknown" else ", and final"
    session.terminal.line(escape(f"{line.state.upper()}: recorded{final}. {became}"), "bad")
