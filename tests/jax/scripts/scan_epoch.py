"""A whole epoch in one jitted scan over its batches."""

import sys

import jax
import jax.numpy as jnp
import optax

BUGGY = "buggy" in sys.argv


def predict(params, x):
    return jax.nn.relu(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


tx = optax.adam(1e-2)


@jax.jit
def train_epoch(params, opt_state, batches):
    def body(carry, batch):
        params, opt_state = carry
        x, y = batch

        def loss_fn(params):
            return optax.squared_error(predict(params, x)[:, 0], y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state)
        new_params = optax.apply_updates(params, updates)  # BUG: unapplied-update
        return (params if BUGGY else new_params, opt_state), loss

    (params, opt_state), losses = jax.lax.scan(body, (params, opt_state), batches)
    return params, opt_state, losses.mean()


a, b, c, d = jax.random.split(jax.random.key(0), 4)
params = {
    "w1": jax.random.normal(a, (3, 16)) * 0.5,
    "b1": jnp.zeros(16),
    "w2": jax.random.normal(b, (16, 1)) * 0.25,
    "b2": jnp.zeros(1),
}
opt_state = tx.init(params)
xs = jax.random.normal(c, (4, 8, 3))
ys = xs.sum(-1) + 0.1 * jax.random.normal(d, (4, 8))
for epoch in range(6):
    params, opt_state, loss = train_epoch(params, opt_state, (xs, ys))
    print(f"epoch {epoch}: {float(loss):.4f}")
