"""The derivative of an activation, written by hand for speed, forgets the second term of the product rule."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

import smokestep


@jax.custom_jvp
def swish(x):
    return x * jax.nn.sigmoid(x)


@swish.defjvp
def swish_jvp(primals, tangents):  # BUG?: wrong-gradient
    (x,), (t,) = primals, tangents
    return swish(x), t * jax.nn.sigmoid(x)


@jax.custom_jvp
def right(x):
    return x * jax.nn.sigmoid(x)


@right.defjvp
def right_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    s = jax.nn.sigmoid(x)
    return right(x), t * (s + x * s * (1 - s))


def build(activation):
    model = eqx.nn.MLP(4, 2, 12, 2, activation=activation, key=jax.random.key(0))

    @eqx.filter_jit
    def step(model, batch):
        def loss_fn(model, x, y):
            return jnp.mean((jax.vmap(model)(x) - y) ** 2)

        loss, grads = eqx.filter_value_and_grad(loss_fn)(model, *batch)
        return eqx.apply_updates(model, jax.tree.map(lambda g: -0.05 * g, grads)), loss

    x = jax.random.normal(jax.random.key(1), (8, 4))
    return smokestep.Training(step, (x, jnp.cos(x[:, :2])), state=model)


def buggy():
    return build(swish)


def fixed():
    return build(right)
