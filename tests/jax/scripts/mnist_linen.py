"""After flax/examples/mnist (Linen, TrainState): gradients and update in two jitted functions, a test per epoch."""

import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training import train_state

BUGGY = "buggy" in sys.argv


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(features=4, kernel_size=(3, 3))(x))
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        x = nn.relu(nn.Dense(features=16)(x))
        x = nn.Dense(features=10)(x)
        if BUGGY:
            x = nn.softmax(x)  # BUG: double-softmax
        return x


@jax.jit
def apply_model(state, images, labels):
    def loss_fn(params):
        logits = state.apply_fn({"params": params}, images)
        one_hot = jax.nn.one_hot(labels, 10)
        loss = jnp.mean(optax.softmax_cross_entropy(logits=logits, labels=one_hot))
        return loss, logits

    grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, logits), grads = grad_fn(state.params)
    accuracy = jnp.mean(jnp.argmax(logits, -1) == labels)
    return grads, loss, accuracy


@jax.jit
def update_model(state, grads):
    return state.apply_gradients(grads=grads)


def train_epoch(state, train_ds, batch_size, rng):
    size = len(train_ds["image"])
    perms = jax.random.permutation(rng, size)[: size // batch_size * batch_size].reshape((-1, batch_size))
    epoch_loss = []
    for perm in perms:
        grads, loss, _ = apply_model(state, train_ds["image"][perm, ...], train_ds["label"][perm, ...])
        state = update_model(state, grads)
        epoch_loss.append(loss)
    return state, np.mean(epoch_loss)


def main():
    data = np.random.default_rng(0)
    train_ds = {"image": data.random((64, 8, 8, 1), np.float32), "label": data.integers(0, 10, 64)}
    rng, init_rng = jax.random.split(jax.random.key(0))
    cnn = CNN()
    params = cnn.init(init_rng, jnp.ones([1, 8, 8, 1]))["params"]
    state = train_state.TrainState.create(apply_fn=cnn.apply, params=params, tx=optax.sgd(0.1, 0.9))
    for epoch in range(3):
        rng, input_rng = jax.random.split(rng)
        state, train_loss = train_epoch(state, train_ds, 32, input_rng)
        _, test_loss, accuracy = apply_model(state, train_ds["image"][:16], train_ds["label"][:16])
        print(f"epoch {epoch}: {train_loss:.4f}, test {test_loss:.4f}, {accuracy * 100:.1f} %")


if __name__ == "__main__":
    main()
