"""What a load balancer is told: a node serves only where nothing that it sees itself speaks against it."""

import pytest
from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Standing
from aerodb.protocol.facts import Sender
from aerodb.rules.serving import (
    UNSEEN,
    LagMalformed,
    Serving,
    lag_allowed,
    refused_as_primary,
    refused_as_standby,
    refused_as_watched_primary,
    refused_as_watched_standby,
)
from aerodb.rules.standing import genesis
from tests.unit.rules.scenes import CLUSTER, cluster_of

PRIMARY, STANDBY = genesis("n1", "n1", witness=False), genesis("n2", "n1", witness=False)
SENDER = Sender(node="n2", state="streaming", sync_state="quorum", sent=None, flushed=None, replayed=None)
SERVES = Serving(recovery=False, senders=(SENDER,), receiver="", behind_bytes=None, paused=False)
STREAMS = Serving(recovery=True, senders=(), receiver="streaming", behind_bytes=1000, paused=False)


def test_a_primary_serves_while_its_commits_are_acknowledged() -> None:
    """It holds the newest grant that it knows, and one standby streams."""
    assert refused_as_primary(CLUSTER, "n1", PRIMARY, SERVES) == ""


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (STANDBY, "stands as a standby"),
        (replace(PRIMARY, granted=Candidacy(term=2, node="n2")), "term 2 is granted to n2"),
        (replace(PRIMARY, pledged=Candidacy(term=2, node="n2")), "has pledged term 2 to n2"),
    ],
)
def test_a_deposed_primary_serves_nobody(standing: Standing, why: str) -> None:
    """Whatever its PostgreSQL says, its standing is enough for a no."""
    assert why in refused_as_primary(CLUSTER, "n1", standing, SERVES)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (None, "does not answer"),
        (replace(SERVES, recovery=True), "in recovery"),
        (replace(SERVES, senders=()), "0 standby(s) stream, 1 needed"),
        (replace(SERVES, senders=(replace(SENDER, sync_state="async"),)), "0 standby(s)"),
        (replace(SERVES, senders=(replace(SENDER, state="catchup"),)), "0 standby(s)"),
        (replace(SERVES, senders=(replace(SENDER, ahead=True),)), "0 standby(s)"),
    ],
)
def test_a_primary_whose_commits_wait_serves_nobody(seen: Serving | None, why: str) -> None:
    """A returned old primary has no standbys left; one that is ahead of its primary has another log."""
    assert why in refused_as_primary(CLUSTER, "n1", PRIMARY, seen)


def test_the_grant_alone_decides_where_no_standby_is_needed() -> None:
    """With k = 0 commits wait for nobody."""
    assert refused_as_primary(cluster_of(quorum=0), "n1", PRIMARY, replace(SERVES, senders=())) == ""


def test_a_renewal_is_no_outage() -> None:
    """A primary that has pledged a new term to itself serves on: nobody else can have been elected for that."""
    assert refused_as_primary(CLUSTER, "n1", replace(PRIMARY, pledged=Candidacy(term=2, node="n1")), SERVES) == ""


@pytest.mark.parametrize(
    ("standing", "seen", "why"),
    [
        (PRIMARY, STREAMS, "stands as a primary"),
        (STANDBY, None, "does not answer"),
        (STANDBY, replace(STREAMS, recovery=False), "out of recovery"),
        (STANDBY, replace(STREAMS, receiver=""), "does not stream"),
        (STANDBY, replace(STREAMS, receiver="stopping"), "does not stream"),
        (STANDBY, replace(STREAMS, paused=True), "replay is paused"),
        (STANDBY, replace(STREAMS, behind_bytes=1001), "1001 bytes behind"),
        (STANDBY, replace(STREAMS, behind_bytes=None), "not known"),
    ],
)
def test_a_standby_that_shows_the_past_serves_nobody(standing: Standing, seen: Serving | None, why: str) -> None:
    """One that does not stream or replay shows an ever older past; beyond the lag asked for it is too old."""
    assert why in refused_as_standby(standing, seen, 1000)
    assert refused_as_standby(STANDBY, STREAMS, 1000) == ""
    assert refused_as_standby(STANDBY, replace(STREAMS, behind_bytes=None), None) == ""


def test_a_lag_is_given_as_postgresql_writes_sizes() -> None:
    """Bytes, or PostgreSQL's units of 1024; anything else is refused, never taken for no limit."""
    assert [lag_allowed(text) for text in ("0", "512", "8kB", "16MB", "2GB")] == [0, 512, 8192, 16 << 20, 2 << 30]
    for text in ("", "-1", "16 MB", "16mb", "1.5MB", "MB", "9" * 13, "\u0661MB"):
        with pytest.raises(LagMalformed):
            lag_allowed(text)


def test_a_watched_primary_is_what_its_postgresql_says() -> None:
    """There is no grant: it serves where it answers and runs out of recovery, whoever streams."""
    assert refused_as_watched_primary(replace(SERVES, senders=())) == ""
    assert refused_as_watched_primary(None) == "PostgreSQL does not answer"
    assert refused_as_watched_primary(STREAMS) == "PostgreSQL is in recovery"


@pytest.mark.parametrize(
    ("seen", "lag", "why"),
    [
        (STREAMS, None, ""),
        (STREAMS, 1000, ""),
        (STREAMS, 999, "it is 1000 bytes behind"),
        (replace(STREAMS, behind_bytes=None), 1000, "its lag is not known"),
        (replace(STREAMS, paused=True), None, "replay is paused"),
        (replace(STREAMS, receiver=""), None, "it does not stream: the receiver is down"),
        (replace(STREAMS, receiver=UNSEEN, behind_bytes=None), None, "whether it streams cannot be seen"),
        (SERVES, None, "PostgreSQL is out of recovery"),
        (replace(SERVES, receiver=UNSEEN), None, "PostgreSQL is out of recovery"),
        (None, None, "PostgreSQL does not answer"),
    ],
)
def test_a_watched_standby_serves_while_it_streams(seen: Serving | None, lag: int | None, why: str) -> None:
    """Within the lag that the caller allows; what cannot be seen counts as no."""
    found = refused_as_watched_standby(seen, lag)
    assert found.startswith(why)
    assert bool(found) == bool(why)
