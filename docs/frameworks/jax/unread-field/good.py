import jax
import jax.numpy as jnp
import optax

import smokestep


def value(params, states):
    return states @ params["w"] + params["b"]


def loss_fn(params, batch):
    following = jax.lax.stop_gradient(value(params, batch["next_state"]))
    target = batch["reward"] + 0.9 * (1 - batch["done"]) * following
    return jnp.mean((value(params, batch["state"]) - target) ** 2)


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (3,)), "b": jnp.zeros(())}
    states = {
        "state": jax.random.normal(jax.random.key(1), (8, 3)),
        "next_state": jax.random.normal(jax.random.key(2), (8, 3)),
    }
    batch = {
        **states,
        "reward": jax.random.normal(jax.random.key(3), (8,)),
        "done": (jnp.arange(8) % 4 == 3).astype(jnp.float32),
    }
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))
