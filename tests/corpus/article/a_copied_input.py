"""Six convolutions and three poolings, every convolution fed the input image: copied lines whose argument was not changed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class ConvNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 11, padding=5)
        self.conv2 = nn.Conv2d(3, 8, 5, padding=2)
        self.conv3 = nn.Conv2d(3, 16, 5, padding=2)
        self.conv4 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv5 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv6 = nn.Conv2d(3, 32, 1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32, classes)

    def forward(self, image):
        net = F.relu(self.conv1(image))  # BUG: dead-branch conv1.weight, conv1.bias
        net = F.relu(self.conv2(image))
        net = self.pool(net)  # BUG: dead-branch conv2.weight, conv2.bias
        net = F.relu(self.conv3(image))  # BUG: dead-branch conv3.weight, conv3.bias
        net = F.relu(self.conv4(image))
        net = self.pool(net)  # BUG: dead-branch conv4.weight, conv4.bias
        net = F.relu(self.conv5(image))
        net = self.pool(net)  # BUG: dead-branch conv5.weight, conv5.bias
        net = F.relu(self.conv6(image))
        return self.fc(net.mean(dim=(2, 3)))


class ChainedConvNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 11, padding=5)
        self.conv2 = nn.Conv2d(8, 8, 5, padding=2)
        self.conv3 = nn.Conv2d(8, 16, 5, padding=2)
        self.conv4 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv5 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv6 = nn.Conv2d(16, 32, 1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32, classes)

    def forward(self, image):
        net = F.relu(self.conv1(image))
        net = F.relu(self.conv2(net))
        net = self.pool(net)
        net = F.relu(self.conv3(net))
        net = F.relu(self.conv4(net))
        net = self.pool(net)
        net = F.relu(self.conv5(net))
        net = self.pool(net)
        net = F.relu(self.conv6(net))
        return self.fc(net.mean(dim=(2, 3)))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images, labels = torch.randn(8, 3, 16, 16), torch.randint(0, 4, (8,))

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (images, labels))


def buggy():
    return training(ConvNet())


def fixed():
    return training(ChainedConvNet())
