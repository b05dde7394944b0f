"""Under mixed precision the gradients are clipped while they still carry the loss scale.

Source: milesial/Pytorch-UNet issue #468 (2023), "Gradients are clipped before the unscaling"; the same in
pytorch/examples issue #1196 (2023), TorchSSL pull request #59 (2022) and harubaru/waifu-diffusion issue #64 (2023).
Symptom: a norm of 1 of the scaled gradient is a norm of 1/65536 of the true one; training hardly moves, without an
error.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class UNet(nn.Module):
    def __init__(self, classes=2, width=12):
        super().__init__()
        self.inc = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.down = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(inplace=True))
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.outc = nn.Conv2d(2 * width, classes, 1)

    def forward(self, x):
        skip = self.inc(x)
        return self.outc(torch.cat([skip, self.up(self.down(skip))], dim=1))


def training(unscale):
    model = UNet()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-5, weight_decay=1e-8, momentum=0.999)
    scaler = torch.amp.GradScaler("cpu")

    def step(batch):
        images, masks = batch
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(images), masks)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # FAULT
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    images = torch.rand(4, 3, 8, 8)
    return smokestep.Training(step, (images, (images.mean(1) > 0.5).long()))


def buggy():
    return training(unscale=False)


def fixed():
    return training(unscale=True)
