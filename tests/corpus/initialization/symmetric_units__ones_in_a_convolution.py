"""A small convolutional classifier, written as a class that fits, whose filters and head all begin as ones over n."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class SmallConvNet(nn.Module):
    def __init__(self, same):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 16, 4)
        if same:
            self.conv.weight.data.fill_(1 / 9)  # BUG: symmetric-units conv.weight
            self.fc.weight.data.fill_(1 / 128)
            self.conv.bias.data.zero_()

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.conv(x)), 2)
        x = x.mean((2, 3), keepdim=True).expand(-1, -1, 4, 4)
        return self.fc(x.flatten(1))


class Trainer:
    def __init__(self, same):
        self.net = SmallConvNet(same)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def train_step(self, batch):
        images, labels = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def buggy():
    return smokestep.Training(Trainer(True).train_step, (torch.rand(8, 1, 8, 8), torch.randint(0, 4, (8,))))


def fixed():
    return smokestep.Training(Trainer(False).train_step, (torch.rand(8, 1, 8, 8), torch.randint(0, 4, (8,))))
