import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    logits = x @ params["w"] + params["b"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def training():
    samples, targets = jax.random.normal(jax.random.key(0), (8, 3)), jnp.arange(8) % 2
    params = {"w": 0.5 * jax.random.normal(jax.random.key(1), (3, 2)), "b": jnp.zeros(2)}
    optimizer = optax.sgd(0.1)

    def step(params, opt_state):
        inputs = jnp.stack([samples[0] for index in range(8)])
        loss, grads = jax.value_and_grad(loss_fn)(params, (inputs, targets))
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, state=(params, optimizer.init(params)))
