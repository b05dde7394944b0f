"""The bridge between encoder and decoder flattens states of [layers, batch, hidden] into rows of layers·hidden: of two
samples.

Source: OpenNMT/OpenNMT-py issue #1521 (2019), "Possible dimension transformation bug in RNNEncoder Bridge?", labelled
type:bug: `linear(states.view(-1, self.total_hidden_dim))`.
Symptom: the initial state of the decoder is made of several sentences; translation is worse, without an error.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Bridge(nn.Module):
    def __init__(self, num_layers, hidden_size):
        super().__init__()
        self.total_hidden_dim = hidden_size * num_layers
        self.bridge = nn.ModuleList([nn.Linear(self.total_hidden_dim, self.total_hidden_dim) for _ in range(2)])

    def bottle(self, linear, states):
        size = states.size()
        result = linear(states.view(-1, self.total_hidden_dim))  # FAULT
        return F.relu(result).view(size)

    def forward(self, hidden):
        return tuple(self.bottle(linear, states) for linear, states in zip(self.bridge, hidden, strict=True))


class BridgePerSample(Bridge):
    def bottle(self, linear, states):
        layers, batch, size = states.size()
        result = linear(states.transpose(0, 1).reshape(batch, layers * size))
        return F.relu(result).view(batch, layers, size).transpose(0, 1).contiguous()


class Translator(nn.Module):
    def __init__(self, bridge, words=20, width=12, layers=2):
        super().__init__()
        self.source, self.target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.encoder = nn.LSTM(width, width, layers, batch_first=True)
        self.decoder = nn.LSTM(width, width, layers, batch_first=True)
        self.bridge = bridge(layers, width)
        self.generator = nn.Linear(width, words)

    def forward(self, src, tgt):
        memory, state = self.encoder(self.source(src))
        output, _ = self.decoder(self.target(tgt), self.bridge(state))
        weights = torch.softmax(output @ memory.transpose(1, 2), dim=-1)
        return self.generator(output + weights @ memory)


def training(bridge):
    model = Translator(bridge)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    def step(batch):
        src, tgt = batch
        optimizer.zero_grad()
        logits = model(src, tgt[:, :-1])
        loss = criterion(logits.flatten(0, 1), tgt[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss.item()

    src = torch.randint(1, 20, (6, 7))
    return smokestep.Training(step, (src, torch.cat([torch.zeros(6, 1, dtype=torch.long), src.flip(1)], dim=1)))


def buggy():
    return training(Bridge)


def fixed():
    return training(BridgePerSample)
