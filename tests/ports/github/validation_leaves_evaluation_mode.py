"""The validation within an epoch puts the model into evaluation mode, and training goes on in it until the next epoch.

Source: wkentaro/pytorch-fcn issue #57 and pull request #56 (2017); the same in joeynmt/joeynmt issue #184 (2022),
webis-de/small-text issue #40 (2023), ermongroup/ncsn issue #2 (2019) and fartashf/vsepp issue #4 (2018).
Symptom: the training loss suddenly gets larger when a new epoch starts; dropout and batch norm are off in between.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class FCN(nn.Module):
    def __init__(self, n_class=4):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.fc6, self.drop6 = nn.Conv2d(12, 24, 3, padding=1), nn.Dropout2d(0.5)
        self.score_fr, self.upscore = nn.Conv2d(24, n_class, 1), nn.ConvTranspose2d(n_class, n_class, 2, 2, bias=False)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        return self.upscore(self.score_fr(self.drop6(F.relu(self.fc6(h)))))


class Trainer:
    def __init__(self, interval_validate=1):
        self.model = FCN()
        self.optim = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.99)
        self.interval_validate, self.iteration = interval_validate, 0
        self.val = torch.randn(2, 3, 8, 8), torch.randint(0, 4, (2, 8, 8))
        self.best = float("inf")
        self.model.train()

    def validate(self):
        self.model.eval()  # FAULT
        data, target = self.val
        with torch.no_grad():
            self.best = min(self.best, F.cross_entropy(self.model(data), target).item())

    def train_batch(self, batch):
        if self.iteration % self.interval_validate == 0:
            self.validate()
        self.iteration += 1
        data, target = batch
        self.optim.zero_grad()
        loss = F.cross_entropy(self.model(data), target)
        loss.backward()
        self.optim.step()
        return loss


class Returning(Trainer):
    def validate(self):
        training = self.model.training
        super().validate()
        self.model.train(training)


def training(trainer):
    return smokestep.Training(trainer.train_batch, (torch.randn(4, 3, 8, 8), torch.randint(0, 4, (4, 8, 8))))


def buggy():
    return training(Trainer())


def fixed():
    return training(Returning())
