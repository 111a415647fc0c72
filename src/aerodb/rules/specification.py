"""What an action is: the form of a catalogue entry.

One file in `aerodb.actions` fills in one specification; help, pages, the API's schema, documentation and the tests'
matrix are all derived from it. Pure: no I/O, no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from aerodb.protocol.ahead import Earlier
from aerodb.protocol.authority import Standing
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Cluster, Role
from aerodb.protocol.facts import Facts
from aerodb.protocol.marks import Gap
from aerodb.protocol.plan import Loss, Plan, Request, Verdict
from aerodb.rules.arguments import Argument
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.view import Peer, View


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One way in which an action can fail: what happens, what is left, and what a person does then."""

    when: str
    leaves: str
    then: str


@dataclass(frozen=True, kw_only=True)
class Established:
    """What PostgreSQL's own state says of a request that was begun and not ended.

    `final` ends an unknown request: its effect cannot happen any more, and whether it had happened cannot be told.
    """

    result: Literal["executed", "not executed", "unknown"]
    evidence: str
    final: bool = False

    @property
    def ends(self) -> bool:
        """Tell whether nothing else will ever be established."""
        return self.final or self.result != "unknown"


NOT_CROSSED = Established(
    result="not executed", evidence="the operation ended before the first step by which its effect can happen"
)
"""What is established of every operation that has not crossed."""

SILENT = Established(
    result="unknown", evidence="PostgreSQL does not answer; ask again when it runs, or is down (it may be stopped)"
)
"""What is established where the process cannot be looked into."""


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What an earlier request would leave, as a later one would see it; None, and why, where that cannot be said."""

    view: View | None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What an operation works from: the plan, and the view whose verdicts hold. `judge` judges the view anew.

    `late` is what the peers said after the confirmation; None where nobody asked them.
    """

    plan: Plan
    view: View
    judge: Callable[[View], tuple[Verdict, ...]]
    late: dict[str, Peer] | None = None

    @property
    def views(self) -> tuple[View, ...]:
        """Return the view of the plan's reports and, where there are any, that of the late ones, in this order."""
        return (self.view,) if self.late is None else (self.view, replace(self.view, peers=self.late))


@dataclass(frozen=True, kw_only=True)
class Action:
    """One entry of the closed catalogue.

    `judge` returns a verdict for each of `invariants`, in their order. `term` is the term that a plan names (0: none).
    `effects` and `irreversible` are sentences with {node}, {term} and the arguments' names to be filled in. `operate`
    is the one kernel operation; it returns the evidence of its commit point. `established` judges a request that was
    begun and not ended, from the facts before it and now, and from whether the operation has crossed: whether the
    journal holds that it came to the first step by which its effect can happen. It says "not executed" only of what can
    never happen any more. `settle` gives the standing that goes with an executed one.
    `writes` says, as a plan's first notes, whether commits can be acknowledged now and afterwards.
    `leaves` says of its own node what it would state once this is executed; None: its standing is as it was.
    `foresees` is of an action that may come after another: the view that one would leave, from the view of now.
    `gives_up` is of the one action by which a node accepts another audit log than the one that it saw: what it names.
    `since` is the number of the rules that the action came with: earlier ones make no plan of it. `of_class` is its
    class: a configuration asks for a second person by classes.
    """

    name: str
    title: str
    summary: str
    target: str
    arguments: tuple[Argument, ...]
    authority: Role
    of_class: ActionClass
    invariants: tuple[Invariant, ...]
    effects: tuple[str, ...]
    irreversible: tuple[str, ...]
    notes: Callable[[View], tuple[str, ...]]
    loss: Callable[[View], Loss]
    commit_point: str
    failures: tuple[Failure, ...]
    outage: str
    term: Callable[[View], int]
    judge: Callable[[View], tuple[Verdict, ...]]
    operate: Callable[[Hands, Order], tuple[str, ...]]
    established: Callable[[Plan, Facts, Facts, bool], Established]
    settle: Callable[[Hands, Plan], Standing]
    writes: Callable[[View], tuple[str, ...]]
    gives_up: Callable[[Request], Gap] | None = None
    leaves: Callable[[View, Peer], Peer] | None = None
    foresees: Callable[[View, Earlier], Foreseen] | None = None
    since: int = 1

    @property
    def needed(self) -> tuple[Argument, ...]:
        """Return the arguments without which no request is well formed."""
        return tuple(each for each in self.arguments if not each.optional)

    def every_arguments(self, cluster: Cluster) -> tuple[tuple[str, ...], ...] | None:
        """Return the values that each needed argument could have; None where those of one cannot be listed."""
        found = [argument.values(cluster) for argument in self.needed]
        listed = tuple(values for values in found if values is not None)
        return listed if len(listed) == len(found) else None


def no_term(view: View) -> int:
    """Return 0: the action is about no term."""
    del view
    return 0


def no_notes(view: View) -> tuple[str, ...]:
    """Return nothing: the action has nothing more to point out."""
    del view
    return ()


def no_loss(view: View) -> Loss:
    """State that the action can lose no commit, since it discards no WAL."""
    del view
    return Loss(claim="none", statement="No commit can be lost: the action discards no WAL.", arithmetic=())


def same_standing(hands: Hands, plan: Plan) -> Standing:
    """Return the standing as it is: the operation wrote it itself, before or at its commit point."""
    del plan
    return hands.standing()
