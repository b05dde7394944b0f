"""REINFORCE with a baseline on a toy walk: the environment runs in NumPy between jitted policy calls and updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax


def init(key):
    a, b, c = jax.random.split(key, 3)
    return {
        "hidden": jax.random.normal(a, (2, 16)) * 0.7,
        "policy": jax.random.normal(b, (16, 2)) * 0.1,
        "value": jax.random.normal(c, (16, 1)) * 0.1,
    }


def net(params, obs):
    h = jnp.tanh(obs @ params["hidden"])
    return h @ params["policy"], (h @ params["value"])[..., 0]


@jax.jit
def act(params, obs, key):
    logits, _ = net(params, obs)
    return jax.random.categorical(key, logits)


tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3))


@jax.jit
def update(params, opt_state, obs, actions, returns):
    def loss_fn(params):
        logits, values = net(params, obs)
        log_probs = jnp.take_along_axis(jax.nn.log_softmax(logits), actions[:, None], axis=1)[:, 0]
        advantages = jax.lax.stop_gradient(returns - values)
        return -(log_probs * advantages).mean() + 0.5 * ((values - returns) ** 2).mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss


class Walk:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def reset(self):
        self.at, self.left = self.random.normal(size=2), 8
        return self.at.astype(np.float32)

    def step(self, action):
        self.at = self.at + (0.5 if action else -0.5) * np.array([1.0, 0.3])
        self.left -= 1
        return self.at.astype(np.float32), float(-abs(self.at[0])), self.left == 0


def main():
    key = jax.random.key(0)
    params = init(key)
    opt_state, env = tx.init(params), Walk(0)
    for episode in range(6):
        obs, done = env.reset(), False
        seen, actions, rewards = [], [], []
        while not done:
            key, sub = jax.random.split(key)
            action = int(act(params, obs, sub))
            seen.append(obs)
            actions.append(action)
            obs, reward, done = env.step(action)
            rewards.append(reward)
        returns = np.cumsum(rewards[::-1])[::-1].astype(np.float32)
        params, opt_state, loss = update(
            params, opt_state, np.stack(seen), np.array(actions), (returns - returns.mean()) / (returns.std() + 1e-6)
        )
        print(f"episode {episode}: {sum(rewards):.2f}, loss {loss:.3f}")


if __name__ == "__main__":
    main()
