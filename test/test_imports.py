"""The house rules of imports and size, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mm_fusion"

BANDS = {
    "A": ["measurements", "frame", "detections", "config", "model_config", "errors"],
    "B": ["geometry", "messages", "alignment", "inputs"],
    "C": ["network", "runtime", "detectors"],
    "D": ["pipeline", "bags", "simulation", "training", "evaluation", "viewing"],
    "E": ["nodes", "cli"],
}
BAND_OF = {part: band for band, parts in BANDS.items() for part in parts}

# Imported where they are used, inside functions; these parts may import them at their top.
LATE = {
    "torch": {"network", "training", "runtime.torch_backend"},
    "torchvision": {"network", "training"},
    "lightning": {"training"},
    "onnx": {"training"},
    "onnxruntime": {"runtime.onnxruntime_backend"},
    "openvino": {"runtime.openvino_backend"},
    "tensorrt": {"runtime.tensorrt_backend"},
    "open3d": {"simulation"},
    "rclpy": {"nodes"},
}
# Slow to import, so that `mm-fusion --help` must not reach them.
SLOW = {"scipy", "cv2", "numba", "numpy", "pydantic", "rosbags", "matplotlib", "mcap"}
FORBIDDEN_NAMES = {"utils", "common", "core", "base", "util", "helpers", "registry"}


def sources() -> list[Path]:
    """All Python files of the package."""
    return sorted(path for path in (ROOT / PACKAGE).rglob("*.py"))


def module_of(path: Path) -> str:
    """Dotted name below the package, '' for the package itself."""
    parts = list(path.relative_to(ROOT / PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sources()}


def imports_of(tree: ast.AST, module: str, top_only: bool) -> Iterator[str]:
    """Dotted names that a module imports: at its top alone, or anywhere; type-checking blocks left out."""
    for node in nodes_of(tree, top_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = absolute(node, module)
            yield from (f"{start}.{alias.name}" for alias in node.names)


def absolute(node: ast.ImportFrom, module: str) -> str:
    """Package that a `from` names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    here = [PACKAGE, *filter(None, module.split("."))]
    is_package = MODULES[module].name == "__init__.py"
    parent = here[: len(here) - node.level + (1 if is_package else 0)]
    return ".".join([*parent, *([node.module] if node.module else [])])


def nodes_of(tree: ast.AST, top_only: bool) -> Iterator[ast.AST]:
    """Nodes of a module, function bodies left out with `top_only`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        if not (top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            yield from nodes_of(node, top_only)


def own_modules(names: Iterator[str]) -> set[str]:
    """Modules of this package among imported names, as dotted names below it."""
    found = set()
    for name in names:
        if name.split(".")[0] != PACKAGE:
            continue
        rest = name.split(".")[1:]
        while rest and ".".join(rest) not in MODULES:
            rest = rest[:-1]
        found.add(".".join(rest))
    return found - {""}


TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
MODULE_NAMES = sorted(name for name in MODULES if name)


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_every_file_stands_in_a_band(module: str) -> None:
    assert module.split(".")[0] in {*BAND_OF, "weights"}, f"{module} belongs to no band"
    assert not FORBIDDEN_NAMES & set(module.split(".")), f"{module} is named after nothing it does"


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_imports_go_to_the_same_or_an_earlier_band(module: str) -> None:
    own = BAND_OF.get(module.split(".")[0], "A")
    later = {
        name
        for name in own_modules(imports_of(TREES[module], module, top_only=False))
        if BAND_OF.get(name.split(".")[0], "A") > own
    }
    assert not later, f"{module} (band {own}) imports {sorted(later)}"


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_late_imports_stand_inside_functions(module: str) -> None:
    at_top = {name.split(".")[0] for name in imports_of(TREES[module], module, top_only=True)}
    for library, allowed in LATE.items():
        may = any(module == part or module.startswith(f"{part}.") for part in allowed)
        assert may or library not in at_top, f"{module} imports {library} at its top"


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_only_nodes_import_rclpy(module: str) -> None:
    names = {name.split(".")[0] for name in imports_of(TREES[module], module, top_only=False)}
    assert "rclpy" not in names or module.split(".")[0] == "nodes", f"{module} imports rclpy"


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_network_stays_with_training_and_the_torch_backend(module: str) -> None:
    reached = {name.split(".")[0] for name in own_modules(imports_of(TREES[module], module, top_only=False))}
    part = module.split(".")[0]
    if part in ("simulation", "evaluation"):
        assert not reached & {"network", "runtime"}, f"{module} imports {sorted(reached)}"
    allowed = part in ("network", "training") or module.startswith("runtime.torch")
    assert allowed or "network" not in reached, f"{module} imports network"


@pytest.mark.parametrize("module", [name for name in MODULE_NAMES if name.split(".")[0] == "cli"])
def test_commands_start_without_slow_libraries(module: str) -> None:
    at_top = set(imports_of(TREES[module], module, top_only=True))
    slow = {name.split(".")[0] for name in at_top} & SLOW
    assert not slow, f"{module} imports {sorted(slow)} at its top: --help must answer in half a second"


def test_nothing_imports_in_a_circle() -> None:
    graph = {
        module: own_modules(imports_of(tree, module, top_only=True)) - {module}
        for module, tree in TREES.items()
    }
    assert not circle_in(graph), f"imports go in a circle: {' -> '.join(circle_in(graph))}"


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """One circle of modules, or an empty list."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for reached in sorted(graph.get(module, ())):
            if found := visit(reached, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module, []))), [])


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize(
    "path", [*sources(), *sorted((ROOT / "test").rglob("*.py"))], ids=lambda path: path.stem
)
def test_files_stay_under_400_lines(path: Path) -> None:
    count = len(path.read_bytes().splitlines())
    assert count <= 400, f"{path.relative_to(ROOT)} has {count} lines"


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_every_folder_is_a_package(module: str) -> None:
    folder = MODULES[module].parent
    assert (folder / "__init__.py").exists(), (
        f"{folder.relative_to(ROOT)} has no __init__.py: setup.py leaves it out"
    )
