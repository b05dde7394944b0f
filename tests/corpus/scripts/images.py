"""Classifies coloured squares; the model ends in a softmax, and the loss applies another one."""

import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Squares(Dataset):
    """Noise with one bright quadrant; the label says which."""

    def __init__(self, count, size=12, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 4, (count,), generator=generator)
        self.images = torch.rand(count, 1, size, size, generator=generator)
        half = size // 2
        for image, label in zip(self.images, self.labels.tolist()):
            row, column = divmod(label, 2)
            image[:, row * half : (row + 1) * half, column * half : (column + 1) * half] += 1

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index]}


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
        )
        self.classifier = nn.Linear(4 * width, 4)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.features(x).flatten(1)
        return self.softmax(self.classifier(x))  # BUG: double-softmax


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        right = sum((model(b["image"]).argmax(1) == b["label"]).sum().item() for b in loader)
    return right / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()

    train = DataLoader(Squares(256), batch_size=32, shuffle=True, num_workers=args.workers)
    valid = DataLoader(Squares(64, seed=1), batch_size=64)
    model = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)

    for epoch in range(args.epochs):
        model.train()
        for batch in train:
            optimizer.zero_grad()
            loss = criterion(model(batch["image"]), batch["label"])
            loss.backward()
            optimizer.step()
        scheduler.step()
        print(f"epoch {epoch}: loss {loss.item():.4f}, accuracy {evaluate(model, valid):.2f}")


if __name__ == "__main__":
    main()
