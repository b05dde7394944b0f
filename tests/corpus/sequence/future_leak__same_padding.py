"""A convolutional language model: the padding that keeps the length is put on both sides."""

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Block(nn.Module):
    def __init__(self, channels, kernel, dilation, causal):
        super().__init__()
        self.left = (kernel - 1) * dilation if causal else 0
        padding = 0 if causal else (kernel - 1) * dilation // 2
        self.conv = nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation)

    def forward(self, x):
        return x + torch.relu(self.conv(F.pad(x, (self.left, 0))))  # BUG: future-leak


class TCN(nn.Module):
    def __init__(self, causal, vocab=15, channels=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, channels)
        self.blocks = nn.Sequential(*(Block(channels, 3, 2**i, causal) for i in range(2)))
        self.out = nn.Conv1d(channels, vocab, 1)

    def forward(self, tokens):
        return self.out(self.blocks(self.embed(tokens).permute(0, 2, 1)))


def training(causal):
    net = TCN(causal)
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(tokens):
        opt.zero_grad()
        scores = net(tokens)
        loss = F.cross_entropy(scores[:, :, :-1], tokens[:, 1:])
        loss.backward()
        opt.step()

    return smokestep.Training(step, torch.randint(0, 15, (4, 14)))


def buggy():
    return training(causal=False)


def fixed():
    return training(causal=True)
