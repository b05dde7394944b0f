"""A scheduler laid out in epochs is stepped after every batch: the learning rate is nothing after one epoch.

Source: Lornatang/SRGAN-PyTorch issue #1 (2020), "Learning rate scheduler is working incorrect": `step_size=epochs //
2`, called at each training step; the same in ivadomed/ivadomed pull request #55 (2019).
Symptom: "The SRGAN does not seem to train"; moved to the end of the epoch, "it started showing nice results".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

EPOCHS = 4


class Generator(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.PReLU())
        self.block = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.PReLU())
        self.tail = nn.Sequential(nn.Conv2d(width, 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x):
        h = self.head(x)
        return torch.tanh(self.tail(h + self.block(h)))


def training(per_epoch, batches=25):
    netG = Generator()
    netD = nn.Sequential(
        nn.Conv2d(1, 12, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(12, 24, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(),
        nn.Linear(24 * 16, 1),
    )  # fmt: skip
    optimizerG, optimizerD = (torch.optim.Adam(net.parameters(), lr=1e-4) for net in (netG, netD))
    schedulerG, schedulerD = (
        torch.optim.lr_scheduler.StepLR(optimizer, step_size=EPOCHS // 2, gamma=0.1)
        for optimizer in (optimizerG, optimizerD)
    )
    seen = 0

    def train(batch):
        nonlocal seen
        lr, hr = batch
        fake = netG(lr)
        netD.zero_grad()
        real_score, fake_score = netD(hr), netD(fake.detach())
        errD = F.binary_cross_entropy_with_logits(real_score, torch.ones_like(real_score))
        errD = errD + F.binary_cross_entropy_with_logits(fake_score, torch.zeros_like(fake_score))
        errD.backward()
        optimizerD.step()

        netG.zero_grad()
        fake_score = netD(fake)
        adversarial = F.binary_cross_entropy_with_logits(fake_score, torch.ones_like(fake_score))
        errG = F.mse_loss(fake, hr) + 1e-3 * adversarial
        errG.backward()
        optimizerG.step()
        seen += 1
        if not per_epoch or seen % batches == 0:
            schedulerD.step()  # FAULT
            schedulerG.step()  # FAULT
        return errG.item()

    hr = torch.tanh(torch.randn(4, 1, 16, 16))
    return smokestep.Training(train, (F.avg_pool2d(hr, 2), hr))


def buggy():
    return training(per_epoch=False)


def fixed():
    return training(per_epoch=True)
