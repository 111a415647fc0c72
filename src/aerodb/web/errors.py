"""Why the admin UI refuses a browser's call: one error a reason."""

from aerodb.errors import AeroError


class FormForged(AeroError):
    """The form was not made for this session."""

    code = "control.form-forged"
    status = 403
    title = "The form is not one of this session"


class FormMalformed(AeroError):
    """A part of the form is missing, doubled or of the wrong form; `field` names it."""

    code = "input.form-malformed"
    status = 400
    title = "The form is incomplete"


class NotTyped(AeroError):
    """The name of the node was not typed, so the confirmation does not count."""

    code = "input.name-not-typed"
    status = 400
    title = "The node's name was not typed"


class NodeMovedOn(AeroError):
    """The node has taken another version of the configuration since the form was made for it."""

    code = "control.node-moved-on"
    status = 409
    title = "The node has taken another version meanwhile"


class InvariantUnknown(AeroError):
    """The address names an invariant that these rules do not have."""

    code = "input.invariant-unknown"
    status = 404
    title = "There is no such invariant"
