"""First values, settings and layers that look like faults and are none."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def points(count=16, features=6, targets=2):
    x = jax.random.normal(jax.random.key(9), (count, features))
    return x, jnp.tanh(x[:, :targets])


def squared(model, x, y):
    return jnp.mean((model(x) - y) ** 2)


def nnx_training(model, tx, loss=squared, batch=None):
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        value, grads = nnx.value_and_grad(loss)(model, *batch)
        optimizer.update(model, grads)
        return value

    return smokestep.Training(step, batch or points(), state=(model, optimizer))


def plain_training(params, loss, tx, batch=None):
    @jax.jit
    def step(params, opt_state, batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    return smokestep.Training(step, batch or points(), state=(params, tx.init(params)))


def normal(key, *shape):
    return jax.random.normal(jax.random.key(key), shape) / shape[0] ** 0.5


def training_zero_head():
    """A head that begins as zero, as in ResNets' last gamma and in GPT-2's projections."""
    params = {"w1": normal(0, 6, 16), "b1": jnp.zeros(16), "w2": jnp.zeros((16, 2)), "b2": jnp.zeros(2)}

    def loss(p, x, y):
        return jnp.mean((jax.nn.gelu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"] - y) ** 2)

    return plain_training(params, loss, optax.adam(1e-2))


def training_adapter_beside_layer():
    """Hu et al., "LoRA": one factor is random, the other zero; no activation lies between the two."""
    params = {"down": {"w": normal(1, 6, 2), "b": jnp.zeros(2)}, "up": {"w": jnp.zeros((2, 8)), "b": jnp.zeros(8)}}
    base, out = normal(2, 6, 8), normal(3, 8, 2)

    def loss(p, x, y):
        low = x @ p["down"]["w"] + p["down"]["b"]
        h = x @ base + low @ p["up"]["w"] + p["up"]["b"]
        return jnp.mean((jax.nn.relu(h) @ out - y) ** 2)

    return plain_training(params, loss, optax.adamw(1e-3))


def training_bottleneck():
    """A linear autoencoder, which is a principal component analysis: narrow, so its two layers are no one."""
    params = {"enc": {"w": normal(4, 6, 2), "b": jnp.zeros(2)}, "dec": {"w": normal(5, 2, 6), "b": jnp.zeros(6)}}

    def loss(p, x, y):
        code = x @ p["enc"]["w"] + p["enc"]["b"]
        return jnp.mean((code @ p["dec"]["w"] + p["dec"]["b"] - x) ** 2)

    return plain_training(params, lambda p, x: loss(p, x, None), optax.adam(1e-2), points()[:1])


def training_attention_by_hand():
    """Projections for queries, keys and values with biases, and one after the mixing."""
    names = ("query", "key", "value", "out")
    params = {name: {"w": normal(10 + i, 8, 8), "b": jnp.zeros(8)} for i, name in enumerate(names)}

    def loss(p, x, y):
        q, k, v = (x @ p[name]["w"] + p[name]["b"] for name in names[:3])
        mixed = jax.nn.softmax(q @ k.swapaxes(-1, -2) / 8**0.5, axis=-1) @ v
        return jnp.mean((x + mixed @ p["out"]["w"] + p["out"]["b"] - y) ** 2)

    x = jax.random.normal(jax.random.key(1), (4, 5, 8))
    return plain_training(params, loss, optax.adam(1e-3), (x, jnp.flip(x, 1)))


def training_latent_heads():
    """A hidden layer without activation that two heads read, mean and log-variance, as some autoencoders have it."""
    names = ("trunk", "mean", "spread", "back")
    shapes = ((6, 8), (8, 3), (8, 3), (3, 6))
    params = {name: {"w": normal(i, *s), "b": jnp.zeros(s[1])} for i, (name, s) in enumerate(zip(names, shapes))}

    def layer(p, x):
        return x @ p["w"] + p["b"]

    def loss(p, x, noise):
        h = layer(p["trunk"], x)
        mean, spread = layer(p["mean"], h), layer(p["spread"], h)
        z = mean + jnp.exp(0.5 * spread) * noise
        kl = -0.5 * jnp.mean(1 + spread - mean**2 - jnp.exp(spread))
        return jnp.mean((layer(p["back"], jax.nn.tanh(z)) - x) ** 2) + 0.1 * kl

    return plain_training(params, loss, optax.adam(1e-3), (points()[0], jax.random.normal(jax.random.key(3), (16, 3))))


def training_target_begins_as_online():
    """Mnih et al., "Human-level control": the target network begins as the very arrays of the online one."""
    params = {"w1": normal(0, 6, 16), "b1": jnp.zeros(16), "w2": normal(1, 16, 2), "b2": jnp.zeros(2)}
    tx = optax.adam(1e-3)

    def values(p, x):
        return jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]

    def loss(p, target, x, y):
        wanted = y[:, 0] + 0.9 * jnp.max(values(target, jnp.roll(x, -1, 0)), -1)
        return jnp.mean((values(p, x)[:, 0] - jax.lax.stop_gradient(wanted)) ** 2)

    @jax.jit
    def step(params, target, opt_state, batch):
        value, grads = jax.value_and_grad(loss)(params, target, *batch)
        updates, opt_state = tx.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        return params, optax.incremental_update(params, target, 0.01), opt_state, value

    return smokestep.Training(step, points(), state=(params, params, tx.init(params)))


def training_tied_table():
    """Press and Wolf, "Using the Output Embedding": one table embeds and scores."""
    params = {"table": 0.1 * jax.random.normal(jax.random.key(0), (30, 12)), "mix": normal(1, 12, 12)}

    def loss(p, ids):
        h = jnp.tanh(jnp.take(p["table"], ids[:, :-1], axis=0) @ p["mix"])
        return optax.softmax_cross_entropy_with_integer_labels(h @ p["table"].T, ids[:, 1:]).mean()

    return plain_training(params, loss, optax.adam(1e-3), (jax.random.randint(jax.random.key(2), (4, 9), 0, 30),))


def training_ensemble_of_seeds():
    """Members that `vmap` builds from keys of their own and trains side by side."""
    members = eqx.filter_vmap(lambda key: eqx.nn.MLP(6, 2, 12, 1, key=key))(jax.random.split(jax.random.key(0), 3))
    tx = optax.adam(1e-3)

    @eqx.filter_jit
    def step(members, opt_state, batch):
        def loss(members, x, y):
            given = eqx.filter_vmap(lambda member: jax.vmap(member)(x))(members)
            return jnp.mean((given - y) ** 2)

        value, grads = eqx.filter_value_and_grad(loss)(members, *batch)
        updates, opt_state = tx.update(grads, opt_state)
        return eqx.apply_updates(members, updates), opt_state, value

    return smokestep.Training(step, points(), state=(members, tx.init(eqx.filter(members, eqx.is_array))))


def training_wide_betas():
    """Betas that are equal, as some transformers are trained, under a schedule and a mask of the decay."""
    model = nnx.Sequential(nnx.Linear(6, 12, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(12, 2, rngs=nnx.Rngs(1)))
    rate = optax.warmup_cosine_decay_schedule(1e-4, 1e-3, 5, 50)
    return nnx_training(model, optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, 0.95, 0.95)))


def training_half_with_wide_updates():
    """Parameters in float16 whose gradients and averages are float32, as a master copy is updated."""
    params = {"w": normal(0, 6, 2)}
    tx = optax.adam(1e-3)

    def loss(p, x, y):
        half = p["w"].astype(jnp.float16)
        return jnp.mean(((x.astype(jnp.float16) @ half).astype(jnp.float32) - y) ** 2)

    return plain_training(params, loss, tx)


class Normed(nnx.Module):
    """Keeps a mean of its own, which evaluation leaves alone."""

    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(6, 12, rngs=rngs), nnx.Linear(12, 2, rngs=rngs)
        self.norm = nnx.BatchNorm(12, momentum=0.9, rngs=rngs)
        self.mean, self.deterministic = nnx.BatchStat(jnp.zeros(6)), False

    def __call__(self, x):
        if not self.deterministic:
            self.mean[...] = 0.95 * self.mean[...] + 0.05 * x.mean(0)
        return self.last(nnx.relu(self.norm(self.first(x - self.mean[...]))))


def training_own_average():
    """A running mean by hand, guarded by the module's flag, beside a batch normalization."""
    return nnx_training(Normed(nnx.Rngs(0)), optax.adam(1e-3))


class Flagged(nnx.Module):
    """Is told by an argument whether it is trained."""

    def __init__(self, rngs):
        self.last, self.mean = nnx.Linear(6, 2, rngs=rngs), nnx.BatchStat(jnp.zeros(6))

    def __call__(self, x, train=True):
        if train:
            self.mean[...] = 0.9 * self.mean[...] + 0.1 * x.mean(0)
        return self.last(x - self.mean[...])


def training_average_behind_an_argument():
    """A running mean that an argument guards, which only the user's evaluation hands over."""
    return nnx_training(Flagged(nnx.Rngs(0)), optax.adam(1e-3))
