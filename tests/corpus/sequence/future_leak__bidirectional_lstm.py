"""A character model, time first, whose LSTM reads the text in both directions."""

import torch
from torch import nn

import smokestep


class CharRNN(nn.Module):
    def __init__(self, vocab=24, bidirectional=False):
        super().__init__()
        self.emb = nn.Embedding(vocab, 12)
        self.lstm = nn.LSTM(12, 16, bidirectional=bidirectional)
        self.fc = nn.Linear(32 if bidirectional else 16, vocab)

    def forward(self, x):
        out, _ = self.lstm(self.emb(x))  # BUG: future-leak
        return self.fc(out).view(-1, self.fc.out_features)


def training(bidirectional):
    model = CharRNN(bidirectional=bidirectional)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())

    def step(text):
        model.train()
        model.zero_grad()
        loss = criterion(model(text[:-1]), text[1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 24, (11, 3)))


def buggy():
    return training(True)


def fixed():
    return training(False)
