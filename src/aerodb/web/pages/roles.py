"""Who may do what, from the control plane's own table; and the keyboard's shortcuts."""

from aerodb.control.roles import ALLOWED, Right
from aerodb.protocol.classification import CLASSES, Class
from aerodb.protocol.cluster import Role
from aerodb.web.visit import Page, Visit


def roles(visit: Visit) -> Page:
    """Answer with the people, the roles and the rights, and with the facts that are redacted."""
    visit.access.require(Right.LOOK)
    return Page(
        template="roles.html",
        here="/roles",
        values={
            "roles": list(Role),
            "rights": list(Right),
            "allowed": ALLOWED,
            "people": visit.access.cluster.operators,
            "sensitive": [
                f"{kind.__name__.lower()}.{name}"
                for kind, fields in CLASSES.items()
                for name, class_of in fields.items()
                if class_of is Class.SENSITIVE
            ],
        },
    )


def keyboard(visit: Visit) -> Page:
    """Answer with the shortcuts, and how to turn them off."""
    visit.access.require(Right.LOOK)
    return Page(template="keyboard.html", here="/keyboard", values={})
