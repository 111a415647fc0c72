"""One page an action, and their index, from the catalogue."""

import inspect
from collections.abc import Callable, Iterator

from aerodb.actions import catalogue
from aerodb.protocol.classes import MEANINGS
from aerodb.protocol.plan import Loss
from aerodb.rules.arguments import KINDS, Argument
from aerodb.rules.election import election_loss
from aerodb.rules.invariants import STATEMENTS
from aerodb.rules.specification import Action, no_loss
from aerodb.rules.view import View
from docs.generator.text import GENERATED, anchor, items, table

LOSSES: dict[Callable[[View], Loss], str] = {
    no_loss: "Always: no commit can be lost, since the action discards no WAL.",
    election_loss: "Either: no synchronously acknowledged commit is lost, proven by the election quorum, the commit quorum "
    "and the WAL prefix, with their arithmetic; or: it cannot be proven, because a pledge is missing, is not kept, or is of more WAL, and then the plan is "
    "a rejection. Commits of sessions with `synchronous_commit` off, local or remote_write, commits whose wait was cancelled, and what is in unlogged tables are "
    "never covered.",
}
"""What the loss statements that several actions share can say; an action's own says it in its docstring."""


def usage(action: Action) -> str:
    """Return how the action is typed."""
    options = "".join(f" {each.option} {each.form}" for each in action.arguments)
    return f'aerodb {action.name} NODE{options} --reason "..."'


def _bare(action: Action, sentence: str) -> str:
    """Return a sentence with what is filled in marked as such."""
    names = {"node": "`NODE`", "term": "`TERM`", **{each.name: f"`{each.option}`" for each in action.arguments}}
    return sentence.format(**names)


CLAIMS = ("none", "at most", "cannot be proven")


def claims_of(loss: Callable[[View], Loss]) -> tuple[str, ...]:
    """Return which claims a loss statement can make, by itself or by what it calls."""
    code = inspect.unwrap(loss).__code__
    called = [inspect.unwrap(loss).__globals__.get(name) for name in code.co_names]
    texts = {text for each in (loss, *called) if inspect.isfunction(each) for text in each.__code__.co_consts}
    return tuple(claim for claim in CLAIMS if claim in texts)


def _losses(action: Action) -> str:
    told = LOSSES.get(action.loss)
    if told is not None:
        return told
    own = (action.loss.__doc__ or "").splitlines()[0].removeprefix("State ").rstrip(".")
    claims = ", ".join(f"*{claim}*" for claim in claims_of(action.loss))
    return f"The plan states {own}, with the arithmetic. Its claim is one of: {claims}."


def _sections(action: Action) -> Iterator[tuple[str, str]]:
    yield "Applies to", f"{action.target.capitalize()}."
    yield "On the command line", f"```\n{usage(action)}\naerodb explain {usage(action).split(' --reason')[0][7:]}\n```"
    yield (
        "Arguments",
        table(
            ("argument", "option", "kind", "meaning", "may be the target itself"),
            [
                (f"`{each.name}`", f"`{each.option}`", _kind(each), each.help, _itself(each))
                for each in action.arguments
            ],
        )
        if action.arguments
        else "None.",
    )
    yield "Authority", f"A person whose role is {action.authority} ([permissions](../permissions.md))."
    yield (
        "Class",
        f"{action.of_class}: {MEANINGS[action.of_class]}. A configuration can ask for a "
        "[second person](../operating.md#a-second-person) for a class.",
    )
    yield "What happens", items(_bare(action, each) for each in action.effects)
    yield "What cannot be undone", items(_bare(action, each) for each in action.irreversible) or "Nothing."
    yield "Outage", action.outage
    yield "What could be lost", _losses(action)
    yield "Commit point", _bare(action, action.commit_point)
    yield (
        "Invariants relied on",
        table(
            ("invariant", "statement"),
            [
                (f"[{STATEMENTS[each][0]}](../invariants.md#{anchor(each)})", STATEMENTS[each][1])
                for each in action.invariants
            ],
        ),
    )
    yield (
        "How it can fail",
        table(
            ("when", "what is left", "what a person does then"),
            [tuple(_bare(action, text) for text in (each.when, each.leaves, each.then)) for each in action.failures],
        ),
    )
    yield "Errors", ERRORS


ERRORS = (
    "A request can be refused at every step of its life: see [the errors by who refuses](../errors.md#by-who-refuses). "
    "While the operation itself runs, it can end with those of "
    "[the node's PostgreSQL and its programs](../errors.md#the-nodes-postgresql-and-its-programs), or of "
    "[the node](../errors.md#the-node-its-three-locks-its-durable-state) where its durable state cannot be written. What "
    "was executed then is judged from PostgreSQL's own state at the commit point."
)


def page(action: Action) -> str:
    """Return the page of one action."""
    parts = [GENERATED, f"# {action.name}", action.summary]
    parts += [f"## {title}\n\n{text}" for title, text in _sections(action)]
    return "\n\n".join(parts) + "\n"


def _itself(argument: Argument) -> str:
    """Return whether the target may name itself; of what names no node, nothing."""
    if argument.kind != "node":
        return "-"
    return "yes" if argument.itself else "no"


def _kind(argument: Argument) -> str:
    """Return the argument's kind, with what is particular to this one."""
    choices = ": " + ", ".join(f"`{each}`" for each in argument.choices) if argument.choices else ""
    return f"[{argument.kind}](../arguments.md#{argument.kind}){choices}"


def arguments() -> str:
    """Return the page of what an argument can be."""
    used = {each.kind: action.name for action in catalogue().values() for each in action.arguments}
    parts = [
        GENERATED,
        "# Arguments",
        "What an action takes besides the node that acts. A value has exactly one form: two texts never mean one value, "
        "so what is signed is what was meant. Anything else is refused before anything is looked at, with the field's "
        "name, as [`input.argument-malformed`](errors.md#inputargument-malformed) or the kind's own error.",
    ]
    for name, kind in KINDS.items():
        parts += [f"## {name}", f"`{kind.form}`: {kind.meaning}. Like `{kind.example}`."]
        parts.append(
            f"Every value matches `{kind.pattern}` and has at most {kind.characters_max} characters. "
            + (f"Taken by {used[name]}, among others." if name in used else "No action takes one yet.")
        )
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """Return the index of all actions."""
    rows = [(f"[{each.name}]({each.name}.md)", each.summary, each.target, each.outage) for each in catalogue().values()]
    text = (
        "The catalogue is closed: these are all the ways in which AeroDB changes a cluster. Each is asked for by one "
        "person, for one node, with a reason; shown as a plan; signed; logged; and judged again by the node that runs it."
    )
    return (
        "\n\n".join([GENERATED, "# Actions", text, table(("action", "what it does", "applies to", "outage"), rows)])
        + "\n"
    )


def pages() -> dict[str, str]:
    """Return every page about actions by its path in docs/."""
    return {
        "arguments.md": arguments(),
        "actions/README.md": index(),
        **{f"actions/{each.name}.md": page(each) for each in catalogue().values()},
    }
