"""In the manner of Haiku's MNIST example: pure functions, a NamedTuple that the step gives away (donation)."""

import sys
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

BUGGY = "buggy" in sys.argv


class TrainingState(NamedTuple):
    params: dict
    avg_params: dict
    opt_state: optax.OptState


def init(key):
    keys = jax.random.split(key, 3)
    sizes = (36, 32, 16, 10)
    return {
        f"mlp/linear_{i}": {"w": jax.random.normal(k, (a, b)) * jnp.sqrt(2 / a), "b": jnp.zeros(b)}
        for i, (k, a, b) in enumerate(zip(keys, sizes[:-1], sizes[1:], strict=True))
    }


def net(params, x):
    for i in range(3):
        layer = params[f"mlp/linear_{i}"]
        x = x @ layer["w"] + layer["b"]
        x = jax.nn.relu(x) if i < 2 else x
    return x


optimiser = optax.adam(1e-3)


def loss(params, images, labels):
    logits = net(params, images)
    log_likelihood = jnp.sum(jax.nn.one_hot(labels, 10) * jax.nn.log_softmax(logits))
    l2 = 0.5 * sum(jnp.sum(jnp.square(p)) for p in jax.tree.leaves(params))
    return -log_likelihood / images.shape[0] + 1e-4 * l2


@partial(jax.jit, donate_argnums=0)
def update(state, images, labels):
    grads = jax.grad(loss)(state.params, images, labels)
    updates, opt_state = optimiser.update(grads, state.opt_state)
    params = optax.apply_updates(state.params, updates)  # BUG: unapplied-update
    if BUGGY:
        return TrainingState(state.params, state.avg_params, opt_state)
    avg_params = optax.incremental_update(params, state.avg_params, step_size=0.001)
    return TrainingState(params, avg_params, opt_state)


@jax.jit
def evaluate(params, images, labels):
    return jnp.mean(jnp.argmax(net(params, images), axis=-1) == labels)


def main():
    data = np.random.default_rng(0)
    images, labels = data.random((10, 16, 36), np.float32), data.integers(0, 10, (10, 16))
    params = init(jax.random.PRNGKey(0))
    state = TrainingState(params, jax.tree.map(jnp.copy, params), optimiser.init(params))
    for step in range(10):
        if step % 2 == 0:
            accuracy = np.array(evaluate(state.avg_params, images[0], labels[0])).item()
            print({"step": step, "accuracy": f"{accuracy:.3f}"})
        state = update(state, images[step], labels[step])
    assert np.isfinite(np.asarray(state.params["mlp/linear_0"]["w"])).all()


main()
