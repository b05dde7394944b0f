"""An LSTM without `batch_first` is given (batch, time, features): it runs over the batch as if that were time.

Source: class of wrong shape of input data of Humbatova et al., ICSE 2020; a question asked again and again on Stack
Overflow ("RNN, loss does not decrease, batch_first").
Symptom: the loss does not decrease, or the results depend on the order of the samples in the batch.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class SentimentLSTM(nn.Module):
    def __init__(self, batch_first, vocabulary=200, embedding=16, hidden=32):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        if batch_first:
            self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        else:
            self.lstm = nn.LSTM(embedding, hidden)  # FAULT
        self.fc = nn.Linear(hidden, 2)

    def forward(self, tokens):
        embedded = self.embedding(tokens)
        output, _ = self.lstm(embedded)  # FAULT
        return self.fc(output[:, -1, :])


def training(batch_first):
    tokens = torch.randint(1, 200, (32, 12))
    labels = (tokens[:, 3] > 100).long()
    model = SentimentLSTM(batch_first)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        text, label = batch
        optimizer.zero_grad()
        loss = criterion(model(text), label)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (tokens, labels))


def buggy():
    return training(batch_first=False)


def fixed():
    return training(batch_first=True)
