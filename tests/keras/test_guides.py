"""The guides that need TensorFlow, executed where it is installed: what they show is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.test_docs import ELSEWHERE, execute


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # Keras warns of it, and that is not the point
@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_a_guide_does_what_it_shows(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(page, folder, monkeypatch)
