"""The teacher is applied as the student is, with `train=True`, and its dropout drops."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax

import smokestep


class Net(nn.Module):
    width: int
    rate: float

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(self.width)(x))
        x = nn.Dropout(self.rate, deterministic=not train)(x)
        return nn.Dense(3)(x)


def training(awake):
    teacher, student = Net(32, 0.3), Net(8, 0.0)
    x = jax.random.normal(jax.random.key(0), (8, 6))
    old = teacher.init(jax.random.key(1), x, False)["params"]
    params = student.init(jax.random.key(2), x, False)["params"]
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, teacher_params, opt_state, key, x):
        key, now = jax.random.split(key)
        logits = teacher.apply({"params": teacher_params}, x, awake, rngs={"dropout": now})  # BUG?: teacher-dropout
        wanted = nn.softmax(logits / 2.0)

        def loss_fn(params):
            given = nn.log_softmax(student.apply({"params": params}, x, True) / 2.0)
            return optax.kl_divergence(given, wanted).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), teacher_params, opt_state, key, loss

    return smokestep.Training(step, x, state=(params, old, optimizer.init(params), jax.random.key(3)))


def buggy():
    return training(awake=True)


def fixed():
    return training(awake=False)
