"""Images are listed folder by folder, one a class, and the training loader reads them in that order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

import smokestep

FOLDERS = {"cat": 48, "dog": 48, "fox": 48}


class Folders(Dataset):
    def __init__(self):
        names = [(label, n) for label, name in enumerate(FOLDERS) for n in range(FOLDERS[name])]
        self.samples = names
        self.targets = [label for label, _ in names]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        label, number = self.samples[index]
        generator = torch.Generator().manual_seed(1000 * label + number)
        return torch.randn(3, 8, 8, generator=generator), label


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 6, 3), nn.Linear(6, len(FOLDERS))

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).amax((2, 3)))


def training(**options):
    train_loader = DataLoader(Folders(), batch_size=16, drop_last=True, **options)  # BUG?: unshuffled-data
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = iter(train_loader)

    def step():
        x, y = next(images)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


def buggy():
    return training()


def fixed():
    return training(shuffle=True)
