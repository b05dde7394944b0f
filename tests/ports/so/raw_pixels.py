"""The images go into the network as numbers from 0 to 255.

Source: Schoop et al., UMLAUT, CHI 2021, its error input data exceeds typical limits; class of missing normalisation
step of Humbatova et al., ICSE 2020.
Symptom: big updates at the start; the network converges to the same value for every image, or learns badly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

import smokestep


class Digits(Dataset):
    def __init__(self, normalise):
        data = load_digits()
        self.images = (data.images * 255 / 16).astype("uint8")
        self.labels = data.target
        self.normalise = normalise

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index]).float().unsqueeze(0)  # FAULT
        if self.normalise:
            image = (image / 255 - 0.3) / 0.38
        return image, int(self.labels[index])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout(torch.flatten(x, 1))
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def training(normalise):
    loader = iter(DataLoader(Digits(normalise), batch_size=32, shuffle=True))
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        data, target = next(loader)
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(normalise=False)


def fixed():
    return training(normalise=True)
