"""The picture of the layers, drawn from the contract that import-linter enforces, so that it matches the folders."""

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, GAP, MARGIN = 880, 62, 12, 20
STYLE = """
  .box { fill: #eef3f8; stroke: #4a6785; stroke-width: 1.2; }
  .name { font: 600 15px ui-monospace, monospace; fill: #16283a; }
  .what { font: 11.5px system-ui, sans-serif; fill: #38506a; }
  .arrow { stroke: #4a6785; stroke-width: 1.5; fill: none; }
  @media (prefers-color-scheme: dark) {
    .box { fill: #1b2733; stroke: #8fb0d0; }
    .name { fill: #e8f0f8; }
    .what { fill: #b5c7d8; }
    .arrow { stroke: #8fb0d0; }
  }
"""


def layers() -> list[list[str]]:
    """Return the layers, the topmost first, each with its siblings."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    found = next(each for each in contracts if each["id"] == "layers")["layers"]
    return [[name.strip(" ()") for name in line.replace(":", "|").split("|")] for line in found]


def what(package: str) -> str:
    """Return the first clause of what a package, or the module, says of itself."""
    folder = ROOT / "src" / "aerodb" / package
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return said.splitlines()[0].rstrip(".")


def _wrapped(text: str, columns: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= columns and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:2]


def _box(name: str, left: float, top: float, width: float) -> str:
    lines = [f'<text class="what" x="{left + 12:g}" y="{top + 38 + 14 * at:g}">{escape(line)}</text>'
             for at, line in enumerate(_wrapped(what(name), int(width / 6.2)))]  # fmt: skip
    return (
        f'<rect class="box" x="{left:g}" y="{top:g}" width="{width:g}" height="{HEIGHT}" rx="6"/>'
        f'<text class="name" x="{left + 12:g}" y="{top + 22:g}">{escape(name)}</text>{"".join(lines)}'
    )


def layers_svg() -> str:
    """Return the picture."""
    rows = layers()
    height = len(rows) * (HEIGHT + 2 * GAP) + 2 * MARGIN - 2 * GAP
    parts = []
    for at, names in enumerate(rows):
        top = MARGIN + at * (HEIGHT + 2 * GAP)
        width = (WIDTH - 2 * MARGIN - GAP * (len(names) - 1)) / len(names)
        parts += [_box(name, MARGIN + index * (width + GAP), top, width) for index, name in enumerate(names)]
        if at:
            middle = WIDTH / 2
            parts.append(f'<path class="arrow" d="M{middle:g} {top - 2 * GAP + 3} v{2 * GAP - 7} m-5 -6 l5 6 l5 -6"/>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="The packages of AeroDB in layers; each imports only from those below it">\n<style>{STYLE}</style>\n'
        f"{body}\n</svg>\n"
    )


def pages() -> dict[str, str]:
    """Return the picture by its path in docs/."""
    return {"pictures/layers.svg": layers_svg()}
