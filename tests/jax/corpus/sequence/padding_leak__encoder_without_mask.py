"""A classifier of sentences in Flax Linen that pools with the mask, and attends without it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import smokestep


class Encoder(nn.Module):
    masked: bool

    @nn.compact
    def __call__(self, input_ids, attention_mask):
        x = nn.Embed(30, 16)(input_ids) + nn.Embed(16, 16)(jnp.arange(input_ids.shape[1]))
        real = attention_mask > 0
        mask = nn.make_attention_mask(real, real) if self.masked else None
        x = x + nn.MultiHeadDotProductAttention(num_heads=2)(x, x, mask=mask)  # BUG?: padding-leak
        x = nn.LayerNorm()(x)
        pooled = (x * real[..., None]).sum(1) / real.sum(1, keepdims=True)
        return nn.Dense(3)(pooled)


def training(masked):
    model = Encoder(masked)
    lengths = jnp.array([8, 5, 3, 6])
    attention_mask = (jnp.arange(8) < lengths[:, None]).astype(jnp.int32)
    input_ids = jax.random.randint(jax.random.key(1), (4, 8), 1, 30) * attention_mask
    params = model.init(jax.random.key(0), input_ids, attention_mask)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    def loss_fn(params, batch):
        logits = state.apply_fn({"params": params}, batch["input_ids"], batch["attention_mask"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    @jax.jit
    def step(state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(state.params, batch)
        return state.apply_gradients(grads=grads), loss

    batch = {"input_ids": input_ids, "attention_mask": attention_mask, "label": jnp.array([0, 2, 1, 0])}
    return smokestep.Training(step, batch, state=state)


def buggy():
    return training(False)


def fixed():
    return training(True)
