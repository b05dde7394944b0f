"""Each micro-batch's loss is a mean over its own tokens; the mean of these means is not the mean over all tokens.

Source: meta-pytorch/torchtune pull request #1875 (2024), "the day the ML community first discovered the fact that (x1
/ n1) + (x2 / n2) != (x1 + x2) / (n1 + n2)"; huggingface/transformers issue #24725 (2023) and pull request #34191
(2024).
Symptom: loss curves differ between gradient accumulation and a large batch; short sequences weigh too much.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LanguageModel(nn.Module):
    def __init__(self, vocab=20, width=16):
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(vocab, width), nn.LSTM(width, width), nn.Linear(width, vocab)

    def forward(self, ids):
        output, _ = self.rnn(self.embed(ids).transpose(0, 1))
        return self.head(output).transpose(0, 1)


def training(normalize):
    model = LanguageModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def micro_loss(ids, labels):
        logits = model(ids)[:, :-1]
        return F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")

    def step(micro_batches):
        total = sum((labels[:, 1:] != -100).sum() for _, labels in micro_batches)
        running = 0.0
        for ids, labels in micro_batches:
            loss = micro_loss(ids, labels)
            if normalize:
                loss = loss / total
            else:
                loss = loss / (labels[:, 1:] != -100).sum() / len(micro_batches)  # FAULT
            loss.backward()
            running += loss.item()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return running

    micro_batches = []
    for lengths in ((12, 10), (5, 3), (12, 12), (4, 6)):
        ids = torch.randint(0, 20, (2, 12))
        labels = ids.clone()
        for row, length in enumerate(lengths):
            labels[row, length:] = -100
        micro_batches.append((ids, labels))
    return smokestep.Training(step, micro_batches)


def buggy():
    return training(normalize=False)


def fixed():
    return training(normalize=True)
