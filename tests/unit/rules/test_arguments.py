"""Arguments: each kind has one form, any other is refused by field, and everything derives from one table."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.cli.act import argument_option
from aerodb.errors import AeroError
from aerodb.rules.arguments import (
    COUNT_MAX,
    KINDS,
    Argument,
    Given,
    KindName,
    check_argument,
    read_count,
    read_name,
    read_size,
    read_time,
    written_size,
)
from aerodb.rules.explain import check_request
from aerodb.views.matrix import requests_of
from docs.generator.actions import arguments as arguments_page
from tests.unit.rules.scenes import CLUSTER, REQUEST, action_with, argument_of, cluster_of, request_for

MALFORMED: dict[KindName, tuple[str, ...]] = {
    "node": ("", "N1", "n1 ", "n9", "n1\n", "w"),
    "log": ("", "7", "7:", "07:" + "A" * 43 + "=", "7:" + "A" * 43),
    "step": ("", "{}", "{ }", "zoe", '{"version":2}'),
    "size": ("", "1", "01MB", "1024kB", "1mb", "1 MB", "0MB", "-1MB", "1.5GB", "1MB\n", "\u0661MB", "9" * 16 + "TB"),
    "name": ("", " a", "a ", "a\n", "a\x00", "a\u202eb", "e\u0301", "x" * 64, "\u00e9" * 32, "\ud800"),
    "choice": ("", "Fast", "fast ", "slow", "fast|smart"),
    "time": ("", "2030-01-31", "2030-02-29T00:00:00Z", "2030-01-31T24:00:00Z", "2030-01-31T12:30:00+00:00",
             "2030-01-31t12:30:00z", "2030-01-31T12:30:60Z", "0000-01-01T00:00:00Z", "2030-13-01T00:00:00Z"),
    "earlier": (
        "", "demote:n1", f"demote:n1:{REQUEST.upper().replace('1', 'A')}", f"demote:n9:{REQUEST}",
        f"demote:n2:{REQUEST}", f"demote:w:{REQUEST}", f"fence:n1:{REQUEST}", f"demote:n1:{REQUEST}\n",
        f" demote:n1:{REQUEST}", f"demote::{REQUEST}", f"Demote:n1:{REQUEST}", f"demote:n1:{REQUEST}:x",
    ),
    "later": (
        "", REQUEST, f"{REQUEST}:", f"{REQUEST}:{'0' * 64}", f"{REQUEST}:sha256:{'0' * 63}",
        f"{REQUEST}:sha256:{'A' * 64}", f"{REQUEST}:sha256:{'0' * 64}\n", f"demote:n1:{REQUEST}",
    ),
    "count": ("", "01", "+1", "-1", "1.0", "1e3", "\u0661", " 1", "1\n", "9" * 17),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_kind_is_taken_and_everything_malformed_is_refused_by_field(kind: KindName) -> None:
    """A request is refused with a code of the input's domain and the argument's own field, by every kind."""
    action, cluster = action_with(kind), cluster_of(witness=kind in {"node", "earlier"})
    target = "n2" if kind == "earlier" else "n1"
    check_request(cluster, action, request_for(action, target, {"how": KINDS[kind].example}))
    for text in MALFORMED[kind]:
        with pytest.raises(AeroError) as caught:
            check_request(cluster, action, request_for(action, target, {"how": text}))
        assert (caught.value.code.partition(".")[0], caught.value.field) == ("input", "arguments.how"), text


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_well_formed_matches_what_browsers_and_schemas_are_told(kind: KindName) -> None:
    """The form's pattern and length never keep a person from a value that the rules take."""
    argument = argument_of(kind)
    values = {KINDS[kind].example, *(argument.values(CLUSTER) or ())}
    for text in values:
        check_argument(Given(argument=argument, text=text, action="x", target="n2", cluster=CLUSTER))
        assert re.fullmatch(argument.pattern, text)
        assert len(text) <= argument.characters_max


@given(st.integers(0, COUNT_MAX))
def test_a_size_and_a_count_have_one_text(value: int) -> None:
    """Every value has one text, which is read as that value; a size in a smaller unit is refused."""
    assert read_count(str(value)) == value
    assert read_size(written_size(value)) == value
    if value and value % 1024 == 0:
        with pytest.raises(AeroError, match="largest unit"):
            read_size(f"{value}B")


@given(st.text(max_size=70))
def test_no_text_is_taken_that_is_not_its_own_one_form(text: str) -> None:
    """Whatever any kind takes is as it was typed: nothing is trimmed, folded or normalised on the way."""
    readers: tuple[tuple[Callable[[str], Any], Callable[[Any], str]], ...] = (
        (read_count, str), (read_size, written_size), (read_name, str), (read_time, str),
    )  # fmt: skip
    for read, form in readers:
        try:
            value = read(text)
        except AeroError:
            continue
        assert form(value) == text


def test_bounds_are_kept() -> None:
    """A count or a size beyond its argument's bounds is refused, and the bounds are said in its own form."""
    cases: tuple[tuple[KindName, str, str], ...] = (("count", "1", "9"), ("size", "1B", "9B"))
    for kind, low, high in cases:
        argument = replace(argument_of(kind), least=2, most=8)
        for text in (low, high):
            with pytest.raises(AeroError, match=r"from 2B? to 8B?"):
                check_argument(Given(argument=argument, text=text, action="x", target="n1", cluster=CLUSTER))


def test_choices_belong_to_a_choice_and_are_plain_words() -> None:
    """An action cannot be written whose choices nobody could type, or that has none to choose from."""
    for wrong in ({"kind": "choice"}, {"kind": "count", "choices": ("a",)}, {"kind": "choice", "choices": ("A b",)}):
        with pytest.raises(ValueError, match="--how"):
            Argument(name="how", option="--how", help="how", word="by", **wrong)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("choice", {"fast", "smart"}), ("node", {"n1", "n2", "n3"}), ("count", set()), ("log", set()), ("name", set())],
)
def test_the_matrix_lists_what_can_be_listed(kind: KindName, expected: set[str]) -> None:
    """An action with a choice has a cell for each choice; one with a count has none, and is never taken for a node."""
    asked = list(requests_of(CLUSTER, action_with(kind), REQUEST, "ada"))
    assert {request.arguments["how"] for request in asked} == expected
    assert len(asked) == len(expected) * len(CLUSTER.members)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_option_and_its_place_on_the_page(kind: KindName) -> None:
    """The command line and the documentation know each kind by the table alone."""
    assert argument_option(argument_of(kind)).metavar == argument_of(kind).typed
    assert f"\n## {kind}\n" in arguments_page()
