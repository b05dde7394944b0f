"""After the Equinox "CNN on MNIST" example: a filtered, jitted step, an evaluation now and then."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

BUGGY = "buggy" in sys.argv


class CNN(eqx.Module):
    layers: list

    def __init__(self, key):
        key1, key2, key3 = jax.random.split(key, 3)
        self.layers = [
            eqx.nn.Conv2d(1, 3, kernel_size=3, key=key1),
            eqx.nn.MaxPool2d(kernel_size=2, stride=2),
            jax.nn.relu,
            jnp.ravel,
            eqx.nn.Linear(27, 16, key=key2),
            jax.nn.sigmoid,
            eqx.nn.Linear(16, 10, key=key3),
            jax.nn.log_softmax,
        ]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@eqx.filter_jit
def loss(model, x, y):
    pred_y = jax.vmap(model)(x)
    return -jnp.mean(jnp.take_along_axis(pred_y, jnp.expand_dims(y, 1), axis=1))


@eqx.filter_jit
def compute_accuracy(model, x, y):
    return jnp.mean(y == jnp.argmax(jax.vmap(model)(x), axis=1))


def train(model, optim, batches, steps, print_every):
    opt_state = optim.init(eqx.filter(model, eqx.is_array))

    @eqx.filter_jit
    def make_step(model, opt_state, x, y):
        loss_value, grads = eqx.filter_value_and_grad(loss)(model, x, y)
        updates, opt_state = optim.update(grads, opt_state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), opt_state, loss_value  # BUG: unapplied-update

    for step in range(steps):
        x, y = batches[step % len(batches)]
        if BUGGY:  # the new model is dropped
            _, opt_state, train_loss = make_step(model, opt_state, x, y)
        else:
            model, opt_state, train_loss = make_step(model, opt_state, x, y)
        if step % print_every == 0:
            accuracy = compute_accuracy(model, *batches[0])
            print(f"step {step}: train loss {train_loss.item():.4f}, accuracy {accuracy.item():.2f}")
    return model


data = np.random.default_rng(0)
batches = [(data.random((16, 1, 8, 8), np.float32), data.integers(0, 10, 16)) for _ in range(4)]
train(CNN(jax.random.PRNGKey(5678)), optax.adamw(3e-4), batches, steps=10, print_every=3)
