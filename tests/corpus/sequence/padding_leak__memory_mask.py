"""A translator whose decoder looks at the padding of the source: the memory has no mask."""

from __future__ import annotations

import torch
from torch import nn

import smokestep

PAD = 0


class Translator(nn.Module):
    def __init__(self, words=25, dim=16):
        super().__init__()
        self.src = nn.Embedding(words, dim, padding_idx=PAD)
        self.tgt = nn.Embedding(words, dim, padding_idx=PAD)
        self.core = nn.Transformer(
            dim, 2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=32, batch_first=True, dropout=0.1
        )
        self.out = nn.Linear(dim, words)

    def forward(self, source, target):
        causal = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        padded = source == PAD
        memory = self.core.encoder(self.src(source), src_key_padding_mask=padded)
        return self.out(self.decode(self.tgt(target), memory, causal, padded))


class Forgetful(Translator):
    def decode(self, target, memory, causal, padded):
        return self.core.decoder(target, memory, tgt_mask=causal)  # BUG?: padding-leak


class Careful(Translator):
    def decode(self, target, memory, causal, padded):
        return self.core.decoder(target, memory, tgt_mask=causal, memory_key_padding_mask=padded)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)

    def step(batch):
        source, target = batch
        optimizer.zero_grad()
        logits = model(source, target[:, :-1])
        loss = criterion(logits.reshape(-1, 25), target[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    def sentences(lengths):
        width = max(lengths)
        return torch.randint(1, 25, (len(lengths), width)) * (torch.arange(width) < torch.tensor(lengths)[:, None])

    return smokestep.Training(step, (sentences([9, 4, 6, 5]), sentences([6, 7, 4, 7])))


def buggy():
    return training(Forgetful())


def fixed():
    return training(Careful())
