import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(head, body, batch):
    x, y = batch
    return jnp.mean((jax.nn.relu(x @ body) @ head - y) ** 2)


def training():
    params = {
        "body": 0.5 * jax.random.normal(jax.random.key(0), (4, 8)),
        "head": 0.4 * jax.random.normal(jax.random.key(1), (8, 1)),
    }
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params["head"], params["body"], batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return {**params, "head": optax.apply_updates(params["head"], updates)}, opt_state, loss

    batch = jax.random.normal(jax.random.key(2), (8, 4)), jax.random.normal(jax.random.key(3), (8, 1))
    state = params, optimizer.init(params["head"])
    return smokestep.Training(step, batch, state=state, trains=["body", "head"])
