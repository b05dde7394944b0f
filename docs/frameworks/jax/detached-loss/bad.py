import jax
import optax

import smokestep


def loss_fn(params, batch):
    x, first, second = batch  # two readings of the same samples
    prediction = x @ params["w"] + params["b"]
    loss = optax.squared_error(prediction, first).mean()
    other = optax.huber_loss(prediction, second).mean()
    return loss + jax.lax.stop_gradient(other)


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 3)), "b": jax.numpy.zeros(3)}
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    x, first, second = (jax.random.normal(jax.random.key(seed), (8, size)) for seed, size in ((1, 4), (2, 3), (3, 3)))
    return smokestep.Training(step, (x, first, second), state=(params, optimizer.init(params)))
