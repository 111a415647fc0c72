"""Which errors a function can end with, read from the source: its own `raise` statements, and those of all it calls.

A call is followed where its receiver's class can be told: by an annotation, by what `__init__` assigns, or by an
import. A call that cannot be followed adds nothing, so what is listed is raised somewhere, and a list may miss what a
caller hands in. Errors that are caught on the way are listed too: this is what can go wrong, not only what is shown.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import FunctionType, ModuleType

import aerodb
from aerodb.errors import AeroError
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.postgres.instance import Postgres
from aerodb.rules.hands import Hands

IMPLEMENTED: dict[type, type] = {Hands: NodeHands}
"""What an interface really is, where the kernel runs."""

HANDED_IN: dict[object, object] = {NodeHands.look: Postgres.look}
"""What a function calls that its caller handed in, so that the source does not show it."""


@cache
def errors() -> tuple[type[AeroError], ...]:
    """Return every error of the project, by its code and then its name."""
    for found in walk_packages(aerodb.__path__, "aerodb."):
        if not found.name.endswith("__main__"):
            import_module(found.name)

    def below(kind: type[AeroError]) -> Iterator[type[AeroError]]:
        for each in kind.__subclasses__():
            if each.__module__.startswith("aerodb."):
                yield each
                yield from below(each)

    return tuple(sorted(set(below(AeroError)), key=lambda each: (each.code, each.__module__, each.__name__)))


@cache
def _tree(function: FunctionType) -> ast.AST:
    source = inspect.getsource(function)
    indent = len(source) - len(source.lstrip())
    return ast.parse("\n".join(line[indent:] for line in source.splitlines()))


def _annotated(text: object, module: ModuleType) -> object:
    """Return the class that an annotation names, an optional one included; None where it names no single class."""
    if isinstance(text, str):
        text = vars(module).get(text.replace(" | None", "").strip("\"'"))
    for part in getattr(text, "__args__", ()) or (text,):
        if isinstance(part, type) and part.__module__.startswith("aerodb."):
            return IMPLEMENTED.get(part, part)
    return None


@cache
def _attributes(kind: type) -> dict[str, object]:
    """Return the classes of a class's attributes: annotated fields, properties, and what `__init__` assigns."""
    module = inspect.getmodule(kind) or ModuleType("none")
    found = {name: _annotated(text, module) for name, text in getattr(kind, "__annotations__", {}).items()}
    for name, member in vars(kind).items():
        if isinstance(member, property) and isinstance(member.fget, FunctionType):
            found[name] = _annotated(member.fget.__annotations__.get("return"), module)
    start = vars(kind).get("__init__")
    if isinstance(start, FunctionType) and not is_dataclass(kind):  # A dataclass's has no source.
        scope = _scope(start, None)
        for node in ast.walk(_tree(start)):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    _assign(found, target, _value(node.value, scope))
    return found


def _assign(found: dict[str, object], target: ast.expr, value: object) -> None:
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        found[target.attr] = value


def _scope(function: FunctionType, owner: type | None) -> dict[str, object]:
    """Return what the names in a function stand for."""
    module = inspect.getmodule(function) or ModuleType("none")
    arguments = {name: _annotated(text, module) for name, text in function.__annotations__.items()}
    return {**function.__globals__, **arguments, **({"self": owner} if owner else {})}


def _value(node: ast.expr, scope: dict[str, object]) -> object:
    """Return what an expression is: a module, a function, a class (standing for its instances too), or None."""
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute):
        holder = _value(node.value, scope)
        if isinstance(holder, type):
            return _attributes(holder).get(node.attr) or getattr(holder, node.attr, None)
        return getattr(holder, node.attr, None) if isinstance(holder, ModuleType) else None
    if isinstance(node, ast.Call):
        called = _value(node.func, scope)
        if isinstance(called, FunctionType):
            return _annotated(called.__annotations__.get("return"), inspect.getmodule(called) or ModuleType("none"))
        return called if isinstance(called, type) else None
    return None


def _owner(function: FunctionType) -> type | None:
    name = function.__qualname__.rpartition(".")[0]
    found = vars(inspect.getmodule(function) or ModuleType("none")).get(name)
    return found if isinstance(found, type) else None


def _within(function: FunctionType) -> Iterator[object]:
    """Yield what a function calls or raises, and the properties that it reads."""
    scope = _scope(function, _owner(function))
    for node in ast.walk(_tree(function)):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            scope.setdefault(node.targets[0].id, _value(node.value, scope))
    for node in ast.walk(_tree(function)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield _value(node.exc.func, scope)
        elif isinstance(node, ast.Call):
            called = _value(node.func, scope)
            yield called.__init__ if isinstance(called, type) and not issubclass(called, Exception) else called
        elif isinstance(node, ast.Attribute):
            holder = _value(node.value, scope)
            member = inspect.getattr_static(holder, node.attr, None) if isinstance(holder, type) else None
            yield member.fget if isinstance(member, property) else None


def _has_source(function: FunctionType) -> bool:
    return function.__module__.startswith("aerodb.") and function.__code__.co_filename.endswith(".py")


def raised_by(*roots: Callable[..., object]) -> tuple[type[AeroError], ...]:
    """Return every error that a call of one of `roots` can raise, as far as the source shows it."""
    seen: set[object] = set()
    found: set[type[AeroError]] = set()
    waiting: list[object] = [inspect.unwrap(each) for each in roots]
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, AeroError):
            found.add(each)
        elif isinstance(each, FunctionType) and each not in seen and _has_source(each):
            seen.add(each)
            waiting += [*_within(each), HANDED_IN.get(each)]
    return tuple(each for each in errors() if each in found)
