"""The evidence file: it verifies with nothing but the public keys, and with any byte changed it does not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aerodb.audit.cosignature import cosign, node_name
from aerodb.audit.evidence import Evidence, checkpoint_in, examine
from aerodb.audit.note import verifier_key
from aerodb.audit.store import Log
from aerodb.audit.trust import Trust
from aerodb.audit.verify import verified_checkpoint
from aerodb.cli.commands import run
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.errors import EvidenceInvalid
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Snapshot, late_nonce
from aerodb.protocol.signed import sign
from tests.unit.audit.forging import CONFIRMED, OUTCOME, Forged, content_of
from tests.unit.cli.stage import Screen, Stage, stage_in

FLIPS = 400


def trusting(cluster: Cluster) -> Trust:
    """Return trust in one configuration."""
    return Trust(clusters=(cluster,))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, bytes]]:
    """Yield a control plane with one executed request and one rejected one, and the evidence of the first."""
    with stage_in(tmp_path_factory.mktemp("evidence")) as stage:
        assert stage.run("stop", "n2", "--reason", "upgrade", typed="n2\n").code == 0
        assert stage.run("start", "n3", "--reason", "too early").code == 1
        yield stage, canonical.encode(stage.evidence(stage.executed[0]))


@pytest.fixture
def stage(made: tuple[Stage, bytes]) -> Stage:
    """Return the control plane; what is read of it by a test is recorded, and stays in its log for the others."""
    return made[0]


@pytest.fixture
def data(made: tuple[Stage, bytes]) -> bytes:
    """Return the evidence of the executed request, as it was before anybody had read any."""
    return made[1]


def test_an_executed_request_is_proven_from_end_to_end(stage: Stage, data: bytes) -> None:
    """Configuration, records, reports, plan, signature and outcome are verified, and said in sentences."""
    said = "\n".join(examine(data, trusting(stage.cluster)).sentences)
    for part in ("The configuration is the one given", "3 records stand in the log", "signed by its own node",
                 "byte for byte", "alice signed exactly this plan", "executed, signed by the agent of n2",
                 "Made after that confirmation, and signed by its own node: the report of each of n1, n3"):  # fmt: skip
        assert part in said


def test_a_rejection_is_proven_too(stage: Stage) -> None:
    """The evidence of a rejected request proves the plan that was refused."""
    rejected = next(each for each in stage.decisions if each not in stage.executed)
    examined = examine(canonical.encode(stage.evidence(rejected)), trusting(stage.cluster))
    assert "a rejection" in "\n".join(examined.sentences)
    assert examined.meaning.held == {"the plan": 1, "the snapshot": 4}


def test_any_changed_byte_is_refused_and_the_part_named(stage: Stage, data: bytes) -> None:
    """At many offsets over the whole file, one changed bit is refused, and the refusal names what fails."""
    parts = set()
    for offset in {*range(0, len(data), max(1, len(data) // FLIPS)), len(data) - 1}:
        for bit in (1, 32):
            flipped = bytearray(data)
            flipped[offset] ^= bit
            with pytest.raises(EvidenceInvalid) as refused:
                examine(bytes(flipped), trusting(stage.cluster))
            parts.add(refused.value.field)
    assert None not in parts
    assert {"the file's form", "the configuration", "the plan", "the snapshot", "record 1 of 3 or its proof"} <= parts


def cosigned(data: bytes, *lines: Callable[[str], str]) -> bytes:
    """Return the evidence under its checkpoint with more signatures."""
    evidence = canonical.decode(data, Evidence)
    checkpoint = evidence.entries[0].proof.partition("\n\n")[2]
    more = "".join(line(checkpoint) for line in lines)
    entries = tuple(replace(each, proof=each.proof + more) for each in evidence.entries)
    return canonical.encode(replace(evidence, entries=entries))


def test_evidence_under_a_cosigned_checkpoint(stage: Stage, data: bytes) -> None:
    """Cosignatures of those whom the configuration names stand under it, each once, in one order, and must hold.

    Any other signature says nothing, and is not in the file's one form.
    """
    first, second = (
        lambda text, node=node: cosign(text, node_name(stage.cluster, node), stage.keys[node], 5)
        for node in ("n1", "n2")
    )
    assert examine(cosigned(data, first, second), trusting(stage.cluster)).evidence.entries
    for lines in (
        (second, first),
        (first, first),
        (lambda text: cosign(text, "elsewhere", stage.keys["n1"], 5),),
        (lambda text: cosign(text.replace("\n", "\n1", 1), node_name(stage.cluster, "n1"), stage.keys["n1"], 5),),
    ):
        with pytest.raises(EvidenceInvalid):
            examine(cosigned(data, *lines), trusting(stage.cluster))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\n", lambda _: b""])
def test_nothing_may_be_cut_off_or_added(stage: Stage, data: bytes, change: Callable[[bytes], bytes]) -> None:
    """The file has one form."""
    with pytest.raises(EvidenceInvalid, match="the file's form"):
        examine(change(data), trusting(stage.cluster))


def _changed(evidence: Evidence, stage: Stage) -> dict[str, tuple[Evidence, str]]:
    """Return forgeries in the file's right form, and the part that must be named."""
    other = stage.evidence(next(each for each in stage.decisions if each not in stage.executed))
    first, *rest = evidence.entries
    snapshot = json.loads(evidence.snapshot or "")
    snapshot["reports"]["n1"]["signature"] = snapshot["reports"]["n3"]["signature"]
    assert evidence.late is not None
    return {
        "nothing said late": (replace(evidence, late=None), "what was said after the confirmation"),
        "the plan's snapshot, late": (
            replace(evidence, late=evidence.snapshot),
            "what was said after the confirmation",
        ),
        "another's plan": (replace(evidence, plan=other.plan), "the plan"),
        "another's snapshot": (replace(evidence, snapshot=other.snapshot), "the snapshot"),
        "a forged report": (replace(evidence, snapshot=canonical.encode(snapshot).decode()), "the snapshot"),
        "no plan": (replace(evidence, plan=None, snapshot=None), "the plan and the snapshot"),
        "no records": (replace(evidence, entries=()), "the proofs"),
        "no beginning": (replace(evidence, entries=tuple(rest)), "the order of events"),
        "turned round": (replace(evidence, entries=evidence.entries[::-1]), "record 2 of 3 or its proof"),
        "twice": (replace(evidence, entries=(first, first)), "record 2 of 2 or its proof"),
        "another's record": (replace(evidence, entries=other.entries), "record 1 of 1 or its proof"),
        "other rules": (replace(evidence, rules="0"), "the rules"),
        "a vague proof": (
            replace(evidence, entries=(replace(first, proof=first.proof.replace("\nindex", "\nextra \nindex")), *rest)),
            "record 1 of 3 or its proof",
        ),
    }


def test_forgeries_in_the_right_form_are_refused(stage: Stage, data: bytes) -> None:
    """Each part is held to the others, not only to its form."""
    forgeries = _changed(canonical.decode(data, Evidence), stage)
    for name, (forged, part) in forgeries.items():
        with pytest.raises(EvidenceInvalid) as refused:
            examine(canonical.encode(forged), trusting(stage.cluster))
        assert refused.value.field == part, name


def test_a_stranger_to_the_cluster_is_told_so(stage: Stage, data: bytes) -> None:
    """Under another configuration, one key changed, nothing is verified."""
    member = replace(stage.cluster.members[0], public_key=stage.cluster.members[1].public_key)
    other = replace(stage.cluster, members=(member, *stage.cluster.members[1:]))
    with pytest.raises(EvidenceInvalid, match="the configuration"):
        examine(data, trusting(other))


def evidence_of(log: Forged, folder: Path) -> bytes:
    """Return the evidence of a log's first request, from a log that its key signed."""
    with Log(log.folder(folder), log.cluster.origin, log.log_key) as opened:
        return log.evidence(opened, log.records[0].request)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"plan": "sha256:0"}, "the outcome"),
        ({"request": "another"}, "the outcome"),
        ({"result": "not executed"}, "the outcome"),
        ({"node": "n3"}, "the outcome"),
        ({"late": {}}, "the outcome"),
    ],
)
def test_an_outcome_of_something_else_is_refused(tmp_path: Path, change: dict[str, Any], part: str) -> None:
    """What the agent signed counts only for this request, this plan and this result, even in a log that is signed."""
    with stage_in(tmp_path) as own:
        own.run("stop", "n2", "--reason", "upgrade", typed="n2\n")
        log = content_of(own)
    log.change(OUTCOME, outcome=log.outcome(**change))
    with pytest.raises(EvidenceInvalid) as refused:
        examine(evidence_of(log, tmp_path / "forged"), trusting(log.cluster))
    assert refused.value.field == part


def test_an_auditor_without_a_profile_verifies_with_the_public_keys_alone(stage: Stage, tmp_path: Path) -> None:
    """From `audit evidence` and `audit keys` on one machine to `audit verify` on another, with no server and no key."""
    file, keys = tmp_path / "evidence.json", tmp_path / "cluster.json"
    assert stage.run("audit", "evidence", stage.executed[0], "--output", str(file)).code == 0
    assert stage.run("audit", "keys", "--output", str(keys)).code == 0

    def auditor(path: Path) -> tuple[int, str]:
        streams = Screen(), Screen(), Screen()
        session = Session(terminal=Terminal(*streams), folder=tmp_path / "nowhere")
        return run(["audit", "verify", str(path), "--cluster", str(keys)], session), streams[1].getvalue()

    code, said = auditor(file)
    assert code == 0
    assert "every part of the evidence holds" in said
    (tmp_path / "altered.json").write_bytes(file.read_bytes().replace(b"upgrade", b"upgrape"))
    assert auditor(tmp_path / "altered.json")[0] == 6


@pytest.mark.parametrize("nonce", ["the plan's", "another confirmation's"])
def test_reports_that_were_not_made_for_the_confirmation_prove_nothing(tmp_path: Path, nonce: str) -> None:
    """A log that is signed may hold them all the same: what was said earlier, or for something else, is named."""
    with stage_in(tmp_path) as own:
        own.run("stop", "n2", "--reason", "upgrade", typed="n2\n")
        log = content_of(own)
    assert examine(evidence_of(log, tmp_path / "as it was"), trusting(log.cluster)).evidence.late
    made_for = log.records[OUTCOME].request if nonce == "the plan's" else late_nonce(log.text(CONFIRMED) + " ")
    said = canonical.decode(log.blobs[log.records[OUTCOME].late], Snapshot)
    reports = {name: canonical.decode(each.document.encode(), Report) for name, each in said.reports.items()}
    signed = {name: sign(replace(each, nonce=made_for), name, log.keys[name]) for name, each in reports.items()}
    outcome = log.outcome(late={name: each.digest for name, each in signed.items()})
    log.change(OUTCOME, outcome=outcome, late=log.store(canonical.encode(replace(said, reports=signed))))
    with pytest.raises(EvidenceInvalid) as refused:
        examine(evidence_of(log, tmp_path / "forged"), trusting(log.cluster))
    assert refused.value.field == "what was said after the confirmation"


def test_a_checkpoint_is_taken_from_evidence_only_where_its_first_record_stands_under_it(
    stage: Stage, data: bytes
) -> None:
    """A file without records, whose first record is another, or of another log has none; nothing fails otherwise."""
    evidence, key = canonical.decode(data, Evidence), stage.cluster.log_key
    assert verified_checkpoint(checkpoint_in(data, key), key).size == 4  # As it was when the evidence was made.
    first, second, *_ = evidence.entries
    swapped = (replace(first, record=second.record), *evidence.entries[1:])
    for entries in ((), swapped, (replace(first, proof=""),)):
        with pytest.raises(EvidenceInvalid) as refused:
            checkpoint_in(canonical.encode(replace(evidence, entries=entries)), key)
        assert refused.value.field == "the proofs"
    stranger = verifier_key(stage.cluster.origin, bytes(32))
    with pytest.raises(EvidenceInvalid, match="the proofs"):
        checkpoint_in(data, stranger)
    for nothing in (b"", b"{}", b"null", b"[" * 100_000, b"\xff"):
        with pytest.raises(EvidenceInvalid, match="the file's form"):
            checkpoint_in(nothing, key)


def test_evidence_without_records_proves_nothing(stage: Stage, data: bytes) -> None:
    """Neither by itself, nor as what a log is compared with."""
    empty = canonical.encode(replace(canonical.decode(data, Evidence), entries=()))
    with pytest.raises(EvidenceInvalid, match="the proofs"):
        examine(empty, trusting(stage.cluster))
    file = stage.profile / "empty"
    file.write_bytes(empty)
    shown = stage.run("audit", "verify", "--against", str(file))
    assert shown.code == 6
    assert "the proofs: there are none" in shown.err


def test_evidence_under_an_earlier_configuration_says_what_it_cannot_show(stage: Stage, data: bytes) -> None:
    """Whoever holds a key that was revoked, and the log's, could make it: whether it still counted, no file tells."""
    later = replace(stage.cluster, quorum=0)
    both = examine(data, Trust(clusters=(later, stage.cluster)))
    assert "Record 0 was made under an earlier configuration than the newest given" in "\n".join(both.sentences)
    assert [(gap.part, gap.records) for gap in both.meaning.noted] == [("the configuration", 3)]
    newest = examine(data, Trust(clusters=(stage.cluster, later)))
    assert "earlier" not in "\n".join(newest.sentences)
    assert newest.meaning.noted == ()
