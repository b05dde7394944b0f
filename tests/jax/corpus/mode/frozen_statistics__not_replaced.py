"""The new batch statistics come out of apply, and the state goes on with the old ones."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

import smokestep


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(16)(x)
        x = nn.BatchNorm(use_running_average=not train)(x)  # BUG?: frozen-statistics
        return nn.Dense(3)(nn.relu(x))


class State(TrainState):
    batch_stats: dict


def training(keep):
    model = Net()
    x = 2 * jax.random.normal(jax.random.key(0), (16, 6)) + 1
    variables = model.init(jax.random.key(1), x, train=False)
    state = State.create(
        apply_fn=model.apply,
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        tx=optax.adam(1e-3),
    )

    @jax.jit
    def train_step(state, batch):
        x, y = batch

        def loss_fn(params):
            both = {"params": params, "batch_stats": state.batch_stats}
            logits, changed = state.apply_fn(both, x, train=True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), changed

        (loss, changed), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        state = state.apply_gradients(grads=grads)
        return keep(state, changed), loss

    return smokestep.Training(train_step, (x, jax.random.randint(jax.random.key(2), (16,), 0, 3)), state=state)


def buggy():
    return training(lambda state, changed: state)


def fixed():
    return training(lambda state, changed: state.replace(batch_stats=changed["batch_stats"]))
