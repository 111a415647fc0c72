"""The judge of the log's meaning with one check dropped: made from its own source, so that no check can be forgotten.

A mutant is one of these, and everything else stays the real code:
- a refusal (`raise`, or a failed finding that is yielded) that never comes;
- a call of another check that is left out;
- one value that is left out where several are compared;
- one condition of several (`or`) that is left out.
"""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

CHECKS, TURNS, MEANING = JUDGE = "aerodb.audit.checks", "aerodb.audit.turns", "aerodb.audit.meaning"
"""The modules of the judge, each before those that rest on it."""
REFUSALS = ("failed", "refused", "check_recorded")


class Mutant(NamedTuple):
    """One mutant: the module, the line, what is dropped there, and the module's changed source."""

    module: str
    line: int
    dropped: str
    tree: ast.Module


def mutants() -> Iterator[Mutant]:
    """Yield every mutant of the judge."""
    for name in JUDGE:
        yield from mutants_of(name)


def mutants_of(name: str) -> Iterator[Mutant]:
    """Yield every mutant of one module."""
    source = _source(name)
    for at, choice in _mutable(ast.parse(source)):
        yield _at(name, source, at, choice)


def made_of(mutant: Mutant) -> ModuleType:
    """Return a module with a mutant in it; the real one stays as it is."""
    return _made(mutant.module, mutant.tree)


def _mutable(tree: ast.Module) -> list[tuple[int, int]]:
    """Return the places, in `ast.walk`'s order, of the nodes that can be mutated, once for each way."""
    whole = list(ast.walk(tree))
    guards = {id(part) for node in whole if isinstance(node, ast.If) for part in ast.walk(node.test)}
    return [
        (at, choice)
        for at, node in enumerate(whole)
        if not isinstance(node, ast.BoolOp) or id(node) in guards
        for choice in range(_choices(node))
    ]  # An `or` elsewhere words a sentence, or gives a default.


def _source(name: str) -> str:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def _at(name: str, source: str, at: int, choice: int) -> Mutant:
    """Return one mutant of one node of the source, with a tree of its own."""
    tree = ast.parse(source)
    node = next(islice(ast.walk(tree), at, None))
    line = getattr(node, "lineno", 0)
    dropped = ast.unparse(node).split("\n")[0]
    if isinstance(node, ast.Compare):
        left, right = node.left, node.comparators[0]
        assert isinstance(left, ast.Tuple)
        assert isinstance(right, ast.Tuple)
        dropped = ast.unparse(left.elts.pop(choice))
        right.elts.pop(choice)
    elif isinstance(node, ast.BoolOp):
        dropped = ast.unparse(node.values[choice])
        node.values[choice] = ast.Constant(value=False)
    else:
        tree = _Passing(line).visit(tree)
    return Mutant(name, line, dropped, ast.fix_missing_locations(tree))


def _choices(node: ast.AST) -> int:
    """Return in how many ways a node can be mutated."""
    if isinstance(node, ast.Raise):
        return 1
    if isinstance(node, ast.Expr):
        inner = node.value.value if isinstance(node.value, ast.Yield) else node.value
        called = inner.func if isinstance(inner, ast.Call) else None
        return int(isinstance(called, ast.Name) and called.id in REFUSALS)
    if (
        isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Tuple)
        and isinstance(node.comparators[0], ast.Tuple)
    ):
        return len(node.left.elts)
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        return len(node.values)
    return 0


class _Passing(ast.NodeTransformer):
    """Puts `pass` in the place of the statement at a line."""

    def __init__(self, line: int) -> None:
        self._line = line

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        """Drop the refusal."""
        return ast.copy_location(ast.Pass(), node) if node.lineno == self._line else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """Drop the call, or the finding."""
        return ast.copy_location(ast.Pass(), node) if node.lineno == self._line else node


def judge_of(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the judge's module with a mutant in it, and what rests on that anew; the real modules stay as they are."""
    made = _made(mutant.module, mutant.tree)
    with monkeypatch.context() as patch:
        for name, after in pairwise(JUDGE[JUDGE.index(mutant.module) :]):
            patch.setitem(sys.modules, name, made)
            made = _made(after, ast.parse(_source(after)))
    return made


def _made(name: str, tree: ast.Module) -> ModuleType:
    real = import_module(name)
    module = ModuleType(f"{name}_mutant")
    module.__file__ = real.__file__
    sys.modules[module.__name__] = module  # msgspec looks its types' annotations up there.
    exec(compile(tree, f"{real.__file__}", "exec"), module.__dict__)  # noqa: S102 - our own source, changed.
    return module
