"""The examples run and say what they promise; `digits.py` and its twin are run by the tests of the corpus."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import smokestep

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_test_of_the_digits_passes() -> None:
    example = load(EXAMPLES / "tests" / "test_digits.py")
    example.test_fixed_network_trains()
    example.test_copied_lines_are_found()


def test_a_gan_with_two_optimizers_keeps_its_roles() -> None:
    assert smokestep.examine(load(EXAMPLES / "gan_roles.py").training).findings == ()


def test_a_gan_with_one_optimizer_does_not() -> None:
    report = smokestep.examine(lambda: load(EXAMPLES / "gan_roles.py").training(shared=True))
    assert [each.check for each in report.findings] == ["foreign-update"]


def test_a_check_of_ones_own_is_run() -> None:
    example = load(EXAMPLES / "custom_check.py")
    report = smokestep.examine(example.training, checks=[example.large_update])
    assert [each.check for each in report.findings] == ["large-update"]


def test_a_check_of_ones_own_passes() -> None:
    example = load(EXAMPLES / "custom_check.py")
    report = smokestep.examine(lambda: example.training(lr=1e-4), checks=[example.large_update])
    assert report.findings == ()
