"""The labels are divided by 255 together with the pixels, and all become class 0.

Source: Stack Overflow 59325381 in the benchmark of DeepLocalize (Wardat et al., ICSE 2021).
Symptom: the loss goes to zero, the accuracy on the true labels is one in ten.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


def load(scale_labels):
    digits = load_digits()
    images, labels = torch.tensor(digits.data), torch.tensor(digits.target)
    images = images / images.max()
    if scale_labels:
        labels = labels / 255  # FAULT
    return images[:100].float(), labels[:100].long()


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))

    def forward(self, x):
        return self.layers(x)


def training(scale_labels):
    model = MLP()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, load(scale_labels))


def buggy():
    return training(scale_labels=True)


def fixed():
    return training(scale_labels=False)
