"""A decoder in Flax Linen, with dropout, whose attention is given the mask of the padding, and none of the future."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import smokestep


class Block(nn.Module):
    causal: bool

    @nn.compact
    def __call__(self, x, real, train):
        mask = nn.make_attention_mask(real, real)
        if self.causal:
            mask = nn.combine_masks(mask, nn.make_causal_mask(real))
        h = nn.LayerNorm()(x)
        h = nn.MultiHeadDotProductAttention(num_heads=2)(h, h, mask=mask)  # BUG: future-leak
        x = x + nn.Dropout(0.1, deterministic=not train)(h)
        h = nn.Dense(32)(nn.LayerNorm()(x))
        return x + nn.Dense(16)(nn.gelu(h))


class Decoder(nn.Module):
    causal: bool

    @nn.compact
    def __call__(self, ids, real, train=True):
        x = nn.Embed(21, 16)(ids) + nn.Embed(16, 16)(jnp.arange(ids.shape[1]))
        for _ in range(2):
            x = Block(self.causal)(x, real, train)
        return nn.Dense(21)(nn.LayerNorm()(x))


def training(causal):
    model = Decoder(causal)
    ids = jax.random.randint(jax.random.key(1), (4, 9), 1, 21)
    variables = model.init(jax.random.key(0), ids[:, :-1], ids[:, :-1] > 0, train=False)
    state = TrainState.create(apply_fn=model.apply, params=variables["params"], tx=optax.adam(1e-3))

    @jax.jit
    def step(state, batch):
        def loss_fn(params):
            key = jax.random.fold_in(jax.random.key(2), state.step)
            logits = state.apply_fn({"params": params}, batch[:, :-1], batch[:, :-1] > 0, rngs={"dropout": key})
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:]).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(step, ids, state=state)


def buggy():
    return training(False)


def fixed():
    return training(True)
