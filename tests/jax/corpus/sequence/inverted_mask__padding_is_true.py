"""An encoder ported from PyTorch: its padding mask is true at padding, and Flax attends where a mask is true."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import smokestep


class Encoder(nn.Module):
    turned: bool

    @nn.compact
    def __call__(self, src, src_key_padding_mask):
        x = nn.Embed(28, 16)(src) + nn.Embed(16, 16)(jnp.arange(src.shape[1]))
        mask = src_key_padding_mask[:, None, None, :]
        mask = ~mask if self.turned else mask
        x = x + nn.MultiHeadDotProductAttention(num_heads=4)(x, x, mask=mask)  # BUG: inverted-mask
        x = nn.LayerNorm()(x)
        return nn.Dense(5)(x)


def training(turned):
    model = Encoder(turned)
    padded = jnp.arange(9) >= jnp.array([8, 5, 4, 7])[:, None]
    src = jnp.where(padded, 0, jax.random.randint(jax.random.key(1), (4, 9), 1, 28))
    tags = jax.random.randint(jax.random.key(2), (4, 9), 0, 5)
    params = model.init(jax.random.key(0), src, padded)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def step(state, batch):
        def loss_fn(params):
            logits = state.apply_fn({"params": params}, batch["src"], batch["padded"])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["tags"])
            return jnp.where(batch["padded"], 0.0, losses).sum() / (~batch["padded"]).sum()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(step, {"src": src, "padded": padded, "tags": tags}, state=state)


def buggy():
    return training(False)


def fixed():
    return training(True)
