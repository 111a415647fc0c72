"""Every check of the configuration's chain is there for something: without it, some unit test fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.mutation.playing import FOUND

ROOT = Path(__file__).parents[2]
MODULES = (
    "aerodb.protocol.change", "aerodb.protocol.chain", "aerodb.rules.versions", "aerodb.audit.chain",
    "aerodb.audit.trust", "aerodb.kernel.versions", "aerodb.control.versions",
)  # fmt: skip
TESTS = (
    "protocol/test_chain.py", "protocol/test_chain_checks.py",
    "rules/test_versions.py", "rules/test_versions_checks.py",
    "audit/test_audit_chain.py", "audit/test_audit_chain_checks.py", "kernel/test_versions.py",
    "kernel/test_versions_checks.py", "control/test_known_versions.py", "control/test_known_versions_checks.py",
    "audit/test_audit_second.py", "protocol/test_enrolled.py", "control/test_known_takes.py",
)  # fmt: skip
ALIKE = {
    "protocol.chain.opened: found.link is None is False":
        "version 1 is never above the version before, so that it is refused as misplaced already",
    "rules.versions.untaken: 2 for 1":
        "the newest version of nobody is compared with nothing",
    "audit.chain.open_envelope: isinstance(error, AeroError) is True":
        "each part's text is held to be Unicode by a refusal of ours; this is against a part that is forgotten",
    "audit.chain.open_envelope: isinstance(error, AeroError) is False":
        "an error of ours says its message either way",
    "audit.chain._made_by: no confirmed is None in before is None or text is None or confirmed is None or "
    "(record.outcome is None)":
        "without a confirmation there is no version before; it says so to the type checker",
    "audit.trust.Trust.outlived: last[1].version < then.version for last[1].version <= then.version":
        "under the same version a person is the same",
    "audit.trust.Trust.outlived: no person is None in person is None or before is None or (not acts) or "
    "(not _still_counts(signature, now, person,...":
        "nobody does not act; it says so to the type checker",
    "audit.chain._confirmed_in: no msgspec.UNSET in envelope.second or msgspec.UNSET":
        "nobody and nothing are told apart by no reader of it",
    "audit.chain._made_by: no msgspec.UNSET in confirmed.seconded or msgspec.UNSET":
        "nobody and nothing are told apart by no reader of it",
    "control.versions.KnownVersions.reported: path[:len(self._chain.path)] == self._chain.path is True":
        "what is of another branch follows under no digest that is computed here",
    "control.versions.KnownVersions._follow: no self._chain.named(digest) is not None in change is None or "
    "self._chain.named(digest) is not None":
        "a version that is known follows the newest under no digest of its own",
    "control.versions._page: no continue":
        "it is the loop's last statement; it says why it goes on",
}  # fmt: skip
"""What behaves as the code does whatever is tried, with the reason."""


def test_every_fault_in_the_chain_is_found() -> None:
    """With any one check dropped, turned or moved by one, a test of the chain fails; what cannot be told is named.

    Whoever adds a check adds what fails without it, to one of the files in `TESTS` or a new one there.
    """
    played = [f"tests/unit/{each}" for each in TESTS]
    command = [sys.executable, "-m", "tests.mutation.playing", *MODULES, "--", *played]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    told = [line for line in ended.stdout.splitlines() if line.startswith(FOUND)]
    assert told, ended.stdout + ended.stderr
    missed = set(json.loads(told[0].removeprefix(FOUND)))
    assert missed == set(ALIKE), {"found by no test": missed - set(ALIKE), "found after all": set(ALIKE) - missed}
