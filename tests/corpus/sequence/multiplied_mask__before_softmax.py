"""A tagger of padded sentences multiplies its padding mask with the attention scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class SelfAttention(nn.Module):
    def __init__(self, width, exclude):
        super().__init__()
        self.exclude = exclude
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x, mask):
        scores = torch.bmm(self.query(x), self.key(x).transpose(1, 2)) / x.size(-1) ** 0.5
        if self.exclude:
            scores = scores.masked_fill(mask.unsqueeze(1) == 0, float("-inf"))
        else:
            scores = scores * mask.unsqueeze(1)  # BUG?: multiplied-mask
        return torch.bmm(torch.softmax(scores, dim=-1), self.value(x))


class Tagger(nn.Module):
    def __init__(self, exclude):
        super().__init__()
        self.embed, self.position = nn.Embedding(50, 24, padding_idx=0), nn.Embedding(16, 24)
        self.attention, self.tags = SelfAttention(24, exclude), nn.Linear(24, 5)

    def forward(self, ids, mask):
        x = self.embed(ids) + self.position(torch.arange(ids.size(1)))
        return self.tags(torch.relu(x + self.attention(x, mask)))


def training(exclude):
    model = Tagger(exclude)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        logits = model(batch["ids"], batch["mask"])
        loss = F.cross_entropy(logits.transpose(1, 2), batch["tags"], ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    ids, tags = torch.randint(1, 50, (6, 9)), torch.randint(0, 5, (6, 9))
    mask = (torch.arange(9) < torch.tensor([9, 7, 4, 6, 9, 3]).unsqueeze(1)).float()
    ids, tags = (ids * mask).long(), tags.masked_fill(mask == 0, -100)
    return smokestep.Training(step, {"ids": ids, "mask": mask, "tags": tags})


def buggy():
    return training(exclude=False)


def fixed():
    return training(exclude=True)
