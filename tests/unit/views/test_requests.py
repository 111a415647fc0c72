"""Requests as people read them."""

from aerodb.protocol.change import Change, VersionStep, step_text
from aerodb.views.requests import spoken

STEP = VersionStep(
    version=4, digest="sha256:1", change=Change(kind="revoke", name="zoe", before="operator", after="revoked")
)


def test_a_step_is_said_as_what_it_changes_and_nothing_else_is_touched() -> None:
    """A change of the configuration is one sentence; what is no step, and what is of another action, is as it is."""
    assert spoken({"change": step_text(STEP)}, "configure") == (("change", "version 4: revokes zoe, operator"),)
    for action, arguments in (("configure", {"change": "{}"}), ("follow", {"upstream": "n2"}), ("x", {"change": "y"})):
        assert dict(spoken(arguments, action)) == arguments
