"""What `aerodb --help` says, and the names of all commands: plain text, made without importing a single one of them.

One action of the catalogue is one command; the catalogue's names are its files' names, with "-" for "_".
"""

from pathlib import Path

from aerodb import __version__

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Look": {
        "status": ("look", "Whether writes are acknowledged, what deviates, what the nodes are; what may be asked."),
        "procedure": (
            "procedure",
            "A switchover, a failover, a return: the requests in order, each judged; asks nothing.",
        ),
        "readiness": ("readiness", "Of a watched cluster: what stands between watching and taking charge."),
        "explain": ("explain", "What an action would do; nothing is asked for or recorded."),
        "requests": ("requests", "The requests so far."),
        "show": ("requests", "One request: its plan, its records and their proofs."),
        "timeline": ("timeline", "What happened, as a story: requests with what their nodes saw, the rest apart."),
        "catalogue": ("catalogue", "What the actions are, and how each can fail."),
        "web": ("web", "Sign in to the admin UI, once; list and end sessions."),
        "whoami": ("catalogue", "Who the control plane takes you for."),
    },
    "Prove": {
        "outcome": ("outcome", "Ask what became of a request."),
        "audit": ("audit", "Search, export, verify and replay the audit log; one decision as evidence."),
        "report": ("report", "A span of time as one HTML or Markdown file."),
        "diagnostics": ("diagnostics", "One file for whoever helps; secrets are never in it."),
    },
    "Confirm": {
        "confirm": ("confirm", "Confirm a request of yours from the browser, or sign as the second person."),
        "decline": ("confirm", "Let a request's plan go unconfirmed, for good."),
        "register": ("register", "Register an authenticator, on this machine, to confirm in the browser."),
        "authenticators": (
            "authenticators",
            "Who has which authenticator, and where each holds.",
        ),
    },
    "People": {
        "configuration": ("configuration", "Who may act, how that came about, and which node has taken what."),
        "certificate": ("certificate", "Issue and renew the certificates that let people in."),
    },
    "Run": {
        "up": ("daemons", "A whole cluster on this machine."),
        "demo": ("daemons", "A switchover, a failover and their proofs, on a cluster of its own."),
        "init": ("daemons", "The folders, keys and configuration of a new cluster."),
        "join": ("joining", "A host's PostgreSQL, made by others: have it watched, and touch nothing of it."),
        "admit": ("joining", "A cluster of hosts that asked to join, to be watched."),
        "agent": ("daemons", "The agent of one node."),
        "gate": ("daemons", "Whether a node's PostgreSQL may be started by its host."),
        "serve": ("daemons", "The control plane."),
        "witness-log": ("witnesslog", "A log witness: it cosigns what extends all that it saw of a log."),
    },
    "Shell": {
        "completion": ("completion", "The script by which bash, zsh or fish completes what you type."),
    },
}
COMPLETE_VARIABLE = "_AERODB_COMPLETE"
"""How a shell's script asks what it can complete, instead of running a command: its words are in the environment."""
TYPED = {"configure": "configure"}
"""The actions whose command is not the generated one, since what they take is not typed as it is; and its module."""
COMMANDS = {name: module for section in SECTIONS.values() for name, (module, _) in section.items()}

_HEAD = """Usage: aerodb [--profile FOLDER] COMMAND ...

PostgreSQL clusters that change only when a person says so.
Every action is explained first, signed by you, logged, and judged again by the node that runs it.
"""
EXIT_CODES = {
    0: "done, or executed",
    1: "rejected, or not executed",
    2: "usage or input",
    3: "unknown: ask with `aerodb outcome REQUEST`; nothing is ever sent again by itself",
    4: "transport",
    5: "not a terminal",
    6: "verification failed",
    7: "of status: no commit is known to be acknowledged now",
    8: "signed, nothing executed yet: it awaits a second person, or, held, the request before it",
    141: "of audit export to a pipe: its reader went away, and it was not written whole",
}
ENVIRONMENT = {
    "AERODB_PROFILE": "The profile folder, where --profile does not name one; else it is ./aerodb-cluster/operator.",
    "NO_COLOR": "If it is set, nothing is coloured.",
}
_TAIL = """Help on a command: aerodb COMMAND --help. A profile folder is named with --profile, or with
AERODB_PROFILE; else it is ./aerodb-cluster/operator.

Exit codes:
""" + "\n".join(f"  {code}  {said}" for code, said in EXIT_CODES.items())


def version_text() -> str:
    """Return what `aerodb --version` says."""
    return f"aerodb {__version__}"


def action_names() -> list[str]:
    """Return the names of the catalogue's actions without importing it."""
    folder = Path(__file__).parent.parent / "actions"
    return sorted(path.stem.replace("_", "-") for path in folder.glob("[a-z]*.py"))


def help_text() -> str:
    """Return the whole help."""
    parts = [_HEAD]
    for title, entries in SECTIONS.items():
        lines = [f"  {name:<16}{summary}\n" for name, (_, summary) in entries.items()]
        parts.append(f"{title}:\n" + "".join(lines))
    parts.append(f"Act (each needs a terminal, a reason, and your signature):\n  {', '.join(action_names())}\n")
    return "\n".join([*parts, _TAIL])
