"""Batch normalization in inference mode: the model was switched for a baseline, and the switched copy is trained."""

from __future__ import annotations

import equinox as eqx
import jax
import optax

import smokestep


class Net(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    out: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.conv = eqx.nn.Conv2d(1, 6, 3, padding=1, key=a)
        self.norm = eqx.nn.BatchNorm(6, axis_name="batch", mode="batch")
        self.out = eqx.nn.Linear(6, 3, key=b)

    def __call__(self, image, state):
        x, state = self.norm(self.conv(image), state)  # BUG: inference-normalization norm
        return self.out(jax.nn.relu(x).mean(axis=(1, 2))), state


def training(model, state):
    optim = optax.sgd(0.1, momentum=0.9)

    @eqx.filter_grad(has_aux=True)
    def gradient(model, state, images, labels):
        logits, state = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(images, state)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), state

    @eqx.filter_jit
    def step(model, state, opt_state, batch):
        grads, state = gradient(model, state, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), state, opt_state

    images = 2 * jax.random.normal(jax.random.key(1), (8, 1, 8, 8)) + 1
    labels = jax.random.randint(jax.random.key(2), (8,), 0, 3)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, (images, labels), state=(model, state, opt_state))


def buggy():
    model, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
    model = eqx.nn.inference_mode(model)
    return training(model, state)


def fixed():
    model, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
    baseline = eqx.nn.inference_mode(model)
    assert baseline.norm.inference
    return training(model, state)
