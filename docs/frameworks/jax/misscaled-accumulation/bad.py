import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(x @ params["w"], y).mean()


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 3))}
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, batches):
        total = jax.tree.map(jnp.zeros_like, params)
        for x, y in batches:
            total = jax.tree.map(jnp.add, total, jax.grad(loss_fn)(params, x, y))
        updates, opt_state = optimizer.update(total, opt_state)
        return optax.apply_updates(params, updates), opt_state

    keys = jax.random.split(jax.random.key(1), 8)
    batches = [(jax.random.normal(a, (4, 4)), jax.random.randint(b, (4,), 0, 3)) for a, b in zip(keys[::2], keys[1::2])]
    return smokestep.Training(step, batches, state=(params, optimizer.init(params)))
