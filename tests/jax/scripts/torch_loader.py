"""A PyTorch DataLoader feeds a JAX loop (after JAX's tutorial of that name): SGD by hand, one accuracy per epoch."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import grad, jit, random, vmap
from jax.scipy.special import logsumexp
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    def __init__(self):
        data = np.random.default_rng(0)
        self.images, self.labels = data.random((64, 6, 6), np.float32), data.integers(0, 10, 64)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return np.ravel(self.images[index]), int(self.labels[index])


def numpy_collate(batch):
    images, labels = zip(*batch, strict=True)
    return np.stack(images), np.array(labels)


def random_layer_params(m, n, key):
    w_key, b_key = random.split(key)
    return (2 / m) ** 0.5 * random.normal(w_key, (n, m)), 1e-2 * random.normal(b_key, (n,))


def predict(params, image):
    activations = image
    for w, b in params[:-1]:
        activations = jax.nn.relu(jnp.dot(w, activations) + b)
    final_w, final_b = params[-1]
    logits = jnp.dot(final_w, activations) + final_b
    return logits - logsumexp(logits)


batched_predict = vmap(predict, in_axes=(None, 0))


def loss(params, images, targets):
    return -jnp.mean(jnp.sum(batched_predict(params, images) * targets, axis=1))


@jit
def update(params, x, y):
    grads = grad(loss)(params, x, y)
    return [(w - 0.01 * dw, b - 0.01 * db) for (w, b), (dw, db) in zip(params, grads, strict=True)]


def accuracy(params, images, targets):
    return jnp.mean(jnp.argmax(batched_predict(params, images), axis=1) == jnp.argmax(targets, axis=1))


keys = random.split(random.key(0), 3)
params = [random_layer_params(m, n, k) for m, n, k in zip((36, 24, 16), (24, 16, 10), keys, strict=True)]
loader = DataLoader(Digits(), batch_size=16, collate_fn=numpy_collate)
for epoch in range(3):
    for x, y in loader:
        params = update(params, x, jax.nn.one_hot(y, 10))
    print(f"epoch {epoch}: {accuracy(params, x, jax.nn.one_hot(y, 10)):.3f}")
