"""The guide to TensorFlow 1, executed where TensorFlow is installed: what it shows is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.test_docs import BLOCK, DOCS, console

pytest.importorskip("tf_slim")
pytest.importorskip("tf_keras")


def test_the_guide_does_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, language, title, code in BLOCK.findall((DOCS / "guides" / "tensorflow1.md").read_text()):
        if title:
            Path(title).write_text(code)
        elif language == "console":
            console(code)
