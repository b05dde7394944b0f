"""What torch does once in a process, at the first use of a thing, is done before anything is compared."""

from __future__ import annotations

import pytest
import torch

import smokestep


@pytest.fixture(scope="session", autouse=True)
def _used_once() -> None:
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS):
        kind([torch.zeros(1, requires_grad=True)], lr=0.1)  # torch wraps `step` of each class when it is first built
    smokestep.examine(lambda: smokestep.Training(lambda: None))
