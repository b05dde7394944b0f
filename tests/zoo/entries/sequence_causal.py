"""Sequence models that see the past only, each in its own way; the target is the next token."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCAB = 20


def text(n: int = 4, length: int = 9):
    return torch.randint(0, VOCAB, (n, length))


def next_token(model: nn.Module, lr: float = 1e-3, *, causal: bool | None = None, data=None) -> smokestep.Training:
    """The language model's training most people write: shift outside, flatten, cross-entropy."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def step(ids):
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, text() if data is None else data, model=model, causal=causal)


class GatedResidual(nn.Module):
    def __init__(self, dim: int, dilation: int):
        super().__init__()
        self.pad = dilation
        self.filter, self.gate = (nn.Conv1d(dim, dim, 2, dilation=dilation) for _ in range(2))
        self.skip, self.out = nn.Conv1d(dim, dim, 1), nn.Conv1d(dim, dim, 1)

    def forward(self, x):
        past = F.pad(x, (self.pad, 0))
        h = torch.tanh(self.filter(past)) * torch.sigmoid(self.gate(past))
        return x + self.out(h), self.skip(h)


class WaveNet(nn.Module):
    def __init__(self, dim: int = 12):
        super().__init__()
        self.first = nn.Embedding(VOCAB, dim)
        self.blocks = nn.ModuleList([GatedResidual(dim, 2**i) for i in range(3)])
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(dim, dim, 1), nn.ReLU(), nn.Conv1d(dim, VOCAB, 1))

    def forward(self, x):
        h, skips = self.first(x).transpose(1, 2), 0
        for block in self.blocks:
            h, skip = block(h)
            skips = skips + skip
        return self.last(skips)  # (batch, classes, time)


@healthy(suspicions={"dead-branch": "the last residual projection feeds no next block, as in many WaveNets: true"})
def wavenet_padded_on_the_left() -> smokestep.Training:
    model = WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(audio):
        loss = F.cross_entropy(model(audio[:, :-1]), audio[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, text(3, 12))


class Chomp(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, n_in: int, n_out: int, dilation: int, kernel: int = 3):
        super().__init__()
        pad = (kernel - 1) * dilation
        norm = nn.utils.parametrizations.weight_norm
        self.net = nn.Sequential(
            norm(nn.Conv1d(n_in, n_out, kernel, padding=pad, dilation=dilation)),
            Chomp(pad),
            nn.ReLU(),
            nn.Dropout(0.1),
        )
        self.downsample = nn.Conv1d(n_in, n_out, 1) if n_in != n_out else None

    def forward(self, x):
        return F.relu(self.net(x) + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(TemporalBlock(2, 8, 1), TemporalBlock(8, 8, 2))
        self.linear = nn.Linear(8, 2)

    def forward(self, x):  # (batch, time, channel)
        return self.linear(self.net(x.transpose(1, 2)).transpose(1, 2))


@healthy()
def series_forecast_by_padding_both_sides_and_chomping() -> smokestep.Training:
    model = TCN()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def step(series):
        optimizer.zero_grad()
        loss = F.mse_loss(model(series[:, :-1]), series[:, 1:])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(4, 10, 2).cumsum(1))


class Attention(nn.Module):
    """`bias(T)` is what is added to the scores before the softmax."""

    def __init__(self, dim: int, heads: int, bias):
        super().__init__()
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.heads, self.bias = heads, bias

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(c // self.heads) + self.bias(t)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, c))


class Decoder(nn.Module):
    def __init__(self, bias, dim: int = 16, heads: int = 2, positions: bool = True):
        super().__init__()
        self.wte = nn.Embedding(VOCAB, dim)
        self.wpe = nn.Embedding(16, dim) if positions else None
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.attention = Attention(dim, heads, bias)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.head = nn.Linear(dim, VOCAB, bias=False)

    def forward(self, ids):
        x = self.wte(ids)
        if self.wpe is not None:
            x = x + self.wpe(torch.arange(ids.shape[1]))
        x = x + self.attention(self.norm1(x))
        return self.head(self.norm3(x + self.mlp(self.norm2(x))))


def distance(t: int) -> torch.Tensor:
    """How far back key j lies from query i; negative in the future."""
    return torch.arange(t)[:, None] - torch.arange(t)[None]


def minus_inf_where(forbidden: torch.Tensor) -> torch.Tensor:
    return torch.zeros(forbidden.shape).masked_fill(forbidden, float("-inf"))


@healthy()
def sliding_window_attention() -> smokestep.Training:
    return next_token(Decoder(lambda t: minus_inf_where((distance(t) < 0) | (distance(t) >= 3))), causal=True)


@healthy()
def linear_biases_instead_of_positions() -> smokestep.Training:
    slopes = torch.tensor([2.0**-4, 2.0**-8]).view(2, 1, 1)

    def alibi(t):
        return minus_inf_where(distance(t) < 0) - slopes * distance(t).clamp(min=0)

    return next_token(Decoder(alibi, positions=False))


@healthy()
def mask_of_a_large_negative_number() -> smokestep.Training:
    return next_token(Decoder(lambda t: torch.triu(torch.full((t, t), -1e9), diagonal=1)), causal=True)


class ZeroBlock(nn.Module):
    """A block whose projections into the residual stream start at zero."""

    def __init__(self, dim: int, heads: int = 2):
        super().__init__()
        self.attn, self.proj = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.up, self.down = nn.Linear(dim, 4 * dim, bias=False), nn.Linear(4 * dim, dim, bias=False)
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.down.weight)
        self.heads = heads

    def forward(self, x):
        b, t, c = x.shape
        h = F.rms_norm(x, (c,))
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.attn(h).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.relu(self.up(F.rms_norm(x, (c,)))).square())


class SpeedrunGPT(nn.Module):
    """Tied weights; returns nothing but the loss when it is given targets."""

    def __init__(self, dim: int = 16):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCAB, dim), nn.Embedding(16, dim)
        self.h = nn.ModuleList([ZeroBlock(dim) for _ in range(2)])
        self.lm_head = nn.Linear(dim, VOCAB, bias=False)
        nn.init.normal_(self.lm_head.weight, std=0.02)
        self.wte.weight = self.lm_head.weight

    def forward(self, idx, targets=None):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(F.rms_norm(x, (x.shape[-1],)))
        if targets is None:
            return logits[:, [-1], :]
        return F.cross_entropy(logits.view(-1, VOCAB), targets.reshape(-1), ignore_index=-1)


@healthy()
def gpt_with_zero_projections_that_returns_its_loss() -> smokestep.Training:
    model = SpeedrunGPT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)

    def step(batch):
        x, y = batch
        loss = model(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    data = text()
    return smokestep.Training(step, (data[:, :-1], data[:, 1:].contiguous()), model=model, task="language-model")


@healthy()
def bigram_table() -> smokestep.Training:
    """An embedding of the vocabulary into the vocabulary: the row of a token is the logits of the next."""
    return next_token(nn.Embedding(VOCAB, VOCAB), lr=1e-2, causal=True)


@healthy()
def bigram_by_one_hot_and_a_matrix() -> smokestep.Training:
    w = torch.randn(VOCAB, VOCAB, requires_grad=True)

    def step(ids):
        xs, ys = ids[:, :-1].reshape(-1), ids[:, 1:].reshape(-1)
        counts = (F.one_hot(xs, VOCAB).float() @ w).exp()
        probs = counts / counts.sum(1, keepdim=True)
        loss = -probs[torch.arange(len(ys)), ys].log().mean() + 0.01 * (w**2).mean()
        w.grad = None
        loss.backward()
        w.data += -5.0 * w.grad
        return loss

    return smokestep.Training(step, text())


@healthy()
def window_of_three_words_predicts_the_fourth() -> smokestep.Training:
    """Bengio 2003: the contexts are cut out beforehand, so the rows of the batch overlap."""
    embed = nn.Embedding(VOCAB, 4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, VOCAB))
    model = nn.Sequential(embed, net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        contexts, following = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(contexts), following)
        loss.backward()
        optimizer.step()
        return loss

    stream = torch.randint(0, VOCAB, (15,))
    return smokestep.Training(step, (stream.unfold(0, 3, 1)[:-1], stream[3:]))


class PixelConv(nn.Conv2d):
    """A masked convolution: sees what is above and to the left; kind A leaves out the pixel itself."""

    def __init__(self, kind: str, *args, **kwargs):
        super().__init__(*args, **kwargs)
        k = self.kernel_size[0]
        mask = torch.ones_like(self.weight)
        mask[:, :, k // 2, k // 2 + (kind == "B") :] = 0
        mask[:, :, k // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


@healthy()
def pixel_cnn_predicts_its_own_input() -> smokestep.Training:
    model = nn.Sequential(
        PixelConv("A", 1, 8, 3, padding=1), nn.ReLU(), PixelConv("B", 8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum((1, 2, 3)).mean()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 2, (4, 1, 5, 5)).float())
