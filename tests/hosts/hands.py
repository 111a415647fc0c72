"""What others do to a cluster that is watched: somebody receives from it, it is given a policy, and it is split."""

import signal

from tests.hosts.bed import as_user
from tests.hosts.database import NODES, SECRET
from tests.hosts.people import plain
from tests.hosts.story import ALTERED, COPIED, USUAL, Story
from tests.hosts.watching import DOUBT, NO_WRITES
from tests.packages.guest import wait_until

ARCHIVE = "/srv/archive"
SEEN = (
    "nobody looked between its events",
    "(before: streaming async)",
    "PostgreSQL runs as a primary (before: standby)",
    "its WAL is on timeline 3 (before: 2)",
    "PostgreSQL is running (before: unreachable)",
)
"""What the timeline tells afterwards: an agent's death, a policy, a promotion, a server's end and start."""
BOTH = "n1 and n2 take writes at once"


def received(story: Story) -> None:
    """Somebody who is no member receives WAL at the control plane's machine: shown by address, and gone with it."""
    host = story.host("ctl")
    host.does("install", "-d", "-o", "postgres", ARCHIVE)
    receiving = host.daemon(
        "pg_receivewal", *as_user("postgres"), "pg_receivewal",
        "-D", ARCHIVE, "-d", f"host={story.host('n1').address} user=repl password={SECRET}",
    )  # fmt: skip
    story.status(0, f"n1 sends WAL to {host.address} (pg_receivewal", "which is no member")
    assert story.readiness("n1")["strangers"].startswith(f"{host.address} (pg_receivewal)")
    receiving.signal(signal.SIGTERM)
    story.status(0, *USUAL, never=("which is no member",))
    assert "strangers" not in story.readiness("n1")
    story.untouched()


def waited_for(story: Story) -> None:
    """Commits are made to wait for standbys: by names that nobody has, which hangs them; for any one; for none."""
    story.by_hand.add(ALTERED)
    with story.database.hand():
        story.database.waits_for("ANY 1 (n2, n3)")
        story.status(NO_WRITES, "waiting at n1; 0 synchronous standby(s) stream, 1 needed")
        story.database.waits_for("ANY 1 (*)")
        story.application.goes_on()
        story.status(0, "acknowledged by n1, survives the loss of 1 more node", "A commit waits for 1 of n2, n3.")
        assert "synchronous" not in story.readiness("n1")
        assert "synchronous_standby_names" in story.readiness("n1")["settings"]
        story.database.waits_for("")
        story.usual()
    assert "a commit waits for no standby" in story.readiness("n1")["synchronous"]
    story.untouched()


def split(story: Story) -> None:
    """n2 is promoted by hand while n1 runs: both are named, and nothing is claimed; then it is made anew by hand."""
    with story.database.hand():
        story.database.control("n2", "promote")
        story.status(NO_WRITES, f"unknown: {BOTH}, so their histories part", "Deviations: 2 ")
        assert BOTH in story.readiness("n1")["one primary"]
        assert BOTH in story.readiness("n2")["one primary"]
        assert "one primary" not in story.readiness("n3")
        story.application.goes_on()
        story.database.control("n2", "stop", "-m", "immediate")
        story.status(0, "acknowledged by n1 alone", f"n2 {DOUBT}", never=(BOTH,))
        story.by_hand.add(COPIED)
        story.database.copy("n2", "n1")
        wait_until(lambda: story.database.streaming() == len(NODES) - 1, "n2's return")
        story.usual()
    text = plain(story.operator.types("timeline"))
    assert all(each in text for each in SEEN), text
    story.untouched()
