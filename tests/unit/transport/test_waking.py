"""A server at rest runs nothing; what asks it to end wakes it, whichever thread asks or is sent the signal."""

import asyncio
import email.utils
import signal
import subprocess
import sys
import threading
import time

from starlette.applications import Starlette
from uvicorn.server import ServerState

from aerodb.transport.crowd import Crowd
from aerodb.transport.deadlines import USUAL
from aerodb.transport.door import SeatedProtocol
from aerodb.transport.rooms import PEOPLE
from aerodb.transport.server import PageServer, _config, listen
from aerodb.transport.waking import DatedState, told

PATIENCE_SECONDS = 60
STRAY = """
import signal, threading, time
from starlette.applications import Starlette
from aerodb.transport.server import PageServer, listen

asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())

class Counted(PageServer):
    async def main_loop(self):
        def stray():
            asleep = 0
            while asleep < 20:  # This thread lets go of the interpreter meanwhile, so the main one waits for events.
                state = open("/proc/self/stat").read().rpartition(")")[2].split()[0]
                asleep = asleep + 1 if state == "S" else 0
                time.sleep(0.002)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        threading.Thread(target=stray, daemon=True).start()
        await super().main_loop()

Counted(Starlette(), None).run_on(listen("127.0.0.1:0"), asked)
"""


def test_a_server_at_rest_is_not_woken() -> None:
    """Between the start of serving and being asked to end, no timer waits to wake its event loop."""
    waiting: list[list[asyncio.TimerHandle]] = []

    class Watched(PageServer):
        async def main_loop(self) -> None:
            resting = asyncio.create_task(super().main_loop())
            await asyncio.sleep(0)
            waiting.append(_timers(asyncio.get_running_loop()))
            await resting

    asked = threading.Event()
    serving = threading.Thread(target=Watched(Starlette(), None).run_on, args=(listen("127.0.0.1:0"), asked))
    serving.start()
    try:
        while not waiting and serving.is_alive():
            time.sleep(0.001)
    finally:
        asked.set()
        serving.join(PATIENCE_SECONDS)
    assert not serving.is_alive()
    assert waiting == [[]]


def _timers(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """Return the timers for which a loop will wake."""
    return [each for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]


def test_a_signal_that_another_thread_is_sent_ends_the_server() -> None:
    """The system may hand a signal to any thread; the main one, which handles it, wakes from its wait all the same."""
    ended = subprocess.run([sys.executable, "-c", STRAY], timeout=PATIENCE_SECONDS, check=False)
    assert ended.returncode == 0


def test_an_event_that_was_set_before_is_told() -> None:
    """Who is asked to end before it serves ends too."""

    async def play() -> None:
        asked = threading.Event()
        asked.set()
        await asyncio.wait_for(told(asked).wait(), PATIENCE_SECONDS)

    asyncio.run(play())


def test_a_loop_that_is_over_is_not_told() -> None:
    """A server that ended by itself leaves nobody behind who fails when it is asked to end later."""
    asked = threading.Event()

    async def play() -> None:
        told(asked)

    asyncio.run(play())
    waiting = [each for each in threading.enumerate() if each.name == "asked to end"]
    asked.set()
    for each in waiting:
        each.join(PATIENCE_SECONDS)
        assert not each.is_alive()


def test_every_answer_has_the_date_of_its_second() -> None:
    """An idle server's next answer has the time of now, and the other headers after it."""
    times = [1_000_000_000.9, 1_000_000_001.0, 1_900_000_000.5]
    state: ServerState = DatedState(iter(times).__next__)
    state.default_headers = [(b"server", b"x")]
    for now in times:
        (name, date), *others = state.default_headers
        assert (name, others) == (b"date", [(b"server", b"x")])
        assert email.utils.parsedate_to_datetime(date.decode()).timestamp() == int(now)


class Aborted(asyncio.Transport):
    """A transport that notes that it was aborted."""

    def __init__(self) -> None:
        """Begin open."""
        super().__init__()
        self.aborted = False

    def abort(self) -> None:
        """Note it."""
        self.aborted = True


def test_a_connection_whose_answer_was_cut_short_does_not_hold_up_the_end() -> None:
    """A server that ends right after an answer failed ends as ever, without an error, and that connection with it."""

    async def play() -> bool:
        crowd = Crowd(16, 16, lambda _: None, 16)
        seat = crowd.enter("192.0.2.1", lambda: None)
        assert seat is not None
        config = _config(Starlette(), None, USUAL)
        protocol = SeatedProtocol(config, DatedState(), crowd, seat, lambda _: PEOPLE, USUAL)
        protocol.transport = Aborted()
        protocol.conn.send_failed()
        protocol.shutdown()
        return protocol.transport.aborted

    assert asyncio.run(play())


def test_the_wakeup_of_before_is_put_back() -> None:
    """Whoever had signals wake something has them wake it again."""
    asked = threading.Event()
    asked.set()
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    PageServer(Starlette(), None).run_on(listen("127.0.0.1:0"), asked)
    after = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(after)
    assert after == before
