"""The process-wide settings of PyTorch are put back, and each that was left changed is named."""

from __future__ import annotations

import pytest
import torch

from smokestep import privacy
from smokestep.backends.torch import state

CHANGES = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "thread count": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "autocast cache": lambda: torch.set_autocast_cache_enabled(False),
    "autocast on cpu": lambda: torch.set_autocast_enabled("cpu", True),
    "cudnn benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "torch RNG": lambda: torch.rand(1, device="cpu"),
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_is_put_back_and_named(name):
    before = state.global_state()
    with privacy.guard() as leaks:
        CHANGES[name]()
    assert leaks.names == (name,)
    assert state.restore_global(before) == ()


def test_settings_are_put_back_when_the_block_raises():
    with pytest.raises(KeyboardInterrupt), privacy.guard() as leaks:
        torch.set_default_dtype(torch.float64)
        raise KeyboardInterrupt
    assert torch.get_default_dtype() is torch.float32 and leaks.names == ("default dtype",)


def test_nothing_is_named_when_nothing_changed():
    with privacy.guard() as leaks:
        torch.ones(1) + 1
    assert leaks.names == ()


def test_the_same_seed_gives_the_same_numbers():
    with privacy.guard():
        privacy.seed_everything(3)
        first = torch.rand(2)
        privacy.seed_everything(3)
        assert torch.equal(first, torch.rand(2))
