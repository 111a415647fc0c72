"""The observer: it looks at the agent's own node about once a second and writes down what changed.

- It begins, retries, restarts and decides nothing. It makes the agent remember one thing: that the node serves under a
  weaker policy, because nothing else shows what was acknowledged meanwhile.
- It has its own connection and takes none of the agent's locks, so it never holds up an operation.
- A look that hangs or fails is itself a transition; whatever goes wrong here, the agent goes on.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import takewhile

from aerodb.errors import AeroError
from aerodb.kernel.events.journal import EventJournal
from aerodb.kernel.events.lags import Lags
from aerodb.kernel.looking import Looking
from aerodb.kernel.memory import give_back
from aerodb.protocol.events import OBSERVER_FAILED, JournalMark, Kind, Sighting, Trace, Transition
from aerodb.protocol.facts import Facts, State
from aerodb.rules.transitions import Seen, see, transitions

LOOK_SECONDS_MAX = 5.0
NOTHING_YET = Sighting(facts=None, failure="nothing yet", trace=None, journal=())


class Sight:
    """How the observer looks: the agent's facts, over its own connection, and more that PostgreSQL tells."""

    def __init__(self, agent: Looking) -> None:
        """Prepare to look; the first look comes later.

        Raises:
            PostgresMissing, FolderClosed: PostgreSQL's programs cannot be found, or run.
        """
        self._agent = agent
        self._eye = agent.eye("observer")
        self._lock = threading.Lock()
        self._looking: Future[Sighting] = Future()
        self._looking.set_result(NOTHING_YET)

    def glance(self, known: tuple[JournalMark, ...] = ()) -> Sighting:
        """Return what a look sees within LOOK_SECONDS_MAX; after that, a sighting without answer, with `known` in it.

        A look that hangs goes on in its own thread; callers that come meanwhile wait for it, and start no other.
        """
        with self._lock:
            if self._looking.done():
                self._looking = Future()
                threading.Thread(target=self._look_for, args=(self._looking,), name="look", daemon=True).start()
            looking = self._looking
        try:
            return looking.result(LOOK_SECONDS_MAX)
        except TimeoutError:
            return Sighting(facts=None, failure="no answer", trace=None, journal=known)

    def _look_for(self, asked: Future[Sighting]) -> None:
        asked.set_result(self._look())

    def _look(self) -> Sighting:
        """Look now, and return what is seen or why nothing is."""
        known = self._agent.trail
        try:
            facts = self._eye.facts()
            return Sighting(facts=facts, failure="", trace=self._trace(facts), journal=self._begun_by_now(known))
        except AeroError as error:
            failure = error.code
        except Exception as error:  # noqa: BLE001 - whatever failed: it could not be looked at, and the agent goes on
            failure = type(error).__name__
        return Sighting(facts=None, failure=failure, trace=None, journal=known)

    def _begun_by_now(self, known: tuple[JournalMark, ...]) -> tuple[JournalMark, ...]:
        """Return the trail after a look: with what was begun during it, whose changes it may show; without what ended.

        What ended during the look is told by the next one, which sees all that it changed.
        """
        since = self._agent.trail[len(known) :]
        return (*known, *takewhile(lambda mark: not mark.result, since))

    def _trace(self, facts: Facts) -> Trace | None:
        running = facts.instance is not None and facts.instance.state is State.RUNNING
        try:
            return self._eye.trace() if running else None
        except AeroError:
            return None  # PostgreSQL answered a moment ago; the next look tells what became of it.


class Watch:
    """The observer of one agent."""

    def __init__(
        self,
        sight: Sight,
        journal: EventJournal,
        lags: Lags,
        every_seconds: float,
        pass_on: Callable[[Sighting], None],
    ) -> None:
        """Look every `every_seconds`, write into `journal` and `lags`, and pass on each sighting."""
        self._sight, self._journal, self._lags, self._every_seconds = sight, journal, lags, every_seconds
        self._pass_on = pass_on
        self._seen: Seen | None = None

    def start(self, asked_to_end: threading.Event) -> None:
        """Look and write in a daemon thread until `asked_to_end` is set."""
        threading.Thread(target=self._run, args=(asked_to_end,), name="observer", daemon=True).start()

    def _run(self, asked_to_end: threading.Event) -> None:
        self._begin()
        failed = ""
        while True:
            try:
                self.turn()
                give_back()
                failed = ""
            except Exception as error:  # noqa: BLE001 - an observer that fails must not end: it says so, once, and goes on
                if failed != repr(error):
                    failed = repr(error)
                    self._journal.append(Transition(kind=Kind.GAP, subject=OBSERVER_FAILED, after=failed), None)
            if asked_to_end.wait(self._every_seconds):
                return

    def _begin(self) -> None:
        """Write a gap: nobody looked between the previous agent's last event and now."""
        last = self._journal.last
        if last:
            gap = Transition(kind=Kind.GAP, subject="not looked at", before=str(last), after=str(last + 1))
            self._journal.append(gap, None)

    def turn(self) -> None:
        """Look once, write down what changed since the last look, and sample the lag."""
        sighting = self._sight.glance(self._seen.journal if self._seen else ())
        now = see(self._seen, sighting)
        for transition in transitions(self._seen, now):
            self._journal.append(transition, sighting.facts)
        self._seen = now
        self._lags.look(sighting, self._journal.last)
        self._pass_on(sighting)
