"""What operators set out to do: one request after another, each by what its own plan says, on whom it is due now."""

import signal
from collections.abc import Callable

from aerodb.protocol.plan import plan_digest
from tests.attack.chronicle import Chronicle, standing_of
from tests.attack.history import Call
from tests.attack.person import Person
from tests.attack.processes import Processes
from tests.attack.script import REQUESTS
from tests.faults.conftest import Running
from tests.faults.people import new_id

ARGUMENT = {"demote": "for_", "fence": "for_", "follow": "upstream", "reclone": "upstream"}
BOLD_BELOW = 6
"""Of sixty lots: how many confirm a plan that does not claim that nothing is lost."""


def data_nodes_by_role(running: Running) -> list[str]:
    """Return the data nodes: who was granted the highest term that any standing shows, then the others in order."""
    known = [standing_of(running, node) for node in running.cluster.data_nodes]
    grants = [standing.granted for standing in known if standing is not None]
    first = max(grants, key=lambda each: each.term).node if grants else running.cluster.genesis
    return [first, *(node for node in running.cluster.data_nodes if node != first)]


class Campaigns:
    """One operator's way through a round."""

    def __init__(self, running: Running, person: Person, processes: Processes, chronicle: Chronicle) -> None:
        """Begin nothing yet."""
        self._running, self._person = running, person
        self._processes, self._chronicle = processes, chronicle
        self._held: list[Call] = []

    def play(self, name: str, lots: tuple[int, ...]) -> None:
        """Do what a campaign is about."""
        campaigns: dict[str, Callable[[tuple[int, ...]], None]] = {
            "random": self._random, "switchover": self._switchover, "failover": self._failover,
            "renewal": self._renewal, "maintenance": self._maintenance, "reclone": self._reclone,
            "gather": self._gather, "outcomes": self._outcomes, "hold": self._hold, "release": self._release,
        }  # fmt: skip
        campaigns[name](lots)

    def _roles(self) -> tuple[str, list[str]]:
        first, *others = data_nodes_by_role(self._running)
        return first, others

    def _any(self, lots: tuple[int, ...]) -> tuple[str, str, dict[str, str]]:
        names = [member.name for member in self._running.cluster.members]
        action, target = REQUESTS[lots[0] % len(REQUESTS)], names[lots[1] % len(names)]
        argument = ARGUMENT.get(action)
        return action, target, {argument: names[lots[2] % len(names)]} if argument else {}

    def _random(self, lots: tuple[int, ...]) -> None:
        action, target, arguments = self._any(lots)
        claims = ("none", "at most", "cannot be proven") if lots[3] < BOLD_BELOW else ("none",)
        self._person.do(action, target, claims=claims, **arguments)

    def _hold(self, lots: tuple[int, ...]) -> None:
        """Ask, and confirm in a later beat."""
        action, target, arguments = self._any(lots)
        primary, others = self._roles()
        if lots[4] % 2:  # One that is likely to be accepted, and dangerous when it comes late.
            action, target, arguments = (
                ("start", primary, {}), ("follow", others[0], {"upstream": primary}),
                ("promote", others[0], {}), ("demote", primary, {"for_": others[0]}),
            )[lots[5] % 4]  # fmt: skip
        call = self._person.ask(action, target, **arguments)
        if call is not None and call.accepted and call.claim == "none":
            self._held.append(call)

    def _release(self, lots: tuple[int, ...]) -> None:
        del lots
        held, self._held = self._held, []
        for call in held:
            self._person.confirm(call)

    def _switchover(self, lots: tuple[int, ...]) -> None:
        primary, others = self._roles()
        successor = others[lots[0] % len(others)]
        if lots[1] % 2:
            for third in others:
                if third != successor:
                    self._person.do("follow", third, upstream=successor)
        self._fence_enough(primary, successor, others)
        if lots[2] % 2:
            self._ahead(primary, successor, lots)
            return
        done = self._person.do("demote", primary, for_=successor)
        if done is not None and done.result in {"executed", "unknown"}:
            self._person.do("promote", successor)
            for node in (primary, *others):
                if node != successor:
                    self._person.do("follow", node, upstream=successor)

    def _ahead(self, primary: str, successor: str, lots: tuple[int, ...]) -> None:
        """Sign the promotion before the demotion; at times something comes in between, or the last signature later."""
        first = new_id()
        later = self._person.do("promote", successor, after=f"demote:{primary}:{first}")
        if later is None or later.result != "held":
            return
        plan = plan_digest(self._person.plans[later.request])
        if lots[3] % 4 == 0:
            self._person.do("checkpoint", successor)  # It drops what is held.
        call = self._person.ask("demote", primary, under=first, for_=successor, then=f"{later.request}:{plan}")
        if call is None or not call.accepted or call.claim != "none" or lots[4] % 6 == 0:
            self._person.decline(later.request)
        elif lots[4] % 6 == 1:
            self._held.append(call)
        else:
            self._person.confirm(call)

    def _fence_enough(self, primary: str, successor: str, others: list[str]) -> None:
        """Fence beforehand where the demotion alone would not make an election."""
        need = self._running.cluster.majority - 2
        for node in [each for each in others if each != successor][:need] if need > 0 else []:
            self._person.do("fence", node, for_=successor)
        del primary

    def _failover(self, lots: tuple[int, ...]) -> None:
        primary, others = self._roles()
        self._processes.kill_postgres(primary)
        if lots[0] % 2:
            self._processes.end_agent(primary, signal.SIGKILL)
        candidate = others[lots[1] % len(others)]
        voters = [member.name for member in self._running.cluster.members if member.name != primary]
        for node in voters:
            self._person.do("fence", node, for_=candidate)
        self._person.do("promote", candidate)
        for node in others:
            if node != candidate:
                self._person.do("follow", node, upstream=candidate)
        if lots[2] % 2:
            self._processes.start_agent(primary, leave_down=bool(lots[3] % 2))
            followed = self._person.do("follow", primary, upstream=candidate)
            if followed is not None and not followed.accepted:
                self._person.do("reclone", primary, claims=("none", "at most"), upstream=candidate)

    def _renewal(self, lots: tuple[int, ...]) -> None:
        primary, others = self._roles()
        node = others[lots[0] % len(others)]
        self._person.do("fence", node, for_=node if lots[1] % 2 else primary)
        self._person.do("fence", node, for_=primary)
        self._person.do("renew", primary)
        self._person.do("follow", node, upstream=primary)

    def _maintenance(self, lots: tuple[int, ...]) -> None:
        nodes = data_nodes_by_role(self._running)
        node = nodes[lots[0] % len(nodes)]
        self._person.do("stop", node)
        if lots[1] % 3:
            self._person.do("start", node)

    def _reclone(self, lots: tuple[int, ...]) -> None:
        primary, others = self._roles()
        claims = ("none", "at most", "cannot be proven") if lots[1] < BOLD_BELOW else ("none", "at most")
        self._person.do("reclone", others[lots[0] % len(others)], claims=claims, upstream=primary)

    def _gather(self, lots: tuple[int, ...]) -> None:
        del lots
        primary, others = self._roles()
        for node in (primary, *others):
            self._person.do("start", node)
        for node in others:
            self._person.do("follow", node, upstream=primary)

    def _outcomes(self, lots: tuple[int, ...]) -> None:
        del lots
        for call in list(self._chronicle.calls.values()):
            if call.result == "unknown":
                self._person.outcome(call.request)
