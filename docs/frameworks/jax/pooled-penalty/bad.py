import jax
import jax.numpy as jnp
import optax

import smokestep


def critic(params, images):
    h = jnp.tanh(images.reshape(len(images), -1) @ params["hidden"])
    return h @ params["out"]


def loss_fn(params, batch):
    real, fake = batch
    mixed = 0.5 * real + 0.5 * fake
    slope = jax.grad(lambda images: critic(params, images).sum())(mixed)
    norms = jnp.sqrt(jnp.sum(slope**2, axis=-1))
    penalty = jnp.mean((norms - 1) ** 2)
    return critic(params, fake).mean() - critic(params, real).mean() + 10 * penalty


def training():
    init = jax.nn.initializers.lecun_normal()
    params = {"hidden": init(jax.random.key(0), (192, 16)), "out": init(jax.random.key(1), (16, 1))}
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(2), (6, 8, 8, 3)), jax.random.normal(jax.random.key(3), (6, 8, 8, 3))),
        state=(params, optimizer.init(params)),
    )
