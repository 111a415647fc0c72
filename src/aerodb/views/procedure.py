"""A procedure for people, in the terminal and on a page: each step's judgement in a sentence, and the line to be typed.

The command line and the pages show the same words from here. Pure: no I/O, no clock.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aerodb.protocol.ahead import AFTER, THEN
from aerodb.protocol.plan import Loss, Result, Verdict
from aerodb.protocol.procedure import Procedure, ProcedureOrder, ProcedureStep
from aerodb.protocol.writes import Writes
from aerodb.rules.ahead import AGREED
from aerodb.views.outage import stop_label
from aerodb.views.render import Line, shown, wrapped
from aerodb.views.requests import REASON_OPTION
from aerodb.views.status import writes_style

NOTHING_HAPPENS = (
    "Laid out, not asked for: nothing is chosen, and nothing is executed. Each line is a request of its own."
)
NO_TICKET = (
    "No reason was given, so what is done already is not looked up in the audit log, and is judged like the rest."
)
NOT_SEARCHED = (
    "The audit log holds more records of such a reason than are looked through: what is older may be done too."
)
FORESEEN = (
    "Foreseen: judged by the same rules on the state that the steps before are foreseen to leave. What is so then is "
    "judged when the step is asked for."
)
PLAIN_REASON = re.compile(r"[^\"$`\\!\x00-\x1f\x7f]*")
"""What can stand between double quotes in any shell."""

MARKS = {
    "holds": ("\N{BLACK CIRCLE}", "*"),
    "violated": ("\N{BLACK SQUARE}", "#"),
    "not yet": ("\N{WHITE CIRCLE}", "o"),
    "foreseen": ("\N{WHITE DIAMOND}", "<>"),
    "held": ("\N{BLACK DIAMOND}", "<#>"),
    "done": ("\N{CHECK MARK}", "+"),
}
"""The mark of each judgement, also where the terminal has no UTF-8; the word always stands beside it."""
STYLES = {"holds": "good", "violated": "bad", "not yet": "dim", "foreseen": "plain", "held": "warn", "done": "good"}
WRITES_MARKS = {
    "yes": MARKS["holds"],
    "no": MARKS["violated"],
    "unknown": ("\N{BLACK UP-POINTING TRIANGLE}", "!"),
}
ONLY = "Requests, in order"
RESULT_WORDS = {Result.VIOLATED: "VIOLATED", Result.UNKNOWN: "UNKNOWN"}


@dataclass(frozen=True, kw_only=True)
class StepShown:
    """One step for people. `mark` is a key of MARKS; `typed` the command; `stops` whether writes stop by it.

    `label` says whether writes stop, are back, or neither; `headline` how they are then (empty: not foreseen).
    `request` is the one that it was executed by, or that its node holds; `awaits` one that awaits its confirmation.
    `form` is the query that leads to the form of its request, and `ahead` what is to be chosen in it.
    """

    number: int
    mark: str
    title: str
    judged: str
    typed: str
    label: str
    headline: str
    meanwhile: str
    writes_style: str
    failing: tuple[Verdict, ...]
    irreversible: tuple[str, ...]
    loss: str
    loss_style: str
    request: str
    action: str
    awaits: str
    form: dict[str, str]
    ahead: str

    @property
    def style(self) -> str:
        """Return the style of its judgement."""
        return STYLES[self.mark]


@dataclass(frozen=True, kw_only=True)
class OrderShown:
    """One order for people: its heading, its steps, and remarks."""

    heading: str
    steps: tuple[StepShown, ...]
    remarks: tuple[str, ...]


def title_of(procedure: Procedure) -> str:
    """Return what a procedure is, as a heading."""
    nodes = procedure.nodes
    titles = {
        "switchover": "Switchover from {primary} to {successor}",
        "failover": "Failover to {candidate}",
        "give-up-election": "An election is given up",
        "return": "Return of {node}",
        "maintenance": "Maintenance of {node}",
    }
    return titles[procedure.procedure].format_map(nodes)


def progress_of(procedure: Procedure) -> str:
    """Return how many of the requests are done; where the orders differ in that, nothing."""
    found = {(sum(step.state == "done" for step in each.steps), len(each.steps)) for each in procedure.orders}
    if not procedure.reason or len(found) != 1:
        return ""
    ((done, count),) = found
    return f"{done} of {count} request{'' if count == 1 else 's'} done"


def remarks_of(procedure: Procedure) -> tuple[str, ...]:
    """Return what must be known of a procedure as it is laid out."""
    found = [NOTHING_HAPPENS]
    if not procedure.reason:
        found.append(NO_TICKET)
    if not procedure.searched:
        found.append(NOT_SEARCHED)
    if any(step.state == "foreseen" for order in procedure.orders for step in order.steps):
        found.append(FORESEEN)
    found += [
        f"{node} holds the order of request {request}, which has no turn any more: aerodb decline {request}, or have "
        f"{node} hold another one."
        for node, request in procedure.over.items()
    ]
    return tuple(found)


def typed(step: ProcedureStep, reason: str) -> str:
    """Return a step as it is typed in a shell."""
    if step.awaits:
        return f"aerodb confirm {step.awaits}"
    options = "".join(f" --{name} {value}" for name, value in step.arguments.items())
    return f"aerodb {step.action} {step.target}{options} {reason_option(reason)}"


def reason_option(reason: str) -> str:
    """Return the option with the reason, quoted for a shell; a placeholder if there is none."""
    if not reason:
        return REASON_OPTION
    if PLAIN_REASON.fullmatch(reason):
        return f'--reason "{reason}"'
    quoted = reason.replace("'", "'\"'\"'")
    return f"--reason '{quoted}'"


def orders_of(procedure: Procedure) -> tuple[OrderShown, ...]:
    """Return the orders for people, in their order."""
    count = len(procedure.orders)
    return tuple(
        _order(procedure, order, f"Order {at} of {count}: {order.order}" if count > 1 else ONLY)
        for at, order in enumerate(procedure.orders, 1)
    )


def _order(procedure: Procedure, order: ProcedureOrder, heading: str) -> OrderShown:
    before, steps = procedure.writes, list[StepShown]()
    for number, step in enumerate(order.steps, 1):
        steps.append(_step(step, number, procedure.reason, before))
        before = step.writes or before
    return OrderShown(
        heading=heading, steps=tuple(steps), remarks=tuple(f"Note: {each}." for each in order.remarks)
    )  # fmt: skip


def _step(step: ProcedureStep, number: int, reason: str, before: Writes) -> StepShown:
    found = step.writes
    return StepShown(
        number=number,
        mark=_mark(step),
        title=step.title,
        judged=judged(step),
        typed=typed(step, reason),
        label=_label(before, found) if found else "",
        headline=found.headline if found else "",
        meanwhile=step.meanwhile,
        writes_style=writes_style(found) if found else "dim",
        failing=tuple(each for each in step.verdicts if each.result not in AGREED),
        irreversible=step.irreversible,
        loss=_loss(step.loss),
        loss_style="bad" if step.loss is not None and step.loss.claim != "none" else "plain",
        request=step.done.request if step.done else step.held,
        action=step.action,
        awaits=step.awaits,
        form={"action": step.action, **{name: step.arguments[name] for name in (THEN,) if name in step.arguments}},
        ahead=f", after {step.arguments[AFTER].replace(':', ' ')}" if AFTER in step.arguments else "",
    )


def _mark(step: ProcedureStep) -> str:
    if step.state in ("done", "held", "not judged yet"):
        return "not yet" if step.state == "not judged yet" else step.state
    if not step.accepted:
        return "violated"
    return "holds" if step.state == "judged now" else "foreseen"


def _label(before: Writes, after: Writes) -> str:
    stop = stop_label(before, after)
    if stop:
        return stop
    back = before.acknowledged == "no" and after.acknowledged == "yes"
    return "Writes are back" if back else "Writes then"


def _loss(loss: Loss | None) -> str:
    """Return what could be lost, in a sentence; nothing of a step that can lose nothing."""
    if loss is None or (loss.claim == "none" and not loss.arithmetic):
        return ""
    return "none of what was synchronously acknowledged" if loss.claim == "none" else loss.statement


def judged(step: ProcedureStep) -> str:
    """Return how a step is judged, or when it was executed, in a sentence."""
    if step.done is not None:
        return f"done: executed at {step.done.at}, asked for by {step.done.operator}"
    if step.held:
        return f"held by {step.target}, as that has signed: it runs right after the next line is executed"
    rests = f"rests on {_steps(step.rests_on)}" if step.rests_on else ""
    if step.state == "not judged yet":
        return f"not judged yet: {'; '.join(each for each in (rests, step.why) if each)}"
    head = "judged now" if step.state == "judged now" else f"foreseen after {_steps(step.rests_on)}"
    failing = [each.invariant for each in step.verdicts if each.result not in AGREED]
    if failing:
        return f"{head}: would be REJECTED by {', '.join(failing)}"
    count = len(step.verdicts)
    ahead = [each.invariant for each in step.verdicts if each.result is Result.FORESEEN]
    if ahead:
        return f"{head}: {count - len(ahead)} invariants hold, {', '.join(ahead)} only once the next line is executed"
    if not step.only_then:
        return f"{head}: all {count} invariants hold"
    return f"{head}: {count} invariants hold, {', '.join(step.only_then)} only then"


def _steps(numbers: tuple[int, ...]) -> str:
    """Return steps by their numbers, as they are said."""
    if len(numbers) == 1:
        return f"step {numbers[0]}"
    if len(numbers) > 2 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"steps {numbers[0]} to {numbers[-1]}"
    return f"steps {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


# In the terminal ------------------------------------------------------------------------------------------------------


def procedure_lines(procedure: Procedure, *, draws: bool = True) -> Iterator[Line]:
    """Yield a procedure's lines; `draws` tells whether marks beyond ASCII can be shown."""
    at = 0 if draws else 1
    progress = progress_of(procedure)
    yield Line("heading", shown(f"{title_of(procedure)}{f': {progress}' if progress else ''}"))
    if procedure.reason:
        yield Line("plain", shown(f"Ticket: {procedure.reason}"))
    headline = f"{WRITES_MARKS[procedure.writes.acknowledged][at]} Writes: {procedure.writes.headline}"
    yield Line(writes_style(procedure.writes), shown(headline))
    for remark in remarks_of(procedure):
        yield from (Line("dim", line) for line in wrapped(shown(remark), 2))
    for order in orders_of(procedure):
        yield Line("plain", "")
        yield Line("heading", shown(order.heading))
        for step in order.steps:
            yield from _step_lines(step, at)
        for remark in order.remarks:
            yield from (Line("warn", line) for line in wrapped(shown(remark), 2))


def _step_lines(step: StepShown, at: int) -> Iterator[Line]:
    said = f"{step.judged}, request {step.request}" if step.request else step.judged
    yield from _wrapped(step.style, f"{step.number} {MARKS[step.mark][at]} ", said)
    yield Line("heading" if step.mark not in ("done", "held") else "dim", shown(f"    {step.typed}"))
    for verdict in step.failing:
        yield from _wrapped("bad", "", f"{RESULT_WORDS[verdict.result]} {verdict.invariant}: {verdict.evidence}")
    if step.meanwhile:
        yield from _wrapped("warn", "", step.meanwhile)
    if step.headline:
        yield from _wrapped(step.writes_style, "", f"{step.label}: {step.headline}")
    if step.loss:
        yield from _wrapped(step.loss_style, "", f"Loss: {step.loss}")
    for each in step.irreversible:
        yield from _wrapped("dim", "", f"Cannot be undone: {each}")


def _wrapped(style: str, first: str, text: str) -> Iterator[Line]:
    indent = 4 if first else 6
    yield from (Line(style, line) for line in wrapped(shown(text), indent, first))
