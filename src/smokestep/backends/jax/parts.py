"""Parts: the step that smokestep writes around a model, a loss and an optimizer that were handed over plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smokestep.backends.jax import trees


def step(model: Any, loss: Any, optimizer: Any) -> Callable[[Any], Any]:
    """The plain step on (inputs, targets) of an NNX model and its optimizer: `loss(output, targets)`, and an update."""
    if not (trees.is_living(model) and trees.is_living(optimizer)):
        raise TypeError(
            "plain parts of JAX must be an NNX model and an nnx.Optimizer, which hold their own state; "
            f"got {type(model).__name__} and {type(optimizer).__name__}: write a Training(step, batch, state=...)"
        )
    from flax import nnx

    def step(pair: Any) -> Any:
        inputs, targets = pair
        value, gradients = nnx.value_and_grad(lambda each: loss(each(inputs), targets))(model)
        optimizer.update(model, gradients)
        return value

    return step
