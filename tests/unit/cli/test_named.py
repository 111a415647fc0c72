"""A request named by how its id begins: alike in every command, refused where several begin so, and never guessed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import msgspec
import pytest

from aerodb.cli.commands import root
from aerodb.cli.named import PAGES_MAX
from aerodb.cli.profile import Caller
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision
from tests.unit.cli.stage import Shown, Stage, stage_in

STOP = ("stop", "n3", "--reason", "tidy up")
TAKE_A_REQUEST = {
    ("show",): "Stop n3",
    ("outcome",): "EXECUTED",
    ("audit", "replay"): "IDENTICAL",
    ("audit", "evidence"): "verified here",
    ("confirm",): "control.plan-not-pending",
    ("decline",): "control.confirmation-replayed",
}
"""Every command that is about one request, and what it says of one that was executed."""


@dataclass
class Liar:
    """A control plane that answers with one request's own page, whichever request it is asked for."""

    honest: Caller
    page: bytes

    def get(self, path: str) -> bytes:
        """Answer a GET."""
        return self.page if path.startswith("/v1/requests/") else self.honest.get(path)

    def lines(self, path: str) -> Iterator[bytes]:
        """Answer a GET line by line."""
        return self.honest.lines(path)

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Answer a POST."""
        return self.honest.post(path, body, headers)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane in which one action was executed, and another awaits its confirmation."""
    with stage_in(tmp_path) as made:
        assert made.run(*STOP, typed="n3\n").code == 0
        made.restore("n3")
        yield made


def waiting(stage: Stage, *words: str) -> str:
    """Make a request that awaits its confirmation; return its id."""
    assert "It still awaits" in stage.run(*words, typed="").plain
    return stage._requests()[-1]


def lists(stage: Stage, change: Callable[[list[dict[str, object]]], object]) -> None:
    """Have the control plane change the list of requests that it gives, by `change`."""
    stage.alter.pop("GET /v1/requests", None)
    body = json.loads(stage.get("/v1/requests"))
    change(body["requests"])
    stage.alter["GET /v1/requests"] = lambda _: canonical.encode(body)


def renamed(request: str, lines: list[dict[str, object]]) -> None:
    """Give every request of a list the same id."""
    for line in lines:
        line["request"] = request


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that name it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        elif command is not None:
            yield (*before, name), command


def _given(body: bytes, _: bytes) -> bytes:
    """Answer with `body`, whatever the honest answer is."""
    return body


def said(shown: Shown) -> str:
    """Return everything that a run wrote."""
    return shown.plain + shown.err


def test_every_command_that_takes_a_request_is_tried_here() -> None:
    """A new one is held to the same."""
    found = {words for words, each in commands(root()) if any(p.name == "request" for p in each.params
                                                              if isinstance(p, click.Argument))}  # fmt: skip
    assert found == set(TAKE_A_REQUEST)


@pytest.mark.parametrize("words", TAKE_A_REQUEST)
def test_a_beginning_names_the_request_as_its_whole_id_does(
    words: tuple[str, ...], stage: Stage, tmp_path: Path
) -> None:
    """Whichever command it is; the whole id needs no list, and what begins several ids is refused with all of them."""
    request = stage.executed[0]
    for at, text in enumerate((request, request[:8], request[:4])):
        output = ("--output", str(tmp_path / f"{at}.json")) if words[-1] == "evidence" else ()
        asked = len(stage.sent)
        assert TAKE_A_REQUEST[words] in said(stage.run(*words, text, *output)), text
        assert ("GET", "/v1/requests?limit=500", {}) in stage.sent[asked:] or text == request
    other = request[:-1] + ("1" if request[-1] == "0" else "0")
    lists(stage, lambda lines: lines.append({**lines[0], "request": other}))
    output = ("--output", str(tmp_path / "several.json")) if words[-1] == "evidence" else ()
    refused = stage.run(*words, request[:8], *output)
    assert (refused.code, "input.request-ambiguous" in refused.err) == (2, True)
    assert request in refused.err
    assert other in refused.err


def test_the_whole_id_of_what_is_confirmed_or_declined_is_shown(stage: Stage) -> None:
    """Before anything is typed; and it is the whole id's plan that is signed."""
    request = waiting(stage, *STOP)
    shown = stage.run("confirm", request[:8], typed="n3\n")
    assert shown.code == 0, said(shown)
    assert f"Request {request}" in shown.plain.partition("type the node's name")[0]
    assert stage.posts()[-1] == f"/v1/requests/{request}/confirmation"
    stage.restore("n3")
    request = waiting(stage, *STOP)
    shown = stage.run("decline", request[:8])
    assert (shown.code, f"Request {request}" in shown.plain, "DECLINED" in shown.plain) == (0, True, True)


def test_a_list_that_lies_has_nothing_signed_under_another_name(stage: Stage) -> None:
    """The plan of another request is refused for what it is, though the list and the request's own page agree on it."""
    meant = waiting(stage, *STOP)
    other = waiting(stage, "restart", "n2", "--reason", "tidy up")
    body = stage.get(f"/v1/requests/{other}")
    posts, honest = len(stage.posts()), stage._way
    stage._way = Liar(honest, body)
    for named in (meant, meant[:8] + other[8:], other, f"{other}\n", ""):
        lists(stage, partial(renamed, named))
        shown = stage.run("confirm", meant[:8], typed="n2\n")
        assert (shown.code, "control.plan-unverified" in shown.err) == (6, True), said(shown)
        assert "type the node's name" not in shown.plain
    assert len(stage.posts()) == posts
    stage._way = honest
    del stage.alter["GET /v1/requests"]
    assert stage.run("confirm", other[:8], typed="n2\n").code == 0


def test_what_proves_another_request_is_refused(stage: Stage, tmp_path: Path) -> None:
    """What is computed again, and what is written as evidence, is of the request that was named, or nothing is."""
    request = stage.executed[0]
    other = waiting(stage, *STOP)
    body = stage.get(f"/v1/requests/{other}")
    stage.alter["GET /v1/requests/ID"] = lambda _: body
    shown = stage.run("audit", "replay", request[:8])
    assert (shown.code, "IDENTICAL" in shown.plain) == (6, False)
    proof = stage.get(f"/v1/requests/{other}/evidence")
    stage.alter["GET /v1/requests/ID/evidence"] = lambda _: proof
    shown = stage.run("audit", "evidence", request[:8], "--output", str(tmp_path / "other.json"))
    assert (shown.code, (tmp_path / "other.json").exists()) == (6, False)


def test_what_is_shown_of_a_request_is_of_that_one(stage: Stage) -> None:
    """Neither another request's page, nor a plan or a record of another one on its own page, is shown as its own."""
    request = stage.executed[0]
    other = waiting(stage, *STOP)
    own = canonical.decode(stage.get(f"/v1/requests/{request}"), Decision)
    foreign = canonical.decode(stage.get(f"/v1/requests/{other}"), Decision)
    pages = (
        foreign,
        msgspec.structs.replace(own, line=foreign.line),
        msgspec.structs.replace(own, plan=foreign.plan),
        msgspec.structs.replace(own, records=foreign.records, proofs=foreign.proofs),
        msgspec.structs.replace(own, records=(*own.records, *foreign.records), proofs=own.proofs + foreign.proofs),
    )
    for page in pages:
        body = canonical.encode(page)
        stage.alter["GET /v1/requests/ID"] = partial(_given, body)
        for words in (
            ("show", request),
            ("show", request, "--json"),
            ("outcome", request),
            ("audit", "replay", request),
        ):
            shown = stage.run(*words)
            assert (shown.code, "control.plan-unverified" in shown.err) == (6, True), said(shown)
            assert "EXECUTED" not in shown.plain
    del stage.alter["GET /v1/requests/ID"]
    assert stage.run("show", request).code == 0


def test_older_requests_are_looked_through_too_and_not_for_ever(stage: Stage) -> None:
    """A beginning that fits one on a later page is ambiguous as well; a list without an end names nothing."""
    request = stage.executed[0]
    body = json.loads(stage.get("/v1/requests"))
    other = request[:8] + "0" * 28
    pages = [
        canonical.encode({**body, "next": 7}),
        canonical.encode({"requests": [{**body["requests"][0], "request": other}], "next": None}),
    ]
    stage.alter["GET /v1/requests"] = lambda _: pages[0] if "before" not in stage.sent[-1][1] else pages[1]
    refused = stage.run("show", request[:8])
    assert (refused.code, other in refused.err) == (2, True)
    stage.alter["GET /v1/requests"] = lambda _: pages[0]
    asked = len(stage.sent)
    refused = stage.run("show", request[:8])
    assert (refused.code, "type the whole id" in refused.err, len(stage.sent) - asked) == (2, True, PAGES_MAX)


def test_a_beginning_is_looked_up_while_the_index_is_built(stage: Stage) -> None:
    """As the list itself is: the question is put again."""
    stage.behind = ["1 of 3", "2 of 3"]
    shown = stage.run("show", stage.executed[0][:8])
    assert (shown.code, "Stop n3" in shown.plain) == (0, True)
