import jax
import jax.numpy as jnp
import optax

import smokestep


@jax.custom_vjp
def square(x):
    return x**2


def forward(x):
    return x**2, x


def backward(x, grad):
    return (grad * x,)


square.defvjp(forward, backward)


def loss_fn(params, batch):
    x, y = batch
    return jnp.mean((square(x @ params["w1"]) @ params["w2"] - y) ** 2)


def training():
    init = jax.nn.initializers.lecun_normal()
    params = {"w1": init(jax.random.key(0), (4, 16)), "w2": init(jax.random.key(1), (16, 2))}
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(2), (8, 4)), jax.random.normal(jax.random.key(3), (8, 2))),
        state=(params, optimizer.init(params)),
    )
