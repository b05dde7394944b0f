"""Models of tokens that do know the order, where it is hard to see; and one whose tokens are a set."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCABULARY, LENGTH, WIDTH = 30, 9, 16


class Reader(nn.Module):
    """Embeds tokens, adds what `placed` makes of them, attends with a bias, and answers from the mean."""

    def __init__(self, placed: nn.Module | None = None, bias: nn.Module | None = None):
        super().__init__()
        self.embed, self.placed, self.bias = nn.Embedding(VOCABULARY, WIDTH), placed, bias
        self.qkv, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        x = self.placed(x) if self.placed is not None else x
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        bias = self.bias(ids.shape[1]) if self.bias is not None else None
        return self.head((x + F.scaled_dot_product_attention(q, k, v, attn_mask=bias)).mean(1))


def read(model: nn.Module) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        ids, y = batch
        loss = F.cross_entropy(model(ids), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, VOCABULARY, (6, LENGTH)), torch.randint(0, 3, (6,))))


class Made(nn.Module):
    """A module of a function."""

    def __init__(self, function: Callable[..., torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *given):
        return self.function(*given)


class Zeros(nn.Module):
    def __init__(self):
        super().__init__()
        self.places = nn.Parameter(torch.zeros(1, LENGTH, WIDTH))

    def forward(self, x):
        return x + self.places


@healthy()
def places_learned_from_zero_at_a_rate_of_zero() -> smokestep.Training:
    model = Reader(Zeros())
    slow = [each for name, each in model.named_parameters() if "places" in name]
    others = [each for name, each in model.named_parameters() if "places" not in name]
    optimizer = torch.optim.Adam([{"params": others}, {"params": slow, "lr": 1e-12}])

    def step(batch):
        ids, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(ids), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randint(0, VOCABULARY, (6, LENGTH)), torch.randint(0, 3, (6,))))


@healthy()
def distances_weaken_attention() -> smokestep.Training:
    def slopes(size):
        at = torch.arange(size)
        return -(at[:, None] - at).abs().float() / 4

    return read(Reader(bias=Made(slopes)))


@healthy()
def relative_bias_learned_from_zero() -> smokestep.Training:
    class Relative(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.zeros(2 * LENGTH - 1))

        def forward(self, size):
            at = torch.arange(size)
            return self.table[at[:, None] - at + LENGTH - 1]

    return read(Reader(bias=Relative()))


@healthy()
def convolution_before_attention() -> smokestep.Training:
    class Near(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)

        def forward(self, x):
            return self.conv(x.transpose(1, 2)).transpose(1, 2)

    return read(Reader(Near()))


@healthy()
def recurrence_before_attention() -> smokestep.Training:
    class Along(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(WIDTH, WIDTH, batch_first=True)

        def forward(self, x):
            return self.rnn(x)[0]

    return read(Reader(Along()))


@healthy()
def turned_by_their_place() -> smokestep.Training:
    def rotated(x):
        angle = torch.arange(x.shape[1]).unsqueeze(1) / torch.logspace(0, 3, x.shape[2] // 2)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)

    return read(Reader(Made(rotated)))


@healthy()
def decoder_without_places() -> smokestep.Training:
    def causal(size):
        return torch.ones(size, size, dtype=torch.bool).tril()

    return read(Reader(bias=Made(causal)))


@healthy()
def basket_of_goods() -> smokestep.Training:
    return read(Reader())
