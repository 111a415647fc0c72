"""The form of an action's request: each argument is asked for as its kind says."""

import re
from typing import Any

import pytest

from aerodb.rules.arguments import KINDS, KindName
from aerodb.web.pages.requests import form_values
from aerodb.web.rendering import template_block
from tests.unit.rules.scenes import action_with, cluster_of


class _Page:
    """What the page around the form gives it."""

    @staticmethod
    def token(value: str) -> str:
        """Return the hidden field of the session's token, which is not looked at here."""
        return value


def inputs(kind: KindName) -> list[str]:
    """Return the inputs by which an argument of that kind is asked for."""
    values: dict[str, Any] = {
        **form_values(cluster_of(witness=True), action_with(kind), "id"),
        "token": "",
        "ui": _Page,
    }
    return re.findall(r'<input [^>]*name="argument.how"[^>]*>', template_block("request_form.html", "main", values))


@pytest.mark.parametrize(("kind", "offered"), [("node", ["n1", "n2"]), ("choice", ["fast", "smart"])])
def test_what_can_be_listed_is_chosen(kind: KindName, offered: list[str]) -> None:
    """Nothing is typed that could be chosen, a witness is not offered, and nothing is chosen beforehand."""
    found = inputs(kind)
    assert [re.search(r'value="([^"]*)"', each)[1] for each in found] == offered  # type: ignore[index]
    assert all('type="radio"' in each and "checked" not in each for each in found)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"node", "choice", "earlier"}))
def test_all_else_is_typed_in_its_form(kind: KindName) -> None:
    """The browser refuses what cannot be of the form, by the table's own pattern."""
    (found,) = inputs(kind)
    assert 'type="text"' in found
    assert f'maxlength="{KINDS[kind].characters_max}"' in found
    assert " required " in found
    assert f'pattern="{KINDS[kind].pattern}"' in found.replace("&#39;", "'")
