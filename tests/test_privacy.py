"""The guard puts Python's and NumPy's global state back, and says what had changed."""

from __future__ import annotations

import random
import subprocess
import sys
from types import ModuleType

import numpy
import pytest

from smokestep import privacy


@pytest.mark.parametrize(
    ("name", "move"), [("Python RNG", random.random), ("NumPy RNG", numpy.random.random), ("Python RNG", random.seed)]
)
def test_a_moved_generator_is_put_back_and_named(name, move):
    before = random.getstate(), repr(numpy.random.get_state())
    with privacy.guard() as leaks:
        move()
    assert (random.getstate(), repr(numpy.random.get_state())) == before
    assert leaks.names == (name,) and leaks.settings == ()


def test_settings_are_what_is_not_a_generator():
    assert privacy.Leaks(("default dtype", "torch RNG")).settings == ("default dtype",)


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_state_is_put_back_however_the_block_ends(raised):
    before = random.getstate()
    with pytest.raises(raised), privacy.guard():
        random.random()
        raise raised
    assert random.getstate() == before


def test_guards_can_be_nested():
    before = random.getstate()
    with privacy.guard():
        random.random()
        with privacy.guard() as leaks:
            random.random()
        assert leaks.names == ("Python RNG",)
    assert random.getstate() == before


@pytest.mark.parametrize("seed", [0, 2**32, 2**40 + 1])
def test_the_same_seed_gives_the_same_numbers(seed):
    with privacy.guard():
        privacy.seed_everything(seed)
        first = random.random(), numpy.random.random()
        assert {"Python", "NumPy"} <= set(privacy.seed_everything(seed))
        assert (random.random(), numpy.random.random()) == first


def test_a_framework_that_keeps_things_for_the_process_is_reset(monkeypatch):
    kept = ["a default graph"]
    state = ModuleType("fake_backend.state")
    vars(state)["reset"] = kept.clear
    monkeypatch.setitem(sys.modules, "fake_backend.state", state)
    monkeypatch.setattr(privacy, "BACKENDS", {"random": "fake_backend"})
    privacy.reset()
    assert kept == []


def test_nothing_is_imported_for_it():
    code = (
        "import sys; from smokestep import privacy; guard = privacy.guard(); guard.__enter__(); "
        "assert privacy.seed_everything(1) == ('Python',); assert not {'numpy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
