"""One round: the script played against real processes, the way out walked, everything collected and judged."""

import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import psycopg

from tests.attack import evidence
from tests.attack.arena import SECOND, SIZES, Arena
from tests.attack.campaigns import Campaigns, data_nodes_by_role
from tests.attack.checker import Checked, check
from tests.attack.chronicle import Chronicle, Watcher
from tests.attack.clients import TABLE, Balancer, Writer
from tests.attack.history import Final, History, Way
from tests.attack.meddling import NOT_TO_BE_HAD, Meddling, run_as_superuser
from tests.attack.person import Person
from tests.attack.processes import ROOM_BYTES, STATE_BYTES, Processes
from tests.attack.replays import Replays
from tests.attack.script import HANDS, Beat, Fault, Script, script_of
from tests.attack.walker import Walker
from tests.faults.conftest import Running

BEAT_SECONDS_MAX = 150.0
BEGIN_SECONDS_MAX = 300.0
OF_HANDS = {name for name, _ in HANDS} | {"cancel waits"}


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """A round that is over."""

    seed: int
    shape: str
    checked: Checked
    acknowledged: int
    points: int
    inputs: int
    seconds: float
    way: Way
    folder: str = ""


class Round:
    """A round in the making."""

    def __init__(self, arena: Arena, script: Script, diary: Path) -> None:
        """Copy the cluster; nothing runs yet."""
        self.script, self.arena = script, arena
        self.running: Running = arena.copy(script.shape)
        self.chronicle = Chronicle(diary)
        self.processes = Processes(arena, self.running, self.chronicle)
        self.meddling = Meddling(self.running, self.processes, self.chronicle)
        self.replays = Replays(self.running, self.processes, self.chronicle)
        self.people = [Person(self.running, self.chronicle, name=name) for name in ("operator", SECOND)]
        self.campaigns = [Campaigns(self.running, person, self.processes, self.chronicle) for person in self.people]
        self._undo: list[Callable[[], None]] = []
        self._threads: list[threading.Thread] = []

    # Setting up -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the cluster, its clients and those who watch."""
        self._put_on_small()
        self.processes.begin()
        self._make_table()
        self.since = time.time()
        cluster = self.running.cluster
        self.writers = [Writer(self.running, f"w{number}", number) for number in range(2)]
        self.writers += [Writer(self.running, f"d-{n}", 2 + i, n) for i, n in enumerate(cluster.data_nodes)]
        self.balancers = [Balancer(self.running, node) for node in cluster.data_nodes]
        self.watcher = Watcher(self.running)
        self.watcher.start()
        clients: list[Writer | Balancer] = [*self.writers, *self.balancers]
        for client in clients:
            client.start()

    def _put_on_small(self) -> None:
        what, _, index = self.script.small.partition(" ")
        if not what:
            return
        node = self.running.cluster.data_nodes[int(index or 0)]
        folder, room = {
            "node": (self.running.layout.node(node), ROOM_BYTES),
            "state": (self.running.layout.node(node) / "state", STATE_BYTES),
            "log": (self.running.layout.control / "log", ROOM_BYTES // 10),
        }[what]
        self.processes.put_on_small(folder, room)

    def _make_table(self) -> None:
        end = time.monotonic() + BEGIN_SECONDS_MAX
        while True:
            try:
                with psycopg.connect(self.running.layout.dsn(), connect_timeout=10, autocommit=True) as connection:
                    connection.execute(TABLE.encode())
                    break
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        for node in self.running.cluster.data_nodes:
            while not self._ready(node) and time.monotonic() < end:
                time.sleep(0.1)

    def _ready(self, node: str) -> bool:
        with suppress(*NOT_TO_BE_HAD):
            return bool(run_as_superuser(self.running, node, "select 1"))
        return False

    # Playing ----------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Play every beat."""
        for number, beat in enumerate(self.script.beats, 1):
            beside = f" beside {beat.beside}" if beat.beside else ""
            self.chronicle.say(f"--- beat {number}: {beat.campaign}{beside}, {beat.mode}")
            self._beat(beat)

    def _beat(self, beat: Beat) -> None:
        if beat.control_dies is not None:
            self.processes.dying_control(*beat.control_dies)
        else:
            self.processes.become(beat.mode)
        if beat.agent_dies is not None:
            self.processes.dying_agent(self._node(beat.agent_dies[0]), beat.agent_dies[1])
        threads = [self._thread(self.campaigns[0].play, beat.campaign, beat.lots)]
        if beat.beside:
            threads.append(self._thread(self.campaigns[1].play, beat.beside, beat.lots[::-1]))
        threads += [self._thread(self._fault, fault) for fault in beat.faults]
        end = time.monotonic() + BEAT_SECONDS_MAX
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                self.chronicle.say("a campaign goes on into the next beat")
        self._revive(beat)

    def _thread(self, what: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                what(*arguments)
            except Exception as error:  # noqa: BLE001 - a beat's failure is the harness's, and is said
                self.chronicle.say(f"HARNESS {error!r}")

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def _revive(self, beat: Beat) -> None:
        """Let the dead agents come back between beats, and the settings that were only lent."""
        undo, self._undo = self._undo, []
        for each in undo:
            each()
        for number, member in enumerate(self.running.cluster.members):
            if not self.processes.alive(member.name) and beat.lots[number % len(beat.lots)] % 3:
                self.processes.start_agent(member.name, leave_down=bool(beat.lots[-1] % 2))

    def _node(self, whom: int) -> str:
        nodes = data_nodes_by_role(self.running)
        return nodes[whom % len(nodes)]

    def _fault(self, fault: Fault) -> None:
        self.processes.pause(fault.after)
        node = self._node(fault.whom)
        if fault.kind in OF_HANDS:
            self.meddling.do(fault, node, self._undo.append)
        else:
            self._process_fault(fault, node)

    def _process_fault(self, fault: Fault, node: str) -> None:
        processes, leave_down = self.processes, fault.detail == "leave"
        if fault.kind in {"kill agent", "end agent", "interrupt agent"}:
            number = {"k": signal.SIGKILL, "e": signal.SIGTERM, "i": signal.SIGINT}[fault.kind[0]]
            processes.end_agent(node, number)
            processes.pause(fault.lasting)
            processes.start_agent(node, leave_down=leave_down)
        elif fault.kind == "second agent":
            processes.second_agent(node)
        elif fault.kind == "kill postgres":
            processes.kill_postgres(node)
        elif fault.kind == "kill backend":
            processes.kill_backend(node)
        elif fault.kind.startswith("freeze"):
            self._freeze(fault, node)
        elif fault.kind in {"kill control", "end control"}:
            processes.end_control(signal.SIGKILL if fault.kind == "kill control" else signal.SIGTERM)
            processes.pause(fault.lasting // 3)
            processes.start_control()
        elif fault.kind == "second control":
            self.replays.second_control(fault.lasting)
        elif fault.kind == "replay":
            self.replays.replay(fault.lasting)
        elif fault.kind in {"fill", "protect"}:
            undo = processes.fill() if fault.kind == "fill" else processes.protect()
            processes.pause(fault.lasting)
            undo()

    def _freeze(self, fault: Fault, node: str) -> None:
        what = fault.kind.removeprefix("freeze ")
        if what == "backend":
            pid, what = self.processes.backend(node, fault.detail), fault.detail
        elif what == "postmaster":
            pid = self.processes.postmaster(node)
        else:
            name = "control" if what == "control" else node
            pid = self.running.stage.process(name).pid if self.processes.alive(name) else None
        thaw = self.processes.freeze(pid, what, "control" if what == "control" else node)
        self.processes.pause(fault.lasting)
        thaw()

    # Ending -----------------------------------------------------------------------------------------------------

    def end(self) -> History:
        """Let the hosts come back, walk the way out, stop the clients, and return everything that is known."""
        self.chronicle.say("--- the end: what is dead comes back, and the way out is walked")
        for undo in self._undo:
            undo()
        gone = self._lose_one()
        self.replays.close()
        self.processes.mend(but=gone)
        for thread in self._threads:
            thread.join(BEAT_SECONDS_MAX)
        way = Walker(self.running, self.people[0], self.processes, self.meddling, self.replays, gone).walk()
        clients: list[Writer | Balancer] = [*self.writers, *self.balancers]
        for client in clients:
            client.stop()
        self.watcher.stop()
        self.chronicle.say(f"way out: {way.primary or 'NONE'} after {' | '.join(way.steps)}; lent {way.lent}")
        self._settle()
        self.replays.close()
        return self._history(way, self._final(way))

    def _lose_one(self) -> str:
        """Let the primary's whole host be lost for good, where the script says so."""
        if not self.script.lost:
            return ""
        node = self._node(0)
        self.processes.kill_postgres(node)
        self.processes.end_agent(node, signal.SIGKILL)
        return node

    def _settle(self) -> None:
        """Ask for every outcome that is still unknown."""
        for call in list(self.chronicle.calls.values()):
            if call.confirmed is not None and call.result == "unknown":
                self.people[0].outcome(call.request)

    def _final(self, way: Way) -> Final:
        rows: tuple[int, ...] | None = None
        if way.primary:
            with suppress(*NOT_TO_BE_HAD):
                found = run_as_superuser(self.running, way.primary, "select 1")
                rows = self._rows(way.primary) if found else None
        terms = {}
        for node in self.running.cluster.data_nodes:
            with suppress(*NOT_TO_BE_HAD):
                said = run_as_superuser(self.running, node, "select term, node from aerodb.terms")
                terms[node] = tuple((int(str(term)), str(holder)) for term, holder in said)
        return Final(rows=rows, terms=terms)

    def _rows(self, node: str) -> tuple[int, ...]:
        member = self.running.cluster.member(node)
        tail = self.running.layout.dsn().partition("/app?")[2]
        dsn = f"postgresql://app@{member.postgres_host}:{member.postgres_port}/app?{tail}"
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            return tuple(int(row[0]) for row in connection.execute(b"select n from ledger"))

    def _history(self, way: Way, final: Final) -> History:
        self.processes.end_control(signal.SIGTERM)
        self.processes.end_extra()
        records = {"control": evidence.records_of(self.running.layout.control, self.running.cluster)}
        records |= self.replays.records()
        courier, chronicle = self.processes.courier_out, self.chronicle
        calls = {**{call.request: call for call in self.replays.calls}, **chronicle.calls}
        return History(
            seed=self.script.seed,
            shape=self.script.shape,
            quorum=SIZES[self.script.shape].quorum,
            acks=tuple(ack for writer in self.writers for ack in writer.acks),
            hands=tuple(chronicle.hands),
            calls=tuple(calls.values()),
            logged=tuple(each for name, some in records.items() for each in evidence.logged(name, some)),
            words=tuple(evidence.words_of(self.running, records, courier)),
            begun=tuple(evidence.begun_of(self.running)),
            happened=tuple(evidence.happened_of(self.running, self.since)),
            seen=tuple(self.watcher.seen),
            told=tuple(told for balancer in self.balancers for told in balancer.told),
            deeds=tuple(chronicle.deeds),
            way=way,
            final=final,
        )


def keep(round_: Round, history: History, folder: Path) -> None:
    """Keep a round's whole history, with what its processes said and what the nodes have on file."""
    layout = round_.running.layout
    (folder / "history.json").write_bytes(msgspec.json.format(msgspec.json.encode(history), indent=1))
    with suppress(OSError):
        shutil.copytree(layout.logs, folder / "logs", dirs_exist_ok=True)
    for member in round_.running.cluster.members:
        with suppress(OSError, shutil.Error):
            shutil.copytree(layout.node(member.name) / "state", folder / member.name, dirs_exist_ok=True)
    for node in round_.running.cluster.data_nodes:
        for path in ("run/postgres.log", "conf/standing.conf", "data/postgresql.auto.conf"):
            with suppress(OSError):
                shutil.copy(round_.running.home(node) / path, folder / f"{node}-{Path(path).name}")


def play(arena: Arena, seed: int, kept: Path, script: Callable[[int], Script] = script_of) -> Played:
    """Play the round of a seed; where it finds something, or all is to be kept, its history stays in `kept`."""
    begin, folder = time.monotonic(), kept / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    round_ = Round(arena, script(seed), folder / "diary.txt")
    try:
        round_.begin()
        round_.play()
        history = round_.end()
        checked = check(history)
        for finding in checked.findings:
            round_.chronicle.say(f"FINDING {finding.property}: {finding.text}")
        keep(round_, history, folder)
    finally:
        arena.end()
    if not checked.findings:
        shutil.rmtree(folder)
    return Played(
        seed=seed, shape=round_.script.shape, checked=checked, acknowledged=len(history.acks),
        points=round_.processes.points, inputs=round_.chronicle.inputs, seconds=time.monotonic() - begin,
        way=history.way, folder=str(folder) if checked.findings else "",
    )  # fmt: skip
