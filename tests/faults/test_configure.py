"""Who may act, changed on a running cluster by the command line: version by version, node by node."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.cli.commands import run
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.protocol import canonical
from aerodb.protocol.api import Requests
from aerodb.protocol.sshkey import of_public
from aerodb.protocol.words import whole_words_of
from aerodb.rules.versions import taken
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api
from tests.unit.cli.stage import Screen, Shown, key_bytes


def typed(running: Running, person: str, *words: str, answer: str = "") -> Shown:
    """Run the command line as a person at a terminal who types one answer."""
    streams = Screen(f"{answer}\n"), Screen(), Screen()
    session = Session(terminal=Terminal(*streams), folder=running.layout.profile(person))
    code = run(list(words), session)
    return Shown(code=code, out=streams[1].getvalue(), err=streams[2].getvalue())


def configured(running: Running, person: str, node: str, *words: str) -> Shown:
    """Change the configuration of a node, as a person who reads the plan and types the node's name."""
    shown = typed(running, person, "configure", node, *words, "--reason", "people change", answer=node)
    assert shown.code == 0, shown.plain + shown.err
    return shown


def with_key(running: Running, person: str) -> Path:
    """Give a person's profile a key of its own; return the file of its public half."""
    key, folder = Ed25519PrivateKey.generate(), running.layout.profile(person)
    (folder / "id_ed25519").write_bytes(key_bytes(key))
    path = folder / "id_ed25519.pub"
    path.write_text(f"{of_public(key.public_key()).line} {person}@desk\n", encoding="utf-8")
    return path


def versions(running: Running) -> dict[str, int]:
    """Return how many versions each node has taken, as it signs its report."""
    return {name: len(taken(running.impostor.facts(name))) for name in running.cluster.data_nodes}


def asked(running: Running) -> list[str]:
    """Return the ids of all requests so far."""
    body = Api(running.layout, "auditor").client.get("/v1/requests")
    return [line.request for line in canonical.decode(body, Requests).requests]


def second_operator(running: Running) -> None:
    """Make the auditor an operator with a key, everywhere."""
    key = with_key(running, "auditor")
    for change in (("--re-key", "auditor", "--key", str(key)), ("--re-role", "auditor", "--role", "operator")):
        configured(running, "operator", "n1", *change)
        for node in ("n2", "n3"):
            configured(running, "operator", node, "--take")


def test_people_change_by_signed_action(fresh: Running, tmp_path: Path) -> None:
    """Re-keyed, re-roled, revoked, enrolled: each on the primary first, then elsewhere; a revoked person does nothing.

    Afterwards the words of version 1 alone verify the log in which all of it happened, and each request's evidence.
    """
    second_operator(fresh)
    assert set(versions(fresh).values()) == {3}
    shown = configured(fresh, "auditor", "n1", "--revoke", "operator")
    assert "not taken yet by n2, n3" in shown.plain
    assert versions(fresh) == {"n1": 4, "n2": 3, "n3": 3}
    refused = typed(fresh, "operator", "status")
    assert (refused.code, "revoked" in refused.err) == (1, True)
    looked = typed(fresh, "auditor", "status")
    assert "n3 has taken version 3 of the configuration, of 4" in looked.plain
    assert looked.code == 0, looked.plain
    for node in ("n2", "n3"):
        configured(fresh, "auditor", node, "--take")
    fresh.restart_control()
    with pytest.raises(Refused) as error:
        Api(fresh.layout).status()
    assert error.value.code == "control.caller-revoked"
    told = typed(fresh, "auditor", "configuration")
    assert told.code == 0, told.plain + told.err
    assert re.search(r"4  revokes operator, operator\n.*auditor, .* on n1: people change", told.plain)
    assert "n3              version 4\n" in told.plain
    words = " ".join(whole_words_of(fresh.layout.cluster().digest))
    for number, request in enumerate(asked(fresh)):
        file = str(tmp_path / f"{number}.json")
        written = typed(fresh, "auditor", "audit", "evidence", request, "--output", file)
        assert written.code == 0, written.plain + written.err
        checked = typed(fresh, "auditor", "audit", "verify", file, "--trust", words)
        assert checked.code == 0, checked.plain + checked.err
        replayed = typed(fresh, "auditor", "audit", "replay", request)
        assert replayed.code == 0, replayed.plain + replayed.err
    verified = typed(fresh, "auditor", "audit", "verify", str(fresh.layout.control / "log"), "--trust", words)
    assert verified.code == 0, verified.plain + verified.err
