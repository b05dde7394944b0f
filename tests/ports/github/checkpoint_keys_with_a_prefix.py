"""The keys of a Lightning checkpoint begin with `model.`; `strict=False` ignores every one of them.

Source: pytorch/examples issue #1029 (2022), "nn.module load_state_dict strict=False can silently load a corrupted
model": removing `model.` from the keys, and `strict=False`, "solved the problem".
Symptom: no error; the output is nonsense, for not one weight has been loaded.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.classifier = nn.Linear(32, 3)

    def forward(self, x):
        return self.classifier(self.features(x))


class LightningModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Classifier()


def whole(model, state_dict):
    model.load_state_dict(state_dict, strict=False)  # FAULT


def without_prefix(model, state_dict):
    model.load_state_dict({key.removeprefix("model."): value for key, value in state_dict.items()})


def training(load):
    checkpoint = {"epoch": 12, "state_dict": LightningModel().state_dict()}
    model = Classifier()
    load(model, checkpoint["state_dict"])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (torch.randn(12, 1, 8, 8), torch.randint(0, 3, (12,))))


def buggy():
    return training(whole)


def fixed():
    return training(without_prefix)
