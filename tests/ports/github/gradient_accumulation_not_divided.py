"""The losses of the micro-batches are summed without being divided by their number.

Source: karpathy/nanoGPT issues #168 and #206 (2023), "Logic Error in gradient accumulation?": `loss.backward()`
"without first normalizing the loss value to account for number of gradient accumulation steps".
Symptom: the gradient grows with the number of accumulation steps; it is hidden while gradients are clipped.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class CharModel(nn.Module):
    def __init__(self, vocab_size=24, n_embd=16, block_size=16):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.block = nn.TransformerEncoderLayer(n_embd, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.ln_f, self.lm_head = nn.LayerNorm(n_embd), nn.Linear(n_embd, vocab_size, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, idx, targets):
        t = idx.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(t)
        x = self.block(self.wte(idx) + self.wpe(torch.arange(t)), src_mask=mask, is_causal=True)
        logits = self.lm_head(self.ln_f(x))
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))


def training(divided, gradient_accumulation_steps=4):
    model = CharModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = torch.randint(0, 24, (400,))

    def get_batch(block_size=16, batch_size=4):
        ix = torch.randint(len(data) - block_size, (batch_size,))
        x = torch.stack([data[i : i + block_size] for i in ix])
        return x, torch.stack([data[i + 1 : i + 1 + block_size] for i in ix])

    def step():
        for _ in range(gradient_accumulation_steps):
            X, Y = get_batch()
            _, loss = model(X, Y)
            if divided:
                loss = loss / gradient_accumulation_steps
            loss.backward()  # FAULT
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    return smokestep.Training(step)


def buggy():
    return training(divided=False)


def fixed():
    return training(divided=True)
