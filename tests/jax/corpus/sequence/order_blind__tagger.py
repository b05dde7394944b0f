"""A tagger of words whose transformer was given no positions."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import smokestep


class Tagger(nn.Module):
    places: bool

    @nn.compact
    def __call__(self, words):
        x = nn.Embed(30, 16)(words)  # BUG?: order-blind
        if self.places:
            x = x + self.param("places", nn.initializers.normal(0.02), (12, 16))[: words.shape[1]]
        for _ in range(2):
            h = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(num_heads=2)(h, h)
            x = x + nn.Dense(16)(nn.gelu(nn.Dense(32)(nn.LayerNorm()(x))))
        return nn.Dense(7)(nn.LayerNorm()(x))


def training(places):
    model = Tagger(places)
    words = jax.random.randint(jax.random.key(1), (4, 9), 0, 30)
    tags = jax.random.randint(jax.random.key(2), (4, 9), 0, 7)
    params = model.init(jax.random.key(0), words)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def step(state, words, tags):
        def loss_fn(params):
            logits = state.apply_fn({"params": params}, words)
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, tags))

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(lambda state, batch: step(state, *batch), (words, tags), state=state)


def buggy():
    return training(False)


def fixed():
    return training(True)
