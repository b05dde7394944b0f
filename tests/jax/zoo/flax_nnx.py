"""Flax NNX: modules that are changed in place, under nnx.jit and without, as Flax's own guides write them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def points(classes=3, features=6, count=16):
    x_key, y_key = jax.random.split(jax.random.key(11))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


def images(count=8):
    x_key, y_key = jax.random.split(jax.random.key(12))
    return {
        "image": jax.random.normal(x_key, (count, 12, 12, 1)),
        "label": jax.random.randint(y_key, (count,), 0, 4),
    }


class MLP(nnx.Module):
    def __init__(self, din, dmid, dout, *, rngs):
        self.linear = nnx.Linear(din, dmid, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.bn = nnx.BatchNorm(dmid, rngs=rngs)
        self.linear_out = nnx.Linear(dmid, dout, rngs=rngs)

    def __call__(self, x):
        x = nnx.gelu(self.dropout(self.bn(self.linear(x))))
        return self.linear_out(x)


def training_nnx_basics():
    """Flax, "NNX basics": linear, batch normalization, dropout, and an optimizer, all in one jitted step."""
    model = MLP(6, 16, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, x, y):
        def loss_fn(model):
            logits = model(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    def step(model, optimizer, batch):
        return train_step(model, optimizer, *batch)

    return smokestep.Training(step, points(), state=(model, optimizer))


class CNN(nnx.Module):
    def __init__(self, *, rngs):
        self.conv1 = nnx.Conv(1, 8, kernel_size=(3, 3), rngs=rngs)
        self.batch_norm1 = nnx.BatchNorm(8, rngs=rngs)
        self.dropout1 = nnx.Dropout(rate=0.025, rngs=rngs)
        self.conv2 = nnx.Conv(8, 16, kernel_size=(3, 3), rngs=rngs)
        self.linear1 = nnx.Linear(3 * 3 * 16, 32, rngs=rngs)
        self.dropout2 = nnx.Dropout(rate=0.025, rngs=rngs)
        self.linear2 = nnx.Linear(32, 4, rngs=rngs)

    def __call__(self, x):
        x = nnx.avg_pool(nnx.relu(self.batch_norm1(self.dropout1(self.conv1(x)))), (2, 2), strides=(2, 2))
        x = nnx.avg_pool(nnx.relu(self.conv2(x)), (2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)
        x = nnx.relu(self.dropout2(self.linear1(x)))
        return self.linear2(x)


def training_nnx_mnist():
    """Flax, "MNIST tutorial": a CNN, AdamW, metrics updated in the step."""
    model = CNN(rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adamw(0.005, 0.9), wrt=nnx.Param)
    metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))

    def loss_fn(model, batch):
        logits = model(batch["image"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits=logits, labels=batch["label"]).mean()
        return loss, logits

    @nnx.jit
    def train_step(model, optimizer, metrics, batch):
        (loss, logits), grads = nnx.value_and_grad(loss_fn, has_aux=True)(model, batch)
        metrics.update(loss=loss, logits=logits, labels=batch["label"])
        optimizer.update(model, grads)

    def step(batch):
        model.train()
        train_step(model, optimizer, metrics, batch)

    return smokestep.Training(step, images(), model=model)


def training_nnx_without_jit():
    """NNX as plain Python: nothing is compiled, everything is in the closure of the step."""
    rngs = nnx.Rngs(params=1, dropout=2)
    model = nnx.Sequential(
        nnx.Linear(6, 16, rngs=rngs), nnx.relu, nnx.Dropout(0.2, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)
    )
    optimizer = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)

    def step(batch):
        x, y = batch
        loss, grads = nnx.value_and_grad(lambda m: optax.softmax_cross_entropy(m(x), jax.nn.one_hot(y, 3)).mean())(
            model
        )
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, points(), model=model)


def training_nnx_split_and_merge():
    """Flax, "Functional API": the module is split, and jax.jit and jax.grad see trees."""
    model = nnx.Sequential(nnx.Linear(6, 16, rngs=nnx.Rngs(3)), nnx.tanh, nnx.Linear(16, 3, rngs=nnx.Rngs(4)))
    graphdef, params = nnx.split(model)
    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            logits = nnx.merge(graphdef, params)(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, points(), state=(params, tx.init(params)))


class Tagger(nnx.Module):
    def __init__(self, vocabulary, width, tags, *, rngs):
        self.embed = nnx.Embed(vocabulary, width, rngs=rngs)
        self.rnn = nnx.RNN(nnx.LSTMCell(width, width, rngs=rngs))
        self.out = nnx.Linear(width, tags, rngs=rngs)

    def __call__(self, ids):
        return self.out(self.rnn(self.embed(ids)))


def training_nnx_lstm():
    """nnx.RNN over an LSTM cell, a tag for each token."""
    model = Tagger(20, 12, 5, rngs=nnx.Rngs(5))
    optimizer = nnx.Optimizer(model, optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2)), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, ids, tags):
        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(ids), tags).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    ids = jax.random.randint(jax.random.key(6), (4, 7), 0, 20)
    return smokestep.Training(
        lambda model, optimizer, ids: train_step(model, optimizer, ids, ids % 5), ids, state=(model, optimizer)
    )


class Block(nnx.Module):
    def __init__(self, width, heads, *, rngs):
        self.ln1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.ln2 = nnx.LayerNorm(width, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x, mask):
        x = x + self.attention(self.ln1(x), mask=mask)
        return x + self.down(nnx.gelu(self.up(self.ln2(x))))


class MiniGPT(nnx.Module):
    def __init__(self, vocabulary=16, length=8, width=16, *, rngs):
        self.tokens = nnx.Embed(vocabulary, width, rngs=rngs)
        self.positions = nnx.Embed(length, width, rngs=rngs)
        self.blocks = nnx.List([Block(width, 2, rngs=rngs) for _ in range(2)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, vocabulary, use_bias=False, rngs=rngs)

    def __call__(self, ids):
        mask = nnx.make_causal_mask(ids)
        x = self.tokens(ids) + self.positions(jnp.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def training_nnx_mini_gpt():
    """JAX AI Stack, "Train a miniGPT language model": causal masks, next tokens."""
    model = MiniGPT(rngs=nnx.Rngs(7))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    def loss_fn(model, batch):
        inputs, targets = batch
        logits = model(inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits=logits, labels=targets).mean()

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    ids = jax.random.randint(jax.random.key(8), (4, 9), 0, 16)
    return smokestep.Training(step, (ids[:, :-1], ids[:, 1:]), state=(model, optimizer))


def training_nnx_lora():
    """nnx.LoRA beside a base layer: only LoRAParam is differentiated and updated."""
    rngs = nnx.Rngs(9)
    model = nnx.Sequential(
        nnx.LoRA(6, 2, 16, base_module=nnx.Linear(6, 16, rngs=rngs), rngs=rngs),
        nnx.relu,
        nnx.LoRA(16, 2, 3, base_module=nnx.Linear(16, 3, rngs=rngs), rngs=rngs),
    )
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.LoRAParam)

    @nnx.jit
    def train_step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, nnx.LoRAParam))(model)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(train_step, points(), state=(model, optimizer))


class Regressor(nnx.Module):
    """A module with a parameter of its own and a counter, as in "Why NNX"."""

    def __init__(self, *, rngs):
        self.w = nnx.Param(0.3 * jax.random.normal(rngs.params(), (6, 1)))
        self.b = nnx.Param(jnp.zeros(1))
        self.count = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        self.count[...] += 1
        return x @ self.w + self.b


def training_nnx_by_hand():
    """No optimizer object: gradients are subtracted with jax.tree.map and nnx.update."""
    model = Regressor(rngs=nnx.Rngs(10))

    @nnx.jit
    def train_step(model, batch):
        x, y = batch

        def loss_fn(model):
            return jnp.mean((model(x) - y[:, None]) ** 2)

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        params = nnx.state(model, nnx.Param)
        nnx.update(model, jax.tree.map(lambda p, g: p - 0.05 * g, params, grads))
        return loss

    x, _ = points()
    return smokestep.Training(train_step, (x, x[:, 0] - x[:, 1]), state=model)


class Encoder(nnx.Module):
    def __init__(self, *, rngs):
        self.embed = nnx.Embed(20, 12, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(3, 12, dropout_rate=0.1, decode=False, rngs=rngs)
        self.norm = nnx.LayerNorm(12, rngs=rngs)
        self.positions = nnx.Param(0.02 * jax.random.normal(rngs.params(), (7, 12)))
        self.out = nnx.Linear(12, 2, rngs=rngs)

    def __call__(self, ids, mask):
        x = self.embed(ids) + self.positions[...]
        x = self.norm(x + self.attention(x, mask=mask[:, None, None, :]))
        return self.out(jnp.sum(x * mask[..., None], axis=1) / jnp.sum(mask, axis=1, keepdims=True))


def training_nnx_masked_attention():
    """Padded texts, a mask of the keys, a mean over the real positions."""
    model = Encoder(rngs=nnx.Rngs(11))
    model.train()
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, batch):
        def loss_fn(model):
            logits = model(batch["ids"], batch["mask"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return {"loss": loss}

    mask = jnp.arange(7) < jnp.array([7, 3, 5, 4])[:, None]
    ids = jax.random.randint(jax.random.key(12), (4, 7), 1, 20) * mask
    batch = {"ids": ids, "mask": mask, "label": jnp.array([0, 1, 1, 0])}
    return smokestep.Training(train_step, batch, state=(model, optimizer))


def training_nnx_vmapped_ensemble():
    """Several models made and called by nnx.vmap, one loss each, one optimizer for all."""

    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def create(rngs):
        return nnx.Linear(6, 1, rngs=rngs)

    model = create(nnx.Rngs(13))
    optimizer = nnx.Optimizer(model, optax.sgd(0.05), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            predictions = nnx.vmap(lambda m, x: m(x), in_axes=(0, None))(model, x)
            return jnp.mean((predictions[..., 0] - y) ** 2)

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    x, _ = points()
    return smokestep.Training(train_step, (x, x[:, 0] * x[:, 1]), state=(model, optimizer))


def training_nnx_evaluated_between():
    """An evaluation in every step: the mode is switched, and switched back."""
    model = MLP(6, 16, 3, rngs=nnx.Rngs(14))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, x, y):
        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    @nnx.jit
    def accuracy(model, x, y):
        return jnp.mean(model(x).argmax(-1) == y)

    def step(batch):
        model.train()
        loss = train_step(model, optimizer, *batch)
        model.eval()
        return {"loss": loss, "accuracy": accuracy(model, *batch)}

    return smokestep.Training(step, points(), model=model)
