"""The uniform part of the smoothed cross entropy also counts the ignored positions.

Source: pytorch/pytorch issue #73205 (2022), "Bug in label smoothing with ignored samples": "the uniform part of the
loss incorrectly takes into account ignored samples".
Symptom: padding pulls the logits at padded positions towards uniform, and the loss depends on the amount of padding.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep

PAD = 0


class SmoothedCrossEntropy(nn.Module):
    def __init__(self, label_smoothing=0.1, ignore_index=PAD):
        super().__init__()
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index

    def uniform_part(self, log_probs, ignored):
        return -log_probs.mean(dim=-1)  # FAULT

    def forward(self, logits, target):
        log_probs = logits.log_softmax(dim=-1)
        ignored = target == self.ignore_index
        nll = -log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1).masked_fill(ignored, 0.0)
        smooth = self.uniform_part(log_probs, ignored)
        count = (~ignored).sum()
        return (1 - self.label_smoothing) * nll.sum() / count + self.label_smoothing * smooth.sum() / count


class Masked(SmoothedCrossEntropy):
    def uniform_part(self, log_probs, ignored):
        return -log_probs.mean(dim=-1).masked_fill(ignored, 0.0)


class Seq2Seq(nn.Module):
    def __init__(self, words=24, width=16):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=PAD)
        self.encoder, self.decoder = nn.GRU(width, width, batch_first=True), nn.GRU(width, width, batch_first=True)
        self.generator = nn.Linear(width, words)

    def forward(self, src, tgt):
        lengths = (src != PAD).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(src), lengths, batch_first=True, enforce_sorted=False)
        _, state = self.encoder(packed)
        return self.generator(self.decoder(self.embed(tgt), state)[0])


def training(criterion):
    model = Seq2Seq()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98))

    def step(batch):
        src, tgt = batch
        optimizer.zero_grad()
        loss = criterion(model(src, tgt[:, :-1]), tgt[:, 1:])
        loss.backward()
        optimizer.step()
        return loss.item()

    src, tgt = torch.randint(1, 24, (6, 9)), torch.randint(1, 24, (6, 10))
    for row, length in enumerate((9, 4, 6, 5, 8, 3)):
        src[row, length:], tgt[row, length + 1 :] = PAD, PAD
    return smokestep.Training(step, (src, tgt))


def buggy():
    return training(SmoothedCrossEntropy())


def fixed():
    return training(Masked())
