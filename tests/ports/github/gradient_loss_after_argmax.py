"""The edge term of the segmentation loss is computed from the argmax of the prediction, which has no gradient.

Source: wonbeomjang/mobile-hair-segmentation-pytorch issue #3 (2019): `pred = pred.argmax(1)...float()` in
`ImageGradientLoss` "is not differentiable"; use `pred[:, 1]`.
Symptom: the term is reported with the loss and changes nothing; only the cross entropy trains.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

SOBEL = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])


def edges(image):
    return F.conv2d(image, SOBEL[None, None], padding=1), F.conv2d(image, SOBEL.t()[None, None], padding=1)


class ImageGradientLoss(nn.Module):
    def hair(self, pred):
        return pred.argmax(1, keepdim=True).float()  # FAULT

    def forward(self, pred, gray):
        image_x, image_y = edges(gray)
        image_norm = (image_x**2 + image_y**2 + 1e-6).sqrt()
        mask_x, mask_y = edges(self.hair(pred))
        mask_norm = (mask_x**2 + mask_y**2 + 1e-6).sqrt()
        aligned = (image_x * mask_x + image_y * mask_y) / (image_norm * mask_norm)
        return (mask_norm * (1 - aligned**2)).sum() / mask_norm.sum()


class Soft(ImageGradientLoss):
    def hair(self, pred):
        return pred.softmax(1)[:, 1:2]


def training(gradient_loss):
    net = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 2, 1)
    )
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.95, eps=1e-7)

    def step(batch):
        image, gray, mask = batch
        pred = net(image)
        loss = F.cross_entropy(pred, mask) + 0.5 * gradient_loss(pred, gray)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    image = torch.rand(4, 3, 10, 10)
    gray = image.mean(1, keepdim=True)
    return smokestep.Training(step, (image, gray, (gray[:, 0] > 0.5).long()))


def buggy():
    return training(ImageGradientLoss())


def fixed():
    return training(Soft())
