"""The control plane: a courier and a recorder. It holds no operator's key and decides nothing.

Its only durable state is the log. It runs no loop, no timer, no retry.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from aerodb.audit.record import decode_record
from aerodb.audit.store import Log
from aerodb.control.access import Access, PlaneParts
from aerodb.control.agents import Agents, Rules
from aerodb.control.authenticators import Authenticators
from aerodb.control.comparison import Comparisons
from aerodb.control.confirm import Confirmer
from aerodb.control.cosigning import LogWitnesses
from aerodb.control.disclose import Discloser
from aerodb.control.dispatch import Dispatcher
from aerodb.control.door import SignIn
from aerodb.control.explain import Explainer
from aerodb.control.gaps import Gaps
from aerodb.control.meters import Meters
from aerodb.control.procedures import Procedures
from aerodb.control.reading import Reader
from aerodb.control.record import Recorder, asking
from aerodb.control.roles import person_of
from aerodb.control.sequences import Sequences
from aerodb.control.snapshot import asked_for, collect
from aerodb.errors import AeroError
from aerodb.past.speaking import SPOKEN
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Request
from aerodb.rules.explain import LOOK_ID, REQUEST_ID
from aerodb.transport.outside import ServicePlace
from aerodb.transport.peer import PeerProgram
from aerodb.transport.tls import Caller, Tls

NOWHERE: Mapping[str, ServicePlace] = MappingProxyType({})


class ControlPlane:
    """A request's life in four verbs, authenticators, and reading: for a person, and in no other way.

    Whoever called gets an `Access`; nothing else here reads or acts.
    """

    def __init__(
        self,
        cluster: Cluster,
        tls: Tls,
        log: Log,
        make_agents: type[Agents] = Agents,
        log_witnesses: Mapping[str, ServicePlace] = NOWHERE,
    ) -> None:
        """Wire the verbs to one log and one set of agents, which `make_agents` makes.

        `log_witnesses` says where each log witness is that the configuration names.
        """
        self._founding = cluster
        self.meters = Meters(log)
        self._log, self._agents = log, make_agents(cluster, tls, self.meters)
        self._recorder = Recorder(log, canonical.encode(cluster), self.meters)
        self._recorder.versions.read_back(log)
        self._log_witnesses = LogWitnesses(cluster, log, log_witnesses)
        self._parts = self._made()

    def _made(self) -> PlaneParts:
        cluster, agents, recorder, log = self._founding, self._agents, self._recorder, self._log
        comparisons = Comparisons(cluster, log, self.meters)
        dispatcher = Dispatcher(cluster, agents, recorder, comparisons, self._log_witnesses)
        sequences = Sequences(cluster, agents, recorder, dispatcher, comparisons)
        gaps = Gaps(cluster, agents, log, comparisons)
        explainer = Explainer(cluster, agents, recorder, comparisons, gaps, sequences)
        reader = Reader(recorder.versions, agents, log, comparisons, explainer.awaits, sequences)
        return PlaneParts(
            versions=recorder.versions,
            log=log,
            explainer=explainer,
            confirmer=Confirmer(explainer, recorder, dispatcher, sequences, comparisons),
            dispatcher=dispatcher,
            sequences=sequences,
            authenticators=Authenticators(recorder),
            reader=reader,
            procedures=Procedures(recorder.versions, agents, log, reader, sequences.waits),
            discloser=Discloser(reader, recorder, explainer),
            comparisons=comparisons,
            gaps=gaps,
            door=SignIn(recorder),
        )

    # Its life ---------------------------------------------------------------------------------------------------------

    def left_over(self) -> tuple[tuple[Request, str], ...]:
        """Return what an earlier process left behind: see `Explainer.left_over`."""
        return self._parts.explainer.left_over()

    def close(self) -> None:
        """Record that what still awaits its confirmation, or its turn, lapses with this process."""
        self._parts.explainer.close()
        self._parts.sequences.close()

    def begin(self, left_over: Iterable[tuple[Request, str]]) -> None:
        """Ask every node, once, what it has seen of the log, so that a log that went back is told of at the start.

        Where it did not, record what an earlier process could not: that the plans which are `left_over` lapsed with it.
        """
        everyone = collect(self.cluster, self._agents, LOOK_ID, asked_for(self.cluster, SPOKEN)).everyone
        self._recorder.versions.reported(everyone)
        self._parts.comparisons.reported(everyone)
        self._parts.explainer.lapse(left_over)

    @property
    def cluster(self) -> Cluster:
        """Return the newest version of the configuration that is known to have been taken."""
        return self._recorder.versions.newest

    # Who calls --------------------------------------------------------------------------------------------------------

    @property
    def door(self) -> SignIn:
        """Return the door of the admin UI, at which people sign in and out."""
        return self._parts.door

    def caller(self, caller: Caller, speaks: Rules = SPOKEN) -> Access:
        """Return what the enrolled person who called may read and do; `speaks` are the rules they can check plans by.

        Raises:
            CallerUnknown, CallerRevoked: there is none, or no more.
        """
        return Access(self._parts, person_of(self.cluster, caller), speaks)

    def visitor(self, token: str, peer: PeerProgram | None) -> Access:
        """Return what the person may read and do whose session in the admin UI a program shows the token of.

        Raises:
            SessionUnknown, SessionForeign, CallerUnknown, CallerRevoked: see `SignIn.visitor`.
        """
        return Access(self._parts, self._parts.door.visitor(token, peer), SPOKEN)

    def turned_away(self, caller: Caller, request: str, error: AeroError) -> None:
        """Record that somebody tried to change something that they may not: under this request's id, if it is one.

        A record of a request that is known says what the others say of it, and its message who tried what. What is on
        record already is not recorded again.
        """
        if error.recorded:
            return
        named = request if REQUEST_ID.fullmatch(request) else ""
        sequences = self._log.sequences_of(named) if named else ()
        asked = Request(id=named, action="", target="", arguments={}, operator=caller.name, reason="")
        if sequences:
            asked = asking(decode_record(self._log.record(each)) for each in sequences).asked
        self._recorder.refused(asked, error, caller.name)
