"""Self-supervised digits: two augmented views, a projector, NT-Xent; then a momentum (BYOL) variant; then a linear probe."""

import argparse
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


def augment(x):
    """A random shift, noise and erased corner, for each image of the batch."""
    shift = torch.randint(-1, 2, (2,)).tolist()
    x = torch.roll(x, shift, dims=(2, 3))
    x = x * (0.7 + 0.6 * torch.rand(len(x), 1, 1, 1)) + 0.1 * torch.randn_like(x)
    keep = (torch.rand(len(x), 1, 8, 8) > 0.1).float()
    return x * keep


class Encoder(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
            nn.Conv2d(32, dim, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.projector = nn.Sequential(
            nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU(inplace=True), nn.Linear(dim, 32)
        )

    def forward(self, x):
        return self.projector(self.features(x))


def nt_xent(z1, z2, temperature):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    sim = z @ z.t() / temperature
    sim.fill_diagonal_(float("-inf"))
    n = len(z1)
    targets = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, targets)


def cosine(step, total, base, final):
    return final - (final - base) * (math.cos(math.pi * step / total) + 1) / 2


def pretrain(args, loader):
    online = Encoder()
    if args.method == "byol":
        target = copy.deepcopy(online)
        for p in target.parameters():
            p.requires_grad = False
        predictor = nn.Sequential(nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32))
        optimizer = torch.optim.SGD(
            [*online.parameters(), *predictor.parameters()], lr=args.lr, momentum=0.9, weight_decay=1e-4
        )
    else:
        optimizer = torch.optim.SGD(online.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    total, step = args.epochs * len(loader), 0
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / 10) * (1 + math.cos(math.pi * s / total)) / 2
    )
    for epoch in range(args.epochs):
        online.train()
        for x, _ in loader:
            v1, v2 = augment(x), augment(x)
            if args.method == "simclr":
                loss = nt_xent(online(v1), online(v2), args.temperature)
            else:
                p1, p2 = predictor(online(v1)), predictor(online(v2))
                with torch.no_grad():
                    t1, t2 = target(v1), target(v2)
                loss = 2 - F.cosine_similarity(p1, t2).mean() - F.cosine_similarity(p2, t1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if args.method == "byol":
                m = cosine(step, total, 0.99, 1.0)
                with torch.no_grad():
                    for po, pt in zip(online.parameters(), target.parameters()):
                        pt.mul_(m).add_(po, alpha=1 - m)
            step += 1
        print(f"epoch {epoch}: loss {loss.item():.4f}, lr {scheduler.get_last_lr()[0]:.4f}")
    return online


def linear_probe(encoder, loader, epochs=2):
    encoder.eval().requires_grad_(False)
    head = nn.Linear(64, 10)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(epochs):
        right = total = 0
        for x, y in loader:
            with torch.no_grad():
                features = encoder.features(x)
            logits = head(features)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right, total = right + (logits.argmax(1) == y).sum().item(), total + len(y)
    print(f"linear probe {right / total:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=["simclr", "byol", "probe"], default="simclr")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--temperature", type=float, default=0.5)
    args = parser.parse_args()
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    loader = DataLoader(
        TensorDataset(images, torch.tensor(digits.target)), args.batch_size, shuffle=True, drop_last=True
    )
    encoder = Encoder() if args.method == "probe" else pretrain(args, loader)
    linear_probe(encoder, loader)
    torch.save(encoder.state_dict(), "encoder.pt")
