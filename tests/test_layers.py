"""The rooms of the package (CONTRIBUTING.md): which file is in which layer, and what may import what."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "jaxfit"

# A room is a module or a package directly under src/jaxfit. Imports point to a lower layer or stay in the room.
LAYERS = {
    "arrow": 0,
    "breakdowns": 0,
    "diagnoses": 0,
    "ensembles": 0,
    "errors": 0,
    "lanes": 0,
    "parameters": 0,
    "regions": 0,
    "results": 0,
    "specs": 0,
    "statuses": 0,
    "storage": 0,
    "threads": 0,
    "typing": 0,
    "verdicts": 0,
    "likelihood": 1,
    "solvers": 1,
    "workspaces": 1,
    "curvatures": 2,
    "minimization": 2,
    "inference": 3,
    "cli": 4,
    "examples": 4,
    "optimizers": 4,
    "plot": 4,
}
# The only layers whose rooms may import each other: the vocabulary, and the outside. Cycles are forbidden everywhere.
OPEN_LAYERS = {0, 4}

OUTSIDE = {room for room, layer in LAYERS.items() if layer == 4}
LIBRARIES = {
    "jaxopt": {"solvers"},
    "pyhf": {"likelihood", "workspaces"} | OUTSIDE,
    "cabinetry": OUTSIDE,
    "matplotlib": OUTSIDE,
}

MAX_LINES = 300
LONG_FILES: dict[str, str] = {
    # "likelihood/lowering.py": "why it is one file",
}

FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
each_file = pytest.mark.parametrize("file", FILES)


def module_name(file: str) -> str:
    parts = ["jaxfit", *Path(file).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in FILES}


def room(module: str) -> str:
    """The room of a module of the package; the root package itself is the room "__init__"."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(file: str) -> list[tuple[int, str]]:
    """Line and absolute name of every module that a file imports, wherever in the file it does so."""
    found = []
    package = module_name(file).split(".")
    if not file.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(ast.parse(FILES[file].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                found.append((node.lineno, submodule if submodule in MODULES else base))
    return found


def may_import(importer: str, imported: str) -> bool:
    if importer in (imported, "__init__"):
        return True
    if imported == "__init__":  # the root package imports everything below the outside
        return importer in OUTSIDE
    if imported not in LAYERS:  # test_every_file_has_a_layer reports it
        return True
    upper, lower = LAYERS[importer], LAYERS[imported]
    return lower < upper or (lower == upper and upper in OPEN_LAYERS)


def test_there_are_files():
    assert FILES


@each_file
def test_every_file_has_a_layer(file):
    name = room(module_name(file))
    assert name in LAYERS or name == "__init__", (
        f"src/jaxfit/{file} has no layer: "
        f"add {name!r} to LAYERS in tests/test_layers.py and to the table of rooms in CONTRIBUTING.md"
    )


@each_file
def test_imports_point_down(file):
    importer = room(module_name(file))
    if importer not in LAYERS and importer != "__init__":
        pytest.skip("has no layer, which test_every_file_has_a_layer reports")
    inside = [(line, name) for line, name in imports(file) if name.split(".")[0] == "jaxfit"]
    assert [f"line {line}: {name}" for line, name in inside if not may_import(importer, room(name))] == []


@each_file
def test_libraries_stay_in_their_rooms(file):
    importer = room(module_name(file))
    libraries = [(line, name, LIBRARIES.get(name.split(".")[0])) for line, name in imports(file)]
    wrong = [f"line {line}: {name}" for line, name, rooms in libraries if rooms is not None and importer not in rooms]
    assert wrong == []


def test_there_are_no_import_cycles():
    graph = {name: {other for _, other in imports(file) if other != name} for name, file in MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


@each_file
def test_file_is_not_too_long(file):
    lines = len(FILES[file].read_text(encoding="utf-8").splitlines())
    if file in LONG_FILES:
        assert lines > MAX_LINES, f"src/jaxfit/{file} is short again: take it out of LONG_FILES"
    else:
        assert lines <= MAX_LINES, f"src/jaxfit/{file} has {lines} lines: split it, or give its reason in LONG_FILES"


def test_long_files_exist():
    assert LONG_FILES.keys() <= FILES.keys()


def test_import_is_light():
    code = "import sys, jaxfit.cli; print(sorted({'cabinetry', 'matplotlib'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
