import jax
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(x @ params["w"], y).mean()


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (3, 2))}
    optimizer, clip = optax.sgd(0.1), optax.clip_by_global_norm(1.0)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        grads, _ = clip.update(grads, clip.init(params))
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        return params, opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 3)), jax.random.randint(jax.random.key(2), (8,), 0, 2)),
        state=(params, optimizer.init(params)),
    )
