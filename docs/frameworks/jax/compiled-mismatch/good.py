import jax
import optax

import smokestep


def training():
    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 2))}
    schedule = {"smoothing": 0.0}

    @jax.jit
    def loss_and_grad(params, batch, smoothing):
        def loss_fn(params):
            x, y = batch
            labels = optax.smooth_labels(y, smoothing)
            return optax.softmax_cross_entropy(x @ params["w"], labels).mean()

        return jax.value_and_grad(loss_fn)(params)

    batch = (
        jax.random.normal(jax.random.key(1), (8, 4)),
        jax.nn.one_hot(jax.random.randint(jax.random.key(2), (8,), 0, 2), 2),
    )
    print("before training:", loss_and_grad(params, batch, schedule["smoothing"])[0])

    def step(params, batch):
        schedule["smoothing"] = 0.3
        loss, grads = loss_and_grad(params, batch, schedule["smoothing"])
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss

    return smokestep.Training(step, batch, state=params)
