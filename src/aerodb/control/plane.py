"""The control plane: a courier and a recorder. It holds no operator's key and decides nothing.

Its only durable state is the log. It runs no loop, no timer, no retry.
"""

from aerodb.audit.record import Record
from aerodb.audit.store import Log
from aerodb.control.agents import Agents
from aerodb.control.authenticators import Authenticators
from aerodb.control.confirm import Confirmer
from aerodb.control.disclose import Discloser
from aerodb.control.dispatch import Dispatcher
from aerodb.control.errors import NeverConfirmed, RequestNotFound
from aerodb.control.explain import Explainer
from aerodb.control.gaps import Gaps
from aerodb.control.meters import Meters
from aerodb.control.reading import Reader
from aerodb.control.record import Recorder
from aerodb.control.roles import Right, person_of, require
from aerodb.control.sessions import Sessions
from aerodb.control.snapshot import collect
from aerodb.control.views import Views
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Done
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.plan import Request
from aerodb.rules.explain import LOOK_ID, REQUEST_ID
from aerodb.transport.tls import Caller, Tls


class ControlPlane:
    """A request's life in four verbs, authenticators, and reading; each checks the caller's right beside its effect."""

    def __init__(self, cluster: Cluster, tls: Tls, log: Log, make_agents: type[Agents] = Agents) -> None:
        """Wire the verbs to one log and one set of agents, which `make_agents` makes."""
        self.cluster = cluster
        self.meters = Meters(log)
        agents = make_agents(cluster, tls, self.meters)
        recorder = Recorder(log, canonical.encode(cluster), self.meters)
        self._recorder = recorder
        self.log = log
        self.views = Views(cluster, log, self.meters)
        self._agents = agents
        self.dispatcher = Dispatcher(cluster, agents, recorder, self.views)
        self.gaps = Gaps(cluster, agents, log, self.views)
        self.explainer = Explainer(cluster, agents, recorder, self.views, self.gaps)
        self.confirmer = Confirmer(cluster, self.explainer, recorder, self.dispatcher, self.views)
        self.authenticators = Authenticators(cluster, recorder)
        self.reader = Reader(cluster, agents, log, self.views)
        self.discloser = Discloser(self.reader, recorder)
        self.sessions = Sessions()

    def compare_log(self) -> None:
        """Ask every node, once, what it has seen of the log, so that a log that went back is told of at the start."""
        self.views.reported(collect(self.cluster, self._agents, LOOK_ID).everyone)

    def person(self, caller: Caller) -> Operator:
        """Return the enrolled person who called.

        Raises:
            CallerUnknown, CallerRevoked: there is none, or no more.
        """
        return person_of(self.cluster, caller)

    def turned_away(self, caller: Caller, request: str, error: AeroError) -> None:
        """Record that somebody tried to change something that they may not: under this request's id, if it is one.

        A record of a request that is known says what the others say of it, and its message who tried what. What is on
        record already is not recorded again.
        """
        if error.recorded:
            return
        named = request if REQUEST_ID.fullmatch(request) else ""
        sequences = self.log.sequences_of(named) if named else ()
        asked = Request(id=named, action="", target="", arguments={}, operator=caller.name, reason="")
        if sequences:
            asked = canonical.decode(self.log.record(sequences[0]), Record).asked
        self._recorder.refused(asked, error, caller.name)

    def visitor(self, token: str) -> Operator:
        """Return the enrolled person whose session in the admin UI this is.

        Raises:
            SessionUnknown, CallerUnknown, CallerRevoked: there is none, or no more.
        """
        return self.person(Caller(name=self.sessions.name(token), kind="person"))

    def ticket(self, person: Operator) -> str:
        """Return a ticket with which `person` signs in to the admin UI, once.

        Raises:
            CallerRefused: they may not look.
        """
        require(person, Right.LOOK)
        return self.sessions.ticket(person)

    def outcome(self, person: Operator, request: str) -> Done:
        """Ask the agent what became of a confirmed request, and record its answer.

        Of a request whose confirmation the log has lost, the node that holds it is asked, and nothing is recorded.

        Raises:
            CallerRefused, RequestNotFound, NeverConfirmed: there is nothing to ask for.
            AeroError: the agent does not say.
        """
        require(person, Right.ASK_OUTCOME)
        try:
            known = self.reader.unresolved(request)
        except (RequestNotFound, NeverConfirmed):
            node = self.gaps.holder_of(request)
            if node is None:
                raise
            return self.dispatcher.ask_lost(node, request)
        return self.dispatcher.establish(*known)
