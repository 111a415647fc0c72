"""The admin UI's sessions against everyone else on the machine: other programs, other accounts, other eyes."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aerodb.cli.web import FILE
from aerodb.protocol import canonical
from aerodb.protocol.api import SignedIn
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api
from tests.faults.test_trail import records
from tests.faults.test_web import Window
from tests.faults.waiting import wait_until

THIEF = """
import http.client, os, sys
account, host, port, name, origin, method, path, cookie, body = sys.argv[1:]
connection = http.client.HTTPConnection(host, int(port), timeout=60)
host.encode("idna")  # Python's own folders may be closed to the other account: what is needed is loaded now.
if account:
    os.setgroups([])
    os.setgid(int(account))
    os.setuid(int(account))
headers = {"Host": name, "Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
headers |= {"Cookie": cookie} if cookie else {}
headers |= {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
connection.request(method, path, body or None, headers)
answer = connection.getresponse()
print(answer.status, answer.getheader("set-cookie") or "-", answer.read().decode())
"""
NOBODY = 65534


def steals(window: Window, path: str, body: str = "", *, account: int | None = None) -> str:
    """Return what another program of this machine is answered that has the window's cookie."""
    host, _, port = window.address.rpartition(":")
    method, name = "POST" if body else "GET", window.origin.partition("://")[2]
    words = ["" if account is None else str(account), host, port, name, window.origin, method, path]
    done = subprocess.run(
        [sys.executable, "-I", "-c", THIEF, *words, window.cookie, body], capture_output=True, text=True, check=True
    )
    return str(done.stdout)


def signed_in(api: Api) -> tuple[str, ...]:
    """Return the sessions that an API's person sees, by their names."""
    return tuple(each.session for each in canonical.decode(api.client.get("/v1/sessions"), SignedIn).sessions)


def left_since(running: Running, before: int) -> list[tuple[str, str, str]]:
    """Return event, person and code of each record since."""
    return [(each.event, each.operator, each.code) for each in records(running)[before:]]


@pytest.mark.parametrize("account", [None, NOBODY], ids=["the same account", "another account"])
def test_another_program_cannot_use_the_cookie(shared: Running, account: int | None) -> None:
    """Who shows another program's cookie reads nothing, of whichever account; the session ends; all is recorded."""
    if account is not None and os.geteuid():
        pytest.skip("only root can run a program of another account")
    before = len(records(shared))
    window = Window(shared).sign_in()
    assert window.get("/").status == 200
    (mine,) = signed_in(shared.api)[-1:]
    said = steals(window, "/", account=account)
    assert said.startswith("403 - "), said
    assert "control.session-foreign" in said
    assert "Node by node" not in said
    assert window.get("/").status == 401
    assert mine not in signed_in(shared.api)
    assert left_since(shared, before) == [
        ("signed-in", "operator", ""),
        ("refused", "operator", "control.session-foreign"),
        ("signed-out", "operator", ""),
    ]
    refused = records(shared)[before + 1].message
    assert f"of account {os.geteuid() if account is None else account}" in refused
    assert f"process {os.getpid()} (" in refused


def test_another_program_cannot_send_a_form_with_the_cookie(shared: Running) -> None:
    """Neither a request nor a sign-out is taken from a program that only has the cookie and the form's token."""
    window = Window(shared).sign_in()
    body = f"token={window.token()}&id=11111111-2222-4333-8444-666666666666&action=stop&target=n3&reason=theft"
    assert steals(window, "/requests", body).startswith("403 - ")
    with pytest.raises(Refused):
        shared.api.decision("11111111-2222-4333-8444-666666666666")


def test_a_ticket_that_two_programs_show_ends_what_it_opened(shared: Running) -> None:
    """Whoever is second gets nothing and whoever was first loses the session: one of the two is a thief."""
    window, before = Window(shared), len(records(shared))
    ticket = window.ticket()
    first = steals(window, "/enter", f"ticket={ticket}")
    assert first.startswith("303 ")
    answer = window.post("/enter", {"ticket": ticket})
    assert (answer.status, b"control.ticket-spent" in answer.body) == (403, True)
    assert b"aerodb web --end" in answer.body
    assert left_since(shared, before) == [
        ("signed-in", "operator", ""),
        ("refused", "operator", "control.ticket-spent"),
        ("signed-out", "operator", ""),
    ]


def test_a_ticket_in_an_address_is_not_taken(shared: Running) -> None:
    """An address is kept by browsers and shown to others, so it brings no ticket."""
    window = Window(shared)
    ticket = window.ticket()
    assert ticket.encode() not in window.get(f"/enter?ticket={ticket}").body
    assert window.call("POST", f"/enter?ticket={ticket}", b"").status == 403


def test_refusals_at_the_door_do_not_fill_the_log(fresh: Running) -> None:
    """A stranger's tickets are recorded so often an hour; how many were not is in the next record or none."""
    window, before = Window(fresh), len(records(fresh))
    for _ in range(80):
        assert window.post("/enter", {"ticket": "made up"}).status == 403
    assert 0 < len(records(fresh)) - before <= 60


# The command line ----------------------------------------------------------------------------------------------------


def aerodb(running: Running, *words: str, person: str = "operator", path: str = "") -> subprocess.Popen[str]:
    """Run a command as a person does."""
    environment = {**os.environ, "AERODB_PROFILE": str(running.layout.profile(person)), "NO_COLOR": "1"}
    environment["PATH"] = f"{path}:{environment['PATH']}" if path else environment["PATH"]
    return subprocess.Popen(
        [sys.executable, "-m", "aerodb", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip


def types(running: Running, *words: str, person: str = "operator") -> tuple[int, str]:
    """Run a command to its end; return its exit code and what it said."""
    process = aerodb(running, *words, person=person)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def arguments_of_everyone() -> str:
    """Return the arguments of every process of the machine, as every user can read them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def test_the_ticket_is_in_no_arguments(shared: Running, tmp_path: Path) -> None:
    """While the browser begins no process has the ticket in its arguments; the page with it is its owner's alone."""
    opener, begun, end = tmp_path / "xdg-open", tmp_path / "begun", tmp_path / "end"
    os.mkfifo(end)
    opener.write_text(f'#!/bin/sh\necho "$@" > {begun}.new && mv {begun}.new {begun}\nread -r line < {end}\n')
    opener.chmod(0o700)
    running = aerodb(shared, "web", "--open", path=str(tmp_path))
    try:
        wait_until(begun.exists)
        everyone = arguments_of_everyone()
        page = shared.layout.profile("operator") / FILE
        found = re.search(r'name="ticket" value="([\w-]{43})"', page.read_text(encoding="utf-8"))
        assert found
        assert str(opener) in everyone, "the program that opens pages was not seen"
        assert found[1] not in everyone
        assert found[1] not in begun.read_text(encoding="utf-8")
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
    finally:
        end.write_text("end\n", encoding="utf-8")
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert found[1] not in out
    assert Window(shared).post("/enter", {"ticket": found[1]}).status == 303


def test_the_page_replaces_whatever_is_in_its_place(shared: Running, tmp_path: Path) -> None:
    """A link or a readable file in the page's place is replaced, never written into."""
    page, elsewhere = shared.layout.profile("operator") / FILE, tmp_path / "elsewhere"
    elsewhere.write_text("untouched", encoding="utf-8")
    page.unlink(missing_ok=True)
    page.symlink_to(elsewhere)
    assert types(shared, "web")[0] == 0
    assert elsewhere.read_text(encoding="utf-8") == "untouched"
    assert not page.is_symlink()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_sessions_are_listed_and_ended_by_hand(shared: Running) -> None:
    """A person sees and ends their own; an operator everyone's; each end is a record with who ended it."""
    observer, auditor = (Window(shared, person).sign_in() for person in ("observer", "auditor"))
    for person, window in (("observer", observer), ("auditor", auditor)):
        _, out = types(shared, "web", "--sessions", "--json", person=person)
        assert {each["person"] for each in json.loads(out)["sessions"]} == {person}
        assert window.get("/").status == 200
    (watching,), (auditing,) = (signed_in(window.api)[-1:] for window in (observer, auditor))
    with pytest.raises(Refused) as error:
        observer.api.client.post(f"/v1/sessions/{auditing}/end", b"{}")
    assert error.value.code == "control.role-denied"
    assert auditor.get("/").status == 200
    before = len(records(shared))
    assert types(shared, "web", "--end", watching, person="observer")[0] == 0
    assert observer.get("/").status == 401
    assert auditing in signed_in(shared.api)
    assert types(shared, "web", "--end", auditing)[0] == 0
    assert auditor.get("/").status == 401
    ended = [(each.event, each.operator, each.message) for each in records(shared)[before:]]
    assert ended == [("signed-out", "observer", "ended by observer"), ("signed-out", "auditor", "ended by operator")]
    assert types(shared, "web", "--end", auditing)[0] == 2


def test_signing_in_and_out_are_records(shared: Running) -> None:
    """Each says whose session, which, and which program opened it."""
    before = len(records(shared))
    window = Window(shared, "auditor").sign_in()
    assert window.post("/leave", {"token": window.token()}).status == 303
    came, went = records(shared)[before:]
    assert (came.event, came.operator, went.event, went.operator) == ("signed-in", "auditor", "signed-out", "auditor")
    assert came.arguments == went.arguments
    assert came.arguments["by"].startswith(f"process {os.getpid()} (")
    assert window.cookie.partition("=")[2] not in json.dumps([str(came), str(went)])
