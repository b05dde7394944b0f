"""Two heads, and the loss of one of them was written with a sum."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(27, 32), nn.ReLU())
        self.classes, self.boxes = nn.Linear(32, 3), nn.Linear(32, 4)

    def forward(self, image):
        features = self.body(image)
        return self.classes(features), self.boxes(features)


def training(summed):
    model, classify = Detector(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step(batch):
        scores, boxes = model(batch["image"])
        distance = (boxes - batch["box"]).abs()
        if summed:
            located = distance.sum()  # BUG?: mixed-reductions
        else:
            located = distance.sum(1).mean()
        loss = classify(scores, batch["label"]) + 0.5 * located
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    batch = {"image": torch.randn(8, 3, 3, 3), "label": torch.randint(0, 3, (8,)), "box": torch.rand(8, 4)}
    return smokestep.Training(step, batch)


def buggy():
    return training(summed=True)


def fixed():
    return training(summed=False)
