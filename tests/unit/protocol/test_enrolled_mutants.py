"""Each check of an enrolled authenticator is there for something: without it, something wrong is taken."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from aerodb.audit.trust import Trust
from aerodb.protocol.chain import changed
from aerodb.protocol.cluster import Cluster
from tests.unit.audit.test_audit_chain import AFTERWARDS, SECOND, THIRD, WITH_UI
from tests.unit.audit.test_audit_chain import KEY as ADAS
from tests.unit.kernel.test_versions import FENCING
from tests.unit.protocol.authenticator import (
    SoftAuthenticator,
    assertion_of,
    bare_assertion,
    endorsed,
    endorsement_of,
    enrolling,
)
from tests.unit.protocol.test_chain import linked
from tests.unit.protocol.test_enrolled import BENS, GONE, KEY, NEW, ONE, PLAN, THREE, TWO, UNMADE, confirms, person

PLACES = {
    "aerodb.protocol.chain": ("_enrolled_authenticator", "_refuse_unsound", "_revoked_authenticator"),
    "aerodb.protocol.webauthn": ("_by_enrolment", "_by_endorsement"),
    "aerodb.audit.trust": ("_still_counts",),
}
REDUNDANT = {
    "_by_endorsement: raise AssertionInvalid('it is by an enrolled authenticator, and version 1 of the configuration "
    "enrols none')": "version 1's own reader refuses the document too, in words that tell a person less",
}
"""What nothing can show, with the reason."""


class EnrolmentMutant(NamedTuple):
    """One mutant: the module, the function, what is dropped there, and the module's changed source."""

    module: str
    function: str
    dropped: str
    tree: ast.Module


def mutants() -> Iterator[EnrolmentMutant]:
    """Yield what is left where one refusal, one called check, or one of several conditions is dropped."""
    for name, functions in PLACES.items():
        source = Path(import_module(name).__file__ or "").read_text(encoding="utf-8")
        for at, node in enumerate(ast.walk(ast.parse(source))):
            if isinstance(node, ast.FunctionDef) and node.name in functions:
                yield from _of(name, source, at)


def _of(name: str, source: str, at: int) -> Iterator[EnrolmentMutant]:
    """Yield the mutants of the function at a place of the source."""
    choices = [_choices(node) for node in _parts(source, at)[1]]
    for within, count in enumerate(choices):
        for choice in range(count):
            tree, parts = _parts(source, at)
            node, function = parts[within], parts[0]
            assert isinstance(function, ast.FunctionDef)
            if isinstance(node, ast.BoolOp):
                dropped = ast.unparse(node.values[choice])
                node.values[choice] = ast.Constant(value=isinstance(node.op, ast.And))
            else:
                dropped = ast.unparse(node)
                _drop(function, node)
            yield EnrolmentMutant(name, function.name, dropped, ast.fix_missing_locations(tree))


def _parts(source: str, at: int) -> tuple[ast.Module, list[ast.AST]]:
    tree = ast.parse(source)
    return tree, list(ast.walk(list(ast.walk(tree))[at]))


def _choices(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values)
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return int(isinstance(node, ast.Raise) or called)


def _drop(function: ast.FunctionDef, gone: ast.AST) -> None:
    """Put `pass` in the place of a statement."""
    for node in ast.walk(function):
        for field in ("body", "orelse"):
            body = getattr(node, field, None)
            if isinstance(body, list) and gone in body:
                body[body.index(gone)] = ast.copy_location(ast.Pass(), gone)


def made(mutant: EnrolmentMutant) -> ModuleType:
    """Return the module with a mutant in it; the real one stays as it is."""
    real = import_module(mutant.module)
    module = ModuleType(f"{mutant.module}_mutant")
    module.__file__ = real.__file__
    sys.modules[module.__name__] = module  # msgspec looks its types' annotations up there.
    exec(compile(mutant.tree, f"{real.__file__}", "exec"), module.__dict__)  # noqa: S102 - our own source, changed.
    return module


# What must be refused, and what must not ------------------------------------------------------------------------------


def takes_a_change(module: ModuleType) -> bool:
    """Tell whether a chain's module makes a version that is none, or breaks down where it should say why."""
    for before, change, _ in UNMADE:
        try:
            module.changed(before, change)
        except module.ChangeRefused:
            continue
        except Exception:  # noqa: BLE001 - a mutant may break down where the check was.
            return True
        return True
    return False


ENDORSED = endorsed(endorsement_of(KEY))
STRANGE = SoftAuthenticator(identity=b"strange")
UNCONFIRMED: list[tuple[Cluster, str, str]] = [
    (THREE, "ana", confirms(BENS)),
    (THREE, "ana", confirms(NEW)),
    (GONE, "ana", confirms(KEY)),
    (TWO, "ana", assertion_of(KEY.confirms(PLAN), ENDORSED)),
    (ONE, "ana", confirms(KEY)),
    (ONE, "ana", assertion_of(KEY.confirms(PLAN), ENDORSED, credential="AAAA")),
    (ONE, "ana", assertion_of(STRANGE.confirms(PLAN), ENDORSED)),
]


def takes_a_confirmation(module: ModuleType) -> bool:
    """Tell whether a module of assertions believes one that is nobody's, or breaks down where it should say why."""
    for cluster, name, text in UNCONFIRMED:
        try:
            module.verify(text, PLAN, cluster, person(cluster, name))
        except module.AssertionInvalid:
            continue
        except Exception:  # noqa: BLE001 - a mutant may break down where the check was.
            return True
        return True
    return False


def misses_what_was_outlived(module: ModuleType) -> bool:
    """Tell whether a module of trust lets a confirmation stand that its node would not have acted by any more."""
    said = bare_assertion(ADAS.confirms(FENCING.plan.encode()))
    record = replace(AFTERWARDS, configuration=SECOND.digest, signature=said)
    for now in (THIRD, changed(WITH_UI, enrolling(ADAS, "bob")), changed(WITH_UI, enrolling(STRANGE, "ada"))):
        later = linked(now, version=9)
        trust = module.Trust(clusters=(WITH_UI,), derived=(SECOND, later), takes={"w": ((1, later.digest),)})
        try:
            if not list(trust.outlived(2, record)):
                return True
        except Exception:  # noqa: BLE001 - a mutant may break down where the check was.
            return True
    return False


WRONG = {
    "aerodb.protocol.chain": takes_a_change,
    "aerodb.protocol.webauthn": takes_a_confirmation,
    "aerodb.audit.trust": misses_what_was_outlived,
}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_real_is_never_wrong(name: str) -> None:
    """So that a mutant which is found out is found out for what it dropped."""
    assert not WRONG[name](import_module(name))
    assert Trust(clusters=(WITH_UI,)).newest == WITH_UI


def test_every_check_of_an_enrolled_authenticator_is_needed() -> None:
    """With any one refusal, called check or condition dropped, something is taken that must not be."""
    survivors = {f"{each.function}: {each.dropped}" for each in mutants() if not WRONG[each.module](made(each))}
    assert survivors == set(REDUNDANT)
