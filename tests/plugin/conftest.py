"""Everything that an examination loads is loaded before the first inner run.

An inner run in the same process forgets each module that it was the first to import, and torch and NumPy cannot be
imported a second time.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import smokestep


@pytest.fixture(scope="session", autouse=True)
def everything_loaded() -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = (torch.ones(2, 1), torch.ones(2, 1))
    str(smokestep.examine(model=model, optimizer=optimizer, loss=nn.MSELoss(), batch=batch))
