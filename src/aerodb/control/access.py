"""What one enrolled person reads and does: the only door from routes and pages to the control plane.

- It is made of the control plane and of a person whom their certificate or their session has named. So nothing is read
  or done for nobody, and no route and no page has a way around it.
- Each right is checked by what is called here, beside its effect. Here nothing is decided and nothing is kept.
- What is refused is refused there; every method raises what it names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import UNSET
from msgspec.structs import replace

from aerodb.audit.evidence import Evidence
from aerodb.audit.findings import Finding
from aerodb.audit.makers import VersionMaker
from aerodb.audit.search import Query
from aerodb.audit.store import Log
from aerodb.control.agents import Rules
from aerodb.control.authenticators import Authenticators
from aerodb.control.comparison import Comparisons
from aerodb.control.confirm import Confirmer
from aerodb.control.disclose import Discloser
from aerodb.control.dispatch import Dispatcher
from aerodb.control.door import SignIn
from aerodb.control.errors import NeverConfirmed, RequestNotFound
from aerodb.control.explain import Explainer
from aerodb.control.gaps import Gaps
from aerodb.control.procedures import Procedures
from aerodb.control.reading import Reader
from aerodb.control.roles import ALLOWED, Right, require
from aerodb.control.sequences import Sequences
from aerodb.control.versions import KnownVersions, makers
from aerodb.protocol.api import (
    Ask,
    AsOf,
    Compared,
    Decision,
    Done,
    Found,
    GapFound,
    Planned,
    ProvenEntry,
    Records,
    Replayed,
    RequestLine,
    Requests,
    SessionLine,
    Shown,
    SignedIn,
    Status,
    Ticket,
)
from aerodb.protocol.chain import Chain
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.credentials import Authenticator, CreationOptions, RequestOptions
from aerodb.protocol.envelope import Configurations
from aerodb.protocol.procedure import Procedure
from aerodb.protocol.timeline import Timeline
from aerodb.rules.invariants import RULES


@dataclass(frozen=True, kw_only=True)
class PlaneParts:
    """What a control plane is made of."""

    versions: KnownVersions
    log: Log
    explainer: Explainer
    confirmer: Confirmer
    dispatcher: Dispatcher
    sequences: Sequences
    authenticators: Authenticators
    reader: Reader
    procedures: Procedures
    discloser: Discloser
    comparisons: Comparisons
    gaps: Gaps
    door: SignIn


class Access:
    """One person's way to one control plane, for one call."""

    def __init__(self, parts: PlaneParts, person: Operator, speaks: Rules) -> None:
        """Keep who it is, and which rules they can check a plan by; only a control plane that knows that makes one."""
        self._parts = parts
        self.person = person
        self._speaks = speaks

    # Who it is --------------------------------------------------------------------------------------------------------

    def may(self, right: Right) -> bool:
        """Tell whether the person's role allows something."""
        return right in ALLOWED[self.person.role]

    def require(self, right: Right) -> None:
        """Refuse what the person's role does not allow.

        Raises:
            CallerRefused: so it is.
        """
        require(self.person, right)

    @property
    def cluster(self) -> Cluster:
        """Return the configuration's newest version; the founding one every enrolled person has in their profile."""
        return self._parts.versions.newest

    def configurations(self) -> Configurations:
        """Return the chain of configurations, with what proves each version."""
        self.require(Right.READ_AUDIT)
        return self._parts.reader.configurations()

    def chain(self) -> tuple[Chain, tuple[VersionMaker, ...]]:
        """Return all versions of the configuration that are known, and who made each after the first.

        Nothing is shown of it that the requests do not show by which they were made.

        Raises:
            CallerRefused: the person may not read requests.
            VerificationFailed: a record was altered.
        """
        self.require(Right.READ_REQUESTS)
        chain = self._parts.versions.chain
        return chain, makers(self._parts.versions, chain, self._parts.log)

    # Acting -----------------------------------------------------------------------------------------------------------

    def ask(self, request: str, ask: Ask) -> Planned:
        """Return the recorded plan of a new request. Raises what `Explainer.ask` does."""
        return self._parts.explainer.ask(self.person, request, ask, self._speaks)

    def confirm(self, request: str, signature: str) -> Done:
        """Log a confirmation, send the order, once, and return the outcome. Raises what `Confirmer.confirm` does."""
        done = self._parts.confirmer.confirm(self.person, request, signature)
        return done if RULES in self._speaks else replace(done, dropped=UNSET)  # Earlier rules know none.

    def sign_first(self, request: str, signature: str) -> RequestLine:
        """Log the requester's signature, where a second person is due. Raises what `Confirmer.sign_first` does."""
        return self._parts.confirmer.sign_first(self.person, request, signature)

    def decline(self, request: str) -> RequestLine:
        """Let a plan go unconfirmed, for good. Raises what `Confirmer.decline` does."""
        return self._parts.confirmer.decline(self.person, request)

    def outcome(self, request: str) -> Done:
        """Ask the agent what became of a confirmed request, and record its answer.

        Of a request whose confirmation the log has lost, the node that holds it is asked, and nothing is recorded.

        Raises:
            CallerRefused, RequestNotFound, NeverConfirmed: there is nothing to ask for.
            AeroError: the agent does not say.
        """
        self.require(Right.ASK_OUTCOME)
        try:
            known = self._parts.reader.unresolved(request)
        except (RequestNotFound, NeverConfirmed):
            node = self._parts.gaps.holder_of(request)
            if node is None:
                raise
            return self._parts.dispatcher.ask_lost(node, request)
        done = self._parts.dispatcher.establish(*known)
        self._parts.sequences.answered(done)
        return done

    # Reading the cluster ----------------------------------------------------------------------------------------------

    def look(self, ask: Ask) -> Planned:
        """Return the plan that a request would have now; records nothing. Raises what `Discloser.look` does."""
        return self._parts.discloser.look(self.person, ask, self._speaks)

    def status(self, *, sensitive: bool, judged: bool = True) -> Status:
        """Return the cluster as it is now. Raises what `Discloser.status` does."""
        return self._parts.discloser.status(self.person, sensitive=sensitive, judged=judged, speaks=self._speaks)

    def procedure(self, name: str, nodes: Mapping[str, str], reason: str) -> Procedure:
        """Return a procedure, laid out; asks for nothing. Raises what `Procedures.laid` does."""
        return self._parts.procedures.laid(self.person, name, nodes, reason, self._speaks)

    def status_as_of(self, digest: str, *, sensitive: bool) -> AsOf:
        """Return a recorded snapshot and the answers of then. Raises what `Discloser.status_as_of` does."""
        return self._parts.discloser.status_as_of(self.person, digest, sensitive=sensitive)

    def configuration(self, digest: str) -> Cluster:
        """Return the configuration of a digest, where the log holds it; else the one of now.

        Raises:
            CallerRefused: the person may not look.
        """
        self.require(Right.LOOK)
        return self._parts.reader.configuration(digest)

    def timeline(self, node: str | None, term: int | None, records_max: int, *, sensitive: bool) -> Timeline:
        """Return the timeline. Raises what `Discloser.timeline` does."""
        return self._parts.discloser.timeline(self.person, node, term, records_max, sensitive=sensitive)

    # Reading requests -------------------------------------------------------------------------------------------------

    def requests(self, before: int | None, limit: int) -> Requests:
        """Return one page of the requests, the newest first. Raises what `Discloser.requests` does."""
        return self._parts.discloser.requests(self.person, before, limit)

    def knows(self, request: str) -> bool:
        """Tell whether the log knows a request of that id.

        Raises:
            CallerRefused: the person may not read requests.
        """
        self.require(Right.READ_REQUESTS)
        return bool(self._parts.log.sequences_of(request))

    def decision(self, request: str, *, sensitive: bool) -> Decision:
        """Return a request's decision. Raises what `Discloser.decision` does."""
        return self._parts.discloser.decision(self.person, request, sensitive=sensitive)

    def judged(self, request: str) -> tuple[Finding, ...]:
        """Return what holds of a request's records. Raises what `Discloser.judged` does."""
        return self._parts.discloser.judged(self.person, request)

    def replay(self, request: str) -> Replayed:
        """Compute a request's plan again, and compare the bytes. Raises what `Discloser.replay` does."""
        return self._parts.discloser.replay(self.person, request)

    def evidence(self, request: str) -> Evidence:
        """Return the evidence of one request; the reading is recorded. Raises what `Discloser.evidence` does."""
        return self._parts.discloser.evidence(self.person, request)

    # Reading the log --------------------------------------------------------------------------------------------------

    @property
    def log_size(self) -> int:
        """Return how many records the log has, which every enrolled person may know."""
        return self._parts.log.size

    def checkpoint(self) -> str:
        """Return the log's newest checkpoint. Raises what `Discloser.checkpoint` does."""
        return self._parts.discloser.checkpoint(self.person)

    def records(self, start: int, count: int) -> Records:
        """Return records of the log, in its order. Raises what `Discloser.records` does."""
        return self._parts.discloser.records(self.person, start, count)

    def entry(self, sequence: int) -> ProvenEntry:
        """Return one record with its proof. Raises what `Discloser.entry` does."""
        return self._parts.discloser.entry(self.person, sequence)

    def search(self, query: Query, before: int | None, limit: int) -> Found:
        """Return one page of the records that match, the newest first. Raises what `Discloser.search` does."""
        return self._parts.discloser.search(self.person, query, before, limit)

    def export(self) -> Iterator[bytes]:
        """Return the whole log as JSON Lines; the reading is recorded. Raises what `Discloser.export` does."""
        return self._parts.discloser.export(self.person)

    def compare(self, shown: Shown) -> Compared:
        """Return the proof that the log extends what the person shows of it. Raises what `Comparisons.compare` does."""
        return self._parts.comparisons.compare(self.person, shown)

    def gap(self) -> GapFound:
        """Return what nodes hold and the log lacks. Raises what `Gaps.found` does."""
        return self._parts.gaps.found(self.person)

    # Authenticators ---------------------------------------------------------------------------------------------------

    def authenticators(self) -> tuple[Authenticator, ...]:
        """Return everybody's authenticators. Raises what `Authenticators.known` does."""
        return self._parts.authenticators.known(self.person)

    def enrolments(self) -> Chain:
        """Return all versions of the configuration that are known, which say what is enrolled.

        Raises:
            CallerRefused: the person may have no authenticators.
        """
        self.require(Right.REGISTER)
        return self._parts.versions.chain

    def begin_registration(self) -> CreationOptions:
        """Begin to register an authenticator. Raises what `Authenticators.begin` does."""
        return self._parts.authenticators.begin(self.person)

    def finish_registration(self, response: str) -> Authenticator:
        """Take what the browser says of a new authenticator. Raises what `Authenticators.finish` does."""
        return self._parts.authenticators.finish(self.person, response)

    def confirming_options(self, plan_text: str) -> RequestOptions:
        """Return what a browser asks an authenticator to sign. Raises what `Authenticators.options` does."""
        return self._parts.authenticators.options(self.person, plan_text)

    def assertion(self, request: str, response: str) -> str:
        """Return what an authenticator signed, as a confirmation of a request's plan, where one awaits that.

        Raises what `Authenticators.assertion` does.
        """
        pending = self._parts.explainer.pending(request)
        under = pending.plan.configuration if pending else self.cluster.digest
        return self._parts.authenticators.assertion(under, response)

    # Sessions in the admin UI -----------------------------------------------------------------------------------------

    def ticket(self) -> Ticket:
        """Return a ticket with which the person signs in, once. Raises what `SignIn.ticket` does."""
        return self._parts.door.ticket(self.person)

    def sessions(self) -> SignedIn:
        """Return the sessions that the person may see. Raises what `SignIn.listed` does."""
        return self._parts.door.listed(self.person)

    def end_session(self, session: str) -> SessionLine:
        """End a session. Raises what `SignIn.end` does."""
        return self._parts.door.end(self.person, session)
