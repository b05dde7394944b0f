"""A regression with early stopping: the output is [B, 1], the targets [B]."""

import argparse
import copy
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def data(count=300):
    x = torch.rand(count, 4)
    y = torch.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.05 * torch.randn(count)
    return TensorDataset(x, y)


def run_epoch(model, loader, optimizer=None):
    model.train(optimizer is not None)
    losses = []
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)  # BUG: broadcast-loss
            losses.append(loss.item())
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return sum(losses) / len(losses)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--max-epochs", type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(0)
    train, valid = random_split(data(), [240, 60])
    train_loader, valid_loader = DataLoader(train, 32, shuffle=True), DataLoader(valid, 60)
    model = nn.Sequential(nn.Linear(4, 32), nn.SiLU(), nn.Dropout(0.1), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    best, state, waited = math.inf, None, 0
    print("before training:", run_epoch(model, valid_loader))
    for epoch in range(args.max_epochs):
        loss = run_epoch(model, train_loader, optimizer)
        score = run_epoch(model, valid_loader)
        print(f"{epoch}: {loss:.4f} {score:.4f}")
        if score < best:
            best, state, waited = score, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
            if waited > args.patience:
                break
    model.load_state_dict(state)


if __name__ == "__main__":
    main()
