"""The house rules of imports and size, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mm_fusion"

BANDS = {
    "A": ["measurements", "frame", "detections", "config", "model_config", "network_config", "errors"],
    "B": ["geometry", "messages", "alignment", "inputs"],
    "C": ["network", "runtime", "detectors"],
    "D": [
        "pipeline",
        "calibration_store",
        "offline",
        "many_bags",
        "bags",
        "simulation",
        "training",
        "evaluation",
        "viewing",
        "benchmarking",
    ],
    "E": ["nodes", "cli"],
}
BAND_OF = {part: band for band, parts in BANDS.items() for part in parts}

# Imported where they are used, inside functions; these parts may import them at their top.
LATE = {
    "torch": {"network", "training", "runtime.torch_backend", "runtime.torch_explain"},
    "torchvision": {"network", "training"},
    "lightning": {"training"},
    "onnx": {"training"},
    "onnxruntime": {"runtime.onnxruntime_backend"},
    "openvino": {"runtime.openvino_backend"},
    "tensorrt": {"runtime.tensorrt_backend"},
    "open3d": {"simulation"},
    "rclpy": {"nodes"},
    "ray": set(),
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


def top_part(module: str) -> str:
    """First part of a dotted name: the folder or file that the bands name."""
    return module.split(".")[0]


def libraries(module: str, top_only: bool) -> set[str]:
    """Top-level packages that a module imports."""
    return {top_part(name) for name in imports_of(TREES[module], module, top_only)}


def own_imports(module: str) -> set[str]:
    """Modules of this package that a module imports anywhere."""
    return own_modules(imports_of(TREES[module], module, top_only=False))


def test_every_file_stands_in_a_band() -> None:
    assert [name for name in MODULE_NAMES if top_part(name) not in {*BAND_OF, "weights"}] == []


def test_no_file_is_named_after_nothing() -> None:
    assert [name for name in MODULE_NAMES if FORBIDDEN_NAMES & set(name.split("."))] == []


def test_imports_go_to_the_same_or_an_earlier_band() -> None:
    later = [
        f"{module} -> {name}"
        for module in MODULE_NAMES
        for name in own_imports(module)
        if BAND_OF.get(top_part(name), "A") > BAND_OF.get(top_part(module), "A")
    ]
    assert later == []


def test_late_imports_stand_inside_functions() -> None:
    early = [
        f"{module} -> {library}"
        for module in MODULE_NAMES
        for library in sorted(libraries(module, top_only=True) & set(LATE))
        if not any(module == part or module.startswith(f"{part}.") for part in LATE[library])
    ]
    assert early == []


def test_only_nodes_import_rclpy() -> None:
    reaching = [name for name in MODULE_NAMES if "rclpy" in libraries(name, top_only=False)]
    assert [name for name in reaching if top_part(name) != "nodes"] == []


def test_simulation_and_evaluation_know_no_network() -> None:
    parts = [name for name in MODULE_NAMES if top_part(name) in ("simulation", "evaluation")]
    reached = {name: {top_part(each) for each in own_imports(name)} for name in parts}
    assert [name for name in parts if reached[name] & {"network", "runtime"}] == []


def test_network_stays_with_training_and_the_torch_backend() -> None:
    reaching = [name for name in MODULE_NAMES if "network" in {top_part(each) for each in own_imports(name)}]
    allowed = ("network", "training")
    assert [
        each
        for each in reaching
        if top_part(each) not in allowed and each not in ("runtime.torch_backend", "runtime.torch_explain")
    ] == []


def test_commands_start_without_slow_libraries() -> None:
    """`mm-fusion --help` answers in half a second."""
    commands = [name for name in MODULE_NAMES if top_part(name) == "cli"]
    slow = [f"{name} -> {library}" for name in commands for library in libraries(name, top_only=True) & SLOW]
    assert slow == []


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


def test_files_stay_under_400_lines() -> None:
    files = [*sources(), *sorted((ROOT / "test").rglob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
    counts = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in files}
    assert {name: count for name, count in counts.items() if count > 400} == {}


def test_every_folder_is_a_package() -> None:
    """`setup.py` leaves out a folder without `__init__.py`."""
    folders = {path.parent.relative_to(ROOT) for path in sources()}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []
