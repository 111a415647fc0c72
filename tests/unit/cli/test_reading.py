"""Reading: what is shown is verified here; what cannot be known is said; nothing is sent that changes anything."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aerodb.audit.export import export
from aerodb.audit.record import read_record
from aerodb.cli.look import show_remarks
from aerodb.cli.terminal import Terminal
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision, Status
from aerodb.protocol.authority import Position
from aerodb.protocol.classification import redacted
from aerodb.protocol.facts import State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Plan
from tests.unit.cli.stage import Screen, Stage, stage_in

READS = [
    ("status",),
    ("status", "--actions"),
    ("status", "n2"),
    ("requests",),
    ("show", "REQUEST"),
    ("explain", "stop", "n3"),
    ("explain", "follow", "n2", "--upstream", "n3"),
    ("whoami",),
    ("catalogue",),
    ("catalogue", "follow"),
    ("audit", "list"),
    ("audit", "verify"),
    ("audit", "replay", "REQUEST"),
]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a control plane in which one action was executed."""
    with stage_in(tmp_path) as made:
        assert made.run("stop", "n3", "--reason", "tidy up", typed="n3\n").code == 0
        made.restore("n3")
        made.change("n2", position=Position(term=1, bound=1, timeline=1, lsn=Lsn(0x2FFFF00)))
        yield made


def rows(text: str, head: str) -> dict[str, list[str]]:
    """Return the rows of the table whose head begins with `head`, by their first column."""
    lines = text.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(head))
    found = {}
    for line in lines[start + 1 :]:
        if not line.strip():
            break
        cells = re.split(r"  +", line)
        found[cells[0]] = cells[1:]
    return found


@pytest.mark.parametrize("words", READS)
@pytest.mark.parametrize("as_json", [False, True])
def test_reading_works_without_a_terminal_and_posts_nothing(
    stage: Stage, words: tuple[str, ...], *, as_json: bool
) -> None:
    """Every read is a GET, has a JSON form that is canonical, and needs no person."""
    before = len(stage.posts())
    filled = [stage.executed[0] if word == "REQUEST" else word for word in words]
    shown = stage.run(*filled, *(["--json"] if as_json else []), terminal=False)
    assert (shown.code, shown.err) == (0, "")
    assert len(stage.posts()) == before
    assert "\x1b" not in shown.out
    if as_json:
        value = msgspec.json.decode(shown.out)
        assert canonical.encode(value).decode() + "\n" == shown.out


def test_status_shows_each_node_as_its_own_report_says(stage: Stage) -> None:
    """Role, upstream, position, lag and synchronous state come from the signed reports; what is equal is said once."""
    shown = stage.run("status").plain
    found = rows(shown, "NODE")
    assert found["n1"] == ["primary", "0/3000000", "-", "-", "-"]
    assert found["n2"] == ["standby of n1", "0/2FFFF00", "256 B", "unknown", "quorum"]
    assert found["w1"] == ["witness", "-", "-", "-", "-"]
    assert "Equal on all 3 that report: running, term 1, timeline 1." in shown


def test_status_shows_by_node_what_differs(stage: Stage) -> None:
    """A state, a term or a timeline that is not everybody's has a column; what is equal is still said once."""
    stage.change("n2", state=State.CRASHED)
    stage.change("n3", position=Position(term=2, bound=2, timeline=2, lsn=Lsn(5)))
    shown = stage.run("status").plain
    head = next(line for line in shown.splitlines() if line.startswith("NODE"))
    assert re.split("  +", head) == [
        "NODE", "ROLE", "STATE", "TERM", "TIMELINE", "WAL", "RECEIVED", "REPLAYED", "SYNC",
    ]  # fmt: skip
    found = rows(shown, "NODE")
    assert (found["n2"][1:4], found["n3"][1:4]) == (["crashed", "1", "1"], ["running", "2", "2"])
    assert "Equal on" not in shown
    stage.change("n2", state=State.RUNNING)
    assert "Equal on all 3 that report: running." in stage.run("status").plain


def test_what_is_not_known_of_everybody_is_equal_on_nobody(stage: Stage) -> None:
    """A term that cannot be told, or a single node that reports, is shown by node, and folded into no sentence."""
    stage.change("n3", position=None)
    assert "Equal on all 3 that report: running." in stage.run("status").plain
    stage.missing.update(dict.fromkeys(("n2", "n3"), "connection refused"))
    shown = stage.run("status").plain
    assert rows(shown, "NODE")["n1"] == ["primary", "running", "1", "1", "0/3000000", "-", "-", "-"]
    assert "Equal on" not in shown


def test_deviations_come_before_the_table_and_are_counted(stage: Stage) -> None:
    """Each in one line with its mark; where none is seen that is said, and no more than that."""
    healthy = stage.run("status").plain.splitlines()
    assert healthy.index("Deviations: none seen.") < next(at for at, each in enumerate(healthy) if "NODE" in each)
    stage.change("n2", drift=("synchronous_commit",))
    stage.missing["w1"] = "connection refused"
    shown = stage.run("status").plain.splitlines()
    begin = shown.index("Deviations: 2")
    assert shown[begin + 1 : begin + 5] == [
        "\N{BLACK SQUARE} w1 could not be observed: transport.unreachable: connection refused; since",
        "  when is unknown",
        "\N{BLACK SQUARE} n2 has settings that its agent did not write: synchronous_commit; since when",
        "  is unknown",
    ]


@pytest.mark.parametrize("gone", ["stopped", "silent", "crashed", "standby"])
def test_what_is_wrong_and_the_table_fit_a_screen(stage: Stage, gone: str) -> None:
    """Of three nodes, where the primary is down or silent, or a standby is down: 24 rows of 80, prompt included."""
    states = {"stopped": State.STOPPED, "crashed": State.CRASHED}
    if gone in states:
        stage.change("n1", state=states[gone], senders=())
    elif gone == "silent":
        stage.missing["n1"] = "n1 at 127.0.0.1:7401 cannot be reached: connection refused"
    else:
        stage.change("n3", state=State.CRASHED, receiver=None)
    if gone != "standby":
        for name in ("n2", "n3"):
            stage.change(name, receiver=None)
    shown = [each for each in stage.run("status").plain.rstrip("\n").splitlines() if not each.startswith("w1")]
    assert sum(max(-(-len(each) // 80), 1) for each in shown) < 24, "\n".join(shown)
    assert all(len(each) <= 80 for each in shown if "Writes" in each)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n2": {"state": State.CRASHED}}, ("n2",)),
        ({"n2": {"state": State.STOPPED}}, ("n2",)),
        ({"n2": {"state": State.UNREACHABLE}}, ("n2",)),
        ({"n1": {"state": State.CRASHED}}, ("n1", "n2", "n3")),
        ({"n1": {"state": State.UNREACHABLE}}, ("n1", "n2", "n3")),
        ({name: {"state": State.CRASHED} for name in ("n1", "n2", "n3")}, ("n1", "n2", "n3")),
        ({"n1": {"senders": ()}}, ("n2", "n3")),
        ({"n2": {"attached": None}}, ("n2",)),
        ({"n3": {"position": None}}, ("n3",)),
    ],
)
def test_what_is_marked_in_the_table_is_never_called_no_deviation(
    stage: Stage, changes: dict[str, dict[str, Any]], named: tuple[str, ...]
) -> None:
    """Every node whose row has something bad, or unknown, is named above it; "none seen" is said of no such cluster."""
    for name, each in changes.items():
        stage.change(name, **each)
    shown = stage.run("status").plain
    said = shown.partition("Deviations: ")[2].partition("NODE")[0]
    marked = re.findall(r"^ *[\N{BLACK SQUARE}\N{BLACK UP-POINTING TRIANGLE}] (n\d)", said, re.MULTILINE)
    assert tuple(dict.fromkeys(marked)) == named
    assert not said.startswith("none")


def test_where_writes_wait_no_clean_bill_is_given(stage: Stage) -> None:
    """Whatever the cause is that nothing here names: that there is none is said only where writes are acknowledged."""
    told = stage.run("status", "--json").out.strip().encode()
    writes = msgspec.structs.replace(canonical.decode(told, Status).writes, acknowledged="unknown")
    terminal = Terminal(Screen(), Screen(), Screen())
    show_remarks(terminal, writes, [])
    assert isinstance(terminal.stdout, Screen)
    assert "none seen that says why." in terminal.stdout.getvalue()


def test_a_healthy_status_fits_a_small_terminal(stage: Stage) -> None:
    """24 lines of 80 columns, with the prompts before and after it; a matrix that nobody asked for is not in it."""
    lines = stage.run("status").plain.splitlines()
    assert sum(max(1, -(-len(line) // 80)) for line in lines) <= 22
    assert not any(line.startswith("ACTION") for line in lines)
    assert lines[-1] == "What may be asked now: aerodb status --actions, or aerodb status NODE"


def test_status_of_a_node_says_what_may_be_asked_of_it(stage: Stage) -> None:
    """Of it alone, with every request that is well formed for it; of a node that there is not, nothing is asked."""
    whole = rows(stage.run("status", "--actions").plain, "ACTION")
    shown = stage.run("status", "w1").plain
    assert "Asked of w1 now: accepted, or the invariants that forbid it" in shown
    one = rows(shown, "ACTION")
    assert {name: cells[0] for name, cells in one.items() if name} == {
        name: cells[3] for name, cells in whole.items() if name and cells[3] != "-"
    }
    asked = len(stage.sent)
    refused = stage.run("status", "n9")
    assert (refused.code, "input.node-unknown" in refused.err, len(stage.sent)) == (2, True, asked)


def test_status_begins_with_whether_writes_are_acknowledged(stage: Stage) -> None:
    """The first line, `--json` and the exit code say the same, each of what the CLI verified itself."""
    shown = stage.run("status")
    assert shown.plain.splitlines()[0].endswith("Writes: acknowledged by n1, survives the loss of 1 more node")
    stage.change("n1", senders=())
    shown, told = stage.run("status"), stage.run("status", "--json")
    assert shown.plain.splitlines()[0].endswith("Writes: waiting at n1; 0 of 2 standbys stream, 1 is needed")
    assert msgspec.json.decode(told.out)["writes"]["acknowledged"] == "no"
    assert (shown.code, told.code) == (7, 7)


def test_status_judges_the_writes_itself(stage: Stage) -> None:
    """A control plane that says that writes are acknowledged is not believed: the signed reports say that they wait."""
    stage.change("n1", senders=())

    def alter(body: bytes) -> bytes:
        status = canonical.decode(body, Status)
        return canonical.encode(
            msgspec.structs.replace(status, writes=msgspec.structs.replace(status.writes, acknowledged="yes"))
        )

    stage.alter["GET /v1/status"] = alter
    told = stage.run("status", "--json")
    assert msgspec.json.decode(told.out)["writes"]["acknowledged"] == "no"
    assert told.code == 7


def test_status_says_what_could_not_be_observed(stage: Stage) -> None:
    """A silent node is named with its reason, everything about it is unknown, and so is what depends on it."""
    stage.missing["n1"] = "connection refused"
    shown = stage.run("status")
    found = rows(shown.plain, "NODE")
    assert shown.code == 7  # Whether the silent primary acknowledges commits is not known.
    assert found["n1"] == ["not observed", *["unknown"] * 4]
    assert found["n2"][0] == "standby of n1"
    assert found["n2"][2:] == ["unknown", "unknown", "unknown"]
    assert "n1 could not be observed: transport.unreachable: connection refused" in shown.plain


@pytest.mark.parametrize("tampered", ["n1", "n2", "w1"])
def test_status_does_not_show_a_forged_report(stage: Stage, tampered: str) -> None:
    """A report that its node did not sign is not shown, and the exit code says so."""

    def alter(body: bytes) -> bytes:
        status = canonical.decode(body, Status)
        reports = dict(status.snapshot.reports)
        signed = reports[tampered]
        document = signed.document.replace('"entries":0', '"entries":9')
        reports[tampered] = msgspec.structs.replace(signed, document=document)
        snapshot = msgspec.structs.replace(status.snapshot, reports=reports)
        return canonical.encode(msgspec.structs.replace(status, snapshot=snapshot))

    stage.alter["GET /v1/status"] = alter
    shown = stage.run("status")
    assert shown.code == 6
    assert rows(shown.plain, "NODE")[tampered] == ["NOT VERIFIED", *["unknown"] * 4]
    assert f"{tampered}'s report is not believed" in shown.plain


def test_status_never_guesses_a_lag(stage: Stage) -> None:
    """A standby on another timeline, or whose position is unknown, has an unknown lag."""
    stage.change("n2", position=Position(term=1, bound=1, timeline=2, lsn=Lsn(5)))
    stage.change("n3", position=None)
    found = rows(stage.run("status").plain, "NODE")  # Term and timeline differ, and have a column each.
    assert found["n2"][4] == "unknown"
    assert found["n3"][1:5] == ["unknown"] * 4


def test_status_names_what_is_unusual(stage: Stage) -> None:
    """A standby that does not stream, drift, and a receiver pointed elsewhere are said outright."""
    stage.change("n1", senders=())
    stage.change("n2", drift=("synchronous_commit",))
    stage.change("n3", attached=None, state=State.CRASHED)
    shown = stage.run("status").plain
    found = rows(shown, "NODE")
    assert found["n2"][-1] == "no"
    assert "n2: not streaming, as n1 sees it" in shown
    assert found["n3"][:2] == ["standby of none", "crashed"]
    assert "n2 has settings that its agent did not write: synchronous_commit" in shown
    assert "n3 should follow n1; its settings say otherwise" in shown


def test_status_shows_the_matrix_with_the_forbidding_invariants(stage: Stage) -> None:
    """Each cell is accepted, or names every invariant that forbids it."""
    found = rows(stage.run("status", "--actions").plain, "ACTION")
    assert found["stop"] == ["accepted", "accepted", "accepted", "role-fits"]
    assert found["start"] == ["running-fits", "running-fits", "running-fits", "role-fits"]


def test_status_warns_of_another_configuration(stage: Stage) -> None:
    """A control plane with another configuration than the profile's is named, and the exit code says so."""

    def alter(body: bytes) -> bytes:
        status = canonical.decode(body, Status)
        return canonical.encode(msgspec.structs.replace(status, configuration="sha256:" + "0" * 64))

    stage.alter["GET /v1/status"] = alter
    shown = stage.run("status")
    assert shown.code == 6
    assert "another configuration" in shown.plain


def test_explain_exits_by_the_verdicts_and_records_nothing(stage: Stage) -> None:
    """An explanation is the plan as it would be; a rejection exits 1; the log does not grow."""
    size = stage.log.size
    assert stage.run("explain", "stop", "n3").code == 0
    rejected = stage.run("explain", "start", "n3")
    assert rejected.code == 1
    assert "VIOLATED running-fits" in rejected.plain
    assert stage.log.size == size


def test_explain_refuses_a_plan_of_something_else(stage: Stage) -> None:
    """What is explained is what was asked."""
    other = stage.get("/v1/explain?action=stop&target=n1")
    stage.alter["GET /v1/explain"] = lambda _: other
    assert stage.run("explain", "stop", "n3").code == 6


def test_requests_and_show_tell_the_whole_story(stage: Stage) -> None:
    """A request is listed, and shown with its plan, its records and their proofs."""
    request = stage.executed[0]
    assert request in rows(stage.run("requests", "--full").plain, "REQUEST")
    shown = stage.run("show", request)
    assert shown.code == 0
    assert "Stop n3" in shown.plain
    assert shown.plain.count("All 3 proofs hold: each record stands in the log that its key signed.") == 1
    assert "sha256:" not in shown.plain
    assert '"event":"requested"' not in shown.plain
    whole = stage.run("show", request, "--full").plain
    assert '"event":"requested"' in whole
    assert stage.get(f"/v1/requests/{request}").decode().split('"plan":"sha256:')[-1][:64] in whole


def test_show_says_which_record_is_not_proven(stage: Stage) -> None:
    """A record whose text is not what the log's key signed, or that has no proof, is said to be unproven."""
    stage.alter["GET /v1/requests/ID"] = lambda body: body.replace(b'\\"at\\":\\"20', b'\\"at\\":\\"19')
    shown = stage.run("show", stage.executed[0])
    assert shown.code == 6
    assert shown.plain.count("NOT PROVEN") == 3


def test_show_says_where_a_proof_is_missing(stage: Stage) -> None:
    """Fewer proofs than records is a fault, never a silence."""
    stage.alter["GET /v1/requests/ID"] = lambda body: canonical.encode(
        msgspec.structs.replace(canonical.decode(body, Decision), proofs=())
    )
    shown = stage.run("show", stage.executed[0])
    assert shown.code == 6
    assert "there is no proof of it" in shown.plain


def test_a_request_id_stays_one_segment_of_the_path(stage: Stage) -> None:
    """What a person types cannot reach another route."""
    stage.run("show", "../audit/export?x=1#y")
    assert stage.sent[-1][1] == "/v1/requests/..%2Faudit%2Fexport%3Fx%3D1%23y"


def test_replay_compares_the_bytes_on_this_machine(stage: Stage) -> None:
    """A recorded plan that its snapshot does not make is found out, though every digest of it is right."""
    request = stage.executed[0]
    assert "IDENTICAL" in stage.run("audit", "replay", request).plain

    def alter(body: bytes) -> bytes:
        decision = canonical.decode(body, Decision)
        plan = canonical.decode((decision.plan or "").encode(), Plan)
        text = canonical.encode(msgspec.structs.replace(plan, effects=("Nothing much.",)).sealed()).decode()
        return canonical.encode(msgspec.structs.replace(decision, plan=text))

    stage.alter["GET /v1/requests/ID"] = alter
    shown = stage.run("audit", "replay", request)
    assert shown.code == 6
    assert "DIFFERENT" in shown.plain


def test_a_request_without_a_plan_cannot_be_replayed(stage: Stage) -> None:
    """Where nothing was recorded, nothing is claimed."""
    stage.alter["GET /v1/requests/ID"] = lambda body: canonical.encode(
        msgspec.structs.replace(canonical.decode(body, Decision), plan=None)
    )
    assert stage.run("audit", "replay", stage.executed[0]).code == 6


# The audit log ------------------------------------------------------------------------------------------------------


def test_an_export_is_written_byte_for_byte_and_verifies_offline(stage: Stage, tmp_path: Path) -> None:
    """The file holds exactly the API's bytes, to stdout too, and verifies without asking anybody."""
    file = tmp_path / "log.jsonl"
    assert stage.run("audit", "export", "--output", str(file)).code == 0
    assert file.read_bytes() == b"".join(export(stage.log))  # That it is read is a record, and stands in it.
    assert stage.run("audit", "export", terminal=False).out.encode() == b"".join(export(stage.log))
    asked = len(stage.sent)
    assert "VERIFIED: 4 records" in stage.run("audit", "verify", str(file)).plain
    assert len(stage.sent) == asked


def test_an_export_overwrites_nothing(stage: Stage, tmp_path: Path) -> None:
    """An existing file is left as it is."""
    file = tmp_path / "log.jsonl"
    file.write_text("precious")
    stage.sent.clear()
    assert stage.run("audit", "export", "--output", str(file)).code == 2
    assert file.read_text() == "precious"
    assert stage.sent == []  # And so nothing is recorded as read.


@pytest.mark.parametrize("form", ["jsonl", "ocsf"])
def test_an_export_that_breaks_off_leaves_no_file(stage: Stage, tmp_path: Path, form: str) -> None:
    """A file is there only if it is whole, and the command says what happened."""
    stage.breaks_off = 2
    file = tmp_path / "log.jsonl"
    shown = stage.run("audit", "export", "--format", form, "--output", str(file))
    assert shown.code == 4
    assert "broke off" in shown.err
    assert list(tmp_path.glob("*.jsonl")) == []


def test_the_log_is_verified_as_it_comes(stage: Stage) -> None:
    """Without a path an export is fetched and verified; one that breaks off is never said to be verified."""
    shown = stage.run("audit", "verify")
    assert (shown.code, "VERIFIED: 4 records" in shown.plain) == (0, True)
    assert "judged by one process" in shown.plain
    stage.breaks_off = 6  # The checkpoint and all five records have come; the blobs have not.
    shown = stage.run("audit", "verify")
    assert (shown.code, "VERIFIED" in shown.plain) == (4, False)


def test_a_search_goes_on_while_the_index_is_built(stage: Stage) -> None:
    """The question is put again until it is answered, and how far the index is can be seen; other refusals end it."""
    for command in (("audit", "search", "--operator", "alice"), ("requests",)):
        stage.behind = ["1 of 3", "2 of 3"]
        asked = len(stage.sent)
        shown = stage.run(*command)
        assert (shown.code, len(stage.sent) - asked) == (0, 3)
        assert "covers 1 of 3" in shown.err
        assert "covers 2 of 3" in shown.err
    stage.behind = ["3 of 3"] * 1000
    shown = stage.run("audit", "search", "--operator", "alice")
    assert "control.search-behind" in shown.err
    assert shown.code != 0


def _named_in(stage: Stage, line: bytes) -> str:
    """Return what a line of an export is: the checkpoint, a record by its event, or a blob by what names it."""
    for sequence, data in stage.log.records():
        record = read_record(data)
        if line.startswith(b'{"sequence":%d,' % sequence):
            return record.event
        for name in ("plan", "snapshot", "late", "configuration"):
            if line.startswith(b'{"blob":"%s"' % (getattr(record, name) or "none").encode()):
                return name
    return "checkpoint"


GONE = ("checkpoint", "requested", "confirmed", "outcome", "plan", "snapshot", "late", "configuration")


@pytest.mark.parametrize("gone", GONE)
def test_an_export_with_a_line_missing_does_not_verify(stage: Stage, tmp_path: Path, gone: str) -> None:
    """Whatever is gone is found out; the configuration alone may be, where whoever verifies holds it."""
    lines = b"".join(export(stage.log)).splitlines(keepends=True)
    found = [_named_in(stage, line) for line in lines]
    assert sorted(found) == sorted(GONE)
    del lines[found.index(gone)]
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"".join(lines))
    shown = stage.run("audit", "verify", str(file))
    expected = (0, False) if gone == "configuration" else (6, True)
    assert (shown.code, "control.log-verification-failed" in shown.err) == expected


def test_a_folder_verifies_and_an_altered_one_does_not(stage: Stage) -> None:
    """The log's folder verifies while it is open; closed and then altered, it does not."""
    folder = str(stage.folder / "log")
    assert stage.run("audit", "verify", folder).code == 0
    stage.log.close()
    assert stage.run("audit", "verify", folder).code == 0
    database = stage.folder / "log" / "log.db"
    database.write_bytes(database.read_bytes().replace(b"tidy up", b"tidy ut"))
    assert stage.run("audit", "verify", folder).code == 6


def test_verify_takes_one_log(stage: Stage, tmp_path: Path) -> None:
    """Two logs at once, or a file that is not there, are refused as input."""
    assert stage.run("audit", "verify", str(tmp_path / "x")).code == 2


def test_a_page_of_records_that_are_none_is_not_shown(stage: Stage) -> None:
    """A malformed record is a verification failure, not a row."""
    stage.alter["GET /v1/audit/records"] = lambda body: body.replace(b'\\"record\\"', b'\\"other!\\"')
    assert stage.run("audit", "list").code == 6


def test_search_pages_through_what_matches_and_each_record_is_proven(stage: Stage) -> None:
    """What is searched for is listed newest first, page by page; one record is shown with a proof that holds."""
    for _ in range(3):
        stage.run("stop", "n2", "--reason", "Disk full", typed="n2\n")
        stage.restore("n2")
    first = stage.run("audit", "search", "--text", "disk FULL", "--node", "n2", "--limit", "4")
    assert [line.split()[0] for line in first.plain.splitlines()[1:5]] == ["11", "10", "9", "8"]
    assert "--before 8" in first.plain
    rest = stage.run("audit", "search", "--text", "disk FULL", "--before", "8")
    assert [line.split()[0] for line in rest.plain.splitlines()[1:]] == ["7", "6", "5", "4", "3"]
    assert "No record matches." in stage.run("audit", "search", "--operator", "bob").plain
    assert stage.run("audit", "record", "6").plain.startswith("record 6: proven to stand in the log")
    stage.alter["GET /v1/audit/records/ID"] = lambda body: body.replace(b"Disk full", b"Disk fine")
    assert stage.run("audit", "record", "6").code == 6


def test_a_role_that_is_shown_no_signed_reports_is_told_so(stage: Stage) -> None:
    """Redacted facts are shown as the control plane's word, each part that was taken out is named, and none is bad."""

    def alter(body: bytes) -> bytes:
        status = canonical.decode(body, Status)
        snapshot = msgspec.structs.replace(status.snapshot, reports={})
        facts = {name: redacted(each, name)[0] for name, each in stage.facts.items()}
        taken = ("n1.instance.folder",)
        return canonical.encode(msgspec.structs.replace(status, snapshot=snapshot, facts=facts, redacted=taken))

    stage.alter["GET /v1/status"] = alter
    shown = stage.run("status")
    assert shown.code == 0
    assert rows(shown.plain, "NODE")["n2"] == ["standby of n1", "0/2FFFF00", "256 B", "unknown", "quorum"]
    assert "your role is not shown the signed reports" in " ".join(shown.plain.split())
    assert "Redacted: n1.instance.folder" in shown.plain


def test_the_timeline_is_a_story(stage: Stage) -> None:
    """A request with what became of it and what its node saw; each entry is a row where that is asked for."""
    for house in stage.room.houses.values():
        house.observe()
    assert stage.run("stop", "n3", "--reason", "x", typed="n3\n").code == 0
    stage.room.houses["n3"].observe()
    told = stage.run("timeline").plain
    found = re.search(r"stop n3   executed\n +alice, records (\d+) to (\d+)\n +n3  ", told)
    assert found
    assert re.search(r"PostgreSQL is stopped\s+\(before:\s+running\)", told)
    assert re.search(r"^\d requests? by 1 person: \d executed", told, re.MULTILINE)
    assert "begun -> ended: executed" in stage.run("timeline", "--exact").plain
    assert "stop n3" in stage.run("timeline", "--from", found[1], "--to", found[2]).plain
    assert f"records {found[1]} to" not in stage.run("timeline", "--from", str(int(found[2]) + 1)).plain
    assert stage.run("timeline", "--json", "--from", "1").code == 2
