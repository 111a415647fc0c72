"""Names are asked for once in a while, and a resolver that hangs holds nobody up."""

import threading
from collections.abc import Callable

import pytest

from aerodb.kernel.watching import addresses
from aerodb.kernel.watching.addresses import RESOLVE_EVERY_SECONDS, Addresses, plain


def test_an_address_has_one_form() -> None:
    """However it is written; a zone is none of it, and a name is no address."""
    assert [plain(each) for each in ("10.0.0.1", "::FFFF:10.0.0.1", "2001:0DB8::0001", "fe80::1%eth0", "db1", "")] == [
        "10.0.0.1", "10.0.0.1", "2001:db8::1", "fe80::1", None, None,
    ]  # fmt: skip


def _waits(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never came to be")


def test_names_are_asked_for_once_in_a_while() -> None:
    """An address is never asked for; a name at first, and again when its time has come; what was found stays."""
    now, asked = [0.0], list[str]()
    answers: dict[str, list[str]] = {"db2": ["10.0.0.2"], "db3": []}

    def resolve(host: str) -> list[str]:
        asked.append(host)
        return answers[host]

    known = Addresses({"n1": "10.0.0.1", "n2": "db2", "n3": "db3"}, resolve, lambda: now[0])
    first = {"n1": frozenset({"10.0.0.1"}), "n2": frozenset({"10.0.0.2"}), "n3": frozenset[str]()}
    assert known.known() == known.known() == first
    assert asked == ["db2", "db3"]
    now[0], answers["db2"], answers["db3"] = RESOLVE_EVERY_SECONDS, [], ["10.0.0.3"]
    known.known()
    _waits(lambda: known.known()["n3"] == {"10.0.0.3"})
    assert known.known()["n2"] == {"10.0.0.2"}
    assert len(asked) == 4


def test_a_resolver_that_hangs_holds_up_one_look_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No later look waits for it, and no other question is put meanwhile."""
    monkeypatch.setattr(addresses, "FIRST_SECONDS_MAX", 0.01)
    let_go, asked = threading.Event(), list[str]()

    def resolve(host: str) -> list[str]:
        asked.append(host)
        let_go.wait()
        return ["10.0.0.2"]

    known = Addresses({"n2": "db2"}, resolve, lambda: 0.0)
    assert known.known() == {"n2": frozenset()}
    monkeypatch.setattr(addresses, "FIRST_SECONDS_MAX", None)  # Whoever waited now would wait for ever.
    assert known.known() == {"n2": frozenset()}
    let_go.set()
    _waits(lambda: known.known() == {"n2": frozenset({"10.0.0.2"})})
    assert asked == ["db2"]
