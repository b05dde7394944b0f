"""The target network of a deep Q network is made once and never again brought up to date.

Source: Nikanjam et al., Faults in deep reinforcement learning programs: a taxonomy and a detection approach,
Automated Software Engineering 2021, from Stack Overflow and GitHub: faults in updating the network, missing/wrong
update of the target network.
Symptom: the agent learns the values of a random network and stops there.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

import smokestep


class Agent:
    def __init__(self, tau):
        self.q = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        self.q_target = copy.deepcopy(self.q)
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=5e-4)
        self.tau = tau

    def learn(self, batch):
        state, action, reward, following, done = batch
        with torch.no_grad():
            best = self.q_target(following).max(dim=1, keepdim=True)[0]
            wanted = reward + 0.98 * best * (1 - done)
        loss = nn.functional.mse_loss(self.q(state).gather(1, action), wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()  # FAULT
        if self.tau:
            with torch.no_grad():
                for slow, fast in zip(self.q_target.parameters(), self.q.parameters()):
                    slow.lerp_(fast, self.tau)
        return loss.item()


def transitions(n=64):
    return (
        torch.randn(n, 4),
        torch.randint(0, 2, (n, 1)),
        torch.ones(n, 1),
        torch.randn(n, 4),
        (torch.rand(n, 1) < 0.1).float(),
    )


def training(tau):
    agent = Agent(tau)
    return smokestep.Training(agent.learn, transitions(), model={"q": agent.q, "q_target": agent.q_target})


def buggy():
    return training(None)


def fixed():
    return training(0.01)
