"""The control plane: a courier and a recorder. It holds no operator's key and decides nothing.

Its only durable state is the log. It runs no loop, no timer, no retry.
"""

from aerodb.audit.store import Log
from aerodb.control.agents import Agents
from aerodb.control.authenticators import Authenticators
from aerodb.control.confirm import Confirmer
from aerodb.control.dispatch import Dispatcher
from aerodb.control.explain import Explainer
from aerodb.control.reading import Reader
from aerodb.control.record import Recorder
from aerodb.control.roles import Right, person_of, require
from aerodb.protocol import canonical
from aerodb.protocol.api import Done
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.transport.tls import Caller, Tls


class ControlPlane:
    """A request's life in four verbs, authenticators, and reading; each checks the caller's right beside its effect."""

    def __init__(self, cluster: Cluster, tls: Tls, log: Log) -> None:
        """Wire the verbs to one log and one set of agents."""
        self.cluster = cluster
        agents = Agents(cluster, tls)
        recorder = Recorder(log, canonical.encode(cluster))
        self.log = log
        self.dispatcher = Dispatcher(cluster, agents, recorder)
        self.explainer = Explainer(cluster, agents, recorder)
        self.confirmer = Confirmer(cluster, self.explainer, recorder, self.dispatcher)
        self.authenticators = Authenticators(cluster, recorder)
        self.reader = Reader(cluster, agents, log)

    def person(self, caller: Caller) -> Operator:
        """Return the enrolled person who called.

        Raises:
            CallerUnknown, CallerRevoked: there is none, or no more.
        """
        return person_of(self.cluster, caller)

    def outcome(self, person: Operator, request: str) -> Done:
        """Ask the agent what became of a confirmed request, and record its answer.

        Raises:
            CallerRefused, RequestNotFound, NeverConfirmed: there is nothing to ask for.
            AeroError: the agent does not say.
        """
        require(person, Right.ASK_OUTCOME)
        asked, plan = self.reader.unresolved(request)
        return self.dispatcher.establish(asked, plan)
