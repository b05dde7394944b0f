"""A script built around a class Trainer with fit, evaluate and a checkpoint."""

from __future__ import annotations

import io

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ConvNet(nn.Module):
    def __init__(self, classes: int = 4):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(16, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Trainer:
    def __init__(self, model: nn.Module, train_loader: DataLoader, val_loader: DataLoader, lr: float = 1e-2):
        self.model = model
        self.train_loader, self.val_loader = train_loader, val_loader
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=lr, total_steps=3 * len(train_loader)
        )
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
        self.best = 0.0

    def fit(self, epochs: int) -> None:
        self.evaluate()  # once before anything is trained
        for epoch in range(epochs):
            self._train_epoch()
            accuracy = self.evaluate()
            print(f"epoch {epoch}: accuracy {accuracy:.3f}")
            if accuracy >= self.best:
                self.best = accuracy
                torch.save(self.model.state_dict(), io.BytesIO())

    def _train_epoch(self) -> None:
        self.model.train()
        for images, labels in self.train_loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.scheduler.step()

    @torch.no_grad()
    def evaluate(self) -> float:
        self.model.eval()
        hits = sum((self.model(images).argmax(1) == labels).sum().item() for images, labels in self.val_loader)
        return hits / len(self.val_loader.dataset)


def data(n: int) -> TensorDataset:
    labels = torch.randint(0, 4, (n,))
    images = 0.5 * torch.randn(n, 1, 8, 8)
    for i, label in enumerate(labels.tolist()):
        images[i, 0, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 1.0
    return TensorDataset(images, labels)


if __name__ == "__main__":
    torch.manual_seed(0)
    train_loader = DataLoader(data(128), batch_size=16, shuffle=True, drop_last=True)
    Trainer(ConvNet(), train_loader, DataLoader(data(64), batch_size=32)).fit(epochs=3)
