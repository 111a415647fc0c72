"""The invariants, the errors and the permissions."""

import inspect
from collections.abc import Callable
from functools import cache

from aerodb.actions import catalogue
from aerodb.api import routes
from aerodb.cli.act import act
from aerodb.cli.failures import exit_code
from aerodb.control.access import Access
from aerodb.control.confirm import Confirmer
from aerodb.control.explain import Explainer
from aerodb.control.roles import matrix_text
from aerodb.errors import AeroError
from aerodb.kernel.agent import Agent
from aerodb.rules.invariants import RULES, STABILITY, STATEMENTS
from aerodb.transport.client import Client
from docs.generator.raises import errors, raised_by
from docs.generator.text import GENERATED, anchor, code_link, items, table

STEPS: dict[str, tuple[Callable[..., object], ...]] = {
    "Requested: authority, snapshot, plan, record": (Explainer.ask,),
    "Signed first and logged, where a second person is due": (Confirmer.sign_first,),
    "Confirmed and logged: the signatures, the log": (Confirmer.confirm,),
    "Dispatched and judged again: the three locks, by the node itself": (Agent.run,),
    "Its outcome asked for: the control plane": (Access.outcome,),
    "Its outcome asked for: the node": (Agent.outcome,),
    "Between two processes, at any step": (Client.get, Client.post),
    "On the operator's own machine": (act,),
}
"""The steps of a request's life, and the functions that are those steps."""

DOMAINS = {
    "input": "What was asked for, typed or sent is not of the right form. Nothing was looked at.",
    "control": "The control plane, its log, or what it says, refused or failed.",
    "kernel": "A node refused or failed; its words are passed on as they are.",
    "transport": "Two processes could not speak, or the answer did not come.",
}


def _meaning(kind: type[AeroError]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


@cache
def by_code() -> dict[str, tuple[type[AeroError], ...]]:
    """Return the errors by code: one code may be raised in several places, and means one thing."""
    found: dict[str, tuple[type[AeroError], ...]] = {}
    every: tuple[type[AeroError], ...] = (AeroError, *errors())
    for kind in every:
        found[kind.code] = (*found.get(kind.code, ()), kind)
    return dict(sorted(found.items()))


def _row(code: str, kinds: tuple[type[AeroError], ...]) -> tuple[str, ...]:
    named = [kind for kind in kinds if kind is not AeroError] or list(kinds)
    meanings = dict.fromkeys(_meaning(kind) for kind in named)
    statuses = dict.fromkeys(str(kind.status) for kind in named)
    exits = dict.fromkeys(str(exit_code(kind("none"))) for kind in named)
    link = f'<a id="{anchor(code)}"></a>`{code}`'
    return link, ", ".join(statuses), ", ".join(exits), f"{named[0].title}.", " ".join(meanings)


def errors_page() -> str:
    """Return the page of all errors, by domain and by step."""
    intro = (
        "Every refusal has a stable code, `domain.reason`. Over HTTP it is a problem (RFC 9457) with the status below; on "
        "the command line it is a line on stderr and the exit code below, or 3 where what was executed is unknown. Each "
        "says whether anything was executed, and which invariants refused."
    )
    parts = [GENERATED, "# Errors", intro]
    for domain, what in DOMAINS.items():
        rows = [_row(code, kinds) for code, kinds in by_code().items() if code.startswith(f"{domain}.")]
        parts.append(f"## {domain}\n\n{what}\n\n{table(('code', 'HTTP', 'exit', 'title', 'meaning'), rows)}")
    parts.append(
        "## By step of a request's life\n\nRead from the source: what each step can raise, itself or in what it calls."
    )
    for step, functions in STEPS.items():
        codes = dict.fromkeys(kind.code for kind in raised_by(*functions))
        parts.append(f"### {step}\n\n{items(code_link(code, '') for code in codes)}")
    return "\n\n".join(parts) + "\n"


def invariants_page() -> str:
    """Return the page of all invariants."""
    parts = [
        GENERATED,
        "# Invariants",
        f"The closed list, as of the rules `{RULES}`. Each is judged `holds`, `violated` or `unknown`, with its evidence in a "
        "sentence; unknown counts as no. A plan is accepted only if every invariant of its action holds, and the node that "
        "would run it judges them all again. One that is *unstable* rests on what other nodes are, or on what none of them has "
        "promised: the node judges it a second time, on what they say once the confirmation is in the audit log.",
    ]
    for invariant, (name, statement) in STATEMENTS.items():
        users = [
            f"[{each.name}](actions/{each.name}.md)" for each in catalogue().values() if invariant in each.invariants
        ]
        kind = "Unstable: judged again after the confirmation" if STABILITY[invariant] == "unstable" else "Stable"
        parts.append(f"## {invariant}\n\n**{name}.** {statement}\n\n{kind}. Relied on by {', '.join(users)}.")
    return "\n\n".join(parts) + "\n"


def permissions_page() -> str:
    """Return the page of the permissions."""
    rights = (
        "Deny by default; one person, one role. The table is made from the one that is enforced, beside each effect and not "
        "at the edge alone. Whoever may confirm must also sign: the node checks the signature itself, whatever this table "
        "says."
    )
    keyed = [f"`{each.method} {each.path}`: {each.summary}" for each in routes.ENDPOINTS]
    return (
        "\n\n".join(
            [GENERATED, "# Permissions", rights, f"```\n{matrix_text()}```", "## The API's resources", items(keyed)]
        )
        + "\n"
    )


def pages() -> dict[str, str]:
    """Return the pages by their path in docs/."""
    return {"errors.md": errors_page(), "invariants.md": invariants_page(), "permissions.md": permissions_page()}
