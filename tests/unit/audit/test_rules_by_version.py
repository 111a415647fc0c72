"""A decision is replayed by the rules that made it; rules that a build does not hold accuse nobody.

The log is made by this build. Later builds, in which a word is mended, verify it as processes of their own.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aerodb.audit import checks
from aerodb.audit.evidence import Evidence, examine
from aerodb.audit.findings import PLAN, RULES_OF_PLAN
from aerodb.audit.meaning import judged
from aerodb.audit.store import Log
from aerodb.audit.trust import Trust
from aerodb.cli import verification
from aerodb.cli.failures import UNVERIFIED, exit_code
from aerodb.control.record import line_of
from aerodb.errors import EvidenceInvalid
from aerodb.past import held
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision
from aerodb.protocol.plan import plan_digest
from aerodb.rules.invariants import RULES
from aerodb.views.render import as_text, plan_lines
from tests.builds import Build, Mended, later, moved
from tests.unit.audit.forging import CONFIRMED, LATER, OUTCOME, REJECTED, REQUESTED, Forged, later_configuration

MENDED = Mended(
    "actions/stop.py", "PostgreSQL on {node} shuts down and stays", "PostgreSQL on {node} will shut down, and stays"
)
"""One mended word in a sentence of every plan in the log."""


@pytest.fixture(scope="module")
def made(honest: Forged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the log of this build, one request's evidence, and the configuration, in a folder."""
    folder = tmp_path_factory.mktemp("made")
    honest.folder(folder / "log")
    with Log(folder / "log", honest.cluster.origin, honest.log_key) as log:
        (folder / "evidence").write_bytes(honest.evidence(log, honest.records[REQUESTED].request))
    (folder / "cluster.json").write_bytes(canonical.encode(honest.cluster))
    return folder


def verified(build: Build, path: Path, *clusters: Path) -> tuple[int, dict[str, Any], str]:
    """Return what a build's `aerodb audit verify` says of a log or an evidence file: exit code, document, errors."""
    trusted = [word for each in clusters for word in ("--cluster", each)]
    ended = build.run("-m", "aerodb", "audit", "verify", path, *trusted, "--json")
    return ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a build of the next release: a word is mended, the version moved, the rules of now are frozen."""
    return Build(tmp_path_factory.mktemp("next")).frozen("0.1.0").mended(MENDED, moved(1))


@pytest.fixture(scope="module")
def far_release(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a build that no longer holds the rules of now, and knows which release does."""
    known = Mended("past/releases.py", "str] = {}", f'str] = {{"{RULES}": "0.1.0"}}')
    return Build(tmp_path_factory.mktemp("far")).mended(MENDED, moved(2), known)


@pytest.mark.parametrize("what", ["log", "evidence"])
def test_a_mended_word_accuses_no_earlier_decision(made: Path, next_release: Build, what: str) -> None:
    """With the version moved, every earlier plan is made again by its own rules, byte for byte, and all holds."""
    code, found, errors = verified(next_release, made / what, made / "cluster.json")
    assert code == 0, errors
    assert (found["failed"], found["unchecked"]) == ([], [])
    assert found["held"]["plans"] == (8 if what == "log" else 1)


def test_a_mended_word_without_a_moved_version_would_accuse(made: Path, tmp_path: Path) -> None:
    """The fault itself: the same word mended under the same version, and every plan to stop is another."""
    code, found, _ = verified(Build(tmp_path).mended(MENDED), made / "log", made / "cluster.json")
    assert code == 6
    assert {each["part"] for each in found["failed"]} == {PLAN}


def test_the_frozen_rules_make_the_plan_and_share_no_type(honest: Forged, next_release: Build, tmp_path: Path) -> None:
    """They are asked in texts, make the very text, and load no module of the living rules beyond their names."""
    plan, snapshot = honest.plan(), honest.snapshot()
    for name, document in {"cluster": honest.cluster, "request": plan.request, "snapshot": snapshot}.items():
        (tmp_path / name).write_bytes(canonical.encode(document))
    said = next_release.says(
        "import sys; from pathlib import Path; from aerodb.past import held\n"
        "print(held.held(), any('.rules_' in each for each in sys.modules))\n"
        f"texts = [(Path({str(tmp_path)!r}) / each).read_text() for each in ('cluster', 'request', 'snapshot')]\n"
        f"print(held.explained({RULES!r}, *texts))\n"
        "print(sorted(each for each in sys.modules if each.startswith(('aerodb.rules.', 'aerodb.actions'))))"
    ).splitlines()
    assert said[0] == f"{(later(1), RULES)} False"
    assert said[1] == honest.blobs[honest.records[REQUESTED].plan].decode()
    assert said[2] == "['aerodb.rules.invariants']"


def test_the_frozen_rules_do_not_believe_a_forged_plan(honest: Forged, next_release: Build, tmp_path: Path) -> None:
    """A plan that names earlier rules, and that they do not make, fails: dispatch by version is no way round."""
    lie = honest.copy()
    edited = replace(lie.plan(), effects=("nothing happens",)).sealed()
    lie.change(REQUESTED, plan=lie.store(canonical.encode(edited)))
    lie.folder(tmp_path / "log")
    (tmp_path / "cluster.json").write_bytes(canonical.encode(lie.cluster))
    code, found, _ = verified(next_release, tmp_path / "log", tmp_path / "cluster.json")
    assert code == 6
    assert (PLAN, REQUESTED) in {(each["part"], each["record"]) for each in found["failed"]}


@pytest.mark.parametrize("what", ["log", "evidence"])
def test_rules_that_are_not_held_accuse_nobody(made: Path, far_release: Build, what: str) -> None:
    """Which rules, and with which release to verify: unchecked, and nothing fails. Everything else was verified."""
    code, found, errors = verified(far_release, made / what, made / "cluster.json")
    assert (code, errors) == (6, "")
    assert found["failed"] == []
    assert [(each["part"], each["why"]) for each in found["unchecked"]] == [
        (RULES_OF_PLAN, f"made by {RULES}, which this build does not hold (it has {later(2)}): "
                        "verify with AeroDB 0.1.0"),
    ]  # fmt: skip
    assert found["held"]["confirmations"] >= 1
    shown = far_release.run("-m", "aerodb", "audit", "verify", made / what, "--cluster", made / "cluster.json").stdout
    assert shown.startswith("VERIFIED IN PART: ")
    assert "DIFFERENT" not in shown
    assert "FAILED" not in shown


NEWER = later(6)

# Newer than this build ------------------------------------------------------------------------------------------------


def _newer(honest: Forged, **fields: object) -> Forged:
    """Return the log with its first plan made by rules that are to come, which may have other fields."""
    log = honest.copy()
    plan = json.loads(log.blobs[log.records[REQUESTED].plan])
    bare = {**plan, **fields, "rules": NEWER, "digest": ""}
    text = canonical.encode({**bare, "digest": canonical.digest(canonical.encode(bare))}).decode()
    digest = log.store(text.encode())
    log.change(REQUESTED, plan=digest)
    log.change(CONFIRMED, plan=digest, signature=log.signature(text))
    log.change(OUTCOME, plan=digest, outcome=log.outcome(plan=digest))
    return log


@pytest.mark.parametrize("fields", [{}, {"mood": "a field of then"}], ids=["of this form", "of another form"])
def test_newer_rules_are_unchecked_whatever_their_plans_hold(honest: Forged, fields: dict[str, str]) -> None:
    """A plan by newer rules, of a form that is not known here even, is unchecked, and nothing else is."""
    log = _newer(honest, **fields)
    found = [each for each in judged(log.trust, log.entries()[:LATER], log.blobs.get) if each.sequence == REQUESTED]
    other = [each for each in found if each.state not in ("holds", "noted")]
    assert [(each.part, each.state) for each in other] == [(RULES_OF_PLAN, "unchecked")]
    assert "a later release of AeroDB" in other[0].said


def test_a_replay_by_newer_rules_says_so_with_its_own_code(honest: Forged) -> None:
    """Whoever replays one decision is told which rules it takes, by a stable code, and of no difference."""
    log = _newer(honest)
    plan, snapshot = (log.blobs[getattr(log.records[REQUESTED], name)].decode() for name in ("plan", "snapshot"))
    with pytest.raises(held.RulesOther, match=rf"made by {NEWER}, .* a later release") as caught:
        checks.replayed(log.cluster, log.records[REQUESTED].request, plan, snapshot)
    assert caught.value.code == "control.rules-other"


def test_the_command_line_accuses_nobody_either(honest: Forged) -> None:
    """`aerodb audit replay`, and the check before a signature, end with that code, and not as a failed verification."""
    log = _newer(honest)
    record = log.records[REQUESTED]
    text, snapshot = (log.blobs[each].decode() for each in (record.plan, record.snapshot))
    line = line_of([record], awaits=False)
    decision = Decision(line=line, plan=text, snapshot=snapshot, records=(), proofs=())
    for ask in (
        lambda: verification.replay(log.cluster, decision),
        lambda: verification.check_recomputed(log.cluster, log.plan(), text, snapshot),
    ):
        with pytest.raises(held.RulesOther) as caught:
            ask()
        assert exit_code(caught.value) != UNVERIFIED


def test_an_invariant_of_other_rules_is_shown_by_its_identifier(honest: Forged) -> None:
    """A plan is laid out for people though it was rejected by an invariant that these rules do not know."""
    plan = honest.plan(REJECTED)
    retired = tuple(replace(each, invariant=f"once-{each.invariant}") for each in plan.verdicts)
    text = honest.blobs[honest.records[REJECTED].plan].decode()
    shown = as_text(plan_lines(replace(plan, verdicts=retired), text))
    assert "REJECTED: once-" in shown


def test_naming_other_rules_hides_no_tampering(honest: Forged) -> None:
    """What can be seen without the rules is still seen: another request, another answer, a broken seal."""
    log = _newer(honest, accepted=False)
    found = list(judged(log.trust, log.entries()[:LATER], log.blobs.get))
    assert (PLAN, "fails") in {(each.part, each.state) for each in found}
    text = log.blobs[log.records[REQUESTED].plan].replace(b'"accepted":false', b'"accepted":true ')
    assert checks.rules_of(text.decode()) == NEWER
    with pytest.raises(held.RulesOther):
        checks.read_plan(text.decode())  # No canonical form: nobody here can read it, and so nobody accuses it.
    log = honest.copy()
    log.change(REQUESTED, plan=log.store(text.replace(NEWER.encode(), b"aerodb-rules/x")))
    found = list(judged(log.trust, log.entries()[:LATER], log.blobs.get))
    assert (PLAN, "fails") in {(each.part, each.state) for each in found}


def test_evidence_names_the_rules_of_its_plan(honest: Forged, made: Path) -> None:
    """A file that names other rules than its plan does is refused, and the part is named."""
    evidence = canonical.decode((made / "evidence").read_bytes(), Evidence)
    with pytest.raises(EvidenceInvalid, match=f"its plan names '{RULES}'") as caught:
        examine(canonical.encode(replace(evidence, rules=NEWER)), honest.trust)
    assert caught.value.field == RULES_OF_PLAN


# Configurations -------------------------------------------------------------------------------------------------------


def test_one_added_observer_fails_no_earlier_evidence(honest: Forged, made: Path) -> None:
    """Evidence verifies under any of the trusted configurations: the file's own is one of them, and is named."""
    data = (made / "evidence").read_bytes()
    later = later_configuration(honest.cluster)
    assert examine(data, Trust(clusters=(later, honest.cluster))).meaning.whole
    with pytest.raises(EvidenceInvalid, match="the file was made under"):
        examine(data, Trust(clusters=(later,)))


def test_plans_differ_by_their_rules_alone(honest: Forged) -> None:
    """The plan that newer rules made is another plan: what was signed is bound to the rules that were shown."""
    log = _newer(honest)
    texts = [each.blobs[each.records[REQUESTED].plan].decode() for each in (honest, log)]
    assert plan_digest(texts[0]) != plan_digest(texts[1])
