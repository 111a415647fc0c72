"""Every fact has a class; what is sensitive is taken out visibly, and nothing secret is a fact."""

import msgspec
import pytest

from aerodb.protocol import canonical
from aerodb.protocol.authority import Branch, Position
from aerodb.protocol.classification import CLASSES, REDACTED, REDACTED_NUMBER, Class, Unclassed, redacted
from aerodb.protocol.facts import Commit, Facts, Instance, Receiver, State
from aerodb.protocol.lsn import Lsn
from aerodb.rules.standing import genesis
from tests.unit.protocol.structs import structs


def test_every_field_of_every_fact_has_a_class() -> None:
    """A new field, or a new kind of fact, must be classed before it can be shown; nothing classed is stale."""
    reachable = structs(Facts, set())
    assert set(CLASSES) == reachable
    for kind in reachable:
        assert set(CLASSES[kind]) == set(kind.__struct_fields__), kind.__name__


def test_no_fact_is_secret() -> None:
    """Secrets never leave the agent: no field of a report is of that class."""
    assert not any(each is Class.SECRET for fields in CLASSES.values() for each in fields.values())


def the_facts() -> Facts:
    """Return facts with every kind of sensitive part in them."""
    instance = Instance(
        system="7", folder="data-secretive", version="18.1", state=State.STOPPED, recovery=True,
        position=Position(term=1, bound=1, timeline=1, lsn=Lsn(5)), lineage=(Branch(timeline=1, begin=Lsn(0), term=1),),
        quorum=1, attached="n1", restores=False,
        receiver=Receiver(status="streaming", upstream="10.9.8.7:5432", flushed=Lsn(5)), replayed=True, senders=(),
        drift=("shared_preload_libraries", "archive_command"), shutdown=None, load=None,
        commits=(Commit(xid=4711, lsn=Lsn(4), time="2030-01-01T00:00:00Z"),),
    )  # fmt: skip
    return Facts(
        node="n2", rules="1", configuration="sha256:1", standing=genesis("n2", "n1", witness=False), instance=instance,
        unfinished=None, entries=0, checkpoint="",
    )  # fmt: skip


def test_what_is_taken_out_is_marked_and_named() -> None:
    """Each sensitive value is replaced by a mark of its kind, and its path listed; all else stays as it was."""
    facts, taken = redacted(the_facts(), "n2")
    assert taken == (
        "n2.instance.folder", "n2.instance.receiver.upstream", "n2.instance.drift[0]", "n2.instance.drift[1]",
        "n2.instance.commits[0].xid", "n2.instance.commits[0].time",
    )  # fmt: skip
    text = canonical.encode(facts).decode()
    for gone in ("data-secretive", "10.9.8.7", "archive_command", "4711", "2030-01-01"):
        assert gone not in text
    assert facts.instance is not None
    assert facts.instance.drift == (REDACTED, REDACTED)
    assert facts.instance.commits is not None
    assert facts.instance.commits[0].xid == REDACTED_NUMBER
    assert facts.standing == the_facts().standing
    assert canonical.decode(canonical.encode(facts), Facts) == facts


def test_what_has_no_class_is_never_shown() -> None:
    """A struct that the table does not know is refused, not passed on."""

    class Novel(msgspec.Struct):
        """Something new."""

        value: str

    with pytest.raises(Unclassed):
        redacted(Novel("x"), "novel")
