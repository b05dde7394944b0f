"""The guides, executed: what they show is what happens.

In one page, in order, in an empty folder: a block with a title is written to that file; any other `python` block is
run, and a `text` block after it is what it printed; every `$ …` line of a `console` block is run, and the lines under
it are what it printed. In what is expected, `...` stands for anything.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from types import ModuleType

import pytest

from smokestep.backends.gaps import JAX, SESSIONS, TENSORFLOW
from smokestep.checks import load

DOCS = Path(__file__).parents[1] / "docs"
ELSEWHERE = {"guides/keras.md", "guides/tensorflow1.md"}  # executed where its framework is installed (tests/keras)
GUIDES = sorted({f"guides/{path.name}" for path in (DOCS / "guides").glob("*.md")} - ELSEWHERE)
PAGES = ["../README.md", "getting-started.md", *GUIDES]
BLOCK = re.compile(r'^(`{3,})(\w+)(?: title="(.+?)")?\n(.*?)^\1$', re.MULTILINE | re.DOTALL)
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}


def agree(expected: str, got: str) -> bool:
    expected = re.sub(r"\b\d+\.\d+ s\b", "... s", expected)  # no two runs take the same time
    expected = re.sub(r"experiments: .*", "experiments: ...", expected)  # nor are the same ones worth telling
    return OutputChecker().check_output(expected, got, ELLIPSIS | NORMALIZE_WHITESPACE)


def run(command: str) -> str:
    command = re.sub(r"^python ", f"{sys.executable} ", command)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=ENVIRONMENT)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def console(text: str) -> None:
    """Run each `$ command`, and compare with the lines under it, if there are any."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        got = run(command)
        again = "(python docs/picture.py renews what the README shows)"
        assert not expected.strip() or agree(expected, got), f"$ {command}\n{got}\n{again}"


@pytest.mark.parametrize("page", PAGES)
def test_a_guide_does_what_it_shows(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(page, folder, monkeypatch)


def execute(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Execute a page in an empty folder that is the current one."""
    shutil.copytree(DOCS.parent / "examples", folder / "examples")
    # A real module in a real file, as a reader would have: what is found is shown with its lines.
    module = ModuleType("guide")
    module.__file__ = str(folder / "guide.py")
    monkeypatch.setitem(sys.modules, "guide", module)
    source = printed = ""
    for _, language, title, code in BLOCK.findall((DOCS / page).read_text()):
        if title:
            Path(title).write_text(code)
        elif language == "python":
            above = "\n" * source.count("\n")
            source += code
            Path(module.__file__).write_text(source)
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(above + code, module.__file__, "exec"), vars(module))
            printed = out.getvalue()
        elif language == "text":
            assert agree(code, printed), f"{page} says\n{code}\nbut it prints\n{printed}"
        elif language == "console":
            console(code)


def test_every_page_is_in_the_navigation() -> None:
    listed = (DOCS.parent / "mkdocs.yml").read_text()
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert not [page for page in pages if page not in listed]


def test_the_coverage_page_is_what_the_catalogue_says() -> None:
    spec = importlib.util.spec_from_file_location("coverage_page", DOCS / "coverage.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    rows = [(name, row) for group in made.catalogue().values() for name, row in made.rows(group).items()]
    assert [name for name, row in rows if not row.get("pairs") and not row.get("why")] == [], (
        "told by what, or why not?"
    )
    assert (DOCS / "coverage.md").read_text("utf-8") == made.page(), "make coverage renews it"


def test_the_table_of_frameworks_has_every_check_and_every_reason() -> None:
    spec = importlib.util.spec_from_file_location("other_frameworks", DOCS / "other_frameworks.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    text = made.table()
    assert not [check.name for check in load() if f"| [`{check.name}`]" not in text]
    gaps = [gap for table in (JAX, TENSORFLOW, SESSIONS) for gap in table.values()]
    assert not [gap.reason for gap in gaps if gap.reason not in text]
