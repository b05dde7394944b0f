"""Losses in which shapes differ on purpose: rows under vmap, pairs, quantiles, an ensemble beside one target."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def network(outputs=1, features=4):
    he = jax.nn.initializers.he_normal()
    keys = jax.random.split(jax.random.key(0), 2)
    hidden = {"w1": he(keys[0], (features, 16)), "b1": jnp.zeros(16)}
    return hidden | {"w2": 0.5 * he(keys[1], (16, outputs)), "b2": jnp.zeros(outputs)}


def answer(params, x):
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def data(count=8, features=4):
    x_key, w_key = jax.random.split(jax.random.key(1))
    x = jax.random.normal(x_key, (count, features))
    return x, jnp.sin(x @ jax.random.normal(w_key, (features,)))


def training(loss_fn, batch, params=None):
    params = network() if params is None else params
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def training_row_by_row():
    """Equinox, "Getting started": a network of one sample under vmap; its (1,) answer meets a plain number."""

    def single(params, x, y):
        return (answer(params, x) - y) ** 2

    def loss(params, x, y):
        return jnp.mean(jax.vmap(single, in_axes=(None, 0, 0))(params, x, y))

    return training(loss, data())


def training_row_by_row_huber():
    """The same under a loss of Optax."""

    def single(params, x, y):
        return optax.huber_loss(answer(params, x), y).sum()

    def loss(params, x, y):
        return jax.vmap(single, in_axes=(None, 0, 0))(params, x, y).mean()

    return training(loss, data())


def training_gradient_of_each_row():
    """Gradients sample by sample, averaged afterwards."""
    params, optimizer = network(), optax.adam(3e-3)

    def single(params, x, y):
        return jnp.sum((answer(params, x) - y) ** 2)

    @jax.jit
    def step(params, opt_state, batch):
        losses, grads = jax.vmap(jax.value_and_grad(single), in_axes=(None, 0, 0))(params, *batch)
        updates, opt_state = optimizer.update(jax.tree.map(lambda g: g.mean(0), grads), opt_state, params)
        return optax.apply_updates(params, updates), opt_state, losses.mean()

    return smokestep.Training(step, data(), state=(params, optimizer.init(params)))


def training_ranked_pairs():
    """A ranking loss over all pairs of a batch, its dimensions written out."""

    def loss(params, x, y):
        s = answer(params, x)[:, 0]
        return jnp.mean(jax.nn.softplus(-(s[:, None] - s[None, :]) * jnp.sign(y[:, None] - y[None, :])))

    return training(loss, data())


def training_pairs_by_vmap():
    """Every prediction against every target, by two maps."""

    def loss(params, x, y):
        s = answer(params, x)[:, 0]
        each = jax.vmap(jax.vmap(lambda a, b: jnp.abs(a - b), in_axes=(None, 0)), in_axes=(0, None))(s, y)
        within = jax.vmap(jax.vmap(lambda a, b: jnp.abs(a - b), in_axes=(None, 0)), in_axes=(0, None))(s, s)
        return 2 * each.mean() - within.mean()

    return training(loss, data())


def training_quantiles():
    """Quantile regression: three quantiles of each sample beside one target."""
    levels = jnp.array([0.1, 0.5, 0.9])

    def loss(params, x, y):
        error = y[:, None] - answer(params, x)
        return jnp.mean(jnp.maximum(levels * error, (levels - 1) * error))

    return training(loss, data(), network(outputs=3))


def training_quantile_huber():
    """QR-DQN: every quantile of the value against every quantile of the target, as many as samples."""

    def loss(params, x, y):
        z, wanted = answer(params, x), y[:, None] + 0.1 * jnp.arange(8.0)
        error = wanted[:, None, :] - z[:, :, None]
        level = (jnp.arange(8) + 0.5)[None, :, None] / 8
        return jnp.mean(jnp.abs(level - (error < 0)) * optax.huber_loss(error))

    return training(loss, data(), network(outputs=8))


def training_ensemble():
    """Members of an ensemble on a first axis, all compared with the same targets."""
    params = jax.vmap(lambda key: jax.tree.map(lambda w: w + 0.1 * jax.random.normal(key, w.shape), network()))(
        jax.random.split(jax.random.key(3), 3)
    )

    def loss(params, x, y):
        answers = jax.vmap(answer, in_axes=(0, None))(params, x)[..., 0]
        return jnp.mean((answers - y) ** 2)

    return training(loss, data(), params)


def training_column_targets():
    """Targets are a column, like the answers."""

    def loss(params, x, y):
        return jnp.mean(optax.squared_error(answer(params, x), y))

    x, y = data()
    return training(loss, (x, y[:, None]))


def training_binary_rows():
    """One logit a row under vmap, and a label that is a plain number."""

    def loss(params, x, y):
        return jax.vmap(lambda a, b: optax.sigmoid_binary_cross_entropy(answer(params, a), b).sum())(x, y).mean()

    x, y = data()
    return training(loss, (x, (y > 0).astype(jnp.float32)))


def training_weighted_rows():
    """Sample weights, for which the errors are flattened first."""

    def loss(params, x, y, weight):
        return jnp.sum(weight * (answer(params, x).ravel() - y) ** 2) / jnp.sum(weight)

    return training(loss, (*data(), jnp.linspace(0.5, 1.5, 8)))
