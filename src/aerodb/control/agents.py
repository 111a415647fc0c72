"""The control plane's way to the agents: one call each, never again by itself. What comes back is verified."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from typing import TypeVar

import msgspec

from aerodb.control.errors import OutcomeForged
from aerodb.control.meters import Meters
from aerodb.errors import AeroError, Executed
from aerodb.past.speaking import QUERY, SPOKEN, stated
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.events import EventPage
from aerodb.protocol.facts import State
from aerodb.protocol.holdings import HeldRequest
from aerodb.protocol.plan import Confirmation, Extent, Order, Outcome, Trigger
from aerodb.protocol.signed import Signed, open_signed
from aerodb.transport.client import Client, Kept
from aerodb.transport.errors import AnswerMalformed, Interrupted, Unreachable
from aerodb.transport.problem import read_answer
from aerodb.transport.tls import Tls, client_context

Read = tuple[dict[str, Signed], dict[str, str]]
"""One read of all nodes: the signed reports, and of each node that gave none why."""

Rules = tuple[str, ...]
"""The rules in which something is asked, the newest first."""

LOOK_SECONDS_MAX = 15.0
"""What a look may take at an agent that answers at all."""
ANSWER_SECONDS_MAX = 2.0
"""What an agent is given to accept a connection, or to answer a cheap call: one that is frozen costs a look no more."""
CHEAP = "/v1/checkpoint"
"""What an agent answers without looking at its PostgreSQL."""
ORDER_SECONDS_MAX = 24 * 3600.0
ORDER_ASKS_SECONDS, ORDER_MISSES_MAX = 5.0, 4
"""How often an agent that works on an order is asked whether it lives, and how often in a row it may say nothing."""
T = TypeVar("T")


class _InstanceSeen(msgspec.Struct):
    state: str


class _FactsSeen(msgspec.Struct):
    instance: _InstanceSeen | None


class _ReportSeen(msgspec.Struct):
    """All that is read of a report here, unverified: whether it is worth asking again."""

    facts: _FactsSeen


def _unanswered(unverified: Signed) -> bool:
    """Tell whether a report says that the node's PostgreSQL did not answer."""
    try:
        instance = msgspec.json.decode(unverified.document, type=_ReportSeen).facts.instance
    except msgspec.DecodeError:
        return False
    return instance is not None and instance.state == State.UNREACHABLE


@contextmanager
def _known(executed: Executed) -> Iterator[None]:
    """Have errors say what is known here of what was executed: the word of who answers counts only where it is signed.

    `executed` is what every error inside says.
    """
    try:
        yield
    except AeroError as error:
        error.executed = executed
        raise


class Agents:
    """The agents of one cluster, as the control plane reaches them."""

    def __init__(self, cluster: Cluster, tls: Tls, meters: Meters) -> None:
        """Prepare; nothing is called yet."""
        self._cluster = cluster
        self._tls, self._context = tls, client_context(tls)
        self._meters = meters
        self._lock = threading.Lock()
        self._idle: dict[str, list[Kept]] = {}
        self._greetings: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(max_workers=32, thread_name_prefix="agent")

    def _client(self, node: str, seconds_max: float) -> Client:
        client = Client(self._cluster.member(node).agent, self._tls, node, seconds_max, self._context)
        client.connect_seconds_max = ANSWER_SECONDS_MAX
        return client

    def _of_each(self, ask: Callable[[str], T], nodes: Iterable[str]) -> tuple[dict[str, T], dict[str, str]]:
        """Ask these nodes at once; return what each says, and of each that says nothing why.

        Each is asked in this call's own context, so that a trace goes on.
        """

        def answer(name: str) -> T | AeroError:
            try:
                return ask(name)
            except AeroError as error:
                return error

        asked = {name: self._pool.submit(copy_context().run, answer, name) for name in nodes}
        said, missing = dict[str, T](), dict[str, str]()
        for name, found in ((name, each.result()) for name, each in asked.items()):
            if isinstance(found, AeroError):
                missing[name] = f"{found.code}: {found.message}"
            else:
                said[name] = found
        return said, missing

    def _report(self, node: str, kept: Kept, nonce: str, rules: Rules) -> Signed:
        with self._meters.call(node, "report"):
            kept.ensure(CHEAP, ANSWER_SECONDS_MAX)
            body = kept.get(f"/v1/report?nonce={nonce}&{QUERY}={stated(rules)}")
        return read_answer(body, Signed)

    def read_twice(self, nonce: str, rules: Rules = SPOKEN) -> tuple[Read, Read]:
        """Return two reads of all nodes: the second is begun when the first is over, on the same connections.

        Each answers in the newest of these rules that it speaks, or says that it speaks none of them.

        Who gives no report in the first is not waited for again, nor a PostgreSQL that did not answer: two silences say
        no more than one, and there is nothing to compare.
        """
        with ExitStack() as stack:
            kept = {member.name: stack.enter_context(self._kept(member.name)) for member in self._cluster.members}
            first, missing = self._read(kept, nonce, rules)
            settled = {name: signed for name, signed in first.items() if _unanswered(signed)}
            again = {name: each for name, each in kept.items() if name not in missing and name not in settled}
            second, lost = self._read(again, nonce, rules)
        said = {name: {**settled, **second}[name] for name in kept if name in settled or name in second}
        return (first, missing), (said, {**missing, **lost})

    @contextmanager
    def _kept(self, node: str) -> Iterator[Kept]:
        """Hold a connection for looking at a node, an idle one if there is one; afterwards it is idle again."""
        with self._lock:
            idle = self._idle.setdefault(node, [])
            kept = idle.pop() if idle else Kept(self._client(node, LOOK_SECONDS_MAX))
        try:
            yield kept
        finally:
            with self._lock:
                idle.append(kept)

    def greet(self, nodes: Iterable[str]) -> None:
        """Make sure, beside what the caller does next, that these nodes' agents live: `read_late` is to follow at once.

        So it need not ask them first, while writes stand still.
        """
        with self._lock, suppress(RuntimeError):  # The process ends: then they are asked without it, if at all.
            for name in nodes:
                self._greetings[name] = self._pool.submit(self._greeted, name)

    def _greeted(self, node: str) -> None:
        with self._kept(node) as kept, suppress(AeroError):  # One that does not answer is silent when it is asked.
            kept.ensure(CHEAP, ANSWER_SECONDS_MAX)

    def read_late(self, nodes: Iterable[str], nonce: str, rules: Rules = SPOKEN) -> Read:
        """Return one read of some nodes: what they say once a confirmation is logged, `nonce` being its digest."""
        nodes = tuple(nodes)
        with self._lock:
            greetings = [each for name in nodes if (each := self._greetings.pop(name, None)) is not None]
        wait(greetings)  # Their connections are those that are used now.
        with ExitStack() as stack:
            kept = {name: stack.enter_context(self._kept(name)) for name in nodes}
            return self._read(kept, nonce, rules)

    def _read(self, kept: dict[str, Kept], nonce: str, rules: Rules) -> Read:
        return self._of_each(lambda name: self._report(name, kept[name], nonce, rules), kept)

    def events(self, count: int) -> tuple[dict[str, EventPage], dict[str, str]]:
        """Return every node's newest events, and of each node that gave none why; what they say is not signed."""
        return self._of_each(lambda name: self._events(name, count), [each.name for each in self._cluster.members])

    def _events(self, node: str, count: int) -> EventPage:
        with self._kept(node) as kept, self._meters.call(node, "events"):
            kept.ensure(CHEAP, ANSWER_SECONDS_MAX)
            body = kept.get(f"/v1/events?count={count}")
        page = read_answer(body, EventPage)
        if page.node != node or any(event.node != node for event in page.events):
            raise AnswerMalformed(f"{node} gave the events of another node")
        return page

    def holdings(self, node: str, nonce: str) -> Signed:
        """Return what a node holds of the log and of requests, as it signs it for this asking.

        Raises:
            AeroError: it does not say.
        """
        with _known("not executed"), self._kept(node) as kept, self._meters.call(node, "holdings"):
            kept.ensure(CHEAP, ANSWER_SECONDS_MAX)
            return read_answer(kept.get(f"/v1/holdings?nonce={nonce}"), Signed)

    def all_holdings(self, nonce: str) -> Read:
        """Return what every node holds, and of each that does not say why."""
        return self._of_each(lambda name: self.holdings(name, nonce), [each.name for each in self._cluster.members])

    def held(self, node: str, request: str) -> HeldRequest:
        """Return one request of a node's journal.

        Raises:
            AeroError: it does not say.
        """
        with self._kept(node) as kept, self._meters.call(node, "holdings"):
            return read_answer(kept.get(f"/v1/holdings/{request}"), HeldRequest)

    def order(self, node: str, made_for: Callable[[int], Order], within: int | None = None) -> Signed:
        """Send an order, once, over a connection that has just answered, and return the node's signed outcome.

        `made_for` makes it for the size of the log that the node has seen: what the node then checks, it knows itself.
        Where `within` is given, that is the newest it has seen of at most so many records.

        Raises:
            AeroError: `made_for` cannot make it, the node does not say what it has seen, or it cannot be reached;
                nothing was sent, and nothing was executed.
            AeroError, of which `executed` is unknown: it was sent, and no signed outcome came back.
        """
        with self._kept(node) as kept:
            with _known("not executed"):
                order = made_for(self._seen(node, kept, within))
            return self._run(node, kept, order)

    def hold(self, node: str, made_for: Callable[[int], Order]) -> Signed:
        """Send an order that is to be held, once; return the node's signed report, or outcome. `made_for` is as above.

        Raises:
            AeroError: as `order`; whether it is held is then unknown, and never that it was executed.
        """
        with self._kept(node) as kept:
            with _known("not executed"):
                order = canonical.encode(made_for(self._seen(node, kept, None)))
            return self._waited(node, kept, "/v1/holds", order)

    def trigger(self, node: str, request: str, made_for: Callable[[int], Trigger], seen: int | None = None) -> Signed:
        """Have a node run the order that it holds, once, and return its signed outcome. `made_for` is as above.

        `seen` is the size of the log that it has just said it has seen; it is asked where that is not known.

        Raises:
            AeroError: as `order`.
        """
        with self._kept(node) as kept:
            with _known("not executed"):
                if seen is None:
                    seen = self._seen(node, kept, None)
                kept.ensure(CHEAP, ANSWER_SECONDS_MAX)
                trigger = canonical.encode(made_for(seen))
            return self._waited(node, kept, f"/v1/holds/{request}/trigger", trigger)

    def withdraw(self, node: str, request: str) -> Signed:
        """Have a node drop the order that it holds, and return what it signs of it.

        Raises:
            AeroError, of which `executed` is unknown: it does not say.
        """
        with _known("unknown"), self._meters.call(node, "withdrawal"):
            body = self._client(node, LOOK_SECONDS_MAX).post(f"/v1/holds/{request}/withdraw", b"{}")
            return read_answer(body, Signed)

    def _seen(self, node: str, kept: Kept, within: int | None) -> int:
        with self._meters.call(node, "checkpoint"):
            body = kept.get(CHEAP if within is None else f"{CHEAP}?within={within}", ANSWER_SECONDS_MAX)
        return read_answer(body, Extent).size

    def _run(self, node: str, kept: Kept, order: Order) -> Signed:
        return self._waited(node, kept, "/v1/orders", canonical.encode(order))

    def _waited(self, node: str, kept: Kept, path: str, body: bytes) -> Signed:
        """Send an order, and wait for its outcome for as long as the node's agent goes on answering."""
        sent = Future[Signed]()
        context = copy_context()
        threading.Thread(target=context.run, args=(self._deliver, node, kept, (path, body), sent), daemon=True).start()
        misses = 0
        while misses < ORDER_MISSES_MAX:
            if wait([sent], timeout=ORDER_ASKS_SECONDS).done:
                return sent.result()
            misses = 0 if self._lives(node) else misses + 1
        kept.abandon()
        wait([sent])  # Its connection is ended, so it has an error at once; then the connection may be used again.
        raise Interrupted(f"the agent of {node} answers nothing any more; the order was sent", executed="unknown")

    def _lives(self, node: str) -> bool:
        """Tell whether a node's agent answers the least question."""
        try:
            self._client(node, ORDER_ASKS_SECONDS).get(CHEAP)
        except AeroError:
            return False
        return True

    def _deliver(self, node: str, kept: Kept, order: tuple[str, bytes], sent: "Future[Signed]") -> None:
        try:
            sent.set_result(self._sent(node, kept, *order))
        except BaseException as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            sent.set_exception(error)

    def _sent(self, node: str, kept: Kept, path: str, order: bytes) -> Signed:
        try:
            with self._meters.call(node, "order"):
                body = kept.post(path, order, ORDER_SECONDS_MAX)
            return read_answer(body, Signed)
        except Unreachable:
            raise
        except AeroError as error:
            # Whoever answered, and whatever they say: what was sent has an outcome only under the node's own signature.
            error.executed = "unknown"
            raise

    def outcome(self, node: str, request: str, confirmation: Confirmation) -> Signed:
        """Ask a node what became of a request, showing the confirmation that was logged.

        Raises:
            AeroError, of which `executed` is unknown: it does not say.
        """
        with _known("unknown"), self._meters.call(node, "outcome"):
            shown = canonical.encode(confirmation)
            body = self._client(node, LOOK_SECONDS_MAX).post(f"/v1/outcomes/{request}", shown)
            return read_answer(body, Signed)

    def opened(self, node: str, request: str, signed: Signed, plan: str | None = None) -> Outcome:
        """Return a verified outcome; `plan` is the digest of the request's plan, where that is known.

        Raises:
            OutcomeForged: it is not the node's word on this request and on that plan.
        """
        try:
            outcome = open_signed(signed, Outcome, self._cluster.member(node).public_key)
        except AeroError as error:
            raise OutcomeForged(
                f"the outcome by {node} cannot be verified: {error.message}", executed="unknown"
            ) from error
        if (outcome.cluster, outcome.node, outcome.request) != (self._cluster.id, node, request):
            raise OutcomeForged(f"the outcome by {node} is of another request", executed="unknown")
        never_came = outcome.plan == "" and outcome.result != "executed"  # The agent was never shown a plan of it.
        if plan is not None and not never_came and outcome.plan != plan:
            raise OutcomeForged(f"the outcome by {node} is of another plan", executed="unknown")
        return outcome
