import jax
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(x @ params["w"], y).mean()


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (3, 2))}
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        return params, opt_state, loss

    batch = jax.random.normal(jax.random.key(1), (8, 3)), jax.random.randint(jax.random.key(2), (8,), 0, 2)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))
