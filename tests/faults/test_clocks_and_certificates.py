"""A log whose clock went back, and certificates that expire: shown wherever people look; nothing is decided by it."""

import datetime as dt
import json
import re
import signal
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec.structs import replace

from aerodb.audit.clocks import jump_text
from aerodb.audit.record import read_record
from aerodb.audit.store import Log
from aerodb.local.errors import ProcessFailed
from aerodb.local.person import Person
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision, Found, ProvenEntry, Status
from aerodb.transport.certificates import LIFETIME, Authority
from aerodb.transport.client import Client
from aerodb.transport.tls import tls_in
from tests.faults.conftest import Running
from tests.faults.people import Api
from tests.faults.test_metrics import scrape
from tests.faults.test_web import Window

FUTURE = "2131-01-01T00:00:00.000Z"
DAY = dt.timedelta(days=1)


def spoken(running: Running, *words: str) -> str:
    """Return what the operator's command line says, on one line."""
    said = Person(running.layout.profile("operator"), lambda _: None, colour=False).types(*words)
    assert said.code == 0, said.text
    return re.sub(r"\s+", " ", said.text)


# A clock that went back -----------------------------------------------------------------------------------------------


@pytest.fixture
def jumped(fresh: Running) -> tuple[Running, str]:
    """Return a cluster whose log has a record of the next century, and the request that was made after it."""
    fresh.api.do("checkpoint", "n1")
    control = fresh.stage.process("control")
    control.send_signal(signal.SIGTERM)
    control.wait(30)
    key = load_pem_private_key((fresh.layout.control / "log.key").read_bytes(), None)
    with Log(fresh.layout.control / "log", fresh.cluster.origin, key) as log:  # type: ignore[arg-type]
        made = replace(read_record(log.record(0)), event="read", at=FUTURE, request="", action="", target="",
                       arguments={}, reason="", plan="", snapshot="", invariants=())  # fmt: skip
        log.append(made)
    fresh.restart_control()
    done = fresh.api.do("checkpoint", "n1")
    return fresh, done.request


def test_a_clock_that_went_back_is_shown_beside_the_records(jumped: tuple[Running, str], tmp_path: Path) -> None:
    """API, command line, pages and verification mark the one record after the jump; actions go on as before."""
    running, request = jumped
    get = running.api.client.get
    decision = canonical.decode(get(f"/v1/requests/{request}"), Decision)
    marked = decision.records[0].sequence
    assert [each.went_back_from for each in decision.records] == [FUTURE, "", ""]
    found = canonical.decode(get("/v1/audit/search?limit=50"), Found)
    assert {each.sequence: each.went_back_from for each in found.records if each.went_back_from} == {marked: FUTURE}
    assert canonical.decode(get(f"/v1/audit/records/{marked}"), ProvenEntry).went_back_from == FUTURE
    assert canonical.decode(get(f"/v1/audit/records/{marked - 1}"), ProvenEntry).went_back_from == ""
    for start in (0, marked):  # Also where the record before is on no page.
        listed = json.loads(get(f"/v1/audit/records?start={start}&count=100"))["records"]
        assert [each["sequence"] for each in listed if each.get("went_back_from")] == [marked]
    words = jump_text(FUTURE)
    assert spoken(running, "show", request).count(words) == 1
    assert words in spoken(running, "audit", "record", str(marked))
    for command in (("audit", "list"), ("audit", "search")):
        assert spoken(running, *command).count("the clock went back from") == 1
    window = Window(running).sign_in()
    for page in ("/audit", f"/audit/{marked}", f"/decisions/{request}"):
        assert window.get(page).body.count(words.encode()) == 1, page
    assert words.encode() not in window.get(f"/audit/{marked - 1}").body
    file = tmp_path / "export"
    spoken(running, "audit", "export", "--output", str(file))
    for path in (file, running.layout.control / "log"):
        said = spoken(running, "audit", "verify", str(path))
        assert "VERIFIED:" in said
        assert f"record {marked} is of {read_record(decision.records[0].record.encode()).at}; {words}" in said


# Certificates that expire ---------------------------------------------------------------------------------------------

LIVES = {"n2": 20 * DAY, "n3": -DAY / 24, "observer": 5 * DAY, "auditor": -DAY / 24}


def reissue(running: Running, lives: dict[str, dt.timedelta], authority_life: dt.timedelta = LIFETIME) -> None:
    """Give everybody new certificates, of an authority of their own."""
    authority, layout = Authority(running.cluster.id, authority_life), running.layout
    folders = {"control": (layout.control, "control"), "monitor": (layout.monitor, "monitor")}
    folders |= {each.name: (layout.profile(each.name), "person") for each in running.cluster.operators}
    folders |= {each.name: (layout.node(each.name), "agent") for each in running.cluster.members}
    for name, (folder, kind) in folders.items():
        for file in ("ca.crt", "tls.crt", "tls.key"):
            (folder / file).unlink()
        authority.issue(folder, name, kind, lives.get(name, LIFETIME))


@pytest.fixture
def expiring(fresh: Running) -> Running:
    """Return a cluster in which one agent's certificate has expired, and others will."""
    fresh.kill_all()
    reissue(fresh, LIVES)
    for member in fresh.cluster.members:
        fresh.stage.start_agent(member.name)
    fresh.stage.start_control()
    for name in ("n1", "n2", "control"):
        fresh.stage.wait_for(name)
    fresh.api = Api(fresh.layout)  # With the new certificate.
    return fresh


def said_in(running: Running, name: str) -> list[dict[str, object]]:
    """Return the lines of a process's log about certificates."""
    lines = (running.layout.logs / f"{name}.log").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if str(line["event"]).startswith("certificate")]


def test_certificates_that_expire_are_said_months_before(expiring: Running) -> None:
    """In status, on the page, in metrics and in each process's log; what has expired by the error, and at the start."""
    Client(expiring.cluster.control, tls_in(expiring.layout.profile("observer")), "control", 30).get("/v1/whoami")
    status = expiring.api.status()
    left = {each.holder: each.days_left for each in status.certificates}
    assert {"control", "operator", "observer", "n1", "n2", "authority"} <= set(left)
    assert (left["n2"], left["observer"]) == (19, 4)
    assert left["n1"] == left["authority"] == LIFETIME.days - 1
    assert "transport.certificate-expired" in status.snapshot.missing["n3"]
    assert status.writes.acknowledged == "yes"
    shown = Person(expiring.layout.profile("operator"), lambda _: None, colour=False).types("status")
    text = re.sub(r"\s+", " ", shown.text)
    assert "The certificate of n2 (agent) expires in 19 days, at" in text
    assert "The certificate of observer (person) expires in 4 days, at" in text
    assert "its certificate has expired, and must be replaced" in text
    told = Person(expiring.layout.profile("operator"), lambda _: None, colour=False).types("status", "--json")
    found = canonical.decode(told.text.strip().splitlines()[-1].encode(), Status)
    assert {each.holder: each.days_left for each in found.certificates}["n2"] == 19
    window = Window(expiring).sign_in()
    for page in ("/", "/now"):
        assert b"The certificate of n2 (agent) expires in 19 days, at" in window.get(page).body
    for process in ("control", "n2"):
        values = scrape(expiring, process)
        name = "aerodb_certificate_expiration_timestamp_seconds"
        ends = {labels[0]: value for (metric, labels), value in values.items() if metric == name}
        expires = next(each.expires for each in status.certificates if each.holder == "n2")
        assert ends["n2"] == dt.datetime.fromisoformat(expires).timestamp()
        assert {"authority", "control", "monitor"} <= set(ends)
    assert [(line["event"], line["holder"]) for line in said_in(expiring, "n3")] == [
        ("certificate has expired", "n3")
    ]  # At its start: nobody could call it since.
    assert ("certificate expires", "n2") in [(line["event"], line["holder"]) for line in said_in(expiring, "control")]


def test_whoever_has_an_expired_certificate_is_told_so(expiring: Running) -> None:
    """The command line of an auditor whose own certificate has expired names the file and the day."""
    auditor = expiring.layout.profile("auditor")
    said = Person(auditor, lambda _: None, colour=False).types("audit", "list")
    text = re.sub(r"\s+", " ", said.text)
    assert said.code == 4
    assert "transport.own-certificate-expired" in text
    assert "has expired, at" in text


def test_actions_do_not_ask_for_certificates(expiring: Running) -> None:
    """What expires soon, or has on another node, changes no plan and no outcome."""
    planned = expiring.api.ask("checkpoint", "n2")
    assert planned.accepted
    assert "expires in" not in planned.plan
    assert expiring.api.confirm(planned).result == "executed"


def test_a_start_with_an_authority_that_has_expired_says_so(fresh: Running) -> None:
    """Every process says it in its log, and whoever calls is told which certificate it is."""
    fresh.kill_all()
    reissue(fresh, {}, -DAY / 24)
    fresh.stage.start_control()
    with pytest.raises(ProcessFailed, match="the authority's certificate has expired"):
        fresh.stage.wait_for("control")
    said = Person(fresh.layout.profile("operator"), lambda _: None, colour=False).types("whoami")
    text = re.sub(r"\s+", " ", said.text)
    assert said.code == 4
    assert "transport.certificate-expired" in text
    assert "the authority's certificate has expired" in text
    assert ("authority", "certificate has expired") in [
        (line["holder"], line["event"]) for line in said_in(fresh, "control")
    ]
