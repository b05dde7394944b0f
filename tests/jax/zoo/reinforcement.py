"""Reinforcement learning losses on stored transitions."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.training.train_state import TrainState

import smokestep


class Batch(NamedTuple):
    obs: jax.Array
    action: jax.Array
    reward: jax.Array
    next_obs: jax.Array
    done: jax.Array


def transitions(count=16):
    keys = jax.random.split(jax.random.key(51), 5)
    return Batch(
        jax.random.normal(keys[0], (count, 4)),
        jax.random.randint(keys[1], (count,), 0, 2),
        jax.random.normal(keys[2], (count,)),
        jax.random.normal(keys[3], (count, 4)),
        jax.random.bernoulli(keys[4], 0.25, (count,)).astype(jnp.float32),
    )


class QNetwork(nn.Module):
    actions: int = 2

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(16)(x))
        x = nn.relu(nn.Dense(16)(x))
        return nn.Dense(self.actions)(x)


class TargetState(TrainState):
    target_params: dict


def training_dqn():
    """CleanRL, dqn_jax.py: a target network in the state, updated slowly."""
    q_network = QNetwork()
    batch = transitions()
    params = q_network.init(jax.random.key(0), batch.obs)
    state = TargetState.create(
        apply_fn=q_network.apply, params=params, target_params=params, tx=optax.adam(learning_rate=2.5e-3)
    )

    @jax.jit
    def update(q_state, batch):
        q_next_target = q_network.apply(q_state.target_params, batch.next_obs)
        q_next_target = jnp.max(q_next_target, axis=-1)
        next_q_value = batch.reward + (1 - batch.done) * 0.99 * q_next_target

        def mse_loss(params):
            q_pred = q_network.apply(params, batch.obs)
            q_pred = q_pred[jnp.arange(q_pred.shape[0]), batch.action]
            return ((q_pred - next_q_value) ** 2).mean(), q_pred

        (loss_value, q_pred), grads = jax.value_and_grad(mse_loss, has_aux=True)(q_state.params)
        q_state = q_state.apply_gradients(grads=grads)
        target = optax.incremental_update(q_state.params, q_state.target_params, 0.05)
        return q_state.replace(target_params=target), loss_value, q_pred.mean()

    return smokestep.Training(update, batch, state=state)


class Actor(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(16)(x))
        return nn.tanh(nn.Dense(2)(x))


class Critic(nn.Module):
    @nn.compact
    def __call__(self, x, a):
        x = jnp.concatenate([x, a], -1)
        x = nn.relu(nn.Dense(16)(x))
        return nn.Dense(1)(x)[..., 0]


def training_ddpg():
    """CleanRL, ddpg_continuous_action_jax.py: the actor's loss is differentiated for the actor alone."""
    batch = transitions()
    batch = batch._replace(action=jax.random.uniform(jax.random.key(1), (16, 2), minval=-1.0))
    actor, critic = Actor(), Critic()
    actor_params = actor.init(jax.random.key(2), batch.obs)
    critic_params = critic.init(jax.random.key(3), batch.obs, batch.action)
    actor_state = TargetState.create(
        apply_fn=actor.apply, params=actor_params, target_params=actor_params, tx=optax.adam(1e-3)
    )
    critic_state = TargetState.create(
        apply_fn=critic.apply, params=critic_params, target_params=critic_params, tx=optax.adam(1e-3)
    )

    @jax.jit
    def update_critic(actor_state, critic_state, batch):
        next_actions = actor.apply(actor_state.target_params, batch.next_obs)
        next_q = critic.apply(critic_state.target_params, batch.next_obs, next_actions)
        target = batch.reward + (1 - batch.done) * 0.99 * next_q

        def mse_loss(params):
            return ((critic.apply(params, batch.obs, batch.action) - target) ** 2).mean()

        loss, grads = jax.value_and_grad(mse_loss)(critic_state.params)
        return critic_state.apply_gradients(grads=grads), loss

    @jax.jit
    def update_actor(actor_state, critic_state, batch):
        def actor_loss(params):
            return -critic.apply(critic_state.params, batch.obs, actor.apply(params, batch.obs)).mean()

        loss, grads = jax.value_and_grad(actor_loss)(actor_state.params)
        actor_state = actor_state.apply_gradients(grads=grads)
        actor_state = actor_state.replace(
            target_params=optax.incremental_update(actor_state.params, actor_state.target_params, 0.005)
        )
        critic_state = critic_state.replace(
            target_params=optax.incremental_update(critic_state.params, critic_state.target_params, 0.005)
        )
        return actor_state, critic_state, loss

    def step(actor_state, critic_state, batch):
        critic_state, critic_loss = update_critic(actor_state, critic_state, batch)
        actor_state, critic_state, actor_loss = update_actor(actor_state, critic_state, batch)
        return actor_state, critic_state, {"critic": critic_loss, "actor": actor_loss}

    return smokestep.Training(step, batch, state=(actor_state, critic_state))


class ActorCritic(nn.Module):
    @nn.compact
    def __call__(self, x):
        actor = nn.tanh(nn.Dense(16, kernel_init=nn.initializers.orthogonal(jnp.sqrt(2)))(x))
        logits = nn.Dense(2, kernel_init=nn.initializers.orthogonal(0.01))(actor)
        critic = nn.tanh(nn.Dense(16, kernel_init=nn.initializers.orthogonal(jnp.sqrt(2)))(x))
        value = nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0))(critic)
        return logits, jnp.squeeze(value, axis=-1)


def training_ppo():
    """PureJaxRL, ppo.py: the clipped objective, a clipped value loss, an entropy bonus, several epochs by scan."""
    network = ActorCritic()
    keys = jax.random.split(jax.random.key(4), 6)
    obs = jax.random.normal(keys[0], (16, 4))
    params = network.init(keys[1], obs)
    tx = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(2.5e-3, eps=1e-5))
    state = TrainState.create(apply_fn=network.apply, params=params, tx=tx)
    logits, value = network.apply(params, obs)
    action = jax.random.categorical(keys[2], logits)
    log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], axis=1)[:, 0]
    advantages = jax.random.normal(keys[3], (16,))
    batch = {
        "obs": obs,
        "action": action,
        "log_prob": log_prob,
        "value": value,
        "advantages": advantages,
        "targets": value + advantages,
    }

    def loss_fn(params, batch):
        logits, value = network.apply(params, batch["obs"])
        log_probs = jax.nn.log_softmax(logits)
        log_prob = jnp.take_along_axis(log_probs, batch["action"][:, None], axis=1)[:, 0]
        clipped = batch["value"] + (value - batch["value"]).clip(-0.2, 0.2)
        errors = jnp.square(value - batch["targets"])
        value_loss = 0.5 * jnp.maximum(errors, jnp.square(clipped - batch["targets"])).mean()
        ratio = jnp.exp(log_prob - batch["log_prob"])
        gae = (batch["advantages"] - batch["advantages"].mean()) / (batch["advantages"].std() + 1e-8)
        actor_loss = -jnp.minimum(ratio * gae, jnp.clip(ratio, 0.8, 1.2) * gae).mean()
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1).mean()
        return actor_loss + 0.5 * value_loss - 0.01 * entropy, (value_loss, actor_loss, entropy)

    @jax.jit
    def step(state, key, batch):
        key, order_key = jax.random.split(key)
        order = jax.random.permutation(order_key, 16)
        minibatches = jax.tree.map(lambda x: x[order].reshape(2, 8, *x.shape[1:]), batch)

        def update(state, minibatch):
            (loss, _), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params, minibatch)
            return state.apply_gradients(grads=grads), loss

        state, losses = jax.lax.scan(update, state, minibatches)
        return state, key, losses.mean()

    return smokestep.Training(step, batch, state=(state, keys[5]))


class SharedActorCritic(nnx.Module):
    def __init__(self, *, rngs):
        self.body = nnx.Linear(4, 16, rngs=rngs)
        self.policy = nnx.Linear(16, 2, rngs=rngs)
        self.value = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        h = nnx.tanh(self.body(x))
        return self.policy(h), self.value(h)[..., 0]


def training_advantage_actor_critic():
    """A2C in NNX: the advantage is stopped in the policy's term."""
    model = SharedActorCritic(rngs=nnx.Rngs(5))
    optimizer = nnx.Optimizer(model, optax.rmsprop(7e-4, decay=0.99), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        obs, actions, returns = batch

        def loss_fn(model):
            logits, values = model(obs)
            log_probs = jax.nn.log_softmax(logits)
            chosen = jnp.take_along_axis(log_probs, actions[:, None], axis=-1)[:, 0]
            advantage = returns - values
            policy_loss = -jnp.mean(chosen * jax.lax.stop_gradient(advantage))
            return policy_loss + 0.5 * jnp.mean(jnp.square(advantage))

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    batch = transitions()
    return smokestep.Training(step, (batch.obs, batch.action, batch.reward), state=(model, optimizer))


def training_policy_gradient():
    """REINFORCE with optax.softmax_cross_entropy for the log-probability, weighed by returns."""
    network = QNetwork()
    batch = transitions()
    params = network.init(jax.random.key(6), batch.obs)
    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        def loss_fn(params):
            logits = network.apply(params, batch[0])
            negative = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1])
            return jnp.mean(negative * batch[2])

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    returns = batch.reward - batch.reward.mean()
    return smokestep.Training(step, (batch.obs, batch.action, returns), state=(params, tx.init(params)))
