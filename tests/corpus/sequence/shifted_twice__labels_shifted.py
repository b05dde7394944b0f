"""A model in the style of a well-known library shifts the labels itself; the collate function has done so already."""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


@dataclass
class Output:
    loss: torch.Tensor
    logits: torch.Tensor


class CausalLM(nn.Module):
    def __init__(self, vocab=20, dim=16):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, dim)
        self.attn = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, vocab)

    def forward(self, input_ids, labels=None):
        x = self.embed_tokens(input_ids)
        T = input_ids.size(1)
        hidden = torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)
        y, _ = self.attn(x, x, x, attn_mask=hidden, need_weights=False)
        logits = self.lm_head(self.norm(x + y))
        shift_logits = logits[..., :-1, :].contiguous()
        shift_labels = labels[..., 1:].contiguous()
        loss = F.cross_entropy(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))
        return Output(loss, logits)


def training(collate):
    model = CausalLM()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)

    def step(texts):
        batch = collate(texts)
        outputs = model(**batch)  # BUG: shifted-twice
        outputs.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return outputs.loss

    return smokestep.Training(step, torch.randint(0, 20, (4, 11)))


def buggy():
    def collate(texts):
        labels = torch.full_like(texts, -100)
        labels[:, :-1] = texts[:, 1:]
        return {"input_ids": texts, "labels": labels}

    return training(collate)


def fixed():
    return training(lambda texts: {"input_ids": texts, "labels": texts.clone()})
