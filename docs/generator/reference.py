"""The invariants, the errors and the permissions."""

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import walk_packages

import aerodb
from aerodb.actions import catalogue
from aerodb.api import routes
from aerodb.cli.failures import exit_code
from aerodb.control.roles import matrix_text
from aerodb.errors import AeroError
from aerodb.rules.invariants import RULES, STABILITY, STATEMENTS
from docs.generator.text import GENERATED, anchor, code_link, items, table

WHO = {
    "aerodb.rules": "Whoever explains or judges: control plane, node, command line, verification",
    "aerodb.actions": "What an action asks of its arguments",
    "aerodb.protocol": "Whoever reads a document, a key, a name or a signature",
    "aerodb.past": "Whoever meets another release",
    "aerodb.audit": "The audit log, and verification",
    "aerodb.control": "The control plane",
    "aerodb.web": "The admin UI",
    "aerodb.registration": "The page on which an authenticator is registered",
    "aerodb.transport": "Between two processes, at any step",
    "aerodb.kernel": "The node: its three locks, its durable state",
    "aerodb.kernel.postgres": "The node's PostgreSQL and its programs",
    "aerodb.logwitness": "A log witness",
    "aerodb.cli": "The command line, on the person's own machine",
    "aerodb.views": "The command line and the admin UI alike, before anything is asked for",
    "aerodb.local": "`aerodb init`, `up`, `certificate`, `join` and `admit`, on this machine",
    "aerodb.errors": "Any part",
}
"""Who refuses, by where in the code the error stands."""

DOMAINS = {
    "input": "What was asked for, typed or sent is not of the right form. Nothing was looked at.",
    "control": "The control plane, its log, or what it says, refused or failed.",
    "kernel": "A node refused or failed; its words are passed on as they are.",
    "transport": "Two processes could not speak, or the answer did not come.",
}


@cache
def errors() -> tuple[type[AeroError], ...]:
    """Return every error of the project, by its code and then its name."""
    for found in walk_packages(aerodb.__path__, "aerodb."):
        if not found.name.endswith("__main__"):
            import_module(found.name)

    def below(kind: type[AeroError]) -> Iterator[type[AeroError]]:
        for each in kind.__subclasses__():
            if each.__module__.startswith("aerodb."):
                yield each
                yield from below(each)

    return tuple(sorted(set(below(AeroError)), key=lambda each: (each.code, each.__module__, each.__name__)))


def package_of(kind: type[AeroError]) -> str:
    """Return where in the code an error stands: the innermost of the places that `WHO` names."""
    return max((each for each in WHO if f"{kind.__module__}.".startswith(f"{each}.")), key=len)


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
    """Return the page of all errors, by domain and by who refuses."""
    intro = (
        "Every refusal has a stable code, `domain.reason`. Over HTTP it is a problem (RFC 9457) with the status below; on "
        "the command line it is a line on stderr and the exit code below, or 3 where what was executed is unknown. Each "
        "says whether anything was executed, and which invariants refused."
    )
    parts = [GENERATED, "# Errors", intro]
    for domain, what in DOMAINS.items():
        rows = [_row(code, kinds) for code, kinds in by_code().items() if code.startswith(f"{domain}.")]
        parts.append(f"## {domain}\n\n{what}\n\n{table(('code', 'HTTP', 'exit', 'title', 'meaning'), rows)}")
    parts.append("## By who refuses")
    for package, who in WHO.items():
        codes = sorted({kind.code for kind in errors() if package_of(kind) == package})
        parts.append(f"### {who}\n\n{items(code_link(code, '') for code in codes)}")
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
