"""Contrastive, siamese and distilled: what needs stop_gradient, and has it."""

from __future__ import annotations

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep


def samples(count=12, features=8):
    return jax.random.normal(jax.random.key(61), (count, features))


def normalized(x):
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def two_views(key, x):
    first, second = jax.random.split(key)
    return x + 0.1 * jax.random.normal(first, x.shape), x + 0.1 * jax.random.normal(second, x.shape)


class Projector(nn.Module):
    width: int = 16

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.width)(nn.relu(nn.LayerNorm()(nn.Dense(24)(x))))


def training_simsiam():
    """SimSiam: the predictor's side learns, the target's side is stopped."""
    encoder, predictor = Projector(), Projector()
    x = samples()
    params = {
        "encoder": encoder.init(jax.random.key(0), x),
        "predictor": predictor.init(jax.random.key(1), jnp.zeros((1, 16))),
    }
    tx = optax.sgd(0.05, momentum=0.9)

    def alike(p, z):
        return -jnp.mean(jnp.sum(normalized(p) * normalized(jax.lax.stop_gradient(z)), axis=-1))

    def loss_fn(params, key, x):
        first, second = two_views(key, x)
        z1, z2 = encoder.apply(params["encoder"], first), encoder.apply(params["encoder"], second)
        p1, p2 = predictor.apply(params["predictor"], z1), predictor.apply(params["predictor"], z2)
        return 0.5 * alike(p1, z2) + 0.5 * alike(p2, z1)

    @jax.jit
    def step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, x)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(step, x, state=(params, tx.init(params), jax.random.key(2)))


def training_simclr():
    """SimCLR: similarities of a batch with itself, the diagonal masked."""
    encoder = Projector()
    x = samples()
    params = encoder.init(jax.random.key(3), x)
    tx = optax.lamb(1e-2)

    def loss_fn(params, key, x):
        z = normalized(encoder.apply(params, jnp.concatenate(two_views(key, x))))
        count = len(z)
        logits = jnp.where(jnp.eye(count, dtype=bool), -1e9, z @ z.T / 0.5)
        partner = jnp.roll(jnp.arange(count), count // 2)
        return optax.softmax_cross_entropy_with_integer_labels(logits, partner).mean()

    @jax.jit
    def step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, x)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(step, x, state=(params, tx.init(params), jax.random.key(4)))


def training_clip():
    """CLIP: two encoders, a learned temperature, cross-entropy in both directions."""
    image, text = Projector(), Projector()
    images, texts = samples(), samples()[:, ::-1] + 0.1
    params = {
        "image": image.init(jax.random.key(5), images),
        "text": text.init(jax.random.key(6), texts),
        "scale": jnp.log(1 / 0.5),
    }
    tx = optax.adamw(1e-3)

    def loss_fn(params, batch):
        a, b = image.apply(params["image"], batch[0]), text.apply(params["text"], batch[1])
        logits = jnp.exp(params["scale"]) * normalized(a) @ normalized(b).T
        labels = jnp.arange(len(logits))
        ce = optax.softmax_cross_entropy_with_integer_labels
        return (ce(logits, labels).mean() + ce(logits.T, labels).mean()) / 2

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, (images, texts), state=(params, tx.init(params)))


def training_byol():
    """BYOL: a target network that is the moving average of the online one."""
    encoder, predictor = Projector(), Projector()
    x = samples()
    online = {
        "encoder": encoder.init(jax.random.key(7), x),
        "predictor": predictor.init(jax.random.key(8), jnp.zeros((1, 16))),
    }
    tx = optax.adam(1e-3)

    def loss_fn(online, target, key, x):
        first, second = two_views(key, x)
        prediction = predictor.apply(online["predictor"], encoder.apply(online["encoder"], first))
        wanted = jax.lax.stop_gradient(encoder.apply(target, second))
        return jnp.mean(jnp.sum((normalized(prediction) - normalized(wanted)) ** 2, axis=-1))

    @jax.jit
    def step(online, target, opt_state, key, x):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(online, target, now, x)
        updates, opt_state = tx.update(grads, opt_state)
        online = optax.apply_updates(online, updates)
        target = jax.tree.map(lambda t, o: 0.99 * t + 0.01 * o, target, online["encoder"])
        return online, target, opt_state, key, loss

    state = (online, online["encoder"], tx.init(online), jax.random.key(9))
    return smokestep.Training(step, x, state=state)


def training_distillation():
    """A small network learns a fixed teacher's softened answers and the labels."""
    teacher = eqx.nn.MLP(8, 3, 24, 1, key=jax.random.key(10))
    student = eqx.nn.MLP(8, 3, 8, 1, key=jax.random.key(11))
    optim = optax.adam(1e-2)
    x = samples()
    y = jax.random.randint(jax.random.key(12), (len(x),), 0, 3)

    @eqx.filter_jit
    def step(student, opt_state, batch):
        x, y = batch
        soft = jax.nn.softmax(jax.vmap(teacher)(x) / 2.0)

        @eqx.filter_value_and_grad
        def loss_fn(student):
            logits = jax.vmap(student)(x)
            hard = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
            softened = optax.kl_divergence(jax.nn.log_softmax(logits / 2.0), soft).mean()
            return 0.5 * hard + 0.5 * 4.0 * softened

        loss, grads = loss_fn(student)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(student, updates), opt_state, loss

    return smokestep.Training(step, (x, y), state=(student, optim.init(eqx.filter(student, eqx.is_inexact_array))))


def training_triplets():
    """A triplet margin by hand, on anchors, positives and negatives."""
    encoder = Projector()
    x = samples()
    params = encoder.init(jax.random.key(13), x)
    tx = optax.adam(1e-3)

    def loss_fn(params, batch):
        anchor, positive, negative = (normalized(encoder.apply(params, each)) for each in batch)
        near = jnp.sum((anchor - positive) ** 2, axis=-1)
        far = jnp.sum((anchor - negative) ** 2, axis=-1)
        return jnp.mean(jax.nn.relu(near - far + 1.0))

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    noise = jax.random.normal(jax.random.key(14), x.shape)
    return smokestep.Training(step, (x, x + 0.3 * noise, x[::-1]), state=(params, tx.init(params)))
