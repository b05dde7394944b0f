import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, ids):
    h = jnp.tanh(params["embed"][ids[:, :-1]])
    logits = h @ params["head"].T
    return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()


def training():
    embed = 0.02 * jax.random.normal(jax.random.key(0), (50, 16))
    params = {"embed": embed, "head": embed}
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step, jax.random.randint(jax.random.key(1), (4, 9), 0, 50), state=(params, optimizer.init(params))
    )
