"""The chain of configurations as people read it: which node has taken what, and what of it does not fit.

Pure: no I/O, no clock.
"""

from aerodb.protocol.api import Status
from aerodb.protocol.chain import Chain
from aerodb.rules.versions import taken
from aerodb.views.observed import Observed, Remark


def taken_remark(chain: Chain, observed: Observed, name: str) -> Remark:
    """Return what is to be said of the version that a node has taken, as it signed its report."""
    facts = observed.facts.get(name)
    if facts is None:
        return "warn", "not known: it does not report"
    path = taken(facts)
    if path != chain.path[: len(path)]:
        return "bad", f"version {len(path)} ({path[-1]}), which is not of this chain"
    if len(path) < len(chain.versions):
        return "warn", f"version {len(path)}; version {len(path) + 1} is not taken yet: aerodb configure {name} --take"
    return "good", f"version {len(path)}"


def is_foreign(chain: Chain, status: Status) -> bool:
    """Tell whether the control plane works with a configuration that is not of the chain.

    A role that is shown no signed reports is not shown what proves a version either, and is told so.
    """
    return chain.named(status.configuration) is None and not status.facts


def chain_remarks(chain: Chain, status: Status, observed: Observed) -> list[Remark]:
    """Return how the configuration of a status stands to the chain that a person has verified."""
    if is_foreign(chain, status):
        said = "The control plane works with another configuration than the profile's cluster.json."
        return [("bad", said)]
    if chain.named(status.configuration) is None:
        return [("warn", "That the configuration follows from the profile's is not shown to your role either.")]
    remarks = ((name, taken_remark(chain, observed, name)) for name in observed.facts)
    return [("bad", f"{name} has taken {text}") for name, (style, text) in remarks if style == "bad"]
