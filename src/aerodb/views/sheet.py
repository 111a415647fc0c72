"""A plan by weight: one document of typed values, from which the terminal and the browser are both drawn.

- First the answer, and where it is no, why. Then what weighs: OUTAGE, LOSS, CANNOT BE UNDONE. Then what will happen.
- Invariants that hold are counted, and one step away; what is foreseen stands after what weighs; any other stands open,
  first, with its evidence and what would have to be different.
- Every field of the plan is in the document: what is signed can be read whole before it is signed.

Pure: no I/O, no clock.
"""

from typing import NamedTuple

from aerodb.past.speaking import named
from aerodb.protocol.ahead import AFTER, read_earlier
from aerodb.protocol.plan import Plan, Result, Verdict
from aerodb.protocol.words import words_of
from aerodb.rules.carrying import IS_LOST, MAY_BE_LOST, SLOT
from aerodb.rules.explain import LOOK_ID
from aerodb.rules.invariants import RULES, name_of
from aerodb.views.invariants import different, statement_of
from aerodb.views.outage import Weight, outage, writes_notes

EFFECTS, ASKED, IRREVERSIBLE = "WHAT WILL HAPPEN", "WHAT WAS ASKED FOR", "WHAT CANNOT BE UNDONE"
TO_KNOW, HAD_IT_BEEN = "TO KNOW", "HAD IT BEEN EXECUTED"
WERE_IT, WOULD = "WERE IT EXECUTED", "WHAT IT WOULD DO"
"""The titles of a rejection that was only looked at: nobody has asked for anything."""
RESULTS = {
    Result.HOLDS: ("good", "holds"),
    Result.FORESEEN: ("plain", "foreseen"),
    Result.VIOLATED: ("bad", "VIOLATED"),
    Result.UNKNOWN: ("bad", "UNKNOWN"),
}
"""The style and the word of each result."""
RESTING = (Result.HOLDS, Result.FORESEEN)
"""The results with which a plan is accepted."""
REDACTED = "REDACTED for your role. This is not the plan's own text; its digest is of that text, whole."
NOTHING_UNDONE = "Nothing that this action does."


class ShownVerdict(NamedTuple):
    """One verdict with what a person needs to understand it; `rule` is empty of an invariant of other rules."""

    invariant: str
    name: str
    style: str
    mark: str
    rule: str
    evidence: str
    different: str


class Field(NamedTuple):
    """One field of a plan that is shown by its name and its value; `exact` ones are digests and identifiers."""

    name: str
    value: str
    exact: bool


class Sheet(NamedTuple):
    """A plan as a document. `before` are sentences on the document itself; `words` are those of the plan's digest.

    `weights_title` says of a rejection that what weighs has not happened.
    """

    title: str
    cluster: str
    accepted: bool
    style: str
    answer: str
    before: tuple[str, ...]
    reason: str
    operator: str
    weights_title: str
    weights: tuple[Weight, ...]
    effects_title: str
    effects: tuple[str, ...]
    to_know: tuple[str, ...]
    failing: tuple[ShownVerdict, ...]
    foreseen: tuple[ShownVerdict, ...]
    foreseen_said: str
    held: tuple[ShownVerdict, ...]
    held_said: str
    commit_point: str
    failures: tuple[str, ...]
    request: str
    digest: str
    words: str
    fields: tuple[Field, ...]


def sheet(plan: Plan, digest: str, *, redacted: bool = False) -> Sheet:
    """Return the document of a plan whose exact text has `digest`; `redacted` is one that is not that text."""
    judged = tuple(_judged(verdict) for verdict in plan.verdicts)
    held, foreseen = (tuple(each for each in judged if each.mark == RESULTS[result][1]) for result in RESTING)
    failing = tuple(each for each in judged if each not in (*held, *foreseen))
    request, writes = plan.request, writes_notes(plan.notes)
    look = request.id == LOOK_ID
    return Sheet(
        title=plan.title,
        cluster=plan.cluster_name,
        accepted=plan.accepted,
        style="good" if plan.accepted else "bad",
        answer=_answer(plan, failing),
        before=(*((REDACTED,) if redacted else ()), *_by_earlier_rules(plan)),
        reason=request.reason,
        operator=request.operator,
        weights_title="" if plan.accepted else (WERE_IT if look else HAD_IT_BEEN),
        weights=(outage(plan.notes), _loss(plan), _undone(plan)),
        effects_title=EFFECTS if plan.accepted else (WOULD if look else ASKED),
        effects=plan.effects,
        to_know=tuple(each for each in plan.notes if each not in (*writes, *slot_notes(plan.notes))),
        failing=failing,
        foreseen=foreseen,
        foreseen_said=_foreseen_said(plan, len(foreseen)),
        held=held,
        held_said=_held_said(len(held)),
        commit_point=plan.commit_point,
        failures=plan.failures,
        request="none: this is a look" if look else request.id,
        digest=digest,
        words=words_of(digest),
        fields=_fields(plan),
    )


def _answer(plan: Plan, failing: tuple[ShownVerdict, ...]) -> str:
    look, count = plan.request.id == LOOK_ID, len(plan.verdicts)
    foreseen = sum(verdict.result is Result.FORESEEN for verdict in plan.verdicts)
    if not plan.accepted:
        names = ", ".join(each.name for each in failing)
        return f"WOULD BE REJECTED: {names}." if look else f"REJECTED: {names}. Nothing was executed."
    hold = f"all {count} invariants hold"
    if foreseen:
        hold = f"{count - foreseen} of {count} invariants hold, and {foreseen} are foreseen"
    return f"ACCEPTABLE: {hold}." if look else f"ACCEPTABLE: {hold}. Nothing is executed before it is confirmed."


def _by_earlier_rules(plan: Plan) -> tuple[str, ...]:
    """Say so if a plan was made by other rules than this build's own, as happens during an upgrade."""
    if plan.rules == RULES:
        return ()
    by = named((plan.rules,))
    return (f"By {by}: the newest rules that every node, and who asked, spoke. Here they are {RULES}.",)


def _judged(verdict: Verdict) -> ShownVerdict:
    style, mark = RESULTS.get(verdict.result, ("warn", verdict.result.upper()))
    return ShownVerdict(
        invariant=verdict.invariant,
        name=name_of(verdict.invariant),
        style=style,
        mark=mark,
        rule=statement_of(verdict.invariant),
        evidence=verdict.evidence,
        different="" if verdict.result is Result.FORESEEN else different(verdict),
    )


def _foreseen_said(plan: Plan, foreseen: int) -> str:
    after = plan.request.arguments.get(AFTER)  # A plan that was forged may lack it.
    once = f" once {read_earlier(after).words} is executed" if after else ""
    return f"{_counted(foreseen)} foreseen to hold{once}" if foreseen else ""


def _counted(count: int) -> str:
    return "1 invariant is" if count == 1 else f"{count} invariants are"


def _held_said(held: int) -> str:
    """Return how many invariants hold; of none, what is to be seen instead."""
    if not held:
        return "the whole plan"
    return f"{held} invariant holds" if held == 1 else f"{held} invariants hold"


def slot_notes(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the notes that say what becomes of one logical slot each."""
    return tuple(each for each in notes if each.startswith(SLOT))


def _loss(plan: Plan) -> Weight:
    """Return what can be lost: commits, by the plan's own statement, and what readers of logical slots would miss."""
    said = slot_notes(plan.notes)
    lost, unsure = (tuple(each for each in said if word in each) for word in (IS_LOST, MAY_BE_LOST))
    style = "bad" if lost or plan.loss.claim != "none" else "warn" if unsure else "good"
    headlines = [plan.loss.statement]
    headlines += [f"LOGICAL SLOTS ARE LOST: {_slots_named(lost)}."] if lost else []
    headlines += [f"Logical slots may be lost: {_slots_named(unsure)}."] if unsure else []
    return Weight("LOSS", style, tuple(headlines), (*plan.loss.arithmetic, *said))


def _slots_named(notes: tuple[str, ...]) -> str:
    return ", ".join(each.removeprefix(SLOT).partition(" ")[0] for each in notes)


def _undone(plan: Plan) -> Weight:
    if not plan.irreversible:
        return Weight("CANNOT BE UNDONE", "good", (NOTHING_UNDONE,), ())
    return Weight("CANNOT BE UNDONE", "warn", plan.irreversible, ())


def _fields(plan: Plan) -> tuple[Field, ...]:
    """Return every field of a plan that no other part of the document shows."""
    request = plan.request
    return (
        Field("action", request.action, exact=False),
        Field("node", request.target, exact=False),
        *(Field(name, value, exact=False) for name, value in request.arguments.items()),
        Field("term", str(plan.term), exact=False),
        Field("loss", plan.loss.claim, exact=False),
        Field("rules", plan.rules, exact=True),
        Field("cluster", plan.cluster, exact=True),
        Field("configured", plan.configuration, exact=True),
        Field("snapshot", plan.snapshot, exact=True),
        *(Field(f"report of {name}", value, exact=True) for name, value in plan.reports.items()),
        Field("sealed", plan.digest, exact=True),
    )
