"""Images of (height, width, channel) are put into (channel, height, width) with `view`, which mixes colours and
rows.

Source: class of wrong shape of input data of Humbatova et al., ICSE 2020; Karpathy, A recipe for training neural
networks, 2019 ("view" used for "transpose/permute").
Symptom: the network trains and does worse than it should; the pictures look like noise, if one looks at them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.fc = nn.Linear(24, 4)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def pictures(count=32, size=16):
    images = torch.rand(count, size, size, 3)
    labels = torch.randint(0, 4, (count,))
    for image, label in zip(images, labels):
        rows = slice(0, size // 2) if label < 2 else slice(size // 2, size)
        image[rows, :, int(label) % 2] += 1.0
    return images, labels


def training(permute):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(batch):
        images, labels = batch
        n, h, w, c = images.shape
        if permute:
            images = images.permute(0, 3, 1, 2)
        else:
            images = images.view(n, c, h, w)  # FAULT
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, pictures())


def buggy():
    return training(permute=False)


def fixed():
    return training(permute=True)
