"""Leaves this folder out where TensorFlow is not installed; the default environment has none."""

from __future__ import annotations

import gc
import importlib.util
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

collect_ignore_glob = [] if importlib.util.find_spec("tensorflow") else ["*"]


@pytest.fixture(scope="session", autouse=True)
def only_what_tests_make_is_collected() -> None:
    """Half a million objects of the libraries live as long as the process; walks over the living leave them out."""
    importlib.import_module("keras")
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Keras's variables take no `copy` from NumPy 2, and NumPy warns of it whenever one is read."""
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword")
