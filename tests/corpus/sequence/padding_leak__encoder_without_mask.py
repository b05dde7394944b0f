"""A sentence classifier whose encoder is not given the padding mask that its pooling uses."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self, masked, vocab=30, dim=16):
        super().__init__()
        self.masked = masked
        self.embed = nn.Embedding(vocab, dim, padding_idx=0)
        layer = nn.TransformerEncoderLayer(dim, nhead=2, dim_feedforward=32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=1, enable_nested_tensor=False)
        self.head = nn.Linear(dim, 2)

    def forward(self, input_ids, attention_mask):
        x = self.embed(input_ids)
        if self.masked:
            x = self.encoder(x, src_key_padding_mask=attention_mask == 0)
        else:
            x = self.encoder(x)  # BUG?: padding-leak
        weights = attention_mask[..., None].to(x.dtype)
        return self.head((x * weights).sum(1) / weights.sum(1))


def training(masked):
    model = Classifier(masked)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    criterion = nn.CrossEntropyLoss()

    def step(batch):
        logits = model(batch["input_ids"], batch["attention_mask"])
        loss = criterion(logits, batch["labels"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    lengths = torch.tensor([9, 4, 7, 5, 6, 3])
    mask = (torch.arange(9)[None, :] < lengths[:, None]).long()
    ids = torch.randint(1, 30, (6, 9)) * mask
    return smokestep.Training(step, {"input_ids": ids, "attention_mask": mask, "labels": torch.arange(6) % 2})


def buggy():
    return training(False)


def fixed():
    return training(True)
