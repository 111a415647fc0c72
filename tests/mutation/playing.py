"""Plays tests against mutations: `python -m tests.mutation.playing MODULES -- TESTS` names what no test finds.

A process of its own, in which pytest collects the tests once. Each test is run once with nothing wrong, and must pass;
then, for each mutation, those that pass through its line are run, first those that noticed one in the same function,
then the quickest, until one fails. One that uses
many times the processor's time that it needs otherwise will never end, and that is noticed too.
"""

import json
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import coverage
import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutating import Mutation, mutations

FOUND = "mutations: "
"""What the line begins with that says what no test finds, as a list in JSON."""

SECONDS_MAX, TIMES_MAX = 1, 5
"""How much more a test may need with a mutation than without: so many seconds, and so many times what it took."""


class Endless(Exception):
    """Raised in a test that a mutation keeps from ending."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise where what is done inside uses more of the processor's time than that, however loaded the machine is."""

    def ended(*_: object) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, ended)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Playing:
    """A plugin of pytest that runs the collected tests with each mutation in turn."""

    def __init__(self, modules: list[str]) -> None:
        """Mutate these modules."""
        self._modules = modules
        self._through: dict[tuple[str, int], list[str]] = {}
        self._seconds: dict[str, float] = {}
        self._noticing = defaultdict[str, set[str]](set)

    def pytest_collection(self) -> None:
        """Have Hypothesis try fewer examples, before it is told which tests there are."""
        from hypothesis import settings  # pytest has to see it first.

        settings.register_profile("playing", settings.default, max_examples=40, database=None)
        settings.load_profile("playing")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run everything once as it is, and then with each mutation."""
        if session.testsfailed:
            raise session.Interrupted("not all tests could be collected")
        items = {item.nodeid: item for item in session.items}
        self._learn(items)
        missed = [each.name for each in self._all() if not self._noticed(each, items)]
        print(f"\n{FOUND}{json.dumps(missed)}")
        return True

    def _all(self) -> Iterator[Mutation]:
        for module in self._modules:
            yield from mutations(module)

    def _learn(self, items: dict[str, pytest.Item]) -> None:
        """Note which tests pass through which lines, and how long they take."""
        files = {str(import_module(each).__file__) for each in self._modules}
        measured = coverage.Coverage(data_file=None, config_file=False, include=sorted(files))
        measured.set_option("run:core", "ctrace")  # What newer Pythons offer instead tells no test from another.
        with measured.collect():
            for name, item in items.items():
                measured.switch_context(name)
                reports = runtestprotocol(item, log=False)
                failed = [each.longreprtext for each in reports if not each.passed]
                if failed:
                    raise pytest.UsageError(f"{name} fails as it is: {failed[0]}")
                self._seconds[name] = sum(each.duration for each in reports)
        for file in files:
            for line, names in measured.get_data().contexts_by_lineno(file).items():
                self._through[file, line] = sorted(filter(None, names), key=self._seconds.__getitem__)

    def _noticed(self, mutation: Mutation, items: dict[str, pytest.Item]) -> bool:
        file = str(import_module(mutation.module).__file__)
        before = self._noticing[mutation.function]
        for name in sorted(self._through.get((file, mutation.line), ()), key=lambda each: each not in before):
            if self._fails(mutation, items[name]):
                before.add(name)
                return True
        return False

    def _fails(self, mutation: Mutation, item: pytest.Item) -> bool:
        try:
            with mutation.in_place(), bounded(SECONDS_MAX + TIMES_MAX * self._seconds[item.nodeid]):
                return any(report.failed for report in runtestprotocol(item, log=False))
        except Endless:  # Raised between two steps of the test: what was set up is still there.
            item.session._setupstate.teardown_exact(None)
            return True


def main(words: list[str]) -> int:
    """Play the tests that are named behind `--` against the modules that are named before it."""
    at = words.index("--")
    plain = ["-q", "--tb=native", "--assert=plain", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return int(pytest.main([*plain, *words[at + 1 :]], plugins=[Playing(words[:at])]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
