"""Every plan of every state on file: the same bytes in any process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRINT_ALL = """
from aerodb.protocol import canonical
from aerodb.actions import catalogue
from aerodb.rules.explain import explain
from aerodb.views.render import as_text, plan_lines
from tests.unit.rules.scenes import CLUSTER, possible, scenes, sequenced, snapshot_of
import hashlib
mark = hashlib.sha256()
for scene in scenes().values():
    for action in catalogue().values():
        for request in (*possible(action), *sequenced(action)):
            plan = explain(CLUSTER, action, request, snapshot_of(scene))
            data = canonical.encode(plan)
            mark.update(data)
            mark.update(as_text(plan_lines(plan, data.decode())).encode())
print(mark.hexdigest())
"""


def _digest(**environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", PRINT_ALL],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def test_every_plan_is_the_same_bytes_everywhere() -> None:
    """Every plan and its rendering are the same bytes under other hash seeds, time zones and locales."""
    settings = [
        {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
        {"PYTHONHASHSEED": "2", "TZ": "Pacific/Apia", "LC_ALL": "tr_TR.UTF-8"},
        {"PYTHONHASHSEED": "3", "TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONOPTIMIZE": "1"},
    ]
    assert len({_digest(**each) for each in settings}) == 1
