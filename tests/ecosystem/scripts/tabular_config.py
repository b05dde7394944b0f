"""A tabular classifier as a project would have it: a config class, logging, class weights, early stopping, resume, TensorBoard-like log."""

import argparse
import csv
import logging
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

log = logging.getLogger("tabular")


@dataclass
class Config:
    hidden: list[int] = field(default_factory=lambda: [64, 32])
    dropout: float = 0.2
    lr: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 32
    epochs: int = 5
    patience: int = 3
    clip: float = 5.0
    seed: int = 17


class TabularDataset(Dataset):
    def __init__(self, X, y):
        self.X = torch.as_tensor(X, dtype=torch.float32)
        self.y = torch.as_tensor(y, dtype=torch.float32)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, idx):
        return {"features": self.X[idx], "target": self.y[idx]}


class TabularNet(nn.Module):
    def __init__(self, n_features, config):
        super().__init__()
        layers, width = [], n_features
        for hidden in config.hidden:
            layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Dropout(config.dropout)]
            width = hidden
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 1)

    def forward(self, features):
        return self.head(self.body(features)).squeeze(-1)


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.best, self.bad = patience, float("inf"), 0

    def __call__(self, value):
        if value < self.best:
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        return self.bad >= self.patience


class Trainer:
    def __init__(self, model, config, folder, pos_weight):
        self.model, self.config, self.folder = model, config, folder
        self.criterion = nn.BCEWithLogitsLoss(pos_weight=pos_weight)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.5, patience=1)
        self.swa = torch.optim.swa_utils.AveragedModel(model)
        self.start_epoch = 0

    def save(self, epoch):
        torch.save(
            {"epoch": epoch, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
             "scheduler": self.scheduler.state_dict()},
            self.folder / "last.pt",
        )  # fmt: skip

    def resume(self):
        state = torch.load(self.folder / "last.pt")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.start_epoch = state["epoch"] + 1

    def step(self, batch):
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.model(batch["features"])
        loss = self.criterion(logits, batch["target"])
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.swa.update_parameters(self.model)
        return loss.item(), norm.item()

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        scores, targets, losses = [], [], []
        for batch in loader:
            logits = self.model(batch["features"])
            losses.append(self.criterion(logits, batch["target"]).item())
            scores.append(torch.sigmoid(logits).cpu().numpy())
            targets.append(batch["target"].numpy())
        return float(np.mean(losses)), roc_auc_score(np.concatenate(targets), np.concatenate(scores))

    def fit(self, train, valid):
        stop = EarlyStopping(self.config.patience)
        with open(self.folder / "log.csv", "a", newline="") as f:
            writer = csv.writer(f)
            for epoch in range(self.start_epoch, self.config.epochs):
                self.model.train()
                losses = [self.step(batch)[0] for batch in train]
                value, auc = self.evaluate(valid)
                self.scheduler.step(value)
                writer.writerow([epoch, np.mean(losses), value, auc])
                log.info("epoch %d train %.4f valid %.4f auc %.4f", epoch, np.mean(losses), value, auc)
                self.save(epoch)
                if stop(value):
                    log.info("early stop")
                    break
        torch.optim.swa_utils.update_bn((batch["features"] for batch in train), self.swa)


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/tabular"))
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    config = Config(epochs=args.epochs)
    seed_everything(config.seed)
    args.folder.mkdir(parents=True, exist_ok=True)

    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_valid, y_train, y_valid = train_test_split(X, y, test_size=0.25, stratify=y, random_state=config.seed)
    scaler = StandardScaler().fit(X_train)
    weights = np.where(y_train == 1, 1 / (y_train == 1).sum(), 1 / (y_train == 0).sum())
    sampler = WeightedRandomSampler(weights, num_samples=len(weights))
    train = DataLoader(
        TabularDataset(scaler.transform(X_train), y_train), config.batch_size, sampler=sampler, drop_last=True
    )
    valid = DataLoader(TabularDataset(scaler.transform(X_valid), y_valid), 256)
    model = TabularNet(X.shape[1], config)
    trainer = Trainer(model, config, args.folder, pos_weight=torch.tensor(1.0))
    if args.resume:
        trainer.resume()
    trainer.fit(train, valid)


if __name__ == "__main__":
    main()
