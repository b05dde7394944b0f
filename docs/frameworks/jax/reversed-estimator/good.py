import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, x):
    z = x @ params["encoder"]
    distances = ((z[:, None] - params["codes"]) ** 2).sum(-1)
    q = params["codes"][distances.argmin(1)]
    passed = z + jax.lax.stop_gradient(q - z)
    codebook = jnp.mean((q - jax.lax.stop_gradient(z)) ** 2)
    commitment = 0.25 * jnp.mean((z - jax.lax.stop_gradient(q)) ** 2)
    return jnp.mean((passed @ params["decoder"] - x) ** 2) + codebook + commitment


def training():
    init = jax.nn.initializers.lecun_normal()
    params = {
        "encoder": init(jax.random.key(0), (8, 4)),
        "codes": jax.random.normal(jax.random.key(1), (10, 4)),
        "decoder": init(jax.random.key(2), (4, 8)),
    }
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step, jax.random.normal(jax.random.key(3), (16, 8)), state=(params, optimizer.init(params))
    )
