"""`aerodb demo`: a planned switchover and back, a rejection, and a failover, on a real cluster under load.

Every action goes through the command line in a real pseudo-terminal; no internal function is called instead. The
summary is counted: the rows that the writer saw acknowledged are looked up in the cluster at the end.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.kernel.node import read_node
from aerodb.local.errors import StoryBroken
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.person import Person, Said
from aerodb.local.size import Size
from aerodb.local.stage import Stage
from aerodb.local.writer import Writer
from aerodb.rules.ways import failover


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _quiet_line(text: str) -> None:
    _print(f"{text}\n")


NO_WRITES, AWAITED = 7, 8
"""The exit codes of `aerodb status` if no commit is known to be acknowledged, and of what awaits its turn."""
READS_SECONDS = 10.0
"""How long somebody reads a plan who takes it seriously."""


class Story:
    """The demonstration, step by step; it ends if a step does not go as expected."""

    def __init__(self, layout: Layout, stage: Stage, writer: Writer) -> None:
        """Prepare; `writer` is the client that writes meanwhile."""
        self._layout, self._stage, self._writer = layout, stage, writer
        self._person = Person(layout.profile("operator"), _print, colour=sys.stdout.isatty())
        self.outages_ms: list[int] = []
        self.switchovers = self.failovers = 0
        self.failover_ms = self.outage_read_ms = 0
        self._promoted = ""
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begin a new part."""
        self._chapter += 1
        _quiet_line(f"\n=== {self._chapter}. {title}  [{len(self._writer.acknowledged)} rows acknowledged so far]\n")

    def do(self, *arguments: str, expect: int = 0, reads_seconds: float = 0.0) -> Said:
        """Type one command as the operator, who reads a plan for so long before they type."""
        _quiet_line(f"$ aerodb {' '.join(each if ' ' not in each else repr(each) for each in arguments)}")
        said = self._person.types(*arguments, reads_seconds=reads_seconds)
        _quiet_line("")
        if said.code != expect:
            raise StoryBroken(f"aerodb {arguments[0]} ended with code {said.code}, not {expect}")
        return said

    def switchover(self, old: str, new: str, third: str, why: str, reads_seconds: float = 0.0) -> None:
        """Move the primary from `old` to `new`, action by action: the promotion is read and signed before the demotion.

        The person reads each of these two plans for `reads_seconds`.
        """
        self.do("follow", third, "--upstream", new, "--reason", f"{why}: {third} streams from {new} beforehand")
        begin = time.monotonic()
        ahead = ("promote", new, "--after", f"demote:{old}", "--reason", why)
        self._promoted = self.do(*ahead, expect=AWAITED, reads_seconds=reads_seconds).request
        first = ("demote", old, "--for", new, "--then", self._promoted, "--reason", why)
        self.do(*first, reads_seconds=reads_seconds)
        end = time.monotonic()
        self._expect_writes()
        self.do("follow", old, "--upstream", new, "--reason", f"{why}: the old primary comes back as a standby")
        outage_ms = round(1000 * self._writer.longest_gap(begin, end))
        self.switchovers += 1
        if reads_seconds:
            self.outage_read_ms = outage_ms
            _quiet_line(f"Each plan was read for {reads_seconds:.0f} s. Writes stopped for {outage_ms} ms.")
        else:
            self.outages_ms.append(outage_ms)
            _quiet_line(f"Writes stopped for {outage_ms} ms.")

    def _expect_writes(self) -> None:
        if not self._writer.wait_for_more(20):
            raise StoryBroken("writes did not come back")

    def rejection(self) -> None:
        """Show what happens to an action that cannot be proven safe."""
        self.do("promote", "n2", "--reason", "somebody is in a hurry", expect=1)

    def failover(self) -> None:
        """Kill the primary with its agent, and elect another, action by action."""
        begin = time.monotonic()
        kill_postgres(self._layout, "n1")
        self._stage.kill("n1")
        _quiet_line("n1: postmaster and agent killed with SIGKILL. Nothing happens by itself.\n")
        self.do("status", expect=NO_WRITES)
        why = "n1 is dead"
        for step in failover(self._stage.cluster, "n1", "n2").steps:
            said = self.do(*str(step).split()[1:], "--reason", why)
            if step.action == "promote":
                self._promoted = said.request
                self._expect_writes()
        end = time.monotonic()
        self.failovers += 1
        self.failover_ms = round(1000 * self._writer.longest_gap(begin, end))

    def comeback(self) -> None:
        """Bring the dead node back as a standby: by `follow`, or by `reclone` if the plan to follow is rejected."""
        self._stage.start_agent("n1", leave_down=True)
        self._stage.wait_for("n1")
        _quiet_line("n1: its agent is started again; its PostgreSQL stays down until a person says otherwise.\n")
        _quiet_line("$ aerodb explain follow n1 --upstream n2")
        looked = self._person.types("explain", "follow", "n1", "--upstream", "n2")
        _quiet_line("")
        action = "follow" if looked.code == 0 else "reclone"
        if action == "reclone":
            _quiet_line("The plan to follow is rejected: n1 has WAL that n2 never had. So: reclone.\n")
        self.do(action, "n1", "--upstream", "n2", "--reason", "n1 comes back")
        self.do("status")

    def proofs(self) -> int:
        """Replay a decision and verify the log; return how many records it has."""
        self.do("requests")
        self.do("audit", "replay", self._promoted)
        self.do("audit", "verify")
        listed = json.loads(self._person_silent("status", "--json").text)
        return int(listed["log_size"])

    def _person_silent(self, *arguments: str) -> Said:
        return Person(self._layout.profile("operator"), lambda _: None, colour=False).types(*arguments)


def kill_postgres(layout: Layout, node: str) -> None:
    """Kill a node's postmaster with SIGKILL."""
    home = Path(read_node(layout.node(node)).file.home)
    pid = int((home / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    os.kill(pid, signal.SIGKILL)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="aerodb-demo-"))
    try:
        yield folder / "demo"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def demo(given: Path | None, postgres: str = "") -> int:
    """Tell the whole story on a new cluster of the PostgreSQL named; return 0 if no acknowledged row was lost."""
    with _folder(given) as root:
        if given is None and os.geteuid() == 0:
            root.parent.chmod(0o711)  # PostgreSQL's account must be able to traverse it.
        begun = time.monotonic()
        _quiet_line(f"Making a cluster of three PostgreSQL nodes in {root} ...")
        make_cluster(root, Size(), postgres=postgres)
        layout = Layout(root=root)
        stage = Stage(layout)
        try:
            stage.start()
            _quiet_line(f"Up in {time.monotonic() - begun:.1f} s: three nodes, three agents, the control plane.")
            return _tell(layout, stage)
        finally:
            stage.stop()


def _tell(layout: Layout, stage: Stage) -> int:
    writer = Writer(layout.dsn())
    story = Story(layout, stage, writer)
    writer.start()
    chapters: tuple[tuple[str, Callable[[], object]], ...] = (
        ("The cluster, and a writer that commits a row every few milliseconds", lambda: story.do("status")),
        ("A planned switchover from n1 to n2", lambda: story.switchover("n1", "n2", "n3", "maintenance of n1")),
        (
            "And back, by somebody who reads each plan for ten seconds",
            lambda: story.switchover("n2", "n1", "n3", "maintenance is over", READS_SECONDS),
        ),
        ("A promotion while the primary lives is rejected", story.rejection),
        ("The primary dies, and the failover", story.failover),
        ("The old primary comes back", story.comeback),
    )
    for title, part in chapters:
        if not writer.wait_for_more(20):
            raise StoryBroken("nothing is written")
        story.chapter(title)
        part()
    story.chapter("What happened, and why: proven afterwards")
    records = story.proofs()
    writer.stop()
    return _summary(story, writer, records)


def _summary(story: Story, writer: Writer, records: int) -> int:
    lost = writer.lost()
    planned = ", ".join(f"{each} ms" for each in story.outages_ms)
    _quiet_line("\n=== Summary")
    _quiet_line(f"  rows acknowledged       {len(writer.acknowledged)}")
    _quiet_line(f"  rows lost               {len(lost)}")
    _quiet_line(f"  without writes, planned {planned}")
    _quiet_line(f"  without writes, read    {story.outage_read_ms} ms (each plan was read for {READS_SECONDS:.0f} s)")
    _quiet_line(f"  without writes, failover {story.failover_ms / 1000:.1f} s (a person read and typed meanwhile)")
    _quiet_line(f"  records in the log      {records}")
    _quiet_line(
        json.dumps(
            {
                "switchovers": story.switchovers,
                "failovers": story.failovers,
                "acknowledged": len(writer.acknowledged),
                "lost": len(lost),
                "outage_ms": story.outages_ms,
                "outage_read_ms": story.outage_read_ms,
                "records": records,
            }
        )
    )
    return 1 if lost else 0
