import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    scores = jax.nn.relu(x @ params["w1"]) @ params["w2"]
    scores = scores / jnp.linalg.norm(scores, axis=1, keepdims=True) / 0.05
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()


def training():
    init = jax.nn.initializers.he_normal()
    params = {"w1": init(jax.random.key(0), (4, 32)), "w2": init(jax.random.key(1), (32, 8))}
    optimizer = optax.adam(0.05)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step, (jax.random.normal(jax.random.key(2), (8, 4)), jnp.arange(8)), state=(params, optimizer.init(params))
    )
