"""Changing who may act from the command line: one change, checked here, and a chain that is verified or refused."""

import html
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.chain import changed
from aerodb.protocol.change import Change
from aerodb.protocol.envelope import Configurations, Envelope
from aerodb.protocol.sshkey import parse_line
from aerodb.rules.versions import taken
from tests.unit.cli.stage import Stage, stage_in
from tests.unit.protocol.test_chain import key_of

REASON = ("--reason", "people change")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ((), "change"),
        (("--enrol", "zoe", "--revoke", "bob", "--role", "auditor"), "change"),
        (("--enrol", "zoe"), "role"),
        (("--revoke", "bob", "--role", "auditor"), "role"),
        (("--re-key", "bob"), "key"),
        (("--take",), "take"),
        (("--re-role", "nobody", "--role", "auditor"), "name"),
    ],
)
def test_what_is_no_single_change_is_not_sent(stage: Stage, words: tuple[str, ...], field: str) -> None:
    """Exactly one change with what it needs, of somebody who is there: else nothing is asked for, and it says which."""
    shown = stage.run("configure", "n1", *words, *REASON, typed="n1\n")
    assert (shown.code, field in shown.err) == (2, True), shown.err
    assert stage.posts() == []


def test_a_change_is_confirmed_like_any_action(stage: Stage, tmp_path: Path) -> None:
    """The plan shows whom it enrols, with the whole key; only the node's name confirms it."""
    path = tmp_path / "zoe.pub"
    path.write_text(f"{key_of('zoe')} zoe@desk\n", encoding="utf-8")
    words = ("configure", "n1", "--enrol", "zoe", "--role", "operator", "--key", str(path), *REASON)
    shown = stage.run(*words, typed="yes\n")
    assert f"enrols zoe as operator, with the key {key_of('zoe')}" in shown.plain.replace("\n", " ").replace("  ", "")
    assert shown.code == 1
    assert not any("confirmation" in post for post in stage.posts())


def test_a_change_is_said_in_words_wherever_records_are_listed(stage: Stage, tmp_path: Path) -> None:
    """The list of requests, the timeline and a report: what it changes, by the key's fingerprint, and no document."""
    path = tmp_path / "zoe.pub"
    path.write_text(key_of("zoe"), encoding="utf-8")
    words = ("configure", "n1", "--enrol", "zoe", "--role", "operator", "--key", str(path), *REASON)
    assert stage.run(*words, typed="n1\n").code == 0
    said = f"version 2: enrols zoe as operator, with the key {parse_line(key_of('zoe')).fingerprint}"
    report = tmp_path / "report.html"
    span = ("--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z")
    assert stage.run("report", *span, "--output", str(report)).code == 0
    for shown in (
        stage.run("requests", "--full").plain,
        stage.run("timeline").plain,
        report.read_text(encoding="utf-8"),
    ):
        text = html.unescape(" ".join(shown.split()))
        assert said in text
        assert not re.search(r"configure n1 (--)?change {", text)


def test_who_types_what_is_shown_next_has_every_version_taken_everywhere(stage: Stage) -> None:
    """A node that is two versions behind takes them one by one: it is named until it has the newest."""
    shown = ""
    for role in ("auditor", "observer"):
        who = ("--enrol", f"new-{role}", "--role", role)
        shown = stage.run("configure", "n1", *who, *REASON, typed="n1\n").plain
    assert '  aerodb configure n2 --take --reason "..."   # 2 times: a version each' in shown
    typed = 0
    while "Next:" in shown:
        typed += 1
        words = shlex.split(shown.partition("Next:")[2].splitlines()[1], comments=True)
        shown = stage.run(*words[1:], typed=f"{words[2]}\n").plain
    assert typed == 2 * 3  # n2, n3 and the witness.
    assert {len(taken(facts)) for facts in stage.facts.values()} == {3}


def test_a_chain_that_begins_elsewhere_is_refused(stage: Stage) -> None:
    """The profile's version 1 is the only beginning: a control plane that shows another one is not believed."""
    other = Configurations(founding="sha256:" + "0" * 64, envelopes=())
    stage.alter["GET /v1/configurations"] = lambda _: canonical.encode(other)
    shown = stage.run("configuration")
    assert (shown.code, "begins with" in shown.err) == (6, True)


def test_a_version_that_nobody_signed_is_refused(stage: Stage) -> None:
    """A control plane that makes a version by itself, enrolling its own key, gets nothing signed under it."""
    change = Change(kind="enrol", name="mallory", before="", after=f"operator {key_of('mallory')}")
    document = canonical.encode(changed(stage.cluster, change)).decode()
    made = Envelope(document=document, plan="{}", signature="", record="{}", proof="", outcome="", outcome_proof="")
    answer = Configurations(founding=stage.cluster.digest, envelopes=(made,))
    stage.alter["GET /v1/configurations"] = lambda _: canonical.encode(answer)
    for words in (("configuration",), ("configure", "n1", "--take", *REASON)):
        shown = stage.run(*words, typed="n1\n")
        assert (shown.code, "not proven" in shown.err) == (6, True), shown.err
    assert stage.posts() == []


def test_the_chain_of_a_new_cluster_is_version_one(stage: Stage) -> None:
    """Version 1 is shown by its digest and its words, who may act by name and key, and which node has taken what."""
    shown = stage.run("configuration")
    assert shown.code == 0, shown.err
    assert stage.cluster.digest in shown.plain
    assert all(f"{name}" in shown.plain for name in ("alice", "n1", "n2", "n3"))
