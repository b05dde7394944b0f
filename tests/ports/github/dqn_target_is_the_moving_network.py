"""At the synchronisation the target's name is bound to the moving network itself: from then on there is no target
network.

Source: andri27-ts/Reinforcement-Learning issue #14 (2021); the same in tensorforce/tensorforce pull request #81
(2017), "the target variables actually referenced the training variables".
Symptom: the target follows every update; learning is unstable, as without a target network.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class DQN(nn.Module):
    def __init__(self, observations=5, actions=3):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(observations, 32), nn.ReLU())
        self.value, self.advantage = nn.Linear(32, 1), nn.Linear(32, actions)

    def forward(self, x):
        h = self.fc(x)
        advantage = self.advantage(h)
        return self.value(h) + advantage - advantage.mean(dim=1, keepdim=True)


class CentralControl:
    def __init__(self, n_iter_update=1):
        self.moving_nn, self.target_nn = DQN(), DQN()
        self.target_nn.load_state_dict(self.moving_nn.state_dict())
        self.optimizer = torch.optim.Adam(self.moving_nn.parameters(), lr=1e-3)
        self.n_iter_update, self.iter = n_iter_update, 0

    def update_target(self):
        self.target_nn.load_state_dict(self.moving_nn.state_dict())
        self.target_nn = self.moving_nn  # FAULT

    def optimize(self, batch):
        states, actions, rewards, next_states, dones = batch
        self.iter += 1
        if self.iter % self.n_iter_update == 0:
            self.update_target()
        best = self.moving_nn(next_states).argmax(dim=1, keepdim=True)
        double = self.target_nn(next_states).gather(1, best).squeeze(1).detach()
        target = rewards + 0.99 * double * (1 - dones)
        q = self.moving_nn(states).gather(1, actions[:, None]).squeeze(1)
        loss = F.mse_loss(q, target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


class OwnTarget(CentralControl):
    def update_target(self):
        self.target_nn.load_state_dict(self.moving_nn.state_dict())


def training(agent):
    states = torch.randn(24, 5)
    dones = (torch.rand(24) < 0.2).float()
    batch = (states, torch.randint(0, 3, (24,)), states.sum(1), states.roll(1, 1), dones)
    return smokestep.Training(agent.optimize, batch)


def buggy():
    return training(CentralControl())


def fixed():
    return training(OwnTarget())
