"""Equinox: models are pytrees, filtered transformations, as its own examples write them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


def points(classes=3, features=6, count=16):
    x_key, y_key = jax.random.split(jax.random.key(31))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


def training_eqx_mlp():
    """eqx.nn.MLP, filter_jit and filter_value_and_grad."""
    model = eqx.nn.MLP(6, 3, 16, 2, key=jax.random.key(0))
    optim = optax.adam(1e-2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y):
        logits = jax.vmap(model)(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @eqx.filter_jit
    def make_step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state, model)
        model = eqx.apply_updates(model, updates)
        return model, opt_state, loss

    return smokestep.Training(make_step, points(), state=(model, opt_state))


class CNN(eqx.Module):
    layers: list

    def __init__(self, key):
        key1, key2, key3 = jax.random.split(key, 3)
        self.layers = [
            eqx.nn.Conv2d(1, 3, kernel_size=4, key=key1),
            eqx.nn.MaxPool2d(kernel_size=2),
            jax.nn.relu,
            jnp.ravel,
            eqx.nn.Linear(768, 16, key=key2),
            jax.nn.sigmoid,
            eqx.nn.Linear(16, 4, key=key3),
            jax.nn.log_softmax,
        ]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def cross_entropy(y, pred_y):
    pred_y = jnp.take_along_axis(pred_y, jnp.expand_dims(y, 1), axis=1)
    return -jnp.mean(pred_y)


def training_eqx_mnist():
    """equinox/examples/mnist.ipynb: a CNN that ends in log_softmax, its cross-entropy written by hand."""
    model = CNN(jax.random.key(1))
    optim = optax.adamw(3e-3)
    opt_state = optim.init(eqx.filter(model, eqx.is_array))

    def loss(model, x, y):
        return cross_entropy(y, jax.vmap(model)(x))

    @eqx.filter_jit
    def make_step(model, opt_state, batch):
        x, y = batch
        loss_value, grads = eqx.filter_value_and_grad(loss)(model, x, y)
        updates, opt_state = optim.update(grads, opt_state, eqx.filter(model, eqx.is_array))
        model = eqx.apply_updates(model, updates)
        return model, opt_state, loss_value

    x = jax.random.normal(jax.random.key(2), (8, 1, 20, 20))
    y = jax.random.randint(jax.random.key(3), (8,), 0, 4)
    return smokestep.Training(make_step, (x, y), state=(model, opt_state))


class RNN(eqx.Module):
    hidden_size: int
    cell: eqx.nn.GRUCell
    linear: eqx.nn.Linear
    bias: jax.Array

    def __init__(self, in_size, out_size, hidden_size, *, key):
        ckey, lkey = jax.random.split(key)
        self.hidden_size = hidden_size
        self.cell = eqx.nn.GRUCell(in_size, hidden_size, key=ckey)
        self.linear = eqx.nn.Linear(hidden_size, out_size, use_bias=False, key=lkey)
        self.bias = jnp.zeros(out_size)

    def __call__(self, input):
        def f(carry, inp):
            return self.cell(inp, carry), None

        out, _ = jax.lax.scan(f, jnp.zeros((self.hidden_size,)), input)
        return jax.nn.sigmoid(self.linear(out) + self.bias)


def training_eqx_spirals():
    """equinox/examples/train_rnn.ipynb: a GRU scanned over a spiral, binary cross-entropy by hand."""
    model = RNN(2, 1, 8, key=jax.random.key(4))
    optim = optax.adam(1e-2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y):
        pred_y = jax.vmap(model)(x)
        return -jnp.mean(y * jnp.log(pred_y) + (1 - y) * jnp.log(1 - pred_y))

    @eqx.filter_jit
    def make_step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    t = jnp.linspace(0, 2 * jnp.pi, 6)
    phase = jax.random.uniform(jax.random.key(5), (8, 1)) * 6
    turn = jnp.where(jnp.arange(8) % 2 == 0, 1.0, -1.0)[:, None]
    x = jnp.stack([jnp.cos(phase + turn * t), jnp.sin(phase + turn * t)], axis=-1)
    return smokestep.Training(make_step, (x, (turn > 0).astype(jnp.float32)), state=(model, opt_state))


class Dropped(eqx.Module):
    first: eqx.nn.Linear
    drop: eqx.nn.Dropout
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(6, 32, key=a), eqx.nn.Linear(32, 3, key=b)
        self.drop, self.norm = eqx.nn.Dropout(0.2), eqx.nn.LayerNorm(32)

    def __call__(self, x, key):
        return self.last(self.drop(jax.nn.relu(self.norm(self.first(x))), key=key))


def training_eqx_dropout():
    """A key for each sample, split from the key of the state."""
    model = Dropped(jax.random.key(6))
    optim = optax.sgd(0.05)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def make_step(model, opt_state, key, batch):
        x, y = batch
        key, now = jax.random.split(key)

        @eqx.filter_value_and_grad
        def compute_loss(model):
            logits = jax.vmap(model)(x, jax.random.split(now, len(x)))
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = compute_loss(model)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, key, loss

    return smokestep.Training(make_step, points(), state=(model, opt_state, jax.random.key(7)))


def training_eqx_frozen_layer():
    """equinox/examples/frozen_layer.ipynb: tree_at picks the last layer, partition keeps the rest out."""
    model = eqx.nn.MLP(6, 1, 16, 2, key=jax.random.key(8))
    spec = jax.tree.map(lambda _: False, model)
    spec = eqx.tree_at(lambda tree: (tree.layers[-1].weight, tree.layers[-1].bias), spec, replace=(True, True))
    optim = optax.sgd(0.05)

    @eqx.filter_jit
    def make_step(model, opt_state, batch):
        x, y = batch

        @eqx.filter_value_and_grad
        def loss(diff_model, static_model):
            model = eqx.combine(diff_model, static_model)
            return jnp.mean((y - jax.vmap(model)(x)[:, 0]) ** 2)

        diff_model, static_model = eqx.partition(model, spec)
        value, grads = loss(diff_model, static_model)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, value

    x, _ = points()
    opt_state = optim.init(eqx.filter(model, spec))
    return smokestep.Training(make_step, (x, x[:, 0] + x[:, 1]), state=(model, opt_state))


class Stateful(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    last: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(6, 16, key=a), eqx.nn.Linear(16, 3, key=b)
        self.norm = eqx.nn.BatchNorm(16, axis_name="batch", mode="batch")

    def __call__(self, x, state):
        x, state = self.norm(self.first(x), state)
        return self.last(jax.nn.relu(x)), state


def training_eqx_batch_norm():
    """equinox/examples/stateful.ipynb: the state of the layers goes in and out of the model."""
    model, state = eqx.nn.make_with_state(Stateful)(jax.random.key(9))
    optim = optax.adam(5e-3)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    def compute_loss(model, state, xs, ys):
        batch_model = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
        pred_ys, state = batch_model(xs, state)
        return optax.softmax_cross_entropy_with_integer_labels(pred_ys, ys).mean(), state

    @eqx.filter_jit
    def make_step(model, state, opt_state, batch):
        (loss, state), grads = eqx.filter_value_and_grad(compute_loss, has_aux=True)(model, state, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), state, opt_state, loss

    return smokestep.Training(make_step, points(), state=(model, state, opt_state))


class Attention(eqx.Module):
    embed: eqx.nn.Embedding
    positions: jax.Array
    attention: eqx.nn.MultiheadAttention
    head: eqx.nn.Linear

    def __init__(self, key):
        a, b, c, d = jax.random.split(key, 4)
        self.embed = eqx.nn.Embedding(16, 12, key=a)
        self.positions = 0.02 * jax.random.normal(b, (8, 12))
        self.attention = eqx.nn.MultiheadAttention(3, 12, key=c)
        self.head = eqx.nn.Linear(12, 16, key=d)

    def __call__(self, ids):
        x = jax.vmap(self.embed)(ids) + self.positions
        mask = jnp.tril(jnp.ones((len(ids), len(ids)), dtype=bool))
        x = x + self.attention(x, x, x, mask=mask)
        return jax.vmap(self.head)(x)


def training_eqx_causal_attention():
    """Attention for one sequence, causal mask, vmap over the batch."""
    model = Attention(jax.random.key(10))
    optim = optax.adamw(1e-3)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    def loss_fn(model, ids):
        logits = jax.vmap(model)(ids[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

    @eqx.filter_jit
    def make_step(model, opt_state, ids):
        loss, grads = eqx.filter_value_and_grad(loss_fn)(model, ids)
        updates, opt_state = optim.update(grads, opt_state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(11), (4, 9), 0, 16)
    return smokestep.Training(make_step, ids, state=(model, opt_state))


def training_eqx_closed_over():
    """A loop that keeps its model in an object and has no state to hand over."""

    class Trainer:
        def __init__(self):
            self.model = eqx.nn.MLP(6, "scalar", 16, 1, key=jax.random.key(12))
            self.optim = optax.adam(1e-2)
            self.opt_state = self.optim.init(eqx.filter(self.model, eqx.is_inexact_array))

        def fit_batch(self, batch):
            x, y = batch

            @eqx.filter_value_and_grad
            def loss_fn(model):
                return jnp.mean(optax.squared_error(jax.vmap(model)(x), y))

            loss, grads = loss_fn(self.model)
            updates, self.opt_state = self.optim.update(grads, self.opt_state)
            self.model = eqx.apply_updates(self.model, updates)
            return loss

    x, _ = points()
    return smokestep.Training(Trainer().fit_batch, (x, jnp.sin(x[:, 0])))
