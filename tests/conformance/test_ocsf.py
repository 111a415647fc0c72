"""The log's records as OCSF events, held to OCSF's own schema (1.6.0, as the package ocsf-json-schema carries it)."""

import datetime as dt
import json
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded

from aerodb.audit.record import Record, RecordEvent
from aerodb.views.ocsf import ACTIVITIES, NOT_RECORDED, VERSION, epoch_milliseconds, event_of
from tests.unit.cli.stage import stage_in


@pytest.fixture(scope="module")
def validator() -> Any:
    """Return a validator of API Activity events."""
    published = json.loads((files("ocsf_json_schema") / "ocsf" / f"{VERSION}.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(OcsfJsonSchemaEmbedded(published).get_class_schema("api_activity"))


@pytest.mark.parametrize("event", get_args(RecordEvent))
@pytest.mark.parametrize("result", ["", "executed", "not executed", "unknown"])
def test_every_kind_of_record_is_a_valid_event(validator: Any, event: RecordEvent, result: str) -> None:
    """Full and bare records of every event and result satisfy the published schema; nothing of them is lost."""
    bare = Record(event=event, at="2030-01-02T03:04:05.678Z", clock="c", request="", operator="ada", result=result)
    full = Record(
        event=event, at="2030-01-02T03:04:05.678Z", clock="c", request="r", operator="ada", action="stop", target="n1",
        arguments={"for": "n2"}, reason="why", configuration="sha256:1", plan="sha256:2", snapshot="sha256:3",
        signature="s", touch=True, result=result, code="kernel.x", message="m", invariants=("one",),
    )  # fmt: skip
    validator.validate(event_of(7, bare, "aerodb.log/x"))
    made = event_of(7, full, "aerodb.log/x")
    validator.validate(made)
    assert made["type_uid"] == 600300 + made["activity_id"]
    assert made["src_endpoint"] == {"name": NOT_RECORDED}
    assert made["unmapped"]["plan"] == "sha256:2"
    assert (made["message"], made["api"]["request"]["uid"], made["metadata"]["sequence"]) == ("why", "r", 7)


def test_the_schema_refuses_what_is_not_an_event(validator: Any) -> None:
    """The validator is one: without a required part, or with one that OCSF does not know, an event is refused."""
    record = Record(event="requested", at="2030-01-02T03:04:05Z", clock="c", request="r", operator="ada")
    for part in ("time", "metadata", "actor", "api", "src_endpoint", "severity_id", "type_uid"):
        made = event_of(0, record, "aerodb.log/x")
        del made[part]
        assert not validator.is_valid(made), part
    assert not validator.is_valid({**event_of(0, record, "aerodb.log/x"), "colour": "red"})


def test_every_event_has_an_activity() -> None:
    """A new event must be given its activity."""
    assert set(ACTIVITIES) == set(get_args(RecordEvent))


@given(at=st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2400, 12, 31)))  # noqa: DTZ001 - made aware below.
def test_time_is_counted_as_the_standard_library_counts_it(at: dt.datetime) -> None:
    """For any time, the milliseconds are those of `datetime`."""
    aware = at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=dt.UTC)
    expected = (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    assert epoch_milliseconds(aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")) == expected


def test_the_export_writes_one_event_a_record_of_a_log_that_verifies(tmp_path: Path, validator: Any) -> None:
    """The command maps a whole, verified log; an export that was altered on its way is not mapped."""
    with stage_in(tmp_path) as stage:
        stage.run("stop", "n2", "--reason", "upgrade", typed="n2\n")
        file = tmp_path / "events.jsonl"
        assert stage.run("audit", "export", "--format", "ocsf", "--output", str(file)).code == 0
        events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for event in events:
            validator.validate(event)
        assert [event["api"]["operation"] for event in events] == [
            "requested stop",
            "confirmed stop",
            "outcome stop",
            "read",
        ]
        stage.alter["GET /v1/audit/export"] = lambda body: body.replace(b"upgrade", b"upgrape")
        assert stage.run("audit", "export", "--format", "ocsf").code == 6
