import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, views):
    h = jax.nn.relu(views @ params["w1"]) @ params["w2"]
    z = h / jnp.linalg.norm(h, axis=1, keepdims=True)
    similarity = z @ z.T / 0.5
    partner = jnp.roll(jnp.arange(len(z)), len(z) // 2)
    return optax.softmax_cross_entropy_with_integer_labels(similarity, partner).mean()


def training():
    init = jax.nn.initializers.he_normal()
    params = {"w1": init(jax.random.key(0), (8, 32)), "w2": init(jax.random.key(1), (32, 16))}
    x = jax.random.normal(jax.random.key(2), (12, 8))
    views = jnp.concatenate(
        [
            x + 0.1 * jax.random.normal(jax.random.key(3), (12, 8)),
            x + 0.1 * jax.random.normal(jax.random.key(4), (12, 8)),
        ]
    )
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, views, state=(params, optimizer.init(params)))
