"""Flax Linen with TrainState, as its examples and the code of these years write it."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training import train_state

import smokestep


def points(classes=3, features=6, count=16):
    x_key, y_key = jax.random.split(jax.random.key(21))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


class MLP(nn.Module):
    features: tuple[int, ...] = (16, 3)

    @nn.compact
    def __call__(self, x):
        for width in self.features[:-1]:
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(self.features[-1])(x)


def training_linen_train_state():
    """Flax, "Getting started" of Linen: TrainState, apply_gradients."""
    model = MLP()
    x, y = points()
    params = model.init(jax.random.key(0), x)["params"]
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-2))

    @jax.jit
    def train_step(state, batch):
        x, y = batch

        def loss_fn(params):
            logits = state.apply_fn({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, (x, y), state=state)


class CNN(nn.Module):
    """flax/examples/mnist/train.py of Linen."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(features=8, kernel_size=(3, 3))(x))
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = nn.relu(nn.Conv(features=8, kernel_size=(3, 3))(x))
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        x = nn.relu(nn.Dense(features=16)(x))
        return nn.Dense(features=4)(x)


def training_linen_mnist():
    """flax/examples/mnist: gradients in one jitted function, the update in another."""
    cnn = CNN()
    images = jax.random.normal(jax.random.key(1), (8, 12, 12, 1))
    labels = jax.random.randint(jax.random.key(2), (8,), 0, 4)
    params = cnn.init(jax.random.key(3), images)["params"]
    state = train_state.TrainState.create(apply_fn=cnn.apply, params=params, tx=optax.sgd(0.1, 0.9))

    @jax.jit
    def apply_model(state, images, labels):
        def loss_fn(params):
            logits = state.apply_fn({"params": params}, images)
            one_hot = jax.nn.one_hot(labels, 4)
            return jnp.mean(optax.softmax_cross_entropy(logits=logits, labels=one_hot)), logits

        (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        return grads, loss, jnp.mean(jnp.argmax(logits, -1) == labels)

    @jax.jit
    def update_model(state, grads):
        return state.apply_gradients(grads=grads)

    def step(state, batch):
        grads, loss, accuracy = apply_model(state, *batch)
        return update_model(state, grads), loss, accuracy

    return smokestep.Training(step, (images, labels), state=state)


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        x = nn.gelu(nn.Dense(32)(x))
        x = nn.Dropout(0.3, deterministic=not train)(x)
        return nn.Dense(3)(x)


class KeyedState(train_state.TrainState):
    key: jax.Array


def training_linen_dropout():
    """Flax, "Dropout": the key is in the state, and folded with the step."""
    model = Dropped()
    x, y = points()
    params_key, dropout_key = jax.random.split(jax.random.key(4))
    params = model.init(params_key, x, train=False)["params"]
    state = KeyedState.create(apply_fn=model.apply, params=params, key=dropout_key, tx=optax.adam(1e-2))

    @jax.jit
    def train_step(state, batch):
        x, y = batch
        now = jax.random.fold_in(key=state.key, data=state.step)

        def loss_fn(params):
            logits = state.apply_fn({"params": params}, x, train=True, rngs={"dropout": now})
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), {"loss": loss}

    return smokestep.Training(train_step, (x, y), state=state)


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.Dense(16)(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.relu(x)
        return nn.Dense(1)(x)


class StatsState(train_state.TrainState):
    batch_stats: Any


def training_linen_batch_stats():
    """Flax, "Batch normalization": the statistics come back as a mutable collection."""
    mlp = Normed()
    x, _ = points()
    variables = mlp.init(jax.random.key(5), x, train=False)
    state = StatsState.create(
        apply_fn=mlp.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.sgd(0.01)
    )

    @jax.jit
    def train_step(state, batch):
        x, y = batch

        def loss_fn(params):
            y_pred, updates = state.apply_fn(
                {"params": params, "batch_stats": state.batch_stats}, x=x, train=True, mutable=["batch_stats"]
            )
            return optax.l2_loss(predictions=y_pred, targets=y).mean(), updates

        (loss, updates), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        state = state.apply_gradients(grads=grads)
        return state.replace(batch_stats=updates["batch_stats"]), loss

    return smokestep.Training(train_step, (x, x[:, :1] * x[:, 1:2]), state=state)


class Reader(nn.Module):
    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(20, 12)(ids)
        x = nn.RNN(nn.GRUCell(features=12))(x)
        return nn.Dense(20)(x)


def training_linen_language_model():
    """nn.RNN over a GRU cell; the next character, with optax and no TrainState."""
    model = Reader()
    ids = jax.random.randint(jax.random.key(6), (4, 9), 0, 20)
    params = model.init(jax.random.key(7), ids[:, :-1])
    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, ids):
        def loss_fn(params):
            logits = model.apply(params, ids[:, :-1])
            return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, ids, state=(params, tx.init(params)))


class Residual(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.LayerNorm()(x)
        h = nn.Dense(16)(h)
        return x + nn.Dense(8)(nn.silu(h))


class Deep(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8)(x)
        block = nn.remat(Residual)
        for _ in range(3):
            x = block()(x)
        return nn.Dense(1)(x)[..., 0]


def training_linen_remat():
    """nn.remat on the blocks of a residual network, Huber loss."""
    model = Deep()
    x, _ = points()
    params = model.init(jax.random.key(8), x)["params"]
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adamw(1e-3))

    @partial(jax.jit, donate_argnums=0)
    def train_step(state, batch):
        x, y = batch

        def loss_fn(params):
            return optax.huber_loss(state.apply_fn({"params": params}, x), y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, (x, x[:, 0] - x[:, 2]), state=state)


class Attentive(nn.Module):
    @nn.compact
    def __call__(self, ids, deterministic):
        x = nn.Embed(20, 16)(ids)
        x = x + self.param("positions", nn.initializers.normal(0.02), (8, 16))[: ids.shape[1]]
        mask = nn.make_causal_mask(ids)
        h = nn.LayerNorm()(x)
        h = nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=16)(h, h, mask=mask)
        x = x + nn.Dropout(0.1)(h, deterministic=deterministic)
        h = nn.Dense(32)(nn.LayerNorm()(x))
        x = x + nn.Dense(16)(nn.gelu(h))
        return nn.Dense(20)(nn.LayerNorm()(x))


def training_linen_decoder():
    """A decoder block in Linen: causal mask, dropout, pre-normalization, weights for the padding in the loss."""
    model = Attentive()
    lengths = jnp.array([9, 4, 6, 7])
    ids = jax.random.randint(jax.random.key(9), (4, 9), 1, 20) * (jnp.arange(9) < lengths[:, None])
    params = model.init(jax.random.key(10), ids[:, :-1], True)["params"]
    state = KeyedState.create(apply_fn=model.apply, params=params, key=jax.random.key(11), tx=optax.adam(1e-3))

    @jax.jit
    def train_step(state, ids):
        key, now = jax.random.split(state.key)
        inputs, targets = ids[:, :-1], ids[:, 1:]
        weights = jnp.where(targets > 0, 1.0, 0.0)

        def loss_fn(params):
            logits = state.apply_fn({"params": params}, inputs, False, rngs={"dropout": now})
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
            return (loss * weights).sum() / weights.sum()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads).replace(key=key), loss

    return smokestep.Training(train_step, ids, state=state)
