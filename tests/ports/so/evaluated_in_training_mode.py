"""The validation runs without `model.eval()`: dropout is on, and batch normalisation takes in the validation data.

Source: PyTorch forum 7146, "What does model.eval() do for batchnorm layer?".
Symptom: the result on one image depends on the others in its batch; the validation accuracy swings and is too low.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.bn = nn.BatchNorm2d(16)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(16 * 16, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 2)
        return self.fc(self.dropout(x.flatten(1)))


def evaluate(model, images, labels, switch):
    if switch:
        model.eval()
    with torch.no_grad():
        correct = (model(images).argmax(1) == labels).sum().item()  # FAULT
    return correct / len(labels)


def training(switch):
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    train, valid = (images[:64], labels[:64]), (images[1500:1550], labels[1500:1550])
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def epoch():
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train[0]), train[1])
        loss.backward()
        optimizer.step()
        evaluate(model, *valid, switch)
        return loss.item()

    return smokestep.Training(epoch)


def buggy():
    return training(switch=False)


def fixed():
    return training(switch=True)
