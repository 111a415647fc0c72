"""A real cluster's log, verified whole: by its folder while it runs and closed, by an export, and against its nodes."""

import signal
from html import unescape
from pathlib import Path

import pytest

from aerodb.audit.contradictions import UNTOLD
from aerodb.audit.evidence import examine
from aerodb.audit.store import LogVerdict, judge_export, judge_folder
from aerodb.audit.trust import Trust
from aerodb.cli.commands import run
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api, new_id
from tests.faults.test_web import Window
from tests.unit.cli.stage import Screen
from tests.unit.protocol.authenticator import SoftAuthenticator


def told(verdict: LogVerdict) -> str:
    """Return everything that is wrong or unchecked, to be read."""
    return f"{verdict.meaning.faults} {verdict.meaning.unchecked} {verdict.relations}"


def verify(*words: str | Path, cluster: Path) -> tuple[int, str]:
    """Run `aerodb audit verify` where there is no profile and no server."""
    streams = Screen(), Screen(), Screen()
    session = Session(terminal=Terminal(*streams), folder=Path("/nowhere"))
    code = run(["audit", "verify", *map(str, words), "--cluster", str(cluster)], session)
    return code, streams[1].getvalue() + streams[2].getvalue()


def lived(running: Running) -> str:
    """Let a log come to have every kind of record; return a request that an authenticator confirmed."""
    api, key = running.api, SoftAuthenticator()
    api.enrol(key)
    done = api.confirm_by(key, api.ask("stop", "n3"))
    assert done.result == "executed"
    api.outcome(done.request)
    assert not api.ask("promote", "n3").accepted
    api.do("start", "n3")
    with pytest.raises(Refused):
        Api(running.layout, "observer").ask("stop", "n3", new_id())
    with pytest.raises(Refused):
        api.confirm(api.ask("stop", "n2"), "nonsense")
    Api(running.layout, "auditor").client.get("/v1/status?sensitive=1")
    return done.request


def test_a_real_log_is_intact_authentic_and_replayed(fresh: Running, tmp_path: Path) -> None:
    """Every record of a cluster's life holds, alike in folder, export and evidence; and it extends what a node saw."""
    request, trust = lived(fresh), Trust(clusters=(fresh.cluster,))
    api, folder, cluster = fresh.api, fresh.layout.control / "log", fresh.layout.control / "cluster.json"
    evidence = api.client.get(f"/v1/requests/{request}/evidence")
    examined = examine(evidence, trust)
    assert examined.meaning.whole
    page = unescape(Window(fresh).sign_in().get(f"/decisions/{request}").body.decode())
    for sentence in examined.sentences[2:]:  # The first two are of the file's own proofs.
        assert sentence in page or UNTOLD in sentence  # The page is made from the whole log, which tells it.
    assert f"{len(examined.sentences[2:])} checks hold" in page
    (tmp_path / "early").write_bytes(api.client.get("/v1/audit/export"))
    running = judge_folder(folder, trust)
    exported = judge_export(api.client.lines("/v1/audit/export"), trust)
    assert (running.whole, exported.whole) == (True, True), told(running) + told(exported)
    assert exported.meaning.held == running.meaning.held
    assert {"the operator's signature", "the outcome"} <= set(running.meaning.held)
    fresh.stage.process("control").send_signal(signal.SIGTERM)
    fresh.stage.process("control").wait(30)
    seen = (tmp_path / "early", fresh.layout.node("n3") / "state" / "checkpoint.json")
    for each in seen:
        code, said = verify(folder, "--against", each, cluster=cluster)
        assert (code, "this log extends" in said) == (0, True), said
    code, said = verify(tmp_path / "early", "--against", folder, cluster=cluster)
    assert (code, "BEHIND" in said) == (6, True), said
