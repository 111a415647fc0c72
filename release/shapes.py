"""The shape of every document that is signed, stored or exported, version by version, as text that can be compared.

- A shape says each field's name, type and default, through all the parts of a document: whatever changes which bytes a
  reader takes changes it.
- `tests/golden/SHAPES` lists the shapes that were released: they never change. What changes a document is a new version
  of it, with a reader of its own beside the old one.
"""

import hashlib
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import inspect

import aerodb
from aerodb.protocol.formats import Format, format_of, versions_of
from release import past

SHAPES = "SHAPES"
Named = tuple[str, int]
"""A kind of document, and its version."""


class ShapeChanged(Exception):
    """A document that was released has another shape."""


# What there is --------------------------------------------------------------------------------------------------------


def newest() -> dict[str, type]:
    """Return the type of the newest version of every kind of document, by kind, from all of the package."""
    for module in pkgutil.walk_packages(aerodb.__path__, "aerodb."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [(form, kind) for kind in _structs(msgspec.Struct) if (form := format_of(kind)) is not None]
    lower = {form.earlier for form, _ in found}
    return {form.kind: kind for form, kind in sorted(found, key=lambda each: each[0].kind) if kind not in lower}


def _structs(above: type) -> Iterator[type]:
    below: list[type] = above.__subclasses__()
    for kind in below:
        if kind.__module__.startswith("aerodb."):
            yield kind
        yield from _structs(kind)


def formats(kinds: dict[str, type] | None = None) -> dict[Named, type]:
    """Return the reader of every version of every kind; of `kinds` where they are given."""
    return {
        (name, version): reader
        for name, kind in (kinds or newest()).items()
        for version, reader in sorted(versions_of(kind).items())
    }


# Shapes ---------------------------------------------------------------------------------------------------------------


def shape(kind: type) -> str:
    """Return the shape of one document, a line a field; each part of it once, in the order in which it is met.

    Parts are numbered: what we call a type is in no byte of a document.
    """
    parts: dict[type, list[str]] = {}
    _describe(inspect.type_info(kind), parts)
    form = format_of(kind) or Format(kind="")
    lines = [line for number, fields in enumerate(parts.values()) for line in (f"part {number}", *fields)]
    return "\n".join([f"{form.kind} {form.version}, which names its version as {form.field}", *lines, ""])


_PLAIN = {
    inspect.StrType: "text",
    inspect.IntType: "integer",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
}


def _describe(part: inspect.Type, parts: dict[type, list[str]]) -> str:
    """Return how a type is called in a shape; what it is made of is added to `parts`."""
    match part:
        case inspect.StructType():
            return _struct(part, parts)
        case inspect.DictType():
            return f"{{{_describe(part.key_type, parts)}: {_describe(part.value_type, parts)}}}"
        case inspect.VarTupleType() | inspect.ListType():
            return f"[{_describe(part.item_type, parts)}]"
        case inspect.UnionType():
            return " | ".join(_describe(each, parts) for each in part.types)
        case inspect.LiteralType():
            return " | ".join(sorted(map(repr, part.values)))
        case inspect.EnumType():
            return " | ".join(sorted(repr(each.value) for each in part.cls))
        case inspect.CustomType():
            return part.cls.__name__
        case _:
            return _PLAIN[type(part)]


def _struct(part: inspect.StructType, parts: dict[type, list[str]]) -> str:
    if part.cls not in parts:
        fields = parts[part.cls] = []
        fields.append(f"  unknown fields: {'refused' if part.forbid_unknown_fields else 'let pass'}")
        for field in part.fields:
            said = "" if field.required else f" = {_default(field)}"
            fields.append(f"  {field.encode_name}: {_describe(field.type, parts)}{said}")
    return f"part {list(parts).index(part.cls)}"


def _default(field: inspect.Field) -> str:
    made = field.default_factory
    return repr(field.default if made is msgspec.NODEFAULT else made())


def digest(kind: type) -> str:
    """Return the SHA-256 of a document's shape."""
    return hashlib.sha256(shape(kind).encode()).hexdigest()


# What was released ----------------------------------------------------------------------------------------------------


def released(golden: Path = past.GOLDEN) -> dict[Named, str]:
    """Return the digests of the shapes that were released, by kind and version."""
    path = golden / SHAPES
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    found: dict[Named, str] = {}
    for line in lines:
        said, _, named = line.split("  ", 2)
        kind, _, version = named.rpartition(" ")
        found[kind, int(version)] = said
    return found


def kinds_of(version: str, golden: Path = past.GOLDEN) -> set[str]:
    """Return the kinds of document that a released version knew: each was first in it, or in a release before it."""
    order = past.versions(golden)
    said = [line.split("  ", 2)[1:] for line in (golden / SHAPES).read_text(encoding="ascii").splitlines()]
    return {named.rpartition(" ")[0] for first, named in said if order.index(first) <= order.index(version)}


def check_unchanged(now: dict[Named, type], golden: Path = past.GOLDEN) -> None:
    """Check that every released document has its reader, and the shape that it had.

    Raises:
        ShapeChanged: one has not.
    """
    wrong = [f"{name} {version}" for (name, version), said in released(golden).items()
             if (name, version) not in now or digest(now[name, version]) != said]  # fmt: skip
    if wrong:
        raise ShapeChanged(
            f"these documents were released, and are read otherwise now: {', '.join(wrong)}. Whatever changes them is "
            "a new version, with a type of its own beside the old one (docs/adr/0027)"
        )


def write_down(version: str, golden: Path = past.GOLDEN) -> None:
    """Add to the list the documents that `version` is the first release of.

    Raises:
        ShapeChanged: one that was released before is read otherwise now.
    """
    now, known = formats(), released(golden)
    check_unchanged(now, golden)
    with (golden / SHAPES).open("a", encoding="ascii") as file:
        for (name, number), kind in now.items():
            if (name, number) not in known:
                file.write(f"{digest(kind)}  {version}  {name} {number}\n")
