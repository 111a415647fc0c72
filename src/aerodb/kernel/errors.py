"""Why an agent refuses: one error per reason, each with a stable code."""

from aerodb.errors import AeroError
from aerodb.protocol.refusals import SignatureInvalid


class Busy(AeroError):
    """Another action is under way on this node, which runs one at a time."""

    code = "kernel.busy"
    status = 409
    title = "Another action is under way on this node"


class AgentEnding(AeroError):
    """The agent is ending and accepts no more orders; the request's id is used up."""

    code = "kernel.agent-ending"
    status = 503
    title = "The agent is ending"


class AgentAlone(AeroError):
    """Another agent process of this node is running; a node has only one."""

    code = "kernel.agent-running"
    status = 409
    title = "Another agent of this node is at work"


class OnlyWatched(AeroError):
    """AeroDB has not taken charge of the node: it is only watched, and its agent has no hands to do anything by."""

    code = "kernel.only-watched"
    status = 409
    title = "The node is only watched"


class StandingFalls(AeroError):
    """The new standing would promise less than the durable one; promises only rise."""

    code = "kernel.standing-falls"
    status = 500
    title = "The new standing promises less than the old one"


class StandingForeign(AeroError):
    """The durable standing is not what this agent wrote last: somebody else has changed it."""

    code = "kernel.standing-foreign"
    status = 500
    title = "Somebody else has written the node's standing"


class RoomMissing(AeroError):
    """The disk has no room for what must be written after the operation, so the operation was not begun."""

    code = "kernel.no-room"
    status = 507
    title = "The disk has no room for the outcome"


class RequestDuplicate(AeroError):
    """The node's journal already holds the request's id; its first outcome stands."""

    code = "kernel.request-duplicate"
    status = 409
    title = "The request's id has been used"


class OrderNotHeld(AeroError):
    """The order comes after another request: it is held first, and runs only from the memory of who holds it."""

    code = "kernel.order-not-held"
    status = 409
    title = "The order is not held"


class OrderHeld(AeroError):
    """The order is held until the request before it is executed; nothing of it has happened."""

    code = "kernel.order-held"
    status = 409
    title = "The order is held"


class OrderDropped(AeroError):
    """The order was held, and was dropped before its turn came: it was not executed, and never will be."""

    code = "kernel.order-dropped"
    status = 409
    title = "The held order was dropped"


class TurnUnproven(AeroError):
    """It is not proven that the request before a held order is executed, as the order's plan names it."""

    code = "kernel.turn-unproven"
    status = 409
    title = "It is not proven that the order's turn has come"


class PlanForeign(AeroError):
    """The plan is for another cluster, node, configuration or version of the rules."""

    code = "kernel.plan-foreign"
    status = 409
    title = "The plan is not for this node as it is configured"


class PlanNotWhole(AeroError):
    """The plan's bytes do not match its digest, or the reports are not the ones that the plan was made from."""

    code = "kernel.plan-altered"
    status = 409
    title = "The plan, or what it rests on, was altered"


class PlanRejected(AeroError):
    """The plan itself is a rejection, so nothing may be done by it."""

    code = "kernel.plan-rejected"
    status = 409
    title = "The plan is a rejection"


class OperatorRefused(AeroError):
    """The signer is not an enrolled operator who may sign this request."""

    code = "kernel.operator-refused"
    status = 403
    title = "The signer may not confirm this request"


class SignatureRefused(SignatureInvalid):
    """The signature is not the operator's signature over these exact plan bytes."""


class NotLogged(AeroError):
    """No valid proof shows that the confirmation stands in the audit log."""

    code = "kernel.not-logged"
    status = 409
    title = "The confirmation is not proven to be logged"


class CosignaturesTooFew(AeroError):
    """Fewer log witnesses than the configuration demands have cosigned the checkpoint over the confirmation."""

    code = "kernel.cosignatures-missing"
    status = 409
    title = "Log witnesses have not cosigned what the node is shown"


class LogRewritten(AeroError):
    """The audit log shown to the node does not extend the one it has seen before."""

    code = "kernel.log-rewritten"
    status = 409
    title = "The audit log has been rewritten"


class LogNotShown(AeroError):
    """For this request the node was shown no log that it could accept in place of the one it has seen."""

    code = "kernel.log-not-shown"
    status = 409
    title = "No log was shown that could be accepted"


class VerdictsDiffer(AeroError):
    """The node's own verdicts differ from the plan's; the message says which fact changed."""

    code = "kernel.verdicts-differ"
    status = 409
    title = "The node judges otherwise than the plan"


class OperationFailed(AeroError):
    """The operation failed for an unforeseen reason; the journal says what was executed."""

    code = "kernel.operation-failed"
    status = 500
    title = "The operation failed"


class StandingUnreadable(AeroError):
    """The node's durable standing is missing or damaged; without it the node promises nothing and runs nothing."""

    code = "kernel.standing-unreadable"
    status = 500
    title = "The node's standing cannot be read"


class VersionPassed(AeroError):
    """The node has taken a later version of the configuration than the plan was made under."""

    code = "kernel.version-passed"
    status = 409
    title = "The configuration has a later version"


class VersionsUnreadable(AeroError):
    """The node's copy of the configuration's chain is damaged; without it the node does not know who may act."""

    code = "kernel.versions-unreadable"
    status = 500
    title = "The node's configuration cannot be read"


class NodeFolderBroken(AeroError):
    """A node's folder lacks a part, or a part is damaged."""

    code = "kernel.node-folder-broken"
    status = 500
    title = "The node's folder cannot be read"


class RequestUnknown(AeroError):
    """The node's journal does not know the request, which now counts as not executed for ever."""

    code = "kernel.request-unknown"
    status = 409
    title = "The node was never asked"


class ConfirmationMissing(AeroError):
    """The node does not know the request and was shown no operator's confirmation of it, so it promises nothing."""

    code = "kernel.confirmation-missing"
    status = 409
    title = "The node promises nothing about what nobody confirmed"


class LookUnanswered(AeroError):
    """Looking at the node took too long; PostgreSQL may hang. Nothing was changed."""

    code = "kernel.look-unanswered"
    status = 503
    title = "The node could not be looked at in time"


class LooksTooMany(AeroError):
    """Too many callers already wait for a look at the node; ask again later."""

    code = "kernel.looks-too-many"
    status = 429
    title = "Too many wait for a look at the node"
