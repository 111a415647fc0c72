"""What a node held until its turn, and holds no more since another order came to it."""

from aerodb.cli.decided import decision_of
from aerodb.cli.profile import Caller
from aerodb.cli.terminal import Terminal, escape
from aerodb.cli.verification import verified_outcome
from aerodb.errors import AeroError
from aerodb.protocol.api import Done
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import plan_digest


def show_dropped(terminal: Terminal, cluster: Cluster, caller: Caller, node: str, done: Done) -> None:
    """Say which held orders the order that became `done` has dropped, each as its node has signed it.

    What cannot be verified is not shown as what became of it: it is said how to ask.
    """
    for each in done.dropped or ():
        terminal.line("")
        try:
            decision = decision_of(caller, each.request)
            verified_outcome(cluster, each.request, node, plan_digest(decision.plan or ""), each)
        except AeroError as error:
            said = f"What became of request {each.request} is not shown: {error.message}"
            terminal.line(escape(f"{said}: aerodb outcome {each.request}"), "warn")
            continue
        if each.result != "not executed":
            said = f"What became of request {each.request}, which {node} held: {each.result.upper()} ({each.code})"
            terminal.line(escape(f"{said}: aerodb outcome {each.request}"), "warn")
            continue
        said = f"{node} held the order of request {each.request}, and has dropped it: {each.result.upper()}"
        terminal.line(escape(f"{said} ({each.code})."), "warn")
        terminal.line("  It never runs any more; ask for it anew if it is still wanted.", "dim")
