"""A floor under the coverage of what decides: a plugin of pytest that `make test` loads (`-p tests.covered`).

- Measured are lines and branches of the packages in `PACKAGES`, as they are installed, in those packages' own unit
  tests and the forgeries of logs alone: what goes through everything would hide what no test aims at.
- Each file has its floor in `floors.txt`, in whole per cent, which only ever rises: where less is covered the tests
  fail, with the file's name. `-p tests.covered --raise-floors` writes what is covered now, where it is more.
- Coverage is counted differently by each version of Python: only the version that the floors name is held to them.
"""

import json
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

import coverage
import pytest

PACKAGES = ("aerodb.rules", "aerodb.audit", "aerodb.control", "aerodb.protocol")
AIMED = (
    "tests/exhaustive/audit/", "tests/unit/audit/", "tests/unit/control/", "tests/unit/protocol/", "tests/unit/rules/",
)  # fmt: skip
EVERYTHING = (
    "tests/unit/rules/test_late.py::test_every_unstable",
    "tests/unit/rules/test_matrix.py", "tests/unit/rules/test_ways.py",
)  # fmt: skip
"""The unit tests that go through everything: they are not measured, and cost nothing."""
FLOORS = Path(__file__).parent / "floors.txt"
SLACK_PER_CENT = 5
"""How much less than its floor may be covered: which of two threads comes first decides some branches."""
FOLDER = "covered"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take where the floors are, and the word that has them raised."""
    parser.addoption("--floors", type=Path, default=FLOORS, help="where it says how much of each file is to be covered")
    parser.addoption("--raise-floors", action="store_true", help="write down what is covered now, where it is more")


def pytest_configure(config: pytest.Config) -> None:
    """Measure in each process that runs tests; compare in the one that has begun."""
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    folder = Path(worker[FOLDER] if worker else tempfile.mkdtemp(prefix="covered-"))
    if worker is not None or not config.getoption("numprocesses", 0):
        config.pluginmanager.register(Measuring(folder / f"part.{worker['workerid'] if worker else 'alone'}"))
    else:
        EARLY.stop()
    if worker is None:
        config.pluginmanager.register(
            Comparing(folder, config.getoption("--floors"), raising=config.getoption("--raise-floors"))
        )


def measured(data: Path | None) -> coverage.Coverage:
    """Return what measures, or reads what was measured into a file."""
    found = coverage.Coverage(data_file=data, branch=True, source_pkgs=list(PACKAGES), messages=False)
    found.set_option("run:disable_warnings", ["module-not-measured", "module-not-imported", "no-data-collected"])
    return found


def aims(item: pytest.Item) -> bool:
    """Tell whether a test aims at something that decides."""
    return item.nodeid.startswith(AIMED) and not item.nodeid.startswith(EVERYTHING)


EARLY = measured(None)
"""What measures in this process: from before anything that is measured is imported."""
EARLY.start()


class Measuring:
    """Measures in one process, where a unit test runs that aims at something, or where anything is imported."""

    def __init__(self, part: Path) -> None:
        """Go on with what was begun, and write it there in the end."""
        self._part, self._runs = part, True

    def _switch(self, *, on: bool) -> None:
        if on and not self._runs:
            EARLY.start()
        elif self._runs and not on:
            EARLY.stop()
        self._runs = on

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Run what is measured first: threads that outlive a test would not be measured after what is not."""
        items.sort(key=lambda item: not aims(item))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Measure what aims at something."""
        self._switch(on=aims(item))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave what was measured to who compares."""
        self._switch(on=False)
        part = coverage.CoverageData(basename=str(self._part))
        part.update(EARLY.get_data())
        part.write()


class Comparing:
    """Compares what all processes measured with the floors, once all tests have passed."""

    def __init__(self, folder: Path, floors: Path, *, raising: bool) -> None:
        """Keep where it will be, where the floors are, and whether they are to be raised."""
        self._folder, self._floors, self._raising = folder, floors, raising
        self._said: list[str] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process of xdist where to leave what it measures."""
        node.workerinput[FOLDER] = str(self._folder)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a file is covered less than it was."""
        if session.testsfailed or session.config.option.collectonly:
            return
        version, floors = read_floors(self._floors.read_text(encoding="utf-8"))
        found = self._found()
        if self._raising:
            self._floors.write_text(written(raised(floors, found)), encoding="utf-8")
        elif version == running():
            self._said = fallen(floors, found)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if self._said else session.exitstatus

    def _found(self) -> dict[str, float]:
        whole = measured(self._folder / "whole")
        whole.combine([str(each) for each in sorted(self._folder.glob("part.*"))])
        report = self._folder / "report.json"
        whole.json_report(outfile=str(report))
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
        return {
            name.rpartition("aerodb/")[2]: about["summary"]["percent_covered"]
            for name, about in files.items()
            if about["summary"]["num_statements"]
        }

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which files fell."""
        for line in self._said:
            terminalreporter.write_line(line, red=True)

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)


def running() -> str:
    """Return the version of Python that is running."""
    return ".".join(platform.python_version_tuple()[:2])


def read_floors(text: str) -> tuple[str, dict[str, int]]:
    """Return of which version of Python floors are, and the floor of each file in per cent."""
    head, *lines = text.splitlines()
    return head.removeprefix("python "), {name: int(floor) for name, floor in map(str.split, lines)}


def written(floors: dict[str, int]) -> str:
    """Return floors as they are written down."""
    return "".join([f"python {running()}\n", *(f"{name} {floor}\n" for name, floor in sorted(floors.items()))])


def raised(floors: dict[str, int], found: dict[str, float]) -> dict[str, int]:
    """Return the floors of all files that there are, each at what is covered, or where it was if that is more."""
    return {name: max(int(covered), floors.get(name, 0)) for name, covered in found.items()}


def fallen(floors: dict[str, int], found: dict[str, float]) -> list[str]:
    """Return what is said of each file that is covered less than its floor; one that is gone says nothing."""
    return [
        f"{name} is covered to {found[name]:.1f} % by unit tests that aim at something, and its floor is {floor} %: "
        "test what was added, or see tests/covered.py"
        for name, floor in floors.items()
        if name in found and found[name] < floor - SLACK_PER_CENT
    ]
