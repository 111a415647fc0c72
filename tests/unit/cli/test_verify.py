"""`aerodb audit verify`: what is said of a log, with which exit code; and whether it extends what was seen."""

import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.audit.cosignature import cosign, node_name, with_lines
from aerodb.audit.export import BlobLine, export, lines_in
from aerodb.audit.note import sign_checkpoint, signature_line, verifier_key
from aerodb.audit.store import Log, judge_folder
from aerodb.audit.store.judging import judge_part
from aerodb.audit.tree import leaf_hash, root_of
from aerodb.cli.commands import run
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.errors import VerificationFailed
from aerodb.protocol import canonical
from aerodb.protocol.chain import changed
from aerodb.protocol.change import Change
from aerodb.protocol.vkey import COSIGNATURE
from aerodb.protocol.words import whole_words_of
from tests.unit.audit.forging import CONFIRMED, DECLINED, STRANGER, Forged, genuine, later_configuration
from tests.unit.cli.stage import Screen, Shown

SIZE = 26


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Forged:
    """Return the content of a log in which everything holds."""
    return genuine(tmp_path_factory.mktemp("genuine"))


def written(log: Forged, folder: Path) -> Path:
    """Write a log's folder, its export, the evidence of its first request, a checkpoint, and cluster.json."""
    log.folder(folder / "log")
    with Log(folder / "log", log.cluster.origin, log.log_key) as opened:
        (folder / "export").write_bytes(b"".join(export(opened)))
        (folder / "evidence").write_bytes(log.evidence(opened, log.records[0].request))
        (folder / "checkpoint").write_text(opened.checkpoint, encoding="utf-8")
        seen = {"size": opened.size, "checkpoint": opened.checkpoint}
        (folder / "remembered").write_bytes(canonical.encode(seen))
    (folder / "cluster.json").write_bytes(canonical.encode(log.cluster))
    return folder


def first(log: Forged, count: int) -> Forged:
    """Return the log as it was when it had so many records."""
    made = log.copy()
    del made.records[count:]
    return made


@pytest.fixture(scope="module")
def now(honest: Forged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the log as it is now, in files."""
    return written(honest, tmp_path_factory.mktemp("now"))


@pytest.fixture(scope="module")
def earlier(honest: Forged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the log as it was earlier, in files."""
    return written(first(honest, DECLINED), tmp_path_factory.mktemp("earlier"))


def verify(*words: str | Path, cluster: Path) -> Shown:
    """Run `aerodb audit verify` where there is no profile and no server."""
    streams = Screen(), Screen(), Screen()
    session = Session(terminal=Terminal(*streams), folder=Path("/nowhere"))
    code = run(["audit", "verify", *map(str, words), "--cluster", str(cluster)], session)
    return Shown(code, streams[1].getvalue(), streams[2].getvalue())


def verify_by_words(path: Path, words: str) -> Shown:
    """Run `aerodb audit verify` where there is neither a profile nor a cluster.json: by words alone."""
    streams = Screen(), Screen(), Screen()
    session = Session(terminal=Terminal(*streams), folder=Path("/nowhere"))
    code = run(["audit", "verify", str(path), "--trust", words], session)
    return Shown(code, streams[1].getvalue(), streams[2].getvalue())


# Words alone ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["log", "export", "evidence", "backup"])
def test_the_words_of_version_one_are_all_that_an_auditor_needs(honest: Forged, now: Path, what: str) -> None:
    """The log, a backup, an export and evidence hold version 1 themselves; the words say that it is the one."""
    if what == "backup":
        (now / "backup").write_bytes((now / "log" / "log.db").read_bytes())
    for words in (" ".join(whole_words_of(honest.cluster.digest)), honest.cluster.digest):
        shown = verify_by_words(now / what, words)
        assert (shown.code, "VERIFIED" in shown.plain) == (0, True), shown.plain + shown.err


@pytest.mark.parametrize("what", ["log", "export", "evidence"])
def test_the_words_of_another_cluster_verify_nothing(now: Path, what: str) -> None:
    """A whole log of somebody else is not called verified, though all in it fits together."""
    shown = verify_by_words(now / what, " ".join(whole_words_of(canonical.digest(b"another"))))
    assert (shown.code, "VERIFIED" in shown.plain) == (6, False)
    assert "has the digest" in shown.err


def test_a_document_under_the_trusted_digest_counts_by_its_own(honest: Forged, now: Path, tmp_path: Path) -> None:
    """Who files another configuration under the digest that is trusted is found out, in folder and export alike."""
    other = canonical.encode(replace(honest.cluster, name="other"))
    lines = (now / "export").read_bytes().splitlines(keepends=True)
    place = next(at for at, line in enumerate(lines) if line.startswith(b'{"blob":"' + honest.cluster.digest.encode()))
    lines[place] = msgspec.json.encode(BlobLine(honest.cluster.digest, other.decode())) + b"\n"
    (tmp_path / "export").write_bytes(b"".join(lines))
    assert verify_by_words(tmp_path / "export", honest.cluster.digest).code == 6
    shutil.copytree(now / "log", tmp_path / "log")
    with closing(sqlite3.connect(tmp_path / "log" / "log.db")) as database, database:
        database.execute("UPDATE blob SET data = ? WHERE digest = ?", (other, honest.cluster.digest))
    assert verify_by_words(tmp_path / "log", honest.cluster.digest).code == 6


def test_a_later_version_is_not_trusted_outright(honest: Forged, tmp_path: Path) -> None:
    """The words of a version that somebody made afterwards, and the log's own holder filed, found nothing."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqEFZzAFxcv4jDaoDp12bDhJA/WgA8Db59svCWbwbtR"
    later = changed(honest.cluster, Change(kind="enrol", name="zoe", before="", after=f"operator {key}"))
    line = msgspec.json.encode(BlobLine(later.digest, canonical.encode(later).decode())) + b"\n"
    (tmp_path / "export").write_bytes(b'{"checkpoint":""}\n' + line)
    shown = verify_by_words(tmp_path / "export", later.digest)
    assert (shown.code, "only version 1 is trusted outright" in shown.err) == (6, True), shown.err


def test_without_a_profile_it_says_what_else_to_trust(now: Path, tmp_path: Path) -> None:
    """An auditor who has the log, and words on paper, is told how to name them."""
    streams = Screen(""), Screen(), Screen()
    code = run(["audit", "verify", str(now / "log")], Session(terminal=Terminal(*streams), folder=tmp_path / "none"))
    assert code == 2
    assert 'or say what to trust without one: --trust "WORDS", or --cluster FILE' in streams[2].getvalue()


def test_words_and_a_file_are_not_trusted_together(now: Path) -> None:
    """One trust, named once."""
    shown = verify(now / "log", "--trust", canonical.digest(b""), cluster=now / "cluster.json")
    assert (shown.code, "--trust" in shown.err) == (2, True)


# The verdict ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["log", "export"])
def test_what_holds_is_counted(now: Path, what: str) -> None:
    """Intact, authentic and replayed are told apart, with counts; what nothing can prove is said too."""
    shown = verify(now / what, cluster=now / "cluster.json")
    assert shown.code == 0, shown.plain + shown.err
    assert shown.plain.startswith("VERIFIED: 26 records, intact, authentic and replayed.\n")
    for said in ("5 confirmations, 5 outcomes, 1 endorsement, 32 reports, 12 late reports", "8 plans: computed again",
                 "1 record, the first is 5: refused, as the control plane recorded it"):  # fmt: skip
        assert said in shown.plain


def test_evidence_is_counted_alike(now: Path) -> None:
    """The same lines stand below the evidence's sentences."""
    shown = verify(now / "evidence", cluster=now / "cluster.json")
    assert shown.code == 0
    assert "VERIFIED: every part of the evidence holds." in shown.plain
    assert "1 confirmation, 1 outcome, 4 reports, 3 late reports: signed" in shown.plain


@pytest.mark.parametrize("what", ["log", "export"])
def test_a_lie_is_not_called_verified(honest: Forged, tmp_path: Path, what: str) -> None:
    """Which record, which part and why are said, with exit code 6; so is that the log is intact."""
    lie = honest.copy()
    lie.change(CONFIRMED, signature="nonsense\x1b[2J")
    written(lie, tmp_path)
    shown = verify(tmp_path / what, cluster=tmp_path / "cluster.json")
    assert (shown.code, "VERIFIED" in shown.plain) == (6, False)
    told = "ANOTHER LOG: n2 had seen the log 3:"  # By reports that are genuine, and that the lie is older than.
    assert shown.plain.startswith(told), shown.plain
    assert "\nNOT AUTHENTIC: 26 records, intact; " in shown.plain
    assert "record 1, the operator's signature: " in shown.plain
    document = json.loads(verify(tmp_path / what, "--json", cluster=tmp_path / "cluster.json").out)
    assert (document["intact"], document["authentic"], document["replayed"]) == (True, False, True)
    assert {name: document["failed"][0][name] for name in ("part", "record")} == {
        "part": "the operator's signature",
        "record": 1,
    }


def test_many_lies_are_counted_and_the_first_are_shown(honest: Forged, tmp_path: Path) -> None:
    """However many records lie, what is shown stays short, begins with the first, and says that there are more."""
    lie = honest.copy()
    lie.records = [replace(record, event="confirmed", request="") for record in lie.records for _ in range(4)]
    written(replace_evidence(lie), tmp_path)
    shown = verify(tmp_path / "log", cluster=tmp_path / "cluster.json")
    assert shown.code == 6
    assert "record 0, the request's id" in shown.plain
    assert "and more; the first 50 are shown" in shown.plain


def replace_evidence(log: Forged) -> Forged:
    """Return a log of whose first request no evidence is made."""
    log.evidence = lambda *_: b""  # type: ignore[method-assign]
    return log


def test_what_cannot_be_checked_is_not_verified(honest: Forged, tmp_path: Path) -> None:
    """A configuration that is not trusted is named, with exit code 6; once it is given too, everything is checked."""
    changed = honest.copy()
    later = canonical.encode(later_configuration(changed.cluster))
    changed.change(SIZE - 1, configuration=changed.store(later))
    written(changed, tmp_path)
    shown = verify(tmp_path / "log", cluster=tmp_path / "cluster.json")
    assert (shown.code, shown.plain.startswith("VERIFIED IN PART: 26 records, intact; ")) == (6, True)
    assert (
        f"not checked  1 record, the first is 25: made under the configuration {canonical.digest(later)}" in shown.plain
    )
    (tmp_path / "later.json").write_bytes(later)
    both = verify(tmp_path / "log", "--cluster", tmp_path / "later.json", cluster=tmp_path / "cluster.json")
    assert both.code == 0, both.plain


def test_configurations_of_two_clusters_are_not_trusted_together(now: Path, tmp_path: Path, honest: Forged) -> None:
    """What does not belong together is refused before anything is looked at."""
    other = tmp_path / "other.json"
    other.write_bytes(canonical.encode(replace(honest.cluster, id="cluster-2")))
    shown = verify(now / "log", "--cluster", other, cluster=now / "cluster.json")
    assert (shown.code, "input.trust-mixed" in shown.err) == (2, True)


def test_the_log_of_another_cluster_is_not_this_one_s(now: Path, tmp_path: Path, honest: Forged) -> None:
    """A configuration that names this log's key, and another cluster, does not make the log that cluster's."""
    other = tmp_path / "other.json"
    other.write_bytes(canonical.encode(replace(honest.cluster, id="cluster-2")))
    shown = verify(now / "log", cluster=other)
    assert (shown.code, "this is the log of aerodb.log/cluster-1" in shown.err) == (6, True)


def test_a_part_that_another_process_judges_is_judged_alike(now: Path, honest: Forged) -> None:
    """The work of one process of several is the same judgement, of its own requests alone."""
    whole = judge_folder(now / "log", honest.trust)
    records, meaning = judge_part(now / "log", honest.trust, ("", "\U0010ffff"), SIZE)
    assert (records, meaning) == (SIZE, whole.meaning)
    nobody = judge_part(now / "log", honest.trust, ("", "0"), SIZE)[1]
    assert nobody.held == {"the endorsement": 1}


# Against what was seen earlier ----------------------------------------------------------------------------------------

SEEN = ("log", "export", "evidence", "checkpoint", "remembered")


@pytest.mark.parametrize("what", ["log", "export"])
@pytest.mark.parametrize("seen", SEEN)
def test_a_log_extends_what_was_seen_of_it(now: Path, earlier: Path, what: str, seen: str) -> None:
    """An earlier folder, export, evidence file, checkpoint, or a node's memory of one: the log has only grown."""
    shown = verify(now / what, "--against", earlier / seen, cluster=now / "cluster.json")
    assert shown.code == 0, shown.plain + shown.err
    assert f"this log extends {earlier / seen}: its first 20 records are the same, and 6 came" in shown.plain


@pytest.mark.parametrize("seen", SEEN)
def test_a_log_that_went_back_is_said_to_be_behind(now: Path, earlier: Path, seen: str) -> None:
    """It verifies by itself, and lacks what was seen: how many records, and whether the rest is the same log."""
    shown = verify(earlier / "log", "--against", now / seen, cluster=now / "cluster.json")
    assert shown.code == 6
    assert "VERIFIED" not in shown.plain
    assert "In itself it holds: 20 records, intact, authentic and replayed." in shown.plain
    assert shown.plain.startswith(f"BEHIND: this log has 20 records, and {now / seen} had 26: 6 are gone; ")
    known = "its 20 are the first of those" in shown.plain
    assert known == (seen in ("log", "export"))
    assert known != ("cannot be told from a checkpoint alone" in shown.plain)
    document = json.loads(verify(earlier / "log", "--json", "--against", now / seen, cluster=now / "cluster.json").out)
    assert (document["authentic"], [each["kind"] for each in document["against"]]) == (True, ["behind"])


@pytest.mark.parametrize("seen", SEEN)
def test_another_log_with_the_same_key_is_said_to_be_another(
    honest: Forged, now: Path, tmp_path: Path, seen: str
) -> None:
    """A log that was forked and went on: its first records are not those that were signed then."""
    written(fork_of(first(honest, DECLINED)), tmp_path)
    shown = verify(now / "log", "--against", tmp_path / seen, cluster=now / "cluster.json")
    assert shown.code == 6
    assert shown.plain.startswith("ANOTHER LOG: the first 20 records are not those that")


def fork_of(log: Forged) -> Forged:
    """Return a log whose last record is another."""
    log.records[-1] = replace(log.records[-1], at="2031-01-01T00:00:00Z")
    return log


@pytest.mark.parametrize("seen", ["log", "export"])
def test_a_fork_that_is_shorter_is_told_by_the_earlier_records(
    honest: Forged, now: Path, tmp_path: Path, seen: str
) -> None:
    """Where the earlier records are at hand, a shorter log is not called behind where it is another."""
    written(fork_of(first(honest, DECLINED)), tmp_path)
    shown = verify(tmp_path / "log", "--against", now / seen, cluster=now / "cluster.json")
    assert shown.code == 6
    assert "ANOTHER LOG: its 20 records are not the first ones in" in shown.plain


def _stranger_s(log: Forged) -> bytes:
    leaves = [leaf_hash(log.text(at).encode()) for at in range(len(log.records))]
    return sign_checkpoint(log.cluster.origin, len(leaves), root_of(leaves), STRANGER).encode()


@pytest.mark.parametrize(
    "make",
    [_stranger_s, lambda _: b"", lambda _: b"nonsense", lambda _: b"{}", lambda _: b'{"checkpoint":"x"}\n',
     lambda _: b'{"checkpoint":"x","size":1}', lambda _: b"\xff\xfe"],
)  # fmt: skip
def test_what_the_log_s_key_did_not_sign_proves_nothing(
    honest: Forged, now: Path, tmp_path: Path, make: Callable[[Forged], bytes]
) -> None:
    """Whatever it is, it is refused, and no log is said to extend it."""
    (tmp_path / "seen").write_bytes(make(honest))
    shown = verify(now / "log", "--against", tmp_path / "seen", cluster=now / "cluster.json")
    assert (shown.code, shown.plain) == (6, ""), shown.plain


def test_what_cannot_be_compared_is_refused(now: Path) -> None:
    """Evidence holds one request of a log, and cannot extend anything; a file that is not there says nothing."""
    shown = verify(now / "evidence", "--against", now / "checkpoint", cluster=now / "cluster.json")
    assert shown.code == 2
    for missing in (("--against", now / "none"),):
        assert verify(now / "log", *missing, cluster=now / "cluster.json").code == 2


# A clock that went back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["log", "export"])
def test_a_clock_that_went_back_is_said_and_nothing_is_decided_by_it(honest: Forged, tmp_path: Path, what: str) -> None:
    """The verdict and the exit code are as without the jump; the record and both times are named."""
    log = honest.copy()
    log.records[DECLINED] = replace(log.records[DECLINED], at="2001-12-31T23:59:59.5Z")
    before = log.records[DECLINED - 1].at
    folder = written(log, tmp_path)
    shown = verify(folder / what, cluster=folder / "cluster.json")
    assert shown.code == 0, shown.plain
    assert f"VERIFIED: {SIZE} records, intact, authentic and replayed." in shown.plain
    assert f"record {DECLINED} is of 2001-12-31T23:59:59.5Z; the clock went back" in shown.plain
    assert f"the record before this one is of {before}" in shown.plain
    found = json.loads(verify(folder / what, "--json", cluster=folder / "cluster.json").out)
    at = {"at": "2001-12-31T23:59:59.5Z", "before": before, "record": DECLINED}
    assert found["clock_went_back"] == {"count": 1, "first": [at]}


def test_a_log_whose_clock_never_went_back_says_nothing_of_it(honest: Forged, tmp_path: Path) -> None:
    """No line speaks of a clock."""
    folder = written(honest, tmp_path)
    shown = verify(folder / "log", cluster=folder / "cluster.json")
    assert shown.code == 0
    assert "clock" not in shown.plain


def test_a_file_that_is_one_endless_line_is_refused_before_it_is_whole(now: Path, tmp_path: Path) -> None:
    """Whoever hands in an export does not say how much memory its verification takes."""
    stream = io.BytesIO(b"a\nbc\n" + b"x" * 100)
    lines = lines_in(stream, 3)
    assert [next(lines), next(lines)] == [b"a\n", b"bc\n"]
    with pytest.raises(VerificationFailed):
        next(lines)
    assert stream.tell() == 9
    endless = tmp_path / "endless"
    with endless.open("wb") as file:
        file.write(b'{"checkpoint":"')
        file.truncate(4 << 30)  # Sparse: it takes no room.
    shown = verify(endless, cluster=now / "cluster.json")
    assert shown.code == 6
    assert "a line of the export has more than" in shown.err


# Who vouches for what was seen ----------------------------------------------------------------------------------------

WITNESS = "witness.example/w1"
VKEY = verifier_key(WITNESS, STRANGER.public_key().public_bytes_raw(), COSIGNATURE)
FAR = 2**63 - 1


@pytest.mark.parametrize("kind", ["checkpoint", "remembered"])
def test_who_cosigned_what_was_seen_is_told(
    now: Path, earlier: Path, honest: Forged, tmp_path: Path, kind: str
) -> None:
    """A witness's memory, or a node's, says who vouches for which size: those who are known, and how many more."""
    plain = (earlier / "checkpoint").read_text(encoding="utf-8")
    node = node_name(honest.cluster, "n2")
    lines = (
        cosign(plain, node, honest.keys["n2"], 1_893_456_000),
        cosign(plain, WITNESS, STRANGER, FAR),
        signature_line("elsewhere", b"abcd", b"x"),
    )
    text = with_lines(plain, lines)
    seen = tmp_path / "seen"
    seen.write_bytes(
        text.encode() if kind == "checkpoint" else canonical.encode({"checkpoint": text, "size": DECLINED})
    )
    words = (now / "export", "--against", seen, "--witness", VKEY)
    shown = verify(*words, cluster=now / "cluster.json")
    assert shown.code == 0, shown.plain + shown.err
    assert f"its {DECLINED} records, by {node}, 2030-01-01T00:00:00Z by its clock" in shown.plain
    assert f"its {DECLINED} records, by {WITNESS}, {FAR} seconds after 1970 by its clock" in shown.plain
    assert "and 1 signature by keys that are not known here" in shown.plain
    document = json.loads(verify(*words, "--json", cluster=now / "cluster.json").out)["against"][0]
    assert (document["seen"], [each["name"] for each in document["cosigned"]]) == (DECLINED, [node, WITNESS])
    unknown = verify(now / "export", "--against", seen, cluster=now / "cluster.json")
    assert (unknown.code, WITNESS in unknown.plain, "2 signatures" in unknown.plain) == (0, False, True)


def test_what_nobody_cosigned_is_said_to_be(now: Path, earlier: Path) -> None:
    """It is the word of whoever gave it."""
    shown = verify(now / "export", "--against", earlier / "checkpoint", cluster=now / "cluster.json")
    assert "by nobody who is known here" in shown.plain


def test_a_forged_cosignature_proves_nothing(now: Path, earlier: Path, honest: Forged, tmp_path: Path) -> None:
    """One by a known key that is not its own, or is of another checkpoint: nothing is said to be verified."""
    plain, newer = ((each / "checkpoint").read_text(encoding="utf-8") for each in (earlier, now))
    node = node_name(honest.cluster, "n2")
    for line in (cosign(newer, node, honest.keys["n2"], 5), cosign(plain, node, honest.keys["n1"], 5)):
        (tmp_path / "seen").write_text(with_lines(plain, (line,)), encoding="utf-8")
        shown = verify(now / "export", "--against", tmp_path / "seen", cluster=now / "cluster.json")
        by_another_key = line.split()[2][:6] != cosign(plain, node, honest.keys["n2"], 5).split()[2][:6]
        assert shown.code == (0 if by_another_key else 6), shown.plain
        assert "by aerodb.node" not in shown.plain


def test_the_log_that_a_witness_saw_and_this_one_is_not(honest: Forged, now: Path, tmp_path: Path) -> None:
    """A fork that a witness cosigned: the export is another log, and who vouches for the other one is told."""
    written(fork_of(first(honest, DECLINED)), tmp_path)
    plain = (tmp_path / "checkpoint").read_text(encoding="utf-8")
    (tmp_path / "seen").write_text(with_lines(plain, (cosign(plain, WITNESS, STRANGER, 5),)), encoding="utf-8")
    shown = verify(now / "export", "--against", tmp_path / "seen", "--witness", VKEY, cluster=now / "cluster.json")
    assert shown.code == 6
    assert shown.plain.startswith("ANOTHER LOG: ")
    assert f"its {DECLINED} records, by {WITNESS}" in shown.plain


def test_a_witness_that_is_no_key(now: Path, earlier: Path) -> None:
    """A name alone, or a log's key, is no log witness's."""
    for vkey in (WITNESS, verifier_key(WITNESS, STRANGER.public_key().public_bytes_raw())):
        words = (now / "export", "--against", earlier / "checkpoint", "--witness", vkey)
        assert verify(*words, cluster=now / "cluster.json").code == 2
