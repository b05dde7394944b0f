"""Train a small convolutional network on the handwritten digits that scikit-learn ships.

python examples/digits.py --epochs 15
"""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    """Images of 8 x 8 grey values from 0 to 16, scaled to [0, 1]."""

    def __init__(self, images, labels):
        self.images = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / 16
        self.labels = torch.tensor(labels, dtype=torch.long)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class ConvNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv3 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv4 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv5 = nn.Conv2d(1, 64, 3, padding=1)
        self.conv6 = nn.Conv2d(1, 64, 1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(64 * 8 * 8, classes)

    def forward(self, x):
        # block 1
        net = F.relu(self.conv1(x))
        net = F.relu(self.conv2(x))
        net = F.max_pool2d(net, 2)
        # block 2
        net = F.relu(self.conv3(x))
        net = F.relu(self.conv4(x))
        net = F.max_pool2d(net, 2)
        # block 3
        net = F.relu(self.conv5(x))
        net = F.max_pool2d(net, 2)
        net = F.relu(self.conv6(x))
        # classifier
        net = torch.flatten(net, 1)
        return self.fc(self.dropout(net))


def train_epoch(model, loader, optimizer, device):
    model.train()
    total = 0.0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    return total / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    correct = 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        correct += (model(images).argmax(dim=1) == labels).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="Train a convolutional network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    digits = load_digits()
    split = train_test_split(
        digits.images, digits.target, test_size=0.25, random_state=args.seed, stratify=digits.target
    )
    train_images, test_images, train_labels, test_labels = split
    train_loader = DataLoader(Digits(train_images, train_labels), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(Digits(test_images, test_labels), batch_size=256)

    model = ConvNet().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train_loader.dataset)} training images")

    for epoch in range(1, args.epochs + 1):
        loss = train_epoch(model, train_loader, optimizer, device)
        accuracy = evaluate(model, test_loader, device)
        print(f"epoch {epoch:2d}   loss {loss:.4f}   test accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
