import jax
import jax.numpy as jnp
import optax

import smokestep


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def critic_loss(params, batch):
    state, action, value = batch
    return jnp.mean((dense(params["critic"], jnp.concatenate([state, action], 1)) - value) ** 2)


def actor_loss(params, batch):
    state, action, value = batch
    chosen = jnp.concatenate([state, dense(params["actor"], state)], 1)
    return -dense(params["critic"], chosen).mean()


def training():
    params = {
        "actor": {"w": 0.5 * jax.random.normal(jax.random.key(0), (3, 1)), "b": jnp.zeros(1)},
        "critic": {"w": 0.5 * jax.random.normal(jax.random.key(1), (4, 1)), "b": jnp.zeros(1)},
    }
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        grads = jax.grad(critic_loss)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        grads = jax.grad(actor_loss)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state

    opt_state = optimizer.init(params)
    return smokestep.Training(
        step,
        (
            jax.random.normal(jax.random.key(2), (8, 3)),
            jax.random.normal(jax.random.key(3), (8, 1)),
            jax.random.normal(jax.random.key(4), (8, 1)),
        ),
        state=(params, opt_state),
    )
