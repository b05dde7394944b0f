"""LoRA with both factors zero never trains, while the head does; with one of them random, that one moves only later."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class LoraLinear(eqx.Module):
    base: eqx.nn.Linear
    a: jax.Array
    b: jax.Array

    def __call__(self, x):
        base = jax.lax.stop_gradient(self.base.weight) @ x
        return base + self.b @ (self.a @ x)  # BUG: zero-product adapted.a, adapted.b


class Net(eqx.Module):
    adapted: LoraLinear
    head: eqx.nn.Linear

    def __call__(self, x):
        return self.head(jnp.tanh(self.adapted(x)))


def training(a_init):
    base_key, a_key, head_key = jax.random.split(jax.random.key(0), 3)
    base = eqx.nn.Linear(8, 16, use_bias=False, key=base_key)
    adapted = LoraLinear(base, a_init(a_key, (2, 8)), jnp.zeros((16, 2)))
    model = Net(adapted, eqx.nn.Linear(16, 3, key=head_key))
    spec = jax.tree.map(eqx.is_inexact_array, model)
    spec = eqx.tree_at(lambda m: m.adapted.base.weight, spec, False)
    optim = optax.adam(1e-2)

    @eqx.filter_jit
    def step(model, opt_state, batch):
        x, y = batch
        trained, frozen = eqx.partition(model, spec)

        @eqx.filter_value_and_grad
        def compute_loss(trained):
            logits = jax.vmap(eqx.combine(trained, frozen))(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = compute_loss(trained)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (16, 8)), jax.random.randint(jax.random.key(2), (16,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optim.init(eqx.partition(model, spec)[0])))


def buggy():
    return training(jax.nn.initializers.zeros)


def fixed():
    return training(jax.nn.initializers.normal(1.0))
