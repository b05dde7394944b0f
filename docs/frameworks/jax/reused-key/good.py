import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, key, batch):
    x, y = batch
    h = jax.nn.relu(x @ params["w1"])
    h = jnp.where(jax.random.bernoulli(key, 0.8, h.shape), h / 0.8, 0.0)
    return optax.softmax_cross_entropy_with_integer_labels(h @ params["w2"], y).mean()


def training():
    params = {
        "w1": 0.5 * jax.random.normal(jax.random.key(0), (4, 16)),
        "w2": 0.25 * jax.random.normal(jax.random.key(1), (16, 3)),
    }
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, key, batch):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    state = params, optimizer.init(params), jax.random.key(2)
    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(3), (8, 4)), jax.random.randint(jax.random.key(4), (8,), 0, 3)),
        state=state,
    )
