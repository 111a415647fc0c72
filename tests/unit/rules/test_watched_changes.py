"""What changes on a watched node is seen to; what only moves is no other state; what is not seen has no number."""

import pytest
from msgspec.structs import replace

from aerodb.kernel.metrics import families
from aerodb.kernel.watching.seen import unanswered
from aerodb.protocol.classification import REDACTED, redacted_event
from aerodb.protocol.events import RUNS_AS, Kind, Sighting
from aerodb.protocol.facts import Facts, Instance, State, structural
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.watched import Watched
from aerodb.rules.conditions import Condition, conditions
from aerodb.rules.transitions import Seen, see, transitions
from aerodb.transport.metrics import exposition
from tests.unit.kernel.watching.places import POSITION, RUNNING, STANDBY, STRANGER, SURVEY, WATCHED, watched_facts

BLIND = replace(WATCHED, strangers=(), survey=None)
NOBODY_ANSWERS = watched_facts(*unanswered("nobody answers"))


def between(*looks: Facts) -> list[tuple[str, str, str, str]]:
    """Return what changed at the last of several looks in a row."""
    seen: Seen | None = None
    found: list[tuple[str, str, str, str]] = []
    for facts in looks:
        now = see(seen, Sighting(facts=facts, failure="", trace=None, journal=()))
        found = [(each.kind.value, each.subject, each.before, each.after) for each in transitions(seen, now)]
        seen = now
    return found


def test_how_it_is_found() -> None:
    """Its role, its timeline and its receivers; nothing of a standing, a term or of settings that drifted."""
    assert between(watched_facts()) == [
        ("role", RUNS_AS, "", "primary"),
        ("state", "", "", "running"),
        ("recovery", "", "", "no"),
        ("timeline", "", "", "7"),
        ("folder", "", "", "/var/lib/postgresql/15/main"),
        ("receiver", "", "", "down"),
        ("sender", "archive at 10.0.0.9", "", "streaming async"),
        ("sender", "n2", "", "streaming async"),
    ]


def test_a_promotion_by_hand() -> None:
    """The role, recovery, the timeline and the receiver change."""
    promoted = replace(RUNNING, position=replace(POSITION, timeline=8), senders=())
    alone = replace(WATCHED, strangers=())
    assert between(watched_facts(STANDBY, alone), watched_facts(promoted, alone)) == [
        ("role", RUNS_AS, "standby", "primary"),
        ("recovery", "", "yes", "no"),
        ("timeline", "", "7", "8"),
        ("receiver", "", "streaming from 127.0.0.9:5432", "down"),
    ]


def test_receivers_come_and_go() -> None:
    """Members by name, strangers by what they call themselves and where they are; several of one as one."""
    backup = replace(STRANGER, state="backup", sync_state="async")
    local = replace(STRANGER, address="", application="psql")
    assert between(watched_facts(), watched_facts(watched=replace(WATCHED, strangers=(backup, STRANGER, local)))) == [
        ("sender", "archive at 10.0.0.9", "streaming async", "backup async, streaming async"),
        ("sender", "psql at a local socket", "", "streaming async"),
    ]
    gone = watched_facts(replace(RUNNING, senders=()), replace(WATCHED, strangers=()))
    assert between(watched_facts(), gone) == [
        ("sender", "archive at 10.0.0.9", "streaming async", "gone"),
        ("sender", "n2", "streaming async", "gone"),
    ]


@pytest.mark.parametrize(
    ("unseeing", "states"),
    [
        (NOBODY_ANSWERS, [("state", "", "running", "unreachable")]),
        (watched_facts(replace(RUNNING, position=None, senders=(), folder=""), BLIND), []),
    ],
)
def test_what_cannot_be_seen_has_not_changed(unseeing: Facts, states: list[tuple[str, str, str, str]]) -> None:
    """While nobody answers, or without pg_monitor, no receiver is said to be gone, and no role to be another."""
    assert between(watched_facts(), unseeing) == states
    back = between(watched_facts(), unseeing, watched_facts())
    assert back == [(kind, of, after, before) for kind, of, before, after in states]


def test_a_standby_that_falls_silent_is_no_primary() -> None:
    """Of its role nothing is said while nobody answers."""
    alone = watched_facts(STANDBY, replace(WATCHED, strangers=()))
    assert between(alone, NOBODY_ANSWERS) == [("state", "", "running", "unreachable")]
    assert between(alone, NOBODY_ANSWERS, alone) == [("state", "", "unreachable", "running")]


def test_a_strangers_address_is_for_who_may_see_it() -> None:
    """An event names it in its subject, which is taken out; a member's name stays."""
    texts = {"subject": "archive at 10.0.0.9", "before": "", "after": "streaming"}
    assert redacted_event(Kind.SENDER, texts) == {"subject": REDACTED}
    assert redacted_event(Kind.SENDER, {**texts, "subject": "n2"}) == {}


@pytest.mark.parametrize("instance", [RUNNING, STANDBY, replace(STANDBY, attached=None, restores=True)])
def test_what_only_moves_is_no_other_state(instance: Instance) -> None:
    """Positions, copies that others take, and the ids of processes; not whose address receives, nor what manages."""
    later = watched_facts(
        replace(instance, position=replace(POSITION, lsn=Lsn(9000))),
        replace(
            WATCHED,
            strangers=(replace(STRANGER, flushed=Lsn(9), state="catchup"), replace(STRANGER, state="backup")),
            survey=replace(SURVEY, managers=("patroni (process 9)", "repmgr (process 10)")),
        ),
    )
    assert structural(watched_facts(instance)) == structural(later)
    for watched in (
        replace(WATCHED, strangers=()),
        replace(WATCHED, strangers=(replace(STRANGER, address="10.0.0.8"),)),
        replace(WATCHED, survey=replace(SURVEY, managers=())),
        replace(WATCHED, survey=None),
    ):
        assert structural(watched_facts(instance)) != structural(watched_facts(instance, watched))


def test_what_is_not_seen_does_not_deviate() -> None:
    """A standby that names no upstream is detached; one of which that is not seen is not said to be."""
    detached = watched_facts(replace(STANDBY, attached=None, receiver=None))
    assert Condition.DETACHED in conditions(detached)
    assert {Condition.UPSTREAM, Condition.FOLDER} & {*conditions(detached)} == set()
    assert conditions(watched_facts(STANDBY)) == {}
    for unseen in (NOBODY_ANSWERS, watched_facts(replace(STANDBY, attached=None, receiver=None), BLIND)):
        assert Condition.DETACHED not in conditions(unseen)


def scraped(facts: Facts) -> str:
    """Return the text that a scrape gives."""
    sighting = Sighting(facts=facts, failure="", trace=None, journal=())
    return exposition(lambda: families(sighting, 12, 0)).decode()


def test_what_is_promised_or_not_seen_has_no_number() -> None:
    """Of a watched node there is no term; without pg_monitor nobody knows who receives; a role is one that was seen."""
    whole = scraped(watched_facts())
    for sample in (
        'aerodb_node_role{role="primary"} 1.0', "aerodb_node_serves 1.0", "aerodb_node_watched 1.0",
        "aerodb_timeline 7.0", "aerodb_strangers_connected 1.0", 'aerodb_sender_streaming{standby="n2"} 1.0',
        "aerodb_receiver_streaming 0.0",
    ):  # fmt: skip
        assert f"\n{sample}\n" in whole
    for name in ("pledged_term", "granted_term", "node_halted", "settings_drifted", "journal_requests"):
        assert f"aerodb_{name}" not in whole
    blind = scraped(watched_facts(replace(RUNNING, senders=()), BLIND))
    assert 'aerodb_node_role{role="primary"} 1.0' in blind
    for name in ("strangers_connected", "receiver_streaming", "upstream_named"):
        assert f"aerodb_{name}" not in blind
    silent = scraped(NOBODY_ANSWERS)
    assert "aerodb_node_role" not in silent
    assert "\naerodb_node_serves 0.0\n" in silent


def test_where_nobody_answers_nothing_is_guessed() -> None:
    """The state says so, the reason is named, and every other part is unknown."""
    instance, watched = unanswered("nobody answers at the socket")
    assert (instance.state, instance.recovery, instance.position) == (State.UNREACHABLE, None, None)
    assert (instance.version, instance.system, instance.damage) == ("", "", ("process: nobody answers at the socket",))
    assert isinstance(watched, Watched)
    assert watched.survey is None
