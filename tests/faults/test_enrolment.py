"""Who is let in, on a running cluster: by certificate and enrolment together, and by neither alone; and the forms."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from aerodb.cli.profile import read_profile
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Confirm, Done, Planned, Requests, WhoAmI
from aerodb.protocol.sshsig import PrivateKey, sign_with_key
from aerodb.transport.certificates import Authority, read_kept
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.faults.conftest import Running
from tests.faults.people import Api, new_id
from tests.faults.test_configure import configured, versions
from tests.faults.test_web import Window


def certificate(running: Running, *words: str) -> tuple[int, str]:
    """Run `aerodb certificate` on the cluster's folder, as whoever keeps that does; return its end and all it says."""
    command = [sys.executable, "-m", "aerodb", "certificate", *words, "--folder", str(running.layout.root)]
    ended = subprocess.run(command, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def key_in(folder: Path) -> PrivateKey:
    """Return the SSH key in a profile."""
    key = load_ssh_private_key((folder / "id_ed25519").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def refusal(api: Api) -> str:
    """Return why a person may not even ask who they are; nothing where they may."""
    try:
        assert canonical.decode(api.client.get("/v1/whoami"), WhoAmI).operator
    except Refused as error:
        return error.code
    return ""


def confirmed(api: Api, key: PrivateKey, planned: Planned) -> Done:
    """Confirm a plan by a key."""
    return api.confirm(planned, sign_with_key(key, planned.plan.encode()))


def test_a_certificate_lets_in_who_is_enrolled_and_for_as_long(fresh: Running) -> None:
    """Before the enrolment nothing, after it everything that the role may, after the revocation nothing again.

    The session in the admin UI ends with it too, and the certificate is renewed for nobody who is revoked.
    """
    code, said = certificate(fresh, "issue", "alice", "--role", "operator")
    assert code == 0, said
    folder = fresh.layout.profile("alice")
    assert read_profile(folder).operator == "alice"
    alice, key = Api(fresh.layout, "alice"), key_in(folder)
    assert refusal(alice) == "control.caller-unknown"
    for path in ("/v1/status", "/v1/configurations", "/v1/audit/records"):
        with pytest.raises(Refused, match="not enrolled"):
            alice.client.get(path)
    with pytest.raises(Refused, match="not enrolled"):
        Window(fresh, "alice").sign_in()
    line = next(each for each in said.splitlines() if "--enrol alice" in each).split()
    assert line[:3] == ["aerodb", "configure", "n1"]
    configured(fresh, "operator", "n1", *line[3:-2])
    assert refusal(alice) == ""
    with pytest.raises(Refused) as early:
        alice.ask("checkpoint", "n2")
    assert early.value.code == "control.version-untaken"
    assert confirmed(alice, key, alice.ask("checkpoint", "n1")).result == "executed"
    for node in ("n2", "n3"):
        configured(fresh, "operator", node, "--take")
    assert confirmed(alice, key, alice.ask("checkpoint", "n2")).result == "executed"
    window = Window(fresh, "alice").sign_in()
    assert window.get("/configuration").status == 200
    configured(fresh, "operator", "n1", "--revoke", "alice")
    assert versions(fresh) == {"n1": 3, "n2": 2, "n3": 2}
    assert refusal(alice) == "control.caller-revoked"
    left = window.get("/configuration")
    assert (left.status, b"control.caller-revoked" in left.body) == (403, True)
    with pytest.raises(Refused, match="revoked"):
        window.ticket()
    code, said = certificate(fresh, "renew", "alice")
    assert (code, "input.change-refused" in said) == (2, True), said
    code, said = certificate(fresh, "issue", "alice", "--role", "operator")
    assert (code, "a name is never used again" in said) == (2, True), said
    fresh.restart_control()
    assert refusal(alice) == "control.caller-revoked"
    page = Window(fresh, "observer").sign_in().get("/configuration").body
    assert b"On n2 version 3 does not hold yet (revoke alice)" in page


def test_the_authoritys_key_acts_for_nobody(shared: Running, tmp_path: Path) -> None:
    """Whoever has it comes in under any enrolled name, and no further: no certificate is a signature.

    They can ask in an operator's name, which is on record; without the operator's key none of it is confirmed.
    """
    stolen = Authority(shared.cluster.id, kept=read_kept(shared.layout.authority))
    for name, kind in (("operator", "person"), ("mallory", "person"), ("control", "control")):
        (tmp_path / name).mkdir()
        stolen.issue(tmp_path / name, name, kind)
    thief = Api(shared.layout)
    thief.client = Client(shared.cluster.control, tls_in(tmp_path / "operator"), "control", 60)
    planned, own = thief.ask("stop", "n3"), Ed25519PrivateKey.generate()
    with pytest.raises(Refused) as error:
        thief.confirm(planned, sign_with_key(own, planned.plan.encode()))
    assert (error.value.code, error.value.executed) == ("kernel.signature-invalid", "not executed")
    assert "executed" not in shared.api.events(planned.request)
    with pytest.raises(Refused, match="not enrolled"):
        Client(shared.cluster.control, tls_in(tmp_path / "mallory"), "control", 60).get("/v1/whoami")
    agent = shared.impostor.agent("n3", tmp_path / "control")
    with pytest.raises(AeroError) as refused:
        agent.post("/v1/orders", canonical.encode(Confirm(signature="x")))
    assert refused.value.executed == "not executed"


# Forms ----------------------------------------------------------------------------------------------------------------


def form(window: Window, **typed: str) -> dict[str, str]:
    """Return what a browser sends to enrol somebody, whole."""
    return {
        "token": window.token(), "id": new_id(), "node": "n1", "kind": "enrol", "version": "1", "name": "zoe",
        "role": "observer", "reason": "zoe joins", **typed,
    }  # fmt: skip


def count(running: Running) -> int:
    """Return how many requests there are."""
    return len(canonical.decode(running.api.client.get("/v1/requests?limit=200"), Requests).requests)


def test_a_form_posted_twice_at_once_is_one_request(shared: Running) -> None:
    """A double click, two tabs, a browser that sends again: all of them are led to the one request."""
    window, before = Window(shared).sign_in(), count(shared)
    fields, answers = form(window), list[tuple[int, str]]()

    def post() -> None:
        answer = window.post("/configuration/change", fields)
        answers.append((answer.status, answer.headers.get("location", "")))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {(303, f"/requests/{fields['id']}")}
    assert count(shared) == before + 1
    assert shared.api.events(fields["id"]) == ["requested"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": ""}, {"Sec_Fetch_Site": "cross-site"}], ids=str
)
def test_a_form_from_elsewhere_is_refused(shared: Running, headers: dict[str, str]) -> None:
    """Another site enrols nobody in an operator's name, and nothing is recorded of it."""
    window = Window(shared).sign_in()
    fields, size = form(window), shared.api.status().log_size
    answer = window.post("/configuration/change", fields, **headers)
    assert (answer.status, b"control.origin-foreign" in answer.body) == (403, True)
    stale = window.post("/configuration/change", {**fields, "token": Window(shared, "auditor").sign_in().token()})
    assert (stale.status, b"control.form-forged" in stale.body) == (403, True)
    assert shared.api.status().log_size == size + 1, "the auditor's sign-in"


@pytest.mark.parametrize("person", ["observer", "auditor"])
def test_who_may_only_read_posts_in_vain(shared: Running, person: str) -> None:
    """They read the page, are offered no form, and what they send is refused and recorded once."""
    window = Window(shared, person).sign_in()
    page = window.get("/configuration")
    assert (page.status, b"Change it" in page.body) == (200, False)
    assert window.get("/configuration/change").status == 403
    before, size = count(shared), shared.api.status().log_size
    answer = window.post("/configuration/change", form(window))
    assert (answer.status, b"control.role-denied" in answer.body) == (403, True)
    assert (count(shared), shared.api.status().log_size) == (before, size + 1)


@pytest.mark.parametrize("key", ["", "ssh-ed25519 AAAA <script>", "own"])
def test_what_is_wrong_with_a_form_costs_nothing_that_was_typed(shared: Running, key: str) -> None:
    """The same page comes back with its error, its text as text, and the log is not longer."""
    window = Window(shared).sign_in()
    own = shared.cluster.operators[0].ssh_key
    fields = form(window, role="operator", key=own if key == "own" else key, reason='"zoe" <b>joins</b>')
    size = shared.api.status().log_size
    answer = window.post("/configuration/change", fields)
    assert 400 <= answer.status < 500
    assert b"&lt;b&gt;joins&lt;/b&gt;</textarea>" in answer.body
    assert b"<b>joins" not in answer.body
    assert b"AAAA <script>" not in answer.body
    assert b'id="fault"' in answer.body
    assert shared.api.status().log_size == size
