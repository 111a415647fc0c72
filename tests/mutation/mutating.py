"""Mutations of a module's functions: each is one function with one fault in it, made from its own source.

- Every place is mutated, so that no check can be forgotten: a refusal, a call or a change of state that never comes, a
  condition that is always or never so, one of several conditions or of several compared values left out, a comparison
  moved by its boundary, a number by one, an error that is let through, a lock that nobody takes.
- A mutation is put in the function's place by its code alone: whoever has imported the function calls the mutation.
"""

import ast
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from inspect import getsource
from textwrap import shorten
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

MOVED: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(), ast.LtE: ast.Lt(), ast.Gt: ast.GtE(), ast.GtE: ast.Gt(),
}  # fmt: skip
SWAPPED = {"any": "all", "all": "any", "min": "max", "max": "min"}
Variant = tuple[str, ast.AST, ast.AST]
"""What is wrong in it, the part of the tree that is replaced, and by what."""


class Mutation(NamedTuple):
    """One function with one fault: its module and name, the line, what is wrong, and its code."""

    module: str
    function: str
    line: int
    fault: str
    code: CodeType

    @property
    def name(self) -> str:
        """Return how it is named, whatever lines it stands on."""
        return f"{self.module.removeprefix('aerodb.')}.{self.function}: {self.fault}"

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have everybody call it in the place of the function."""
        function = functions(import_module(self.module))[self.function]
        genuine = function.__code__
        function.__code__ = self.code
        try:
            yield
        finally:
            function.__code__ = genuine


def mutations(name: str) -> Iterator[Mutation]:
    """Yield every mutation of a module's functions and methods."""
    module = import_module(name)
    known = functions(module)
    for function, definition in _definitions(ast.parse(getsource(module))):
        assert function in known, f"{name}.{function} is not where it could be replaced"
        for fault, node, instead in _variants(definition):
            mutant = copy.deepcopy(definition, {id(node): ast.copy_location(instead, node)})
            mutant.decorator_list = []
            yield Mutation(name, function, getattr(node, "lineno", 0), fault, _code(mutant, function, module))


def functions(module: ModuleType) -> dict[str, FunctionType]:
    """Return the functions and methods that a module defines, by their qualified names."""
    found: dict[str, FunctionType] = {}
    for each in vars(module).values():
        if isinstance(each, type) and each.__module__ == module.__name__:
            found |= {method.__qualname__: method for method in map(_function, vars(each).values()) if method}
        elif isinstance(each, FunctionType) and each.__module__ == module.__name__:
            found[each.__qualname__] = each
    return found


def _function(attribute: object) -> FunctionType | None:
    """Return the function behind a class's attribute, where there is one."""
    if isinstance(attribute, property):
        attribute = attribute.fget
    elif isinstance(attribute, cached_property):
        attribute = attribute.func
    elif isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    return attribute if isinstance(attribute, FunctionType) else None


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{each.name}", each) for each in node.body if isinstance(each, ast.FunctionDef))


def _code(definition: ast.FunctionDef, function: str, module: ModuleType) -> CodeType:
    """Return the code of a function of a module, which may be a method, as `definition` has it."""
    owner, _, method = function.rpartition(".")
    house: ast.stmt = definition
    if owner:
        house = ast.ClassDef(name=owner, bases=[], keywords=[], body=[definition], decorator_list=[])
    whole = ast.fix_missing_locations(ast.Module(body=[house], type_ignores=[]))
    code = compile(whole, module.__file__ or "", "exec")
    for name in filter(None, (owner, method)):
        code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)
    return code


# What can be wrong ----------------------------------------------------------------------------------------------------


def _variants(definition: ast.FunctionDef) -> Iterator[Variant]:
    """Yield what can be wrong in a function's body."""
    parts = [part for statement in definition.body for part in _parts(statement)]
    alone = {id(part.body[0]) for part in parts if isinstance(part, ast.If) and len(part.body) == 1}
    guards = {id(guard): guard for part in parts for guard in _guards(part)}
    decided = {*guards, *(id(value) for part in parts if isinstance(part, ast.BoolOp) for value in part.values)}
    for part in parts:
        if not (isinstance(part, ast.Raise) and id(part) in alone):  # That its condition is never so is the same.
            yield from _left_out(part)
        yield from _moved(part)
        if id(part) in guards or (isinstance(part, ast.Compare) and id(part) not in decided):
            for always in (True, False):
                yield f"{ast.unparse(part)} is {always}", part, ast.Constant(value=always)


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is in it, but for what only words a sentence."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.JoinedStr):
            yield from _parts(child)


def _guards(node: ast.AST) -> list[ast.expr]:
    """Return the conditions on which it depends what a node does."""
    if isinstance(node, ast.If | ast.IfExp):
        return [node.test]
    return list(node.ifs) if isinstance(node, ast.comprehension) else []


def _left_out(node: ast.AST) -> Iterator[Variant]:
    """Yield a node without what it is there for."""
    if _acts(node):
        yield f"no {_said(node)}", node, ast.Pass()
    elif isinstance(node, ast.With):
        yield f"no {_said(node)}", node, ast.If(test=ast.Constant(value=True), body=node.body, orelse=[])
    elif isinstance(node, ast.ExceptHandler) and node.type is not None:
        yield f"no {_said(node)}", node.type, ast.Tuple(elts=[], ctx=ast.Load())
    elif isinstance(node, ast.BoolOp):
        for at, value in enumerate(node.values):
            rest = [*node.values[:at], *node.values[at + 1 :]]
            left = rest[0] if len(rest) == 1 else ast.BoolOp(op=node.op, values=rest)
            yield f"no {ast.unparse(value)} in {_said(node)}", node, left
    elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Tuple):
        right = node.comparators[0]
        for at, value in enumerate(node.left.elts if isinstance(right, ast.Tuple) else ()):
            assert isinstance(right, ast.Tuple)
            pair = [
                ast.Tuple(elts=[*side.elts[:at], *side.elts[at + 1 :]], ctx=ast.Load()) for side in (node.left, right)
            ]
            fewer = ast.Compare(left=pair[0], ops=node.ops, comparators=[pair[1]])
            yield f"no {ast.unparse(value)} in {_said(node)}", node, fewer


def _acts(node: ast.AST) -> bool:
    """Tell whether a statement refuses, calls, goes on elsewhere, or changes what outlives the call."""
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(each, ast.Attribute | ast.Subscript) for target in targets for each in ast.walk(target))
    return isinstance(node, ast.Raise | ast.Continue) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom)
    )


def _moved(node: ast.AST) -> Iterator[Variant]:
    """Yield a node with a boundary moved, or the opposite asked."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in MOVED:
        moved = ast.Compare(left=node.left, ops=[MOVED[type(node.ops[0])]], comparators=node.comparators)
        yield f"{ast.unparse(moved)} for {ast.unparse(node)}", node, moved
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"{node.value + 1} for {node.value}", node, ast.Constant(value=node.value + 1)
    elif isinstance(node, ast.Name) and node.id in SWAPPED:
        yield f"{SWAPPED[node.id]} for {node.id}", node, ast.Name(id=SWAPPED[node.id], ctx=node.ctx)


def _said(node: ast.AST) -> str:
    return shorten(ast.unparse(node).split("\n")[0], 100, placeholder="...")
