"""The list of requests on a terminal: every row fits, and what it shows of an id names the request."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from aerodb.protocol import canonical
from tests.unit.cli.stage import Stage, stage_in

WORDS = {
    "operator": "a-person-of-a-very-long-name",
    "reason": "r" * 200,
    "arguments": {"upstream": "n" * 60, "after": "demote:n1:" + "0" * 36},
    "code": "kernel.request-duplicate",
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane in which one action was executed."""
    with stage_in(tmp_path) as made:
        assert made.run("stop", "n3", "--reason", "tidy up", typed="n3\n").code == 0
        yield made


def lists(stage: Stage, *changes: Mapping[str, object]) -> None:
    """Have the control plane list the one request so often, each changed."""
    stage.alter.pop("GET /v1/requests", None)
    line = json.loads(stage.get("/v1/requests"))["requests"][0]
    body = canonical.encode({"requests": [{**line, **each} for each in changes], "next": 7})
    stage.alter["GET /v1/requests"] = lambda _: body


def test_a_request_is_one_short_line(stage: Stage) -> None:
    """Its id as far as it names it, when, who, what of which node, and how far it came."""
    request = stage.executed[0]
    at = stage.decisions[request].line.at
    row = stage.run("requests").plain.splitlines()[1]
    assert re.split("  +", row) == [request[:8], at[:16].replace("T", " "), "alice", "stop n3", "executed"]
    assert stage.run("show", row.split()[0]).code == 0


@pytest.mark.parametrize("columns", [80, 132])
@pytest.mark.parametrize("state", ["executed", "awaits a second person", "a state of a later version that is longer"])
def test_no_row_is_wider_than_the_terminal(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, columns: int, state: str
) -> None:
    """However long the words are; what is cut says so, and an escaped character counts as wide as it is shown."""
    monkeypatch.setenv("COLUMNS", str(columns))
    lists(stage, {}, {**WORDS, "state": state}, {**WORDS, "state": state, "arguments": {"upstream": "\x1b" * 40}})
    shown = stage.run("requests").plain.splitlines()
    assert max(map(len, shown)) <= columns, "\n".join(shown)
    assert all("..." in row for row in shown[2:4])
    assert shown[2].count(" ".join(state.split()[:2])) == 1


def test_ids_that_begin_alike_are_shown_as_far_as_they_differ(stage: Stage) -> None:
    """What the list shows of an id is never what begins another one of it."""
    ids = [f"1234567{last}-0000-4000-8000-00000000000{last}" for last in (8, 8)]
    ids[1] = ids[1].replace("-0000-", "-0001-")
    lists(stage, *({"request": each} for each in ids))
    shown = [row.split()[0] for row in stage.run("requests").plain.splitlines()[1:3]]
    assert shown == [each[:13] for each in ids]


def test_the_whole_list_is_there_where_it_is_asked_for_or_piped(stage: Stage) -> None:
    """A program reads what it always read; a person asks for it by --full."""
    lists(stage, WORDS)
    piped = stage.run("requests", terminal=False).plain
    assert stage.run("requests", "--full").plain == piped
    head, row = piped.splitlines()[:2]
    assert head.split() == ["REQUEST", "AT", "OPERATOR", "ACTION", "NODE", "ARGUMENTS", "STATE", "CODE", "REASON"]
    for word in (stage.executed[0], WORDS["reason"], WORDS["code"], WORDS["operator"], "n" * 60):
        assert str(word) in row
