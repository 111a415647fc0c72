"""Real processes with one promise taken out: `python -m tests.attack.mutants NAME agent|serve ...`; else as `aerodb`.

The adversary must find each of them: `python -m tests.attack --mutant NAME`. What is taken out is taken out of agents
and control planes alike, so that a plan says what the node then does.
"""

import sys
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from aerodb.rules import invariants


def _always_hold(*names: str) -> None:
    """Have some invariants hold whatever is found; to be done before a rule is imported."""
    for function in ("violated", "unknown"):
        judged: Callable[..., Any] = getattr(invariants, function)

        def lenient(invariant: Any, evidence: str, judged: Callable[..., Any] = judged) -> Any:
            return (invariants.holds if invariant.value in names else judged)(invariant, evidence)

        setattr(invariants, function, lenient)


def _put(where: Any, name: str, value: Any) -> None:
    """Put something in the place of what is there; it must be there."""
    assert hasattr(where, name), name
    setattr(where, name, value)


def no_election() -> None:
    """Anybody may be promoted."""
    _always_hold(
        "election-quorum", "commit-quorum", "wal-prefix", "pledges-kept", "term-rises", "candidacy-stands",
        "term-ungranted", "position-known", "no-higher-grant", "successor-electable",
    )  # fmt: skip


def no_log() -> None:
    """No confirmation is logged, and no node asks for it."""
    from aerodb.control.record import Recorder
    from aerodb.kernel import locks

    _put(locks, "check_logged", lambda _cluster, _plan, _order, seen: seen)
    _put(Recorder, "confirmed", lambda self, *_arguments, **_named: self.log.size - 1)


def no_journal() -> None:
    """A node forgets which requests it has run."""
    from aerodb.kernel.store import Store

    _put(Store, "knows", lambda _self, _request: False)


def liar() -> None:
    """A node signs that what it did was not done."""
    from aerodb.kernel import agent

    honest: Callable[..., Any] = vars(agent)["sign"]

    def sign(document: Any, *rest: Any) -> Any:
        lies = getattr(document, "kind", "") == "outcome" and document.result == "executed"
        return honest(replace(document, result="not executed") if lies else document, *rest)

    _put(agent, "sign", sign)


def always_primary() -> None:
    """Every node that answers says that it is the primary."""
    from starlette.responses import Response

    from aerodb.kernel import service

    honest: Callable[..., Any] = service.application

    def application(*arguments: Any) -> Any:
        made = honest(*arguments)

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope.get("path") == "/primary":
                await Response("primary\n")(scope, receive, send)
            else:
                await made(scope, receive, send)

        return answer

    _put(service, "application", application)


def no_start() -> None:
    """A PostgreSQL that is down stays down, whoever asks."""
    from aerodb.kernel.postgres import process
    from aerodb.kernel.postgres.errors import StartFailed

    def start(*_: Any, **__: Any) -> None:
        raise StartFailed("a mutant starts nothing")

    _put(process, "start", start)


MUTANTS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "no-election": (no_election, ("lost", "one writer")),
    "no-log": (no_log, ("confirmed first",)),
    "no-journal": (no_journal, ("outcome", "confirmed first")),
    "liar": (liar, ("outcome", "confirmed first")),
    "always-primary": (always_primary, ("told",)),
    "no-start": (no_start, ("way out",)),
}
"""By name: what is taken out, and the properties of which one must break."""


def main(words: list[str]) -> None:
    """Take a promise out, and be `aerodb` otherwise."""
    MUTANTS[words[0]][0]()
    from aerodb.cli.main import main as run

    sys.argv = ["aerodb", *words[1:]]
    run()


if __name__ == "__main__":
    main(sys.argv[1:])
