"""Play rounds of the adversary.

`python -m tests.attack --seconds N --seed S [--rounds R] [--jobs J] [--keep FOLDER]`; with `--mutant NAME`, show that
it finds a product that has one promise taken out.

A seed is a round: the run begins with S and goes on with the next ones until the time is over, or R are played. The
last line printed is JSON: rounds, crash_points, inputs, findings, first_seed. The exit code is 0 only if nothing was
found. A round that finds something prints the command that plays it again, and the folder with its whole history.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from tests.attack.jobs import leave, one_round, prepare
from tests.attack.mutants import MUTANTS
from tests.attack.rounds import Played

KEPT = Path("build/attack")
MUTANT_ROUNDS_MAX = 12


def show(played: Played) -> None:
    """Print what a round did; of one that found something, how to play it again."""
    lent = f", lent {len(played.way.lent)}" if played.way.lent else ""
    print(
        f"seed {played.seed} ({played.shape}): {played.acknowledged} rows acknowledged, {played.points} crash points, "
        f"{played.inputs} inputs, way out in {len(played.way.steps)} steps{lent}, {played.seconds:.0f} s",
        flush=True,
    )
    for reason, count in played.checked.excused.items():
        print(f"    excused: {count} rows, by: {reason}", flush=True)
    for finding in played.checked.findings:
        print(f"    FINDING {finding.property}: {finding.text[:1500]}", flush=True)
    if played.folder:
        print(f"    again: {sys.executable} -m tests.attack --seed {played.seed} --rounds 1", flush=True)
        print(f"    history: {Path(played.folder).resolve()}", flush=True)


class Total:
    """What all rounds together came to."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.rounds = self.points = self.inputs = self.findings = self.failures = self.acknowledged = 0
        self.first_seed: int | None = None
        self.kinds: Counter[str] = Counter()

    def add(self, played: Played | str) -> None:
        """Add a round."""
        if isinstance(played, str):
            self.failures += 1
            print(f"HARNESS {played}", flush=True)
            return
        self.rounds += 1
        self.points += played.points
        self.inputs += played.inputs
        self.acknowledged += played.acknowledged
        self.findings += len(played.checked.findings)
        self.kinds.update(each.property for each in played.checked.findings)
        if played.checked.findings and (self.first_seed is None or played.seed < self.first_seed):
            self.first_seed = played.seed

    def line(self) -> str:
        """Return the last line."""
        return json.dumps(
            {
                "rounds": self.rounds, "crash_points": self.points, "inputs": self.inputs, "findings": self.findings,
                "first_seed": self.first_seed, "acknowledged": self.acknowledged, "harness_failures": self.failures,
                "by_property": dict(self.kinds),
            }
        )  # fmt: skip


def _alone(arguments: argparse.Namespace, end: float) -> Total:
    total = Total()
    try:
        for seed in range(arguments.seed, arguments.seed + arguments.rounds):
            if time.monotonic() > end:
                break
            played = one_round(seed, 0, arguments.keep)
            if isinstance(played, Played):
                show(played)
            total.add(played)
    finally:
        leave()
    return total


def _together(arguments: argparse.Namespace, end: float) -> Total:
    """Play several rounds at a time, each job in a process of its own."""
    total = Total()
    pools = [
        ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=prepare) for _ in range(arguments.jobs)
    ]
    seeds = iter(range(arguments.seed, arguments.seed + arguments.rounds))
    running: dict[Future[Played | str], int] = {}

    def go_on(job: int) -> None:
        seed = next(seeds, None)
        if seed is not None and time.monotonic() < end:
            running[pools[job].submit(one_round, seed, job, arguments.keep)] = job

    for job in range(arguments.jobs):
        go_on(job)
    try:
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                job, played = running.pop(each), each.result()
                if isinstance(played, Played):
                    show(played)
                total.add(played)
                go_on(job)
    finally:
        for pool in pools:
            pool.submit(leave).result()
            pool.shutdown()
    return total


def _hunt(arguments: argparse.Namespace, name: str, end: float) -> bool:
    """Tell whether one of the seeds finds a mutant."""
    try:
        for seed in range(arguments.seed, arguments.seed + min(arguments.rounds, MUTANT_ROUNDS_MAX)):
            if time.monotonic() > end:
                return False
            played = one_round(seed, 0, arguments.keep, name)
            if isinstance(played, str):
                print(f"HARNESS {played}", flush=True)
                continue
            found = {finding.property: finding.text for finding in played.checked.findings}
            for wanted in MUTANTS[name][1]:
                if wanted in found:
                    print(f"killed    {name}, by seed {seed}: {wanted}: {found[wanted][:300]}", flush=True)
                    return True
    finally:
        leave()
    print(f"SURVIVES  {name}", flush=True)
    return False


def _mutants(arguments: argparse.Namespace, end: float) -> int:
    """Hunt a mutant, or all; return the exit code."""
    names = list(MUTANTS) if arguments.mutant == "all" else [arguments.mutant]
    killed = [name for name in names if _hunt(arguments, name, end)]
    print(json.dumps({"mutants": len(names), "mutants_killed": len(killed)}), flush=True)
    return 0 if len(killed) == len(names) else 1


def main(words: list[str]) -> int:
    """Play, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Rounds of the adversary.")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--mutant", choices=["all", *MUTANTS], help="Take a promise out, and stop where it is found.")
    parser.add_argument("--keep", type=Path, default=KEPT)
    arguments = parser.parse_args(words)
    end = time.monotonic() + arguments.seconds
    if arguments.mutant:
        return _mutants(arguments, end)
    total = _alone(arguments, end) if arguments.jobs == 1 else _together(arguments, end)
    print(total.line(), flush=True)
    return 0 if total.findings == 0 and total.failures == 0 and total.rounds > 0 else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main(sys.argv[1:]))
