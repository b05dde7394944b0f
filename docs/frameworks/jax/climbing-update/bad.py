import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    logits = x @ params["w"] + params["b"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 3)), "b": jnp.zeros(3)}

    @jax.jit
    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        return jax.tree.map(lambda p, g: p + 0.1 * g, params, grads), loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 4)), jax.random.randint(jax.random.key(2), (8,), 0, 3)),
        state=params,
    )
