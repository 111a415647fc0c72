"""Every text that a plan holds, whatever field it is of: what a person must be able to read before they sign."""

from collections.abc import Iterator

import msgspec

from aerodb.protocol.plan import Plan

NAMED_OTHERWISE = frozenset({"kind", "format", "result", "accepted"})
"""Fields that are not shown as they are: the kind of document, and answers, which have words of their own."""


def texts_of(plan: Plan) -> list[str]:
    """Return every text in a plan, each on one line."""
    return [" ".join(each.split()) for each in _texts(msgspec.to_builtins(plan))]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in NAMED_OTHERWISE:
                yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    else:
        yield str(value)
