"""Formats: the versions of each kind of document that is signed, stored or exported, each read by its own reader.

- A document that names no version is of version 1: what was written before versions were named stays as it is, byte
  for byte. Every later version names its kind and its number, in fields of its own.
- The reader of a version is that version's type: strict, one form, and never changed once it is released. A field more,
  or a value more that a field may have, is a new version beside it.
- What is read is given in the words of the newest version; the bytes that were signed stay as they are.
- A later version than this build knows is said to be that. It is never called malformed, and nothing of it is believed.

Pure: no I/O, no clock.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from aerodb.past.rules_2.errors import AeroError

T = TypeVar("T")


class MadeLater(AeroError):
    """The document is of a later format than this build reads: whoever made it has a later version of AeroDB."""

    code = "input.made-later"
    status = 409
    title = "The document was made by a later version"


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """Of which kind and version a type is the reader.

    `field` is where a document names its version. `earlier` is the type of the version before, and `lifted` says in
    this version's words what a document of that one says.
    """

    kind: str
    version: int = 1
    field: str = "format"
    earlier: type | None = None
    lifted: Callable[[Any], Any] | None = None


def format_of(kind: object) -> Format | None:
    """Return the format that a type is the reader of; None for a part of a document, or what is only carried."""
    found = getattr(kind, "FORMAT", None)
    return found if isinstance(found, Format) else None


def versions_of(kind: type) -> dict[int, type]:
    """Return the readers of all the versions of a document, by version, given that of the newest."""
    found, form = dict[int, type](), format_of(kind)
    while form is not None:
        found[form.version] = kind
        kind = form.earlier or object
        form = format_of(kind)
    return found


def stated_version(data: bytes, form: Format) -> int:
    """Return the version that a document names; 1 where it names none, or is no document at all."""
    try:
        said = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get(form.field)
        version = 1 if said is None else msgspec.json.decode(said, type=int)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 1
    return max(1, version)


def read(data: bytes, kind: type[T], by: Callable[[bytes, Any], Any]) -> T:
    """Return the document in `data` as the newest version has it; `by` reads it as one version's type, strictly.

    Raises:
        MadeLater: it is of a later version than `kind`.
        Exception: what `by` raises.
    """
    form = format_of(kind)
    if form is not None and form.earlier and form.lifted and stated_version(data, form) < form.version:
        lifted: T = form.lifted(read(data, form.earlier, by))
        return lifted
    try:
        found: T = by(data, kind)
    except (AeroError, msgspec.DecodeError, UnicodeDecodeError) as error:
        if form is not None:
            _refuse_later(data, form, error)
        raise
    return found


def _refuse_later(data: bytes, form: Format, error: Exception) -> None:
    stated = stated_version(data, form)
    if stated > form.version:
        raise MadeLater(
            f"made by a later version: this {form.kind} is in format {stated}, and this build reads no later one than "
            f"{form.version}; verify with the version of AeroDB that made it, or a later one"
        ) from error
