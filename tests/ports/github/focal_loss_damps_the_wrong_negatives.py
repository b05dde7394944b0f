"""For negatives the focal factor is (1 - P)^γ, as for positives: the easy negatives weigh most and the hard ones
nothing.

Source: yqyao/SSD_Pytorch issue #32 (2019), "sigmoid focal loss implement seems not right": `torch.pow(1 - P, gamma) *
torch.log(1 - P)`; confirmed by the author.
Symptom: the detector is drowned by easy background, which is what the loss is there to prevent.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Head(nn.Module):
    """A one-stage detection head: class scores and boxes for each anchor."""

    def __init__(self, classes=3, anchors=2, channels=16):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1), nn.ReLU(), nn.Conv2d(channels, channels, 3, 2, 1), nn.ReLU()
        )
        self.cls = nn.Conv2d(channels, anchors * classes, 3, padding=1)
        self.loc = nn.Conv2d(channels, anchors * 4, 3, padding=1)
        nn.init.constant_(self.cls.bias, -2.0)
        self.classes = classes

    def forward(self, images):
        features = self.backbone(images)
        scores = self.cls(features).permute(0, 2, 3, 1).reshape(len(images), -1, self.classes)
        return scores, self.loc(features).permute(0, 2, 3, 1).reshape(len(images), -1, 4)


class FocalLossSigmoid(nn.Module):
    def __init__(self, alpha=0.25, gamma=2.0):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def negative_factor(self, P):
        return torch.pow(1 - P, self.gamma)  # FAULT

    def forward(self, scores, targets):
        P = torch.sigmoid(scores)
        loss_pos = -torch.pow(1 - P, self.gamma) * F.logsigmoid(scores) * targets * self.alpha
        loss_neg = -self.negative_factor(P) * F.logsigmoid(-scores) * (1 - targets) * (1 - self.alpha)
        return (loss_pos + loss_neg).sum()


class Hard(FocalLossSigmoid):
    def negative_factor(self, P):
        return torch.pow(P, self.gamma)


def training(focal):
    net = Head()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def step(batch):
        images, conf, loc = batch
        scores, boxes = net(images)
        positive = conf.any(dim=2)
        N = positive.sum().clamp(min=1)
        loss_l = F.smooth_l1_loss(boxes[positive], loc[positive], reduction="sum")
        loss = (loss_l + focal(scores, conf)) / N
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    conf = torch.zeros(4, 32, 3)
    conf[torch.arange(4), torch.tensor([3, 11, 20, 30]), torch.tensor([0, 1, 2, 0])] = 1
    return smokestep.Training(step, (torch.randn(4, 3, 16, 16), conf, torch.randn(4, 32, 4)))


def buggy():
    return training(FocalLossSigmoid())


def fixed():
    return training(Hard())
