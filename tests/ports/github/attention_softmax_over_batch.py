"""The attention weights are normalised along the merged dimension of batch and output, not over the context.

Source: PetrochukM/PyTorch-NLP issue #2 (2018), "Attention's softmax dimension is wrong?": `nn.Softmax(dim=0)` on
scores of shape [batch·output, context].
Symptom: with a batch of one the weights are always 1; with more, samples share their attention.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Attention(nn.Module):
    def __init__(self, dimensions, dim):
        super().__init__()
        self.linear_in = nn.Linear(dimensions, dimensions, bias=False)
        self.linear_out = nn.Linear(dimensions * 2, dimensions, bias=False)
        self.softmax = nn.Softmax(dim=dim)

    def forward(self, query, context):
        batch_size, output_len, dimensions = query.size()
        query_len = context.size(1)
        query = self.linear_in(query.reshape(batch_size * output_len, dimensions))
        query = query.reshape(batch_size, output_len, dimensions)
        scores = torch.bmm(query, context.transpose(1, 2).contiguous())
        weights = self.softmax(scores.view(batch_size * output_len, query_len))  # FAULT
        weights = weights.view(batch_size, output_len, query_len)
        mix = torch.bmm(weights, context)
        combined = torch.cat((mix, query), dim=2).view(batch_size * output_len, 2 * dimensions)
        return torch.tanh(self.linear_out(combined).view(batch_size, output_len, dimensions)), weights


class Reader(nn.Module):
    def __init__(self, dim, vocabulary=30, width=16):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.attention = Attention(width, dim)
        self.out = nn.Linear(width, 4)

    def forward(self, tokens, question):
        context, _ = self.encoder(self.embed(tokens))
        attended, _ = self.attention(self.embed(question).unsqueeze(1), context)
        return self.out(attended.squeeze(1))


def training(dim):
    model = Reader(dim)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        tokens, question, answer = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens, question), answer)
        loss.backward()
        optimizer.step()
        return loss.item()

    tokens = torch.randint(0, 30, (12, 7))
    return smokestep.Training(step, (tokens, tokens[:, 2], tokens[:, 3] % 4))


def buggy():
    return training(dim=0)


def fixed():
    return training(dim=-1)
