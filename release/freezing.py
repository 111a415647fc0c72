"""Keep the rules as they are now, for good: part of every release, `python -m release.freezing RELEASE`.

- What the rules' entry (`aerodb.past.entry`) reaches is copied to `aerodb/past/rules_N`, every module of it, with its
  imports pointed into the copy: so a copy needs nothing of the living code, and nothing of that can change it.
- A version is frozen once. A copy that is there is never written again, and its digest is noted beside the tests.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "aerodb"
DIGESTS = ROOT / "tests" / "architecture" / "frozen.txt"
ENTRY = "aerodb.past.entry"
_IMPORTED = re.compile(r"^(\s*(?:from|import) )aerodb\b", re.MULTILINE)
_RULES = re.compile(r'^RULES = "(aerodb-rules/([1-9][0-9]*))"$', re.MULTILINE)
_MADE_BY = re.compile(r"^MADE_BY: dict\[str, str\] = \{.*?\}$", re.MULTILINE | re.DOTALL)


class NotFrozen(Exception):
    """The rules cannot be frozen as they are: the message says why."""


def _path(source: Path, module: str) -> Path | None:
    """Return the file of a module below `source`, or None where it is none."""
    inside = source.joinpath(*module.split(".")[1:])
    return next((each for each in (inside.with_suffix(".py"), inside / "__init__.py") if each.is_file()), None)


def _imports(text: str) -> Iterator[str]:
    """Yield the names of what a module imports from AeroDB, each of which may be a module or something in one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "aerodb":
            yield str(node.module)
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] == "aerodb")


def reached(source: Path) -> dict[str, Path]:
    """Return every module that the entry reaches, by name: the catalogue's actions too, which it finds by itself."""
    found: dict[str, Path] = {}
    waiting = [ENTRY, *(f"aerodb.actions.{path.stem}" for path in sorted((source / "actions").glob("[a-z]*.py")))]
    while waiting:
        module = waiting.pop()
        path = _path(source, module)
        if path is not None and module != "aerodb" and module not in found:
            found[module] = path
            waiting += [*_imports(path.read_text(encoding="utf-8")), module.rpartition(".")[0]]
    return {module: path for module, path in found.items() if module != "aerodb.past"}


def _copied(source: Path, rules: str, number: str) -> dict[str, str]:
    """Return the copy's files, by their paths in its folder."""
    own = f"aerodb.past.rules_{number}"
    files = {"__init__.py": f'"""The rules {rules}, as they were released: never changed."""\n'}
    for module, path in reached(source).items():
        place = "entry.py" if module == ENTRY else path.relative_to(source).as_posix()
        files[place] = _IMPORTED.sub(rf"\1{own}", path.read_text(encoding="utf-8"))
    return files


def digest_of(folder: Path) -> str:
    """Return the digest of a frozen copy: of every file in it, by its path and its bytes."""
    mark = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        name, data = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        mark.update(b"%d %s %d " % (len(name), name, len(data)) + data)
    return f"sha256:{mark.hexdigest()}"


def noted(digests: Path = DIGESTS) -> dict[str, str]:
    """Return the noted digests of the frozen copies, by the names of their folders."""
    lines = digests.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ") for line in lines if line and not line.startswith("#"))


def freeze(release: str, source: Path = SOURCE, digests: Path = DIGESTS) -> Path:
    """Freeze the rules in `source` as those of `release`, and return the copy's folder.

    Rules that are frozen already are left as they are: the tests hold that the living ones make the same plans.

    Raises:
        NotFrozen: their version cannot be told.
    """
    found = _RULES.search((source / "rules" / "invariants.py").read_text(encoding="utf-8"))
    if found is None:
        raise NotFrozen('rules/invariants.py does not say RULES = "aerodb-rules/N"')
    rules, number = found[1], found[2]
    folder = source / "past" / f"rules_{number}"
    if folder.exists():
        return folder
    for place, text in _copied(source, rules, number).items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _note(digests, f"{folder.name} {digest_of(folder)}")
    path = source / "past" / "releases.py"
    told(path, {**_known(path), rules: release})
    return folder


def _note(digests: Path, line: str) -> None:
    digests.write_text(digests.read_text(encoding="utf-8") + f"{line}\n", encoding="utf-8")


def _made_by(path: Path) -> str:
    """Return the statement by which the code knows of releases."""
    found = _MADE_BY.search(path.read_text(encoding="utf-8"))
    if found is None:
        raise NotFrozen(f"{path} does not say MADE_BY in its one form")
    return found[0]


def _known(path: Path) -> dict[str, str]:
    return dict(ast.literal_eval(_made_by(path).partition(" = ")[2]))


def told(path: Path, made_by: dict[str, str]) -> None:
    """Write which release has which rules into the file by which the code knows of it."""
    lines = "".join(f'    "{name}": "{by}",\n' for name, by in made_by.items())
    said = f"MADE_BY: dict[str, str] = {{{chr(10) if lines else ''}{lines}}}"
    path.write_text(path.read_text(encoding="utf-8").replace(_made_by(path), said), encoding="utf-8")


def main() -> None:
    """Freeze the rules as those of the release that is named."""
    sys.stdout.write(f"{freeze(sys.argv[1])}\n")


if __name__ == "__main__":
    main()
