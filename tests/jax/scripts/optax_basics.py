"""After Optax's "Getting started": an eager step on a bare tree of parameters, nothing is jitted but the gradient."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

BUGGY = "buggy" in sys.argv
data = np.random.default_rng(0)
TRAINING_DATA = data.random((20, 8, 16)).astype(np.float32)
LABELS = jax.nn.one_hot(data.integers(0, 4, (20, 8)), 4)

initial_params = {
    "hidden": jax.random.normal(shape=[16, 32], key=jax.random.key(0)) / 4,
    "output": jax.random.normal(shape=[32, 4], key=jax.random.key(1)) / 6,
}


def net(x, params):
    return jnp.dot(jax.nn.relu(jnp.dot(x, params["hidden"])), params["output"])


def loss(params, batch, labels):
    loss_value = optax.softmax_cross_entropy(net(batch, params), labels)
    if BUGGY:
        return -loss_value.mean()  # BUG?: negative-cross-entropy
    return loss_value.mean()


def fit(params, optimizer):
    opt_state = optimizer.init(params)

    def step(params, opt_state, batch, labels):
        loss_value, grads = jax.jit(jax.value_and_grad(loss))(params, batch, labels)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss_value

    for i, (batch, labels) in enumerate(zip(TRAINING_DATA, LABELS, strict=True)):
        params, opt_state, loss_value = step(params, opt_state, batch, labels)
        if i % 5 == 0:
            print(f"step {i}, loss: {loss_value}")
    return params


schedule = optax.warmup_cosine_decay_schedule(0.1, 1.0, 5, 20)
optimizer = optax.chain(optax.clip(1.0), optax.scale_by_adam(), optax.scale_by_schedule(schedule), optax.scale(-1e-2))
final_params = fit(initial_params, optimizer)
