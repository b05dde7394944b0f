"""The first stages are frozen, and `train()` puts their batch norms back into training mode: the statistics drift.

Source: open-mmlab/mmdetection pull request #560 (2019), "Bug fix for freezing BN parameters": "BN layers in the first
stages will run in the training mode".
Symptom: features of frozen stages change during training; small batches make them worse.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def stage(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class ResNet(nn.Module):
    def __init__(self, frozen_stages=2):
        super().__init__()
        self.stages = nn.ModuleList([stage(3, 8), stage(8, 16), stage(16, 24)])
        self.frozen_stages = frozen_stages
        self._freeze_stages()

    def _freeze_stages(self):
        for frozen in self.stages[: self.frozen_stages]:
            frozen.eval()
            for param in frozen.parameters():
                param.requires_grad = False

    def train(self, mode=True):
        return super().train(mode)  # FAULT

    def forward(self, x):
        for each in self.stages:
            x = each(x)
        return x


class Refreezing(ResNet):
    def train(self, mode=True):
        super().train(mode)
        self._freeze_stages()
        return self


class Detector(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.rpn_cls, self.rpn_reg = nn.Conv2d(24, 3, 1), nn.Conv2d(24, 12, 1)

    def forward(self, images):
        x = self.backbone(images)
        return self.rpn_cls(x), self.rpn_reg(x)


def training(backbone):
    detector = Detector(backbone)
    optimizer = torch.optim.SGD(
        [p for p in detector.parameters() if p.requires_grad], lr=0.02, momentum=0.9, weight_decay=1e-4
    )

    def train_step(data):
        images, objectness, deltas = data
        detector.train()
        cls, reg = detector(images)
        loss = F.binary_cross_entropy_with_logits(cls, objectness) + F.l1_loss(reg, deltas)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(detector.parameters(), 35)
        optimizer.step()
        return loss.item()

    objectness = (torch.rand(4, 3, 2, 2) < 0.3).float()
    return smokestep.Training(train_step, (torch.randn(4, 3, 16, 16), objectness, torch.randn(4, 12, 2, 2)))


def buggy():
    return training(ResNet())


def fixed():
    return training(Refreezing())
