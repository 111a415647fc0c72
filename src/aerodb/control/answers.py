"""Which parts of the API's answers may carry sensitive facts: one table, a line for each kind of answer.

- *Live*: text made from what nodes reported, or from what could not be reached. Who may see sensitive facts sees it.
- *Recorded*: what the log holds as it was written or signed. Who may read the log sees it.
- All else is public to everyone who is enrolled: names, terms, results, codes, digests, an operator's reasons.
- A kind of answer without a line here cannot be shown to anyone from whom something is kept: it must be classed first.

Pure: no I/O, no clock.
"""

import msgspec

from aerodb.audit.evidence import Evidence
from aerodb.audit.evidence import EvidenceRecord as EvidenceEntry
from aerodb.protocol import api, timeline
from aerodb.protocol.authenticator import EnrolledAuthenticator
from aerodb.protocol.certificates import Certificate
from aerodb.protocol.change import Change, Link
from aerodb.protocol.classification import CLASSES, Class, Unclassed
from aerodb.protocol.cluster import Cluster, Cosigning, LaterCluster, Member, Operator, WatchedCluster
from aerodb.protocol.credentials import (
    Authenticator,
    AuthenticatorList,
    CreationOptions,
    Descriptor,
    Parameter,
    RelyingParty,
    Selection,
    User,
)
from aerodb.protocol.envelope import Configurations, Envelope
from aerodb.protocol.holdings import HeldRequest
from aerodb.protocol.lags import StandbyLag
from aerodb.protocol.plan import LaterPlan, Loss, Plan, Request, Second, Snapshot, Verdict
from aerodb.protocol.procedure import Procedure, ProcedureOrder, ProcedureStep, StepDone
from aerodb.protocol.writes import Writes

LIVE: dict[type[msgspec.Struct], str] = {
    Snapshot: "reports missing",
    Verdict: "evidence",
    Loss: "statement arithmetic",
    Writes: "headline details",
    Plan: "notes",
    LaterPlan: "notes",
    api.Planned: "plan",
    api.Decision: "snapshot",
    api.GapFound: "missing",
    ProcedureStep: "why meanwhile",
    timeline.Timeline: "missing",
    timeline.Entry: "subject before after",
}
RECORDED: dict[type[msgspec.Struct], str] = {
    api.Decision: "plan records proofs",
    api.Done: "outcome message",
    api.GapFound: "holdings lost",
    api.LostRequest: "held",
    HeldRequest: "plan outcome",
    api.LogEntry: "record",
    api.ProvenEntry: "record proof",
    Evidence: "plan snapshot late entries chain taken",
    EvidenceEntry: "record proof",
    Envelope: "plan signature second record proof outcome outcome_proof",
}
PUBLIC: frozenset[type[msgspec.Struct]] = frozenset({
    Certificate, Change, Cluster, Configurations, Cosigning, EnrolledAuthenticator, LaterCluster, Link, Member,
    Operator, Request, Second, StandbyLag, WatchedCluster,
    Procedure, ProcedureOrder, StepDone,
    timeline.Lag,
    api.AsOf, api.Catalogue, api.CatalogueEntry, api.Cell, api.Compared, api.EventLine, api.Found, api.Comparison,
    api.Records, api.Replayed, api.RequestLine, api.Requests, api.SessionLine, api.SignedIn, api.Status, api.Ticket,
    api.WhoAmI,
    Authenticator, AuthenticatorList, CreationOptions, Descriptor, Parameter, RelyingParty, Selection, User,
})  # fmt: skip


def kept_from(kind: type[msgspec.Struct], name: str, *, live: bool, recorded: bool) -> bool:
    """Tell whether a part of an answer is kept from a person who sees what is `live`, and what is `recorded`, or not.

    Raises:
        Unclassed: nobody has said what may be in it.
    """
    if kind in CLASSES:
        if name not in CLASSES[kind]:
            raise Unclassed(f"{kind.__name__}.{name} has no class")
        return CLASSES[kind][name] is not Class.PUBLIC and not live
    if kind not in LIVE and kind not in RECORDED and kind not in PUBLIC:
        raise Unclassed(f"{kind.__name__} has no class")
    hidden = (LIVE.get(kind, "") if not live else "", RECORDED.get(kind, "") if not recorded else "")
    return name in " ".join(hidden).split()
