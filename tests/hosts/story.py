"""What the chapters of a story share: the hosts, who is at them, what runs there, and what is counted."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.application import Application
from tests.hosts.bed import Bed, Daemon, Host
from tests.hosts.database import NODES, TIMELINE, Database
from tests.hosts.people import PROGRAM, Typist
from tests.hosts.records import Record, differences, record, without_times
from tests.hosts.units import started
from tests.packages.guest import wait_until

ROLE = "aerodb_watch"
ALTERED, COPIED = "n1's settings by ALTER SYSTEM", "n2's copy"
"""What its administrator changes by hand, and changes back: all but the times is as it was."""
USUAL = (
    "acknowledged by n1 alone",
    "n2 standby of n1",
    "n3 standby of n1",
    f"Equal on all 3 that report: running, timeline {TIMELINE}",
    "Deviations: 1 ",
    "slot orders is used by nobody",
    "Only watched: every action is rejected",
)
"""What `status` says while all is as it was made: it has the one deviation that it was made with."""


class Story:
    """What is told in chapters, each of which begins where the one before it ended."""

    def __init__(self, bed: Bed, major: int, package: Path) -> None:
        """Make the cluster, as it was before anybody thought of AeroDB, and have an application write."""
        self.bed, self.package = bed, package
        self.database = Database(bed, major)
        self.application = Application()
        self.before = record(self.database)
        self.by_hand, self.shown = set[str](), list[str]()
        self.undone, self.partitions = list[str](), list[str]()
        self.at = {name: Typist(host, self.shown) for name, host in bed.hosts.items()}
        self.operator = self.at["ctl"]
        self.words, self.agents = dict[str, str](), dict[str, Daemon]()
        self.control: Daemon | None = None

    def host(self, name: str) -> Host:
        """Return a host."""
        return self.bed.hosts[name]

    # PostgreSQL ---------------------------------------------------------------------------------------------------

    def grant(self) -> None:
        """Have the administrator let agents log in."""
        self.host("n1").psql(f"create role {ROLE} login", f"grant pg_monitor to {ROLE}")
        self.by_hand.add(ROLE)

    def drop(self) -> None:
        """Have the administrator let them log in no more."""
        self.host("n1").psql(f"drop role {ROLE}")
        self.by_hand.remove(ROLE)

    def untouched(self) -> None:
        """See that PostgreSQL on each host is what it was, but for what its administrator has done by hand."""
        after = record(self.database)
        found = [
            f"{name}: {each}"
            for name in NODES
            for each in differences(self._but(name, self.before[name]), self._but(name, after[name]))
        ]
        assert not found, "\n".join(found)

    def _but(self, name: str, found: Record) -> Record:
        """Return a record without what was done by hand."""
        if ROLE in self.by_hand:
            found = {each: entry for each, entry in found.items() if each not in {"roles", "memberships"}}
        if COPIED in self.by_hand and name == "n2":
            return without_times(found)
        if ALTERED in self.by_hand and name == "n1":
            auto = {each: entry for each, entry in found.items() if each.endswith("/postgresql.auto.conf")}
            assert auto
            return {**found, **without_times(auto)}
        return found

    def undo(self, step: str) -> None:
        """Count a step that was undone: PostgreSQL is what it was before it."""
        self.untouched()
        self.undone.append(step)

    @contextmanager
    def partition(self, kind: str) -> Iterator[None]:
        """Count a partition; writes go on while it lasts, and all is seen to be as usual after it."""
        yield
        self.partitions.append(kind)

    # What is seen ---------------------------------------------------------------------------------------------------

    def status(self, code: int, *says: str, never: tuple[str, ...] = ()) -> None:
        """Return once `status` ends with a code, and says these things, and says none of `never`."""
        last = (-1, "")

        def so() -> bool:
            nonlocal last
            last = self.operator.says("status")
            return (
                last[0] == code and all(each in last[1] for each in says) and not any(each in last[1] for each in never)
            )

        try:
            wait_until(so, f"status {code} that says {says}, and none of {never},")
        except AssertionError as error:
            raise AssertionError(f"{error}; it ended with {last[0]}: {last[1]}") from None

    def usual(self) -> None:
        """Return once all is seen to be as it was made."""
        self.status(0, *USUAL, never=("not observed", "unknown"))

    def readiness(self, node: str) -> dict[str, str]:
        """Return what stands between watching a node and taking charge of it, by subject."""
        found = dict[str, str]()
        for each in self.operator.document("readiness", node, code=1)["readiness"][node]:
            if each["result"] != "holds":
                assert each["do"], each
                found[each["subject"]] = f"{found.get(each['subject'], '')} {each['said']}".strip()
        return found

    # What runs ------------------------------------------------------------------------------------------------------

    def begin_agent(self, name: str) -> None:
        """Start a node's agent as its unit would."""
        self.agents[name] = started(self.host(name), "aerodb-watch", name)
        self.agents[name].wait_for('"listening"')

    def begin_control(self) -> None:
        """Start the control plane as the page says."""
        command = ("env", "-C", "/root", PROGRAM, "serve", "--folder", "shop/control")
        self.control = self.host("ctl").daemon("control", *command)
        self.control.wait_for('"origin"')

    def end_control(self, number: int) -> None:
        """End the control plane by a signal."""
        assert self.control is not None
        self.control.signal(number)

    def end_agents(self) -> None:
        """End all agents, as a service manager does."""
        for agent in self.agents.values():
            assert not agent.ended, agent.printed
            agent.signal(signal.SIGTERM)


Chapter = Callable[[Story], None]
