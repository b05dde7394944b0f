"""The shape of the project, held by tests: sizes, the table of checks, light imports, documented names."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from importlib import import_module
from pathlib import Path
from statistics import median

import pytest

import smokestep
from smokestep.checks import TABLE, load
from smokestep.testing import examples

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "smokestep"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
CHECKS = [path for path in sorted((PACKAGE / "checks").rglob("*.py")) if path.name != "__init__.py"]
COMMAND_LINE = {"__main__", "cli", "explain", "factories", "launch", "scaffold"}


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def code(path: Path) -> int:
    """Lines that hold code: no blank line, no comment, no docstring (decision 0008)."""
    source = path.read_text()
    prose: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            prose.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [each for each in tokenize.generate_tokens(io.StringIO(source).readline) if each.type not in silent]
    return len({number for each in tokens for number in range(each.start[0], each.end[0] + 1)} - prose)


def test_the_table_is_sorted_and_equals_the_folders() -> None:
    files = {path.relative_to(PACKAGE / "checks").with_suffix("").as_posix().replace("/", ".") for path in CHECKS}
    assert list(TABLE) == sorted(set(TABLE))
    assert set(TABLE) == files, f"only in the table: {set(TABLE) - files}; only in the folders: {files - set(TABLE)}"


def test_the_core_is_small() -> None:
    core = {path.name: code(path) for path in PACKAGE.glob("*.py") if path.stem not in COMMAND_LINE}
    assert sum(core.values()) <= 1500, sorted((count, name) for name, count in core.items())


def test_no_file_is_long_and_most_are_short() -> None:
    sizes = {path.relative_to(ROOT).as_posix(): lines(path) for path in SOURCES}
    assert not {path: size for path, size in sizes.items() if size > 400}
    assert median(sizes.values()) <= 100


def test_a_check_is_short_with_its_page() -> None:
    assert median(map(code, CHECKS)) <= 40, sorted((code(path), path.name) for path in CHECKS)
    assert median(map(lines, CHECKS)) <= 100, sorted((lines(path), path.name) for path in CHECKS)


@pytest.mark.parametrize("entry", TABLE)
def test_a_page_has_its_headings_and_opens_with_one_sentence(entry: str) -> None:
    check = getattr(import_module(f"smokestep.checks.{entry}"), entry.rpartition(".")[2])
    assert examples(check)
    assert check.summary.startswith("Finds ") and check.summary.endswith("."), check.summary
    assert len(check.summary) <= 200, check.summary


def test_names_that_explain_each_other_exist() -> None:
    names = {check.name for check in load()}
    for check in load():
        assert set(check.explains) <= names - {check.name}, check.name


def test_at_most_fifteen_public_names() -> None:
    assert len(smokestep.__all__) <= 15
    assert all(getattr(smokestep, name) for name in smokestep.__all__)


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after one statement, beyond those it starts with."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(out.stdout.split())


def test_import_is_light() -> None:
    loaded = modules_after("import smokestep")
    assert not {
        name for name in loaded if name.split(".")[0] in ("torch", "numpy", "rich", "click", "jax", "tensorflow")
    }
    assert len(loaded) <= 60, f"{len(loaded)} modules: {sorted(loaded)}"


def test_the_plugin_loads_no_smokestep() -> None:
    loaded = modules_after("import pytest, importlib; importlib.import_module('_smokestep_pytest')")
    assert not {name for name in loaded if name.split(".")[0] == "smokestep"}


def test_every_module_and_every_public_function_is_documented() -> None:
    bare = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        where = path.relative_to(ROOT).as_posix()
        empty_package = path.name == "__init__.py" and not tree.body
        if not ast.get_docstring(tree) and not empty_package:
            bare.append(where)
        page = path in CHECKS  # a check's function is documented by the page above it
        bare += [
            f"{where}:{node.lineno} {node.name}"
            for node in public(tree)
            if not ast.get_docstring(node) and not (page and node.name == path.stem)
        ]
    assert not bare


Definition = ast.FunctionDef | ast.ClassDef


def public(tree: ast.Module | ast.ClassDef) -> list[Definition]:
    """Functions, classes and methods that a reader may call; private ones, and those of private classes, are not."""
    found: list[Definition] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            found.append(node)
            if isinstance(node, ast.ClassDef):
                found += public(node)
    return found


def test_every_module_explains_itself_in_a_sentence() -> None:
    for path in SOURCES:
        first = (ast.get_docstring(ast.parse(path.read_text())) or "A.").split("\n\n")[0]
        assert first.rstrip().endswith((".", ":")), f"{path}: the first paragraph of its docstring is no sentence"


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_no_path_of_any_one_machine_is_in_the_repository() -> None:
    own = re.compile(rb"/(?:home|Users|root|work)/[A-Za-z]")
    found = [path.relative_to(ROOT).as_posix() for path in tracked() if own.search(path.read_bytes())]
    assert not [path for path in found if path != "tests/test_shape.py"]


def test_names_in_use_come_from_the_domain() -> None:
    words = re.compile(r"^\s*(?:class|def) \w*(?:Manager|Handler|Helper|Util|Base)\b", re.MULTILINE)
    assert not [path.name for path in SOURCES if words.search(path.read_text())]


def test_our_own_tensors_name_their_device() -> None:
    """Under `torch.set_default_device` a tensor that names none lands where nothing else is."""
    factory = re.compile(
        r"torch\.(?:randn?|randint|randperm|zeros|ones|empty|full|eye|arange|tensor|as_tensor|Generator)\((?!\")"
    )
    unnamed = [
        f"{path.name}: {line.strip()}"
        for path in (PACKAGE / "backends" / "torch").rglob("*.py")
        for line in path.read_text().splitlines()
        if factory.search(line) and "device=" not in line and '"' not in line.split("torch.")[0]
    ]
    assert unnamed == []
