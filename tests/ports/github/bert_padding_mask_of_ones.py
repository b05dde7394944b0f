"""The attention mask is initialised with ones everywhere, so padding is attended to like text.

Source: yg211/bert_nli pull request #3 (2020), "Fix padding of attention masks": "The attention masks are initialised
incorrectly at the moment with all values set to 1".
Symptom: a sentence's output depends on how far its batch is padded; accuracy is lower.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

PAD = 0


class BertNLI(nn.Module):
    def __init__(self, words=40, width=16):
        super().__init__()
        self.word, self.position = nn.Embedding(words, width, padding_idx=PAD), nn.Embedding(64, width)
        layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.nli_head = nn.Linear(width, 3)

    def forward(self, input_ids, attention_mask):
        x = self.word(input_ids) + self.position(torch.arange(input_ids.shape[1]))
        x = self.encoder(x, src_key_padding_mask=attention_mask == 0)
        return self.nli_head(self.norm(x[:, 0]))


def build_batch(pairs, masked):
    longest = max(map(len, pairs))
    ids = torch.full((len(pairs), longest), PAD)
    mask = torch.ones(len(pairs), longest)  # FAULT
    for i, pair in enumerate(pairs):
        ids[i, : len(pair)] = torch.tensor(pair)
        if masked:
            mask[i, len(pair) :] = 0
    return ids, mask


def training(masked):
    model = BertNLI()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)

    def step(batch):
        pairs, labels = batch
        ids, mask = build_batch(pairs, masked)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids, attention_mask=mask), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    pairs = [torch.randint(1, 40, (length,)).tolist() for length in (5, 9, 7, 12, 4, 12)]
    return smokestep.Training(step, (pairs, torch.tensor([0, 1, 2, 0, 1, 2])))


def buggy():
    return training(masked=False)


def fixed():
    return training(masked=True)
