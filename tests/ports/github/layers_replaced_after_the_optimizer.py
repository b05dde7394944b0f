"""The batch norms are replaced by group norms after the optimizer was given the parameters; it trains the old ones.

Source: meta-pytorch/opacus issue #432 (2022): `ModuleValidator.fix(model)` after `model.parameters()` went to the
optimizer; "the parameters of these new layers are not tracked by optimizer". The parameters-not-in-the-optimizer
class of TrainCheck (OSDI 2025).
Symptom: no error; the new layers keep scale one and shift zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class ConvNet(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        return self.fc(F.relu(self.norm2(self.conv2(x))).mean(dim=(2, 3)))


def fix(model):
    for name, module in model.named_children():
        if isinstance(module, nn.BatchNorm2d):
            setattr(model, name, nn.GroupNorm(min(32, module.num_features) // 4, module.num_features))
    return model


def training(early):
    model = ConvNet()
    if early:
        model = fix(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)  # FAULT
    if not early:
        model = fix(model)

    def train(batch):
        images, target = batch
        optimizer.zero_grad()
        output = model(images)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(train, (torch.randn(16, 1, 8, 8), torch.randint(0, 5, (16,))))


def buggy():
    return training(early=False)


def fixed():
    return training(early=True)
