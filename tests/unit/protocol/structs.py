"""Which structs a kind of value can hold."""

from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import msgspec


def structs(kind: Any, found: set[type[msgspec.Struct]]) -> set[type[msgspec.Struct]]:
    """Return every struct that a value of `kind` can hold, with those that were `found` before."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in found:
        found.add(kind)
        for inside in get_type_hints(kind).values():
            if get_origin(inside) is not ClassVar:
                structs(inside, found)
    for inside in get_args(kind):
        structs(inside, found)
    return found
