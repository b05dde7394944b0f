"""Parts: the step that smokestep writes around a model, a loss and an optimizer that were handed over plainly.

Only Flax NNX has objects for that; where a model is a function of its parameters, the step is the user's to write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smokestep.backends.jax import trees

WRITE = (
    "write a Training: smokestep.Training(step, batch, state=(params, opt_state)), where the step is given both and "
    "returns the new ones"
)


def step(model: Any, loss: Any, optimizer: Any) -> Callable[[Any], Any]:
    """The plain step on (inputs, targets): forward, `loss(output, targets)`, gradients, update. Raises `TypeError`."""
    if not trees.is_living(model):
        kind = "a Linen module" if hasattr(model, "apply") and hasattr(model, "init") else type(model).__name__
        raise TypeError(f"model= must be a Flax NNX module, got {kind}, which does not hold its parameters: {WRITE}")
    from flax import nnx

    if not isinstance(optimizer, nnx.Optimizer):
        hint = "wrap it: nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)"
        raise TypeError(f"optimizer= must be an nnx.Optimizer, got {type(optimizer).__name__}; {hint}")

    def objective(model: Any, inputs: Any, targets: Any) -> Any:
        return loss(model(inputs), targets)

    @nnx.jit
    def train(model: Any, optimizer: Any, inputs: Any, targets: Any) -> Any:
        wrt = nnx.DiffState(0, getattr(optimizer, "wrt", nnx.Param))
        value, gradients = nnx.value_and_grad(objective, argnums=wrt)(model, inputs, targets)
        optimizer.update(model, gradients)
        return value

    def step(pair: Any) -> Any:
        return train(model, optimizer, *pair)

    return step
