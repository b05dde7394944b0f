"""A script that learns by reinforcement: an actor and a critic in a small world written here."""

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


class Corridor:
    """Walk to the right end; every step costs a little."""

    def __init__(self, length=6, seed=0):
        self.length, self.random = length, np.random.default_rng(seed)

    def reset(self):
        self.place, self.time = int(self.random.integers(0, 3)), 0
        return self._observe()

    def step(self, action):
        self.place = max(0, self.place + (1 if action == 1 else -1))
        self.time += 1
        done = self.place >= self.length or self.time >= 20
        reward = 1.0 if self.place >= self.length else -0.05
        return self._observe(), reward, done

    def _observe(self):
        return np.array([self.place / self.length, self.time / 20], dtype=np.float32)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(2, 32), nn.Tanh())
        self.policy, self.value = nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, observation):
        h = self.shared(observation)
        return self.policy(h), self.value(h).squeeze(-1)


def play(env, model):
    observation, done = env.reset(), False
    log_probs, values, rewards, entropies = [], [], [], []
    while not done:
        logits, value = model(torch.from_numpy(observation))
        distribution = Categorical(logits=logits)
        action = distribution.sample()
        observation, reward, done = env.step(action.item())
        log_probs.append(distribution.log_prob(action))
        values.append(value)
        rewards.append(reward)
        entropies.append(distribution.entropy())
    return log_probs, values, rewards, entropies


def main():
    torch.manual_seed(0)
    env, model = Corridor(), ActorCritic()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    running = 0.0
    for episode in range(20):
        log_probs, values, rewards, entropies = play(env, model)
        returns, total = [], 0.0
        for reward in reversed(rewards):
            total = reward + 0.99 * total
            returns.insert(0, total)
        returns = torch.tensor(returns)
        values = torch.stack(values)
        advantage = returns - values.detach()
        policy_loss = -(torch.stack(log_probs) * advantage).mean()
        value_loss = nn.functional.smooth_l1_loss(values, returns)
        loss = policy_loss + 0.5 * value_loss - 0.01 * torch.stack(entropies).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running = 0.95 * running + 0.05 * sum(rewards)
        print(f"episode {episode}: return {sum(rewards):.2f}, running {running:.2f}")


if __name__ == "__main__":
    main()
