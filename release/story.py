"""What happens in a golden past: a real cluster, real people's requests, and all that they leave behind.

In its log are, among others: signatures by a file's key, by an authenticator and by two people, changes of the
configuration, a switchover, a failover, a node that comes back, and requests that were rejected, not executed,
declined, refused and lapsed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

from aerodb.audit.adding import Addition
from aerodb.local.demo import kill_postgres
from aerodb.local.layout import Layout
from aerodb.logwitness.folder import add_log, make_witness, read_witness
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api
from tests.faults.test_configure import second_operator
from tests.faults.test_second_person import by_two, everywhere
from tests.faults.test_web import Window
from tests.faults.waiting import wait_until
from tests.unit.protocol.authenticator import SoftAuthenticator

ROWS_AT_ONCE = 10
REASON = "the golden past is made"


class StoryBroken(Exception):
    """Something in the story did not come about as it should have."""


def types(layout: Layout, person: str, *words: str) -> str:
    """Run one command as a person, who must succeed; return what it said."""
    environment = {**os.environ, "AERODB_PROFILE": str(layout.profile(person)), "COLUMNS": "200"}
    command = [sys.executable, "-m", "aerodb", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise StoryBroken(f"aerodb {' '.join(words)} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def rows_on(layout: Layout, node: str) -> int:
    """Return how many rows the application's table has on a node."""
    member = layout.cluster().member(node)
    passfile = quote(str(layout.profile("operator") / "app.pgpass"))
    address = f"{member.postgres_host}:{member.postgres_port}"
    with psycopg.connect(f"postgresql://app@{address}/app?passfile={passfile}") as connection:
        row = connection.execute("select count(*) from golden").fetchone()
    return row[0] if row else 0


class Story:
    """The requests of one golden past, made on a cluster that runs."""

    def __init__(self, running: Running) -> None:
        """Begin; `requests` are those whose evidence is kept, by what became of them."""
        self._running, self._layout, self._api = running, running.layout, running.api
        self.requests: dict[str, str] = {}
        self.rows = 0

    def tell(self) -> None:
        """Play everything, and return when all nodes hold all rows.

        Raises:
            StoryBroken: something did not come about.
        """
        chapters: tuple[Callable[[], None], ...] = (
            self._first_rows, self._signed_by_people, self._two_people, self._switchover, self._refusals,
            self._given_up, self._failover,
        )  # fmt: skip
        for chapter in chapters:
            chapter()
            self.write()

    def write(self) -> None:
        """Commit some rows, and wait until every node holds them."""
        with psycopg.connect(self._layout.dsn()) as connection:
            for _ in range(ROWS_AT_ONCE):
                connection.execute("insert into golden default values")
        self.rows += ROWS_AT_ONCE
        for node in self._running.cluster.data_nodes:
            wait_until(lambda node=node: rows_on(self._layout, node) == self.rows)  # type: ignore[misc]

    def _first_rows(self) -> None:
        with psycopg.connect(self._layout.dsn()) as connection:
            connection.execute("create table golden (n bigint generated always as identity primary key)")

    def _do(self, kept: str, action: str, target: str, **arguments: str) -> None:
        """Have a request executed, and keep its evidence under a name, if it is given one."""
        planned = self._api.ask(action, target, reason=REASON, **arguments)
        done = self._api.confirm(planned)
        if done.result != "executed":
            raise StoryBroken(f"{action} {target}: {done}")
        if kept:
            self.requests[kept] = planned.request

    def _signed_by_people(self) -> None:
        """Let an authenticator be registered, enrolled by every node, and used."""
        self._do("executed", "checkpoint", "n1")
        key = SoftAuthenticator("ES256", identity=b"golden")
        self._api.enrol(key)
        planned = self._api.ask("checkpoint", "n2", reason=REASON)
        self._api.confirm_by(key, planned)
        self.requests["executed-by-authenticator"] = planned.request

    def _two_people(self) -> None:
        """Let the auditor become an operator, two people act where that is asked for, and all be as it was."""
        second_operator(self._running)
        everywhere(self._running, "--second-person", "running")
        self.requests["executed-by-two"] = by_two(self._running, "stop", "n3")
        by_two(self._running, "start", "n3")
        self.requests["configured-by-two"] = by_two(self._running, "configure", "n1", "--no-second-person", "running")
        for node in ("n2", "n3"):
            by_two(self._running, "configure", node, "--take")
        everywhere(self._running, "--re-role", "auditor", "--role", "auditor")

    def _switchover(self) -> None:
        self._do("", "follow", "n3", upstream="n2")
        self._do("", "demote", "n1", for_="n2")
        self._do("executed-promotion", "promote", "n2")
        self._do("", "follow", "n1", upstream="n2")

    def _refusals(self) -> None:
        """Let a request be rejected, one be not executed, since the node stopped meanwhile, and one be refused."""
        self.requests["rejected"] = self._api.ask("promote", "n3", reason=REASON).request
        planned = self._api.ask("checkpoint", "n3", reason=REASON)
        self._do("", "stop", "n3")
        done = self._api.confirm(planned)
        if done.result != "not executed":
            raise StoryBroken(f"checkpoint n3: {done}")
        self.requests["not-executed"] = planned.request
        self._do("", "start", "n3")
        with suppress(Refused):
            Api(self._layout, "observer").ask("stop", "n3", reason=REASON)
            raise StoryBroken("an observer acted")

    def _given_up(self) -> None:
        """Let a plan be declined, a person sign in, and a plan lapse with the process that made it."""
        declined = self._api.ask("stop", "n3", reason=REASON)
        self._api.client.post(f"/v1/requests/{declined.request}/decline", b"{}")
        Window(self._running).sign_in()
        self._api.ask("stop", "n1", reason=REASON)
        self._running.restart_control()
        self.requests["declined"] = declined.request

    def _failover(self) -> None:
        """Kill the primary, elect another one, and bring the old one back."""
        kill_postgres(self._layout, "n2")
        self._do("", "fence", "n1", for_="n3")
        self._do("", "fence", "n3", for_="n3")
        self._do("", "follow", "n1", upstream="n3")
        self._do("executed-failover", "promote", "n3")
        back = self._api.ask("follow", "n2", upstream="n3", reason=REASON)
        if back.accepted:
            self._api.confirm(back)
        else:
            self._do("", "reclone", "n2", upstream="n3")


def keep(running: Running, story: Story, made: Path, place: Path) -> None:
    """Write, as people do, the evidence, the export, the backup, and what a log witness remembers.

    `made` is where what is kept plainly goes; `place` is what becomes one archive.
    """
    layout = running.layout
    (made / "evidence").mkdir()
    for name, request in story.requests.items():
        types(layout, "operator", "audit", "evidence", request, "--output", str(made / "evidence" / f"{name}.json"))
    types(layout, "operator", "audit", "keys", "--output", str(made / "cluster.json"))
    types(layout, "operator", "audit", "export", "--output", str(made / "log.jsonl"))
    types(layout, "operator", "status")
    types(layout, "auditor", "audit", "verify")
    types(layout, "operator", "audit", "backup", str(place / "log.backup"), "--folder", str(layout.control))
    _keep_witness(made, place / "witness", running.cluster.log_key)


def _keep_witness(made: Path, folder: Path, vkey: str) -> None:
    """Make a log witness that has cosigned the log up to the export's checkpoint."""
    make_witness(folder, "witness.example/golden")
    add_log(folder, vkey)
    with (made / "log.jsonl").open("rb") as file:
        checkpoint = json.loads(file.readline())["checkpoint"]
    (memory,) = read_witness(folder).memories().values()
    memory.cosigned(Addition(old_size=0, path=(), unverified_checkpoint=checkpoint))
