"""The log's cosignatures: gathered from the log witnesses once a confirmation is logged, before its order is sent.

- Every witness that the configuration names is asked, at once, about one and the same checkpoint; the order waits for
  as many as are demanded and for no more. Where none is demanded it waits for nobody.
- Each is asked once. The protocol itself has one that knows another size say which, and be shown the proof from there.
- Nothing is asked again by itself: where too few vouch, nothing is executed, and it is said who did not, and why.
- What a witness says is verified here as the node will; a witness is asked one thing at a time, in the log's order.

Source: C2SP tlog-witness (add-checkpoint).
"""

import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from time import monotonic

import msgspec

from aerodb.audit.adding import PATH, SIZE_TYPE, addition_bytes, read_size
from aerodb.audit.cosignature import cosigned_by, only_by, with_lines
from aerodb.audit.note import CheckpointForged, stated_size
from aerodb.audit.store import Log
from aerodb.control.errors import ControlFolderBroken, CosignaturesMissing
from aerodb.errors import AeroError
from aerodb.logs import say
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.vkey import VerifierKey
from aerodb.transport.outside import Answer, ServicePlace, post_outside
from aerodb.transport.problem import refused_by

FILE = "log-witnesses.json"
CALL_SECONDS_MAX, GATHER_SECONDS_MAX = 8.0, 20.0
"""What one call of a witness may take, and what an order waits for all of them: two calls each."""


class WitnessRefuses(CosignaturesMissing):
    """A log witness did not cosign; the message says why. It is told in the name of those that are missing."""


def read_places(folder: Path) -> dict[str, ServicePlace]:
    """Return where each log witness is, by its name, as the control plane's `folder` says; without a word, nowhere.

    Raises:
        ControlFolderBroken: the file is damaged, or a URL in it is none.
    """
    path = folder / FILE
    try:
        places = msgspec.json.decode(path.read_bytes(), type=dict[str, ServicePlace]) if path.exists() else {}
        for each in places.values():
            _ = each.parts
    except (OSError, ValueError, AeroError) as error:
        raise ControlFolderBroken(f"{path} does not say where the log witnesses are: {error}") from error
    return places


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, and what was asked of each witness about it."""

    checkpoint: str
    answers: dict[str, "Future[str]"]

    def lines(self) -> dict[str, str]:
        """Return the cosignatures that are there, by witness."""
        done = {name: each for name, each in self.answers.items() if each.done() and each.exception() is None}
        return {name: each.result() for name, each in done.items()}

    def reasons(self) -> str:
        """Return of each witness that did not cosign why, in a sentence."""
        return "; ".join(f"{name}: {_why(each)}" for name, each in self.answers.items() if name not in self.lines())


def _why(answer: "Future[str]") -> str:
    if not answer.done():
        return f"no answer within {GATHER_SECONDS_MAX:g} seconds"
    error = answer.exception()
    said = error.message if isinstance(error, AeroError) else repr(error)
    return said.encode("ascii", "backslashreplace").decode()  # A witness's own words must fit into a record.


def _known(answer: Answer) -> int | None:
    """Return which size a witness says that it knows instead of the one that it was told; None where it says none."""
    return read_size(answer.body) if answer.status == 409 and answer.type == SIZE_TYPE else None


def _contradiction(known: int, size: int) -> str:
    if known > size:
        return (
            f"it has cosigned {known} records, and the log has {size}: it went back, or the witness was shown another"
        )
    return f"it has cosigned another log of {known} records under the same key"


class LogWitnesses:
    """The log witnesses of one cluster, as its control plane reaches them."""

    def __init__(self, cluster: Cluster, log: Log, places: Mapping[str, ServicePlace]) -> None:
        """Prepare; nobody is asked yet. `places` says where each witness is, by its name."""
        self._demanded, self._log = cluster.cosignatures_demanded, log
        self._witnesses = {key.name: _LogWitness(key, places.get(key.name), log) for key in cluster.log_witnesses}
        self._lock = threading.Lock()
        self._newest = ""

    def cosigned(self) -> str:
        """Return the newest checkpoint under as many cosignatures as are demanded; "" where none is demanded.

        Raises:
            CosignaturesMissing: too few witnesses cosigned it; the message says of each other one why.
        """
        with self._lock:  # So every witness is asked about one confirmation after the other, in the same order.
            checkpoint = self._log.checkpoint
            answers = {name: each.ask(checkpoint) for name, each in self._witnesses.items()}
        asked = _Asked(checkpoint=checkpoint, answers=answers)
        if not self._demanded:
            return ""
        _wait(asked, self._demanded)
        lines, size = asked.lines(), stated_size(checkpoint)
        if len(lines) < self._demanded:
            raise CosignaturesMissing(
                f"{len(lines)} of the {self._demanded} log witnesses that are demanded cosigned the log of {size} "
                f"records, so the order was not sent. {asked.reasons()}"
            )
        say("the log was cosigned", size=size, witnesses=sorted(lines))
        text = with_lines(checkpoint, [lines[name] for name in self._witnesses if name in lines])
        with self._lock:
            self._newest = max(self._newest, text, key=stated_size)
        return text

    def since(self, text: str, seen: int) -> str:
        """Return the cosigned checkpoint that is shown to a node which has seen `seen` records: `text`, or a newer one.

        Another order to that node may have come first, with what was cosigned for it.

        Raises:
            CosignaturesMissing: none is as new as what the node has seen.
        """
        with self._lock:
            newest = max(text, self._newest, key=stated_size)
        if not text or stated_size(text) >= seen:
            return text
        if stated_size(newest) < seen:
            raise CosignaturesMissing(f"the node has seen {seen} records, and {stated_size(newest)} were cosigned")
        return newest


def _wait(asked: _Asked, demanded: int) -> None:
    """Return once as many witnesses have cosigned as are demanded, or everybody has answered, or the time is over."""
    end, left = monotonic() + GATHER_SECONDS_MAX, set(asked.answers.values())
    while left and len(asked.lines()) < demanded and monotonic() < end:
        _, left = wait(left, end - monotonic(), FIRST_COMPLETED)


class _LogWitness:
    """One log witness: asked one thing at a time, in order."""

    def __init__(self, key: VerifierKey, place: ServicePlace | None, log: Log) -> None:
        """Keep who it is and where; of what it has seen nothing is known."""
        self._key, self._place, self._log = key, place, log
        self._size = 0
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"log witness {key.name}")

    def ask(self, checkpoint: str) -> "Future[str]":
        """Ask it, once what it was asked before is over; the answer is its signature line, or why there is none."""
        answer = self._worker.submit(self._asked, checkpoint)
        answer.add_done_callback(self._tell)
        return answer

    def _tell(self, answer: "Future[str]") -> None:
        """Say in the service's log that it did not cosign, also where nobody waits for it."""
        if answer.exception() is not None:
            say("a log witness did not cosign", witness=self._key.name, why=_why(answer))

    def _asked(self, checkpoint: str) -> str:
        size, told = stated_size(checkpoint), self._size
        answer = self._post(told, checkpoint)
        known = _known(answer)
        if known is not None and known != told and known <= size:
            told = known
            answer = self._post(told, checkpoint)
            known = _known(answer)
        if known is not None:
            raise WitnessRefuses(_contradiction(known, size))
        if answer.status != 200:
            why = refused_by(answer.status, answer.body).message
            raise WitnessRefuses(f"it does not take the log of {size} records for an extension of {told}: {why}")
        line = self._line(checkpoint, answer.body)
        self._size = size
        return line

    def _post(self, old_size: int, checkpoint: str) -> Answer:
        if self._place is None:
            raise WitnessRefuses("the control plane's log-witnesses.json does not say where it is")
        path = self._log.consistency(old_size, stated_size(checkpoint))
        return post_outside(self._place, PATH, addition_bytes(old_size, path, checkpoint), CALL_SECONDS_MAX)

    def _line(self, checkpoint: str, body: bytes) -> str:
        """Return the witness's own line in its answer, verified; whatever else it says is ignored."""
        text = with_lines(checkpoint, (body.decode(errors="replace"),))
        try:
            if not cosigned_by(text, (self._key,)):
                raise WitnessRefuses("its answer holds no cosignature of the key that the configuration names")
            return only_by(text, (self._key,)).rpartition("\n\n")[2]
        except CheckpointForged as error:
            raise WitnessRefuses(f"its cosignature does not hold: {error.message}") from error
