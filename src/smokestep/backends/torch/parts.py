"""Parts: the step that smokestep writes around a model, a loss and an optimizer that were handed over plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def step(model: Any, loss: Any, optimizer: Any) -> Callable[[Any], Any]:
    """The plain step on (inputs, targets): clear, forward, `loss(output, targets)`, backward, update."""

    def step(pair: Any) -> Any:
        inputs, targets = pair
        optimizer.zero_grad()
        value = loss(model(inputs), targets)
        value.backward()
        optimizer.step()
        return value

    return step
