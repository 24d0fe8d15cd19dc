"""The shape of the package: who may import whom, how large things get, what the facade promises."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import longspan

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "longspan"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Each room, and the rooms it may import besides itself and the two that all share.
SHARED = {"errors", "sequences"}
ROOMS: dict[str, set[str]] = {
    "io": set(),
    "data": {"io"},
    "problems": set(),
    "ops": set(),
    "nn": {"ops"},
    "tasks": {"nn"},
    "training": {"data", "tasks"},
    "trials": {"data", "problems", "ops", "nn", "tasks", "training"},
    "estimators": {"io", "data", "nn", "tasks", "training"},
    "memory": {"data", "ops", "nn", "tasks", "estimators"},
    "cli": {"io", "data", "problems", "ops", "nn", "tasks", "training", "trials", "estimators", "memory"},
    "__main__": {"cli"},
}
ALLOWED = {
    "errors": set(),
    "sequences": {"errors"},
    **{room: others | SHARED for room, others in ROOMS.items()},
}

LONGEST_FILE = 500
LONGEST_BODY = 60  # lines of a function below its docstring

MACHINE_PATH = re.compile(r"(?<![\w./~])/(?:home|root|work|tmp|opt|mnt|Users)/\w|\b[A-Z]:\\\\?Users\b")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """Return the folder or file right below the package; the facade `__init__.py` is its own room."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_names(tree: ast.AST, *, package: str) -> Iterator[str]:
    """Yield, in absolute form, each name imported anywhere below `tree`, in function bodies too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def rooms_imported(source: str, *, package: str) -> set[str]:
    """Return the rooms that a file of `package` imports; a name of the facade counts as 'longspan'."""
    rooms = set()
    for name in imported_names(ast.parse(source), package=package):
        head, _, rest = name.partition(".")
        if head == "longspan" and rest != "__version__":
            room = rest.partition(".")[0]
            rooms.add(room if room in ALLOWED else "longspan")
    return rooms


def third_party_at_import(tree: ast.Module) -> set[str]:
    """Return the top names, outside the standard library, that importing a module imports."""
    eager: list[ast.AST] = []
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
            eager.append(node)
        pending.extend(ast.iter_child_nodes(node))
    tops = {name.partition(".")[0] for node in eager for name in imported_names(node, package="longspan")}
    return tops - sys.stdlib_module_names - {"longspan"}


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize(
    ("source", "package", "rooms"),
    [
        ("import longspan.cli.train", "longspan.ops", {"cli"}),
        ("from longspan import nn, ops", "longspan.ops", {"nn", "ops"}),
        ("def f():\n    from longspan.nn import LSTM", "longspan.ops", {"nn"}),
        ("from ..training.loop import run", "longspan.nn", {"training"}),
        ("from .cells import GRU", "longspan.nn", {"nn"}),
        ("from . import errors", "longspan", {"errors"}),
        ("from longspan import Sequences", "longspan.data", {"longspan"}),
        ("import longspan", "longspan.data", {"longspan"}),
        ("from longspan import __version__", "longspan.io", set()),
        ("import torch, longspanner", "longspan.io", set()),
    ],
)
def test_reading_of_imports(source: str, package: str, rooms: set[str]) -> None:
    assert rooms_imported(source, package=package) == rooms


def test_reading_of_imports_at_import_time() -> None:
    source = (
        "import os, torch.nn\nif TYPE_CHECKING:\n    import pandas\nelse:\n    import rich\n"
        "class A:\n    import scipy\ndef f():\n    import matplotlib\n"
    )
    assert third_party_at_import(ast.parse(source)) == {"torch", "rich", "scipy"}


def test_length_of_a_body_leaves_out_signature_and_docstring() -> None:
    source = 'def f(\n    a,\n    b,\n):\n    """One.\n\n    Two.\n    """\n    a = b\n\n    return a\n'
    tree = ast.parse(source)
    assert body_length(tree.body[0]) == 3


def test_import_table_has_no_cycle() -> None:
    TopologicalSorter(ALLOWED).prepare()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_imports_run_one_way(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return  # the facade shows every room
    assert room in ALLOWED, f"{room} is a new room: give it a row in ROOMS, and say what it may import"
    package = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
    forbidden = rooms_imported(path.read_text("utf-8"), package=package) - ALLOWED[room] - {room}
    assert not forbidden, f"{room} may import {sorted(ALLOWED[room])}, and imports {sorted(forbidden)}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_core_install_is_enough_to_import(path: Path) -> None:
    """A package of an extra is imported where it is used, so that its absence can be explained."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    core = {re.match(r"[\w-]+", requirement)[0] for requirement in project["dependencies"]}
    core = core - {"scikit-learn"} | {"sklearn"}
    assert third_party_at_import(ast.parse(path.read_text("utf-8"))) <= core


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text("utf-8")
    lines = text.count("\n")
    assert lines <= LONGEST_FILE
    if {"kernels", "_kernels"} & set(path.relative_to(PACKAGE).with_suffix("").parts):
        return  # a kernel is one long loop, and reads best in one piece
    nodes = ast.walk(ast.parse(text))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {f"{f.name} (line {f.lineno})": n for f in functions if (n := body_length(f)) > LONGEST_BODY}
    assert not long


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_is_validated_by_assert(path: Path) -> None:
    """Python removes `assert` under -O, and its message helps nobody."""
    lines = [n.lineno for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Assert)]
    assert not lines


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /ho" + "me/ann/x.csv", True),
        ("'/tm" + "p/x'", True),
        ("https://example.org/home/page", False),
        ("notes/home/x", False),
        ("/home", False),
    ],
)
def test_reading_of_machine_paths(text: str, found: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) == found


def test_no_file_names_a_path_of_some_machine() -> None:
    folders = ("src", "tests", "benchmarks", "docs", ".ci")
    suffixes = {".py", ".pyi", ".md", ".toml", ".txt", ".yaml", ".yml", ".cpp", ".h", ".json", ".html", ""}
    paths = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file()]
    paths += [p for p in ROOT.iterdir() if p.is_file()]
    named = {
        f"{relative(path)}:{number}": line
        for path in paths
        if path.suffix in suffixes and "__pycache__" not in path.parts
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    }
    assert not named


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, json, longspan; print(json.dumps(list(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "sklearn", "scipy", "safetensors", "duckdb", "rich", "typer", "pandas"}
    assert not heavy & set(json.loads(result.stdout))


def test_facade_table_and_all_agree() -> None:
    assert sorted(longspan.__all__) == sorted({*longspan._HOMES, "__version__"})
    assert dir(longspan) == sorted(longspan.__all__)


@pytest.mark.parametrize("name", longspan.__all__)
def test_public_name_resolves(name: str) -> None:
    value = getattr(longspan, name)
    if name != "__version__":
        home = import_module(longspan._HOMES[name])
        assert value is (home if home.__name__ == f"longspan.{name}" else getattr(home, name))
        assert value.__doc__


def test_type_checkers_see_every_public_name() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    homes = {}
    for name in imported_names(block, package="longspan"):
        home, _, public = name.rpartition(".")
        homes[public] = name if home == "longspan" else home
    assert homes == longspan._HOMES


def test_version_is_the_installed_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert longspan.__version__ == project["version"]


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'longspan' has no attribute 'LTSM'"):
        longspan.LTSM  # noqa: B018 - the access is what is tested
