"""Requests as people read them."""

import pytest

from aerodb.protocol.change import Change, VersionStep, step_text
from aerodb.protocol.sshkey import parse_line
from aerodb.views.requests import spoken, spoken_briefly
from tests.unit.audit.sequencing import EARLIER
from tests.unit.protocol.test_chain import key_of

STEP = VersionStep(
    version=4, digest="sha256:1", change=Change(kind="revoke", name="zoe", before="operator", after="revoked")
)


BOB, ZOE = key_of("bob"), key_of("zoe")
KEYED = {
    "enrol": (Change(kind="enrol", name="bob", before="", after=f"operator {BOB}"), "enrols bob as operator"),
    "enrol without": (Change(kind="enrol", name="bob", before="", after="auditor"), "enrols bob as auditor, without a"),
    "re-key": (Change(kind="re-key", name="bob", before=ZOE, after=BOB), "gives bob the key SHA256:"),
    "re-key of none": (Change(kind="re-key", name="bob", before="", after=BOB), "in place of none"),
    "what is no key": (Change(kind="re-key", name="bob", before="", after="x"), "gives bob the key x"),
}


@pytest.mark.parametrize("name", KEYED)
def test_a_list_says_keys_by_their_fingerprints(name: str) -> None:
    """A key of a hundred letters pushes the state of a request out of sight; its fingerprint is what people compare."""
    change, part = KEYED[name]
    text = step_text(VersionStep(version=4, digest="sha256:1", change=change))
    ((_, said),) = spoken_briefly({"change": text}, "configure")
    assert part in said
    assert "AAAA" not in said
    if BOB in change.after:
        assert parse_line(BOB).fingerprint in said
    assert spoken_briefly({"upstream": "n2"}, "follow") == (("upstream", "n2"),)


def test_a_step_is_said_as_what_it_changes_and_nothing_else_is_touched() -> None:
    """A change of the configuration is one sentence; what is no step, and what is of another action, is as it is."""
    assert spoken({"change": step_text(STEP)}, "configure") == (("change", "version 4: revokes zoe, operator"),)
    for action, arguments in (("configure", {"change": "{}"}), ("follow", {"upstream": "n2"}), ("x", {"change": "y"})):
        assert dict(spoken(arguments, action)) == arguments


def test_the_request_before_or_after_is_said_as_words() -> None:
    """In a list without its digest, which pushes all else out of sight; what names none is as it is."""
    before, after = str(EARLIER), f"{EARLIER.request}:sha256:{'0' * 64}"
    assert spoken({"after": before}, "promote") == (("after", f"demote n1 (request {EARLIER.request})"),)
    assert spoken_briefly({"after": before}, "promote") == (("after", "demote n1"),)
    assert spoken({"then": after}, "demote") == (("then", f"request {EARLIER.request} (plan {'0' * 12})"),)
    assert spoken_briefly({"for": "n2", "then": after}, "demote") == (("for", "n2"), ("then", EARLIER.request[:8]))
    for name in ("after", "then"):
        assert spoken({name: "x"}, "promote") == spoken_briefly({name: "x"}, "promote") == ((name, "x"),)
