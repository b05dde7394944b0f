import jax
import jax.numpy as jnp
import optax

import smokestep


def value(critic, seen, action):
    return jnp.concatenate([seen, action], axis=1) @ critic


def critic_loss(critic, batch):
    seen, action, reward = batch
    return jnp.mean((value(critic, seen, action) - reward) ** 2)


def actor_loss(actor, critic, batch):
    seen, action, reward = batch
    return -value(critic, seen, action).mean()


def training():
    actor, critic = (
        0.5 * jax.random.normal(jax.random.key(0), (4, 2)),
        0.4 * jax.random.normal(jax.random.key(1), (6, 1)),
    )
    for_actor, for_critic = optax.adam(1e-3), optax.adam(1e-3)

    @jax.jit
    def step(actor, critic, actor_state, critic_state, batch):
        updates, critic_state = for_critic.update(jax.grad(critic_loss)(critic, batch), critic_state)
        critic = optax.apply_updates(critic, updates)
        updates, actor_state = for_actor.update(jax.grad(actor_loss)(actor, critic, batch), actor_state)
        actor = optax.apply_updates(actor, updates)
        return actor, critic, actor_state, critic_state

    batch = (
        jax.random.normal(jax.random.key(2), (8, 4)),
        jax.random.normal(jax.random.key(3), (8, 2)),
        jax.random.normal(jax.random.key(4), (8, 1)),
    )
    return smokestep.Training(step, batch, state=(actor, critic, for_actor.init(actor), for_critic.init(critic)))
