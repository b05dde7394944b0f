"""The target of a deep Q network adds the value of the next state also where the episode is over.

Source: Nikanjam et al., Faults in deep reinforcement learning programs: a taxonomy and a detection approach,
Automated Software Engineering 2021, from Stack Overflow and GitHub: missing terminal state.
Symptom: the Q values grow without bound and the agent does not learn to end well.
"""

from __future__ import annotations

import random
from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

GAMMA = 0.99


class Corridor:
    """Five cells; the right end gives a reward, the left end ends the episode without one."""

    def reset(self):
        self.cell = 2
        return self.observe()

    def observe(self):
        return F.one_hot(torch.tensor(self.cell), 5).float()

    def step(self, action):
        self.cell += 1 if action else -1
        done = self.cell in (0, 4)
        return self.observe(), float(self.cell == 4), done


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


def training(terminal):
    random.seed(0)
    env, memory = Corridor(), deque(maxlen=500)
    policy, target = DQN(), DQN()
    target.load_state_dict(policy.state_dict())
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    state, steps = env.reset(), 0

    def optimize():
        batch = random.sample(memory, 32)
        states, actions, rewards, nexts, dones = (torch.stack(each) for each in zip(*batch))
        q = policy(states).gather(1, actions.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            value = target(nexts).max(1).values
            if terminal:
                value = value * (1 - dones)
            expected = rewards + GAMMA * value  # FAULT
        loss = F.smooth_l1_loss(q, expected)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def act():
        nonlocal state, steps
        explore = random.random() < 0.3
        with torch.no_grad():
            action = random.randrange(2) if explore else int(policy(state).argmax())
        following, reward, done = env.step(action)
        memory.append((state, torch.tensor(action), torch.tensor(reward), following, torch.tensor(float(done))))
        state = env.reset() if done else following
        steps += 1
        if steps % 50 == 0:
            target.load_state_dict(policy.state_dict())

    for _ in range(64):
        act()

    def step():
        act()
        return optimize()

    return smokestep.Training(step, model={"policy": policy, "target": target})


def buggy():
    return training(terminal=False)


def fixed():
    return training(terminal=True)
