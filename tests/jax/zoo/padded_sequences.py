"""Sequences of different lengths, padded, whose padding is kept out in the ways that people do it; and forecasts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep

LENGTHS = jnp.array([8, 3, 6, 5])
REAL = jnp.arange(8) < LENGTHS[:, None]


def fit(model, loss_fn, batch, rate=1e-3):
    optimizer = nnx.Optimizer(model, optax.adam(rate), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, batch, state=(model, optimizer))


def words(seed, *shape):
    return jax.random.randint(jax.random.key(seed), shape, 1, 20)


class ByLengths(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(20, 8, rngs=rngs)
        self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(8, 8, rngs=rngs), return_carry=True)
        self.out = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, ids, lengths):
        (_, last), _ = self.rnn(self.embed(ids), seq_lengths=lengths)
        return self.out(last)


def training_lengths_given_to_the_recurrence():
    """A classifier by an LSTM that is told the lengths (Flax's seq2seq and IMDB examples)."""

    def loss_fn(model, batch):
        ids, lengths, y = batch
        return optax.softmax_cross_entropy_with_integer_labels(model(ids, lengths), y).mean()

    return fit(ByLengths(nnx.Rngs(0)), loss_fn, (words(1, 4, 8) * REAL, LENGTHS, jnp.array([0, 1, 2, 1])))


class Reader(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.place = nnx.Embed(20, 16, rngs=rngs), nnx.Embed(16, 16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 16, decode=False, rngs=rngs)
        self.spans = nnx.Linear(16, 2, rngs=rngs)

    def __call__(self, ids, real):
        x = self.embed(ids) + self.place(jnp.arange(ids.shape[1]))
        x = x + self.attention(x, mask=real[:, None, None, :])
        return jnp.where(real[..., None], self.spans(x), -1e9)


def training_span_prediction():
    """Where an answer begins and where it ends; padded positions get no probability (SQuAD)."""

    def loss_fn(model, batch):
        scores = model(batch["ids"], batch["attention_mask"])
        first = optax.softmax_cross_entropy_with_integer_labels(scores[..., 0], batch["start"])
        last = optax.softmax_cross_entropy_with_integer_labels(scores[..., 1], batch["end"])
        return (first + last).mean() / 2

    batch = {"ids": words(2, 4, 8) * REAL, "attention_mask": REAL}
    batch |= {"start": jnp.array([1, 0, 2, 3]), "end": jnp.array([4, 2, 3, 4])}
    return fit(Reader(nnx.Rngs(0)), loss_fn, batch)


class Pooled(eqx.Module):
    embed: eqx.nn.Embedding
    norm: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    head: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.embed, self.norm = eqx.nn.Embedding(20, 16, key=keys[0]), eqx.nn.LayerNorm(16)
        self.attention = eqx.nn.MultiheadAttention(2, 16, key=keys[1])
        self.head = eqx.nn.Linear(16, 3, key=keys[2])

    def __call__(self, ids, length):
        real = jnp.arange(len(ids)) < length
        x = jax.vmap(self.norm)(jax.vmap(self.embed)(ids) + jnp.sin(jnp.arange(len(ids)))[:, None])
        x = x + self.attention(x, x, x, mask=jnp.broadcast_to(real, (len(ids), len(ids))))
        return self.head(jnp.where(real[:, None], x, 0.0).sum(0) / length)


def training_mean_of_what_is_real():
    """A transformer that makes its mask from lengths, written for one sequence and mapped over the batch."""
    model, tx = Pooled(jax.random.key(0)), optax.adamw(1e-3)

    @eqx.filter_value_and_grad
    def loss_fn(model, ids, lengths, y):
        logits = jax.vmap(model)(ids, lengths)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = loss_fn(model, batch["ids"], batch["lengths"], batch["y"])
        updates, opt_state = tx.update(grads, opt_state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    batch = {"ids": words(3, 4, 8) * REAL, "lengths": LENGTHS, "y": jnp.array([2, 0, 1, 1])}
    return smokestep.Training(step, batch, state=(model, tx.init(eqx.filter(model, eqx.is_array))))


class Ahead(nnx.Module):
    """Reads the past of a series, and what is known of its future: the calendar."""

    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.GRUCell(3, 12, rngs=rngs))
        self.known, self.out = nnx.Linear(2, 12, rngs=rngs), nnx.Linear(12, 1, rngs=rngs)

    def __call__(self, past, calendar):
        state = self.rnn(past)[:, -1]
        return self.out(nnx.relu(state[:, None] + self.known(calendar)))[..., 0]


def training_forecast_with_known_future():
    """Covariates of the days to come are known when the forecast is made, and each day may see them."""

    def loss_fn(model, batch):
        return optax.squared_error(model(batch["past"], batch["calendar"]), batch["future"]).mean()

    keys = jax.random.split(jax.random.key(4), 3)
    calendar = jax.random.normal(keys[1], (4, 5, 2))
    batch = {"past": jax.random.normal(keys[0], (4, 9, 3)), "calendar": calendar}
    batch["future"] = calendar.sum(-1) + 0.1 * jax.random.normal(keys[2], (4, 5))
    return fit(Ahead(nnx.Rngs(0)), loss_fn, batch)


class Next(nnx.Module):
    def __init__(self, rngs):
        self.one = nnx.Conv(2, 16, (3,), padding="CAUSAL", rngs=rngs)
        self.two = nnx.Conv(16, 2, (3,), padding="CAUSAL", kernel_dilation=2, rngs=rngs)

    def __call__(self, x):
        return x + self.two(nnx.relu(self.one(x)))


def training_next_value():
    """A temporal convolution that forecasts the next value of its input."""

    def loss_fn(model, series):
        return optax.huber_loss(model(series[:, :-1]), series[:, 1:]).mean()

    return fit(Next(nnx.Rngs(0)), loss_fn, jnp.cumsum(jax.random.normal(jax.random.key(5), (4, 12, 2)), axis=1))


class Denoiser(nnx.Module):
    def __init__(self, rngs):
        self.one = nnx.Conv(2, 16, (5,), rngs=rngs)
        self.two = nnx.Conv(16, 2, (5,), rngs=rngs)

    def __call__(self, x):
        return self.two(nnx.relu(self.one(x)))


def training_denoising():
    """A series is told from its noisy copy, by both neighbours of each value."""

    def loss_fn(model, batch):
        return optax.squared_error(model(batch["noisy"]), batch["clean"]).mean()

    keys = jax.random.split(jax.random.key(6))
    clean = jnp.cumsum(jax.random.normal(keys[0], (4, 12, 2)), axis=1) / 3
    noisy = clean + 0.3 * jax.random.normal(keys[1], clean.shape)
    return fit(Denoiser(nnx.Rngs(0)), loss_fn, {"noisy": noisy, "clean": clean})


class Long(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.head = nnx.Embed(20, 8, rngs=rngs), nnx.Linear(8, 20, rngs=rngs)
        self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(8, 8, rngs=rngs))

    def __call__(self, ids):
        return self.head(self.rnn(self.embed(ids)))


def training_long_recurrence():
    """A language model by an LSTM over texts too long to be unrolled."""

    def loss_fn(model, ids):
        logits = model(ids[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

    return fit(Long(nnx.Rngs(0)), loss_fn, words(7, 4, 321))
