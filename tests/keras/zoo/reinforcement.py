"""Reinforcement learning on invented transitions, as keras.io writes the updates."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import smokestep


def training_actor_critic():
    """keras.io, "Actor Critic Method": one model with two heads, an episode of returns."""
    inputs = layers.Input(shape=(4,))
    common = layers.Dense(32, activation="relu")(inputs)
    model = keras.Model(inputs, [layers.Dense(2, activation="softmax")(common), layers.Dense(1)(common)])
    optimizer = keras.optimizers.Adam(learning_rate=0.01)
    huber_loss = keras.losses.Huber()
    states, rewards = tf.random.normal((6, 4)), [1.0] * 6

    def step():
        with tf.GradientTape() as tape:
            action_probs_history, critic_value_history = [], []
            for state in states:
                action_probs, critic_value = model(ops.expand_dims(state, 0))
                critic_value_history.append(critic_value[0, 0])
                probabilities = np.squeeze(action_probs).astype("float64")
                action = np.random.choice(2, p=probabilities / probabilities.sum())
                action_probs_history.append(ops.log(action_probs[0, action]))
            returns, discounted_sum = [], 0
            for r in rewards[::-1]:
                discounted_sum = r + 0.99 * discounted_sum
                returns.insert(0, discounted_sum)
            returns = np.array(returns)
            returns = ((returns - np.mean(returns)) / (np.std(returns) + 1e-7)).tolist()
            actor_losses, critic_losses = [], []
            for log_prob, value, ret in zip(action_probs_history, critic_value_history, returns):
                diff = ret - tf.stop_gradient(value)
                actor_losses.append(-log_prob * diff)
                critic_losses.append(huber_loss(ops.expand_dims(ret, 0), ops.expand_dims(value, 0)))
            loss_value = sum(actor_losses) + sum(critic_losses)
        grads = tape.gradient(loss_value, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))

    return smokestep.Training(step, model=model)


def training_deep_q():
    """keras.io, "Deep Q-Learning for Atari Breakout": a target network, one-hot actions, Huber."""

    def create_q_model():
        return keras.Sequential([layers.Input((4,)), layers.Dense(32, activation="relu"), layers.Dense(3)])

    model, model_target = create_q_model(), create_q_model()
    model_target.set_weights(model.get_weights())
    optimizer = keras.optimizers.Adam(learning_rate=0.00025, clipnorm=1.0)
    loss_function = keras.losses.Huber()

    def step(batch):
        future_rewards = model_target.predict(batch["next_state"], verbose=0)
        updated_q_values = batch["reward"] + 0.99 * ops.amax(future_rewards, axis=1) * (1 - batch["done"])
        masks = ops.one_hot(batch["action"], 3)
        with tf.GradientTape() as tape:
            q_values = model(batch["state"])
            q_action = ops.sum(ops.multiply(q_values, masks), axis=1)
            loss = loss_function(updated_q_values, q_action)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    batch = {
        "state": np.random.randn(16, 4).astype("float32"),
        "next_state": np.random.randn(16, 4).astype("float32"),
        "action": np.arange(16) % 3,
        "reward": np.random.randn(16).astype("float32"),
        "done": (np.arange(16) % 5 == 4).astype("float32"),
    }
    return smokestep.Training(step, batch, model={"online": model, "target": model_target})


def training_ddpg():
    """keras.io, "Deep Deterministic Policy Gradient": four networks, two optimizers, slow targets."""

    def get_actor():
        return keras.Sequential([layers.Input((3,)), layers.Dense(32, activation="relu"), layers.Dense(1, "tanh")])

    def get_critic():
        state_input, action_input = layers.Input((3,)), layers.Input((1,))
        state_out = layers.Dense(16, activation="relu")(state_input)
        action_out = layers.Dense(16, activation="relu")(action_input)
        out = layers.Dense(32, activation="relu")(layers.Concatenate()([state_out, action_out]))
        return keras.Model([state_input, action_input], layers.Dense(1)(out))

    actor_model, critic_model, target_actor, target_critic = get_actor(), get_critic(), get_actor(), get_critic()
    target_actor.set_weights(actor_model.get_weights())
    target_critic.set_weights(critic_model.get_weights())
    critic_optimizer, actor_optimizer = keras.optimizers.Adam(0.002), keras.optimizers.Adam(0.001)

    @tf.function
    def update(state_batch, action_batch, reward_batch, next_state_batch):
        with tf.GradientTape() as tape:
            target_actions = target_actor(next_state_batch, training=True)
            y = reward_batch + 0.99 * target_critic([next_state_batch, target_actions], training=True)
            critic_value = critic_model([state_batch, action_batch], training=True)
            critic_loss = ops.mean(ops.square(y - critic_value))
        critic_grad = tape.gradient(critic_loss, critic_model.trainable_variables)
        critic_optimizer.apply_gradients(zip(critic_grad, critic_model.trainable_variables))

        with tf.GradientTape() as tape:
            actions = actor_model(state_batch, training=True)
            critic_value = critic_model([state_batch, actions], training=True)
            actor_loss = -ops.mean(critic_value)
        actor_grad = tape.gradient(actor_loss, actor_model.trainable_variables)
        actor_optimizer.apply_gradients(zip(actor_grad, actor_model.trainable_variables))

    def update_target(target, original, tau):
        target_weights, original_weights = target.get_weights(), original.get_weights()
        for i in range(len(target_weights)):
            target_weights[i] = original_weights[i] * tau + target_weights[i] * (1 - tau)
        target.set_weights(target_weights)

    def step(batch):
        update(*batch)
        update_target(target_actor, actor_model, 0.005)
        update_target(target_critic, critic_model, 0.005)

    shapes = ((16, 3), (16, 1), (16, 1), (16, 3))
    return smokestep.Training(
        step,
        tuple(tf.random.normal(shape) for shape in shapes),
        model={"actor": actor_model, "critic": critic_model},
    )


def training_proximal_policy():
    """keras.io, "Proximal Policy Optimization": the clipped ratio, then several passes of the value function."""
    actor = keras.Sequential([layers.Input((4,)), layers.Dense(32, activation="tanh"), layers.Dense(2)])
    critic = keras.Sequential([layers.Input((4,)), layers.Dense(32, activation="tanh"), layers.Dense(1)])
    policy_optimizer = keras.optimizers.Adam(learning_rate=3e-4)
    value_optimizer = keras.optimizers.Adam(learning_rate=1e-3)

    def logprobabilities(logits, a):
        return ops.sum(ops.one_hot(a, 2) * ops.log_softmax(logits), axis=1)

    def step(batch):
        observation, action, old_logprobability, advantage, returns = batch
        with tf.GradientTape() as tape:
            ratio = ops.exp(logprobabilities(actor(observation), action) - old_logprobability)
            min_advantage = ops.where(advantage > 0, (1 + 0.2) * advantage, (1 - 0.2) * advantage)
            policy_loss = -ops.mean(ops.minimum(ratio * advantage, min_advantage))
        policy_grads = tape.gradient(policy_loss, actor.trainable_variables)
        policy_optimizer.apply_gradients(zip(policy_grads, actor.trainable_variables))
        for _ in range(2):
            with tf.GradientTape() as tape:
                value_loss = ops.mean((returns - ops.squeeze(critic(observation), axis=1)) ** 2)
            value_grads = tape.gradient(value_loss, critic.trainable_variables)
            value_optimizer.apply_gradients(zip(value_grads, critic.trainable_variables))

    batch = (
        tf.random.normal((16, 4)),
        tf.range(16) % 2,
        tf.math.log(tf.random.uniform((16,), 0.4, 0.6)),
        tf.random.normal((16,)),
        tf.random.normal((16,)),
    )
    return smokestep.Training(step, batch, model={"actor": actor, "critic": critic})
