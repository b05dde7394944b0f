"""Tied embeddings: tree_at sets the head to the table once, and nothing shares it afterwards."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Bigram(eqx.Module):
    embed: eqx.nn.Embedding
    mix: eqx.nn.Linear
    head: eqx.nn.Linear

    def __init__(self, key, vocabulary=11, width=8):
        a, b, c = jax.random.split(key, 3)
        self.embed = eqx.nn.Embedding(vocabulary, width, key=a)
        self.mix = eqx.nn.Linear(width, width, key=b)
        self.head = eqx.nn.Linear(width, vocabulary, use_bias=False, key=c)

    def __call__(self, ids):
        h = jnp.tanh(jax.vmap(self.mix)(jax.vmap(self.embed)(ids)))
        return jax.vmap(self.head)(h)  # BUG?: untied-weights head.weight


class TiedBigram(Bigram):
    def __call__(self, ids):
        h = jnp.tanh(jax.vmap(self.mix)(jax.vmap(self.embed)(ids)))
        return h @ self.embed.weight.T


def training(model):
    optim = optax.adam(1e-3)

    @eqx.filter_value_and_grad
    def compute_loss(model, ids):
        logits = jax.vmap(model)(ids[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

    @eqx.filter_jit
    def step(model, opt_state, ids):
        loss, grads = compute_loss(model, ids)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(1), (4, 9), 0, 11)
    return smokestep.Training(step, ids, state=(model, optim.init(eqx.filter(model, eqx.is_inexact_array))))


def buggy():
    model = Bigram(jax.random.key(0))
    return training(eqx.tree_at(lambda m: m.head.weight, model, model.embed.weight))


def fixed():
    model = TiedBigram(jax.random.key(0))
    return training(eqx.tree_at(lambda m: m.head, model, None))
