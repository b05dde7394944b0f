"""Parts: the step that smokestep writes around a model, a loss and an optimizer that were handed over plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def step(model: Any, loss: Any, optimizer: Any) -> Callable[[Any], Any]:
    """The plain step on (inputs, targets): of a compiled model its own, else one with a tape and `loss(targets,
    output)`, as Keras calls its losses."""
    if loss is None and optimizer is None:
        return lambda pair: model.train_on_batch(*pair)

    def step(pair: Any) -> Any:
        inputs, targets = pair
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(targets, model(inputs, training=True)))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return step
