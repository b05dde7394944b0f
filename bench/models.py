"""The six trainings that are measured: a conv net and a transformer, each of three sizes, with ordinary steps.

A training is built by a function without arguments, as `smokestep.examine` wants it; its data is made when it is built.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(h)))


class ConvNet(nn.Module):
    """A small residual network: the width doubles and the image halves from stage to stage."""

    def __init__(self, width: int, blocks: int, stages: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        layers: list[nn.Module] = []
        for stage in range(stages):
            channels = width * 2**stage
            layers += [Block(channels) for _ in range(blocks)]
            if stage < stages - 1:
                layers.append(nn.Conv2d(channels, 2 * channels, 2, stride=2))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width * 2 ** (stages - 1), 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(F.relu(self.stem(x))).mean(dim=(2, 3)))


class Attention(nn.Module):
    """Causal self-attention and a feed-forward layer, both behind a layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """A causal language model with learned positions."""

    def __init__(self, width: int, depth: int, vocabulary: int, length: int = 128) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.body = nn.Sequential(*[Attention(width, heads=max(1, width // 64)) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.body(self.tokens(ids) + self.positions[: ids.shape[1]])))


def conv(width: int, blocks: int, batch: int = 8, size: int = 32) -> smokestep.Training:
    """An image classification with SGD and momentum."""
    model = ConvNet(width, blocks)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.randn(batch, 3, size, size), torch.randint(0, 10, (batch,))

    def step(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (images, labels), model=model, optimizer=optimizer)


def transformer(width: int, depth: int, vocabulary: int, batch: int = 8, length: int = 64) -> smokestep.Training:
    """A language model's training with AdamW and clipping."""
    model = Transformer(width, depth, vocabulary, length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    ids = torch.randint(0, vocabulary, (batch, length + 1))

    def step(ids: torch.Tensor) -> torch.Tensor:
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, ids, model=model, optimizer=optimizer)


def tiny() -> smokestep.Training:
    """Six parameters: what is left is the fixed cost."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])

    def step(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model, optimizer=optimizer)


TRAININGS: dict[str, Callable[[], smokestep.Training]] = {
    "conv small": lambda: conv(width=24, blocks=1),
    "conv medium": lambda: conv(width=80, blocks=2),
    "conv large": lambda: conv(width=148, blocks=3),
    "transformer small": lambda: transformer(width=64, depth=3, vocabulary=400),
    "transformer medium": lambda: transformer(width=256, depth=6, vocabulary=1000),
    "transformer large": lambda: transformer(width=512, depth=8, vocabulary=1000),
    "tiny": tiny,
}
