"""A source tree flows in, every import that breaks the house's order flows out as a sentence."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Lowest first, as in docs/architecture.md. Rooms of one line do not know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("traces.bundle",),
    ("traces.reducer", "traces.recorder", "traces.push"),
    ("traces.models", "traces.store"),
    ("traces.sharing",),
    ("traces.live",),
    ("traces.ingest",),
    ("traces.watch", "traces.uploads", "traces.demo"),
    ("traces.pages", "traces.templatetags", "traces.management", "traces.apps"),
    ("tracesite",),
)
PURE = ("traces.bundle", "traces.reducer", "traces.recorder", "traces.push")
PURE_PACKAGES = {"msgspec", "backports"}
# Migrations are written by Django out of the models and know only them.
SAME_ROOM = {"traces.migrations": "traces.models"}
# Stand outside the order: the empty package, and tests, which may look into every room.
OUTSIDE = ("traces.tests",)


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    target: str
    inside: str  # the function around it, or ""

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: imports {self.target}"


def find_modules(root: Path, packages: tuple[str, ...] = ("traces", "tracesite")) -> dict[str, Path]:
    """Every module below these packages, by its dotted name."""
    paths = (path for package in packages for path in sorted((root / package).rglob("*.py")))
    return {dotted(path.relative_to(root)): path for path in paths}


def dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_imports(modules: dict[str, Path]) -> list[Import]:
    return [found for name, path in modules.items() for found in imports_of(name, path, modules)]


def imports_of(name: str, path: Path, modules: dict[str, Path]) -> Iterator[Import]:
    """The imports of one module; `from room import file` counts as an import of room.file."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node, inside in walk(ast.parse(path.read_text(encoding="utf-8")), ""):
        for target in targets(node, package, modules):
            yield Import(name, node.lineno, target, inside)


def walk(tree: ast.AST, inside: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, inside
        yield from walk(node, node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else inside)


def targets(node: ast.Import | ast.ImportFrom, package: str, modules: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = absolute(node, package)
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in modules else base


def absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


def is_below(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def place(name: str) -> tuple[int, str] | None:
    """A module's layer and room."""
    room = next((room for alias, room in SAME_ROOM.items() if is_below(name, alias)), name)
    for level, rooms in enumerate(LAYERS):
        for candidate in rooms:
            if is_below(room, candidate):
                return level, candidate
    return None


def is_outside(name: str) -> bool:
    return name == "traces" or any(is_below(name, room) for room in OUTSIDE)


def homeless(modules: dict[str, Path]) -> Iterator[str]:
    for name in modules:
        if place(name) is None and not is_outside(name):
            yield f"{name}: stands in no layer, give it a place in the table of traces/tests/layers.py"


def hidden(imports: list[Import]) -> Iterator[str]:
    for found in imports:
        if found.inside:
            yield f"{found} inside the function {found.inside}"


def misplaced(imports: list[Import]) -> Iterator[str]:
    """Imports of a higher layer, or of another room of the same one."""
    for found in imports:
        here, there = place(found.module), place(found.target)
        if here is None or is_outside(found.module):
            continue
        if is_below(found.target, "traces.tests"):
            yield f"{found}, which is only for tests"
        elif there and there[0] > here[0]:
            yield f"{found}, which stands higher"
        elif there and there[0] == here[0] and there[1] != here[1]:
            yield f"{found}, another room of its own layer"


def impure(imports: list[Import]) -> Iterator[str]:
    for found in imports:
        top = found.target.partition(".")[0]
        allowed = top in sys.stdlib_module_names or top in PURE_PACKAGES or top == "traces"
        if not allowed and any(is_below(found.module, room) for room in PURE):
            yield f"{found}, but its room is pure"


def cycles(imports: list[Import]) -> Iterator[str]:
    """Modules that import each other, however long the way round."""
    known: dict[str, set[str]] = {}
    for found in imports:
        known.setdefault(found.module, set()).add(found.target)
    reached = {name: reach(name, known) for name in known}
    told: set[str] = set()
    for name in sorted(known):
        ring = {other for other in reached[name] if name in reached.get(other, ())}
        if name in ring and name not in told:
            told |= ring
            yield f"import each other: {', '.join(sorted(ring))}"


def reach(start: str, known: dict[str, set[str]]) -> set[str]:
    """Every module that importing this one leads to."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for target in known.get(ahead.pop(), set()) - seen:
            seen.add(target)
            ahead.append(target)
    return seen


def violations(root: Path) -> list[str]:
    """Everything in this tree that breaks the order."""
    modules = find_modules(root)
    imports = find_imports(modules)
    return [*homeless(modules), *hidden(imports), *misplaced(imports), *impure(imports), *cycles(imports)]
