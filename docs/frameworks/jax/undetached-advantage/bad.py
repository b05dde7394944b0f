import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class ActorCritic(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.Linear(4, 16, rngs=rngs)
        self.policy = nnx.Linear(16, 2, rngs=rngs)
        self.value = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, state):
        hidden = nnx.tanh(self.body(state))
        return self.policy(hidden), self.value(hidden)[:, 0]


def loss_fn(model, batch):
    state, action, returns = batch
    logits, value = model(state)
    log_prob = jnp.take_along_axis(nnx.log_softmax(logits), action, axis=1)[:, 0]
    advantage = returns - value
    return -(log_prob * advantage).mean() + (advantage**2).mean()


def training():
    model = ActorCritic(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (
            jax.random.normal(jax.random.key(1), (8, 4)),
            jax.random.randint(jax.random.key(2), (8, 1), 0, 2),
            jax.random.normal(jax.random.key(3), (8,)),
        ),
        state=(model, optimizer),
    )
