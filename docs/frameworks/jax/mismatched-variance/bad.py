import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, noise = batch
    mean, log_var = jnp.split(x @ params["encoder"], 2, axis=1)
    code = mean + noise * jnp.exp(log_var)
    divergence = -0.5 * (1 + log_var - mean**2 - jnp.exp(log_var)).sum(1).mean()
    return ((code @ params["decoder"] - x) ** 2).sum(1).mean() + divergence


def training():
    init = jax.nn.initializers.lecun_normal()
    params = {"encoder": init(jax.random.key(0), (12, 8)), "decoder": init(jax.random.key(1), (4, 12))}
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        noise = jax.random.normal(now, (len(x), 4))
        loss, grads = jax.value_and_grad(loss_fn)(params, (x, noise))
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(
        step, jax.random.normal(jax.random.key(2), (16, 12)), state=(params, optimizer.init(params), jax.random.key(3))
    )
