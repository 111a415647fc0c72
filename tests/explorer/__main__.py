"""Run the explorer: every configuration under the real rules, then every mutant. `--reduced` runs a small size.

The last line printed is JSON: states, violations, mutants, mutants_killed. The exit code is 0 only if nothing was
broken and every mutant was found out.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.explorer.mutants import MUTANTS, REDUNDANT
from tests.explorer.search import Searched
from tests.explorer.sizes import FULL, REDUCED
from tests.explorer.workers import explore, hunt
from tests.explorer.world import Bounds

PROCESSES = 2


def _show(found: Searched, verdict: str) -> None:
    print(f"{verdict} ({found.states} states, {found.steps_total} steps, {found.seconds:.0f} s)", flush=True)
    for number, step in enumerate(found.path, 1):
        print(f"    {number}. {step}", flush=True)


def _configurations(sizes: tuple[Bounds, ...]) -> tuple[int, int]:
    """Explore the configurations, and return how many states there were and how many configurations were broken."""
    states = violations = 0
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(explore, bounds): bounds for bounds in sizes}
        for done in as_completed(running):
            found = done.result()
            states += found.states
            violations += bool(found.broken) or not found.complete
            _show(found, f"{'BROKEN' if found.broken else 'holds '}  {running[done]}")
    return states, violations


def _mutants() -> int:
    """Hunt every mutant, and return how many were killed."""
    killed = 0
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for mutant, found in zip(MUTANTS, pool.map(hunt, range(len(MUTANTS))), strict=True):
            killed += bool(found.broken)
            _show(found, f"{'killed' if found.broken else 'SURVIVES'}  without {mutant.name}  [{mutant.bounds}]")
    return killed


def main(arguments: list[str]) -> int:
    """Explore, print, and return the exit code."""
    sizes: tuple[Bounds, ...] = REDUCED if "--reduced" in arguments else FULL
    states, violations = _configurations(sizes)
    killed = _mutants()
    for name, reason in REDUNDANT.items():
        print(f"redundant  {name}: {reason}")
    print(json.dumps({"states": states, "violations": violations, "mutants": len(MUTANTS), "mutants_killed": killed}))
    return 0 if violations == 0 and killed == len(MUTANTS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
