"""A decoder-only model whose loss is given the input itself as targets."""

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Decoder(nn.Module):
    def __init__(self, vocab=19, dim=16):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        self.pos = nn.Embedding(24, dim)
        layer = nn.TransformerEncoderLayer(dim, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(dim, vocab)

    def forward(self, ids):
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        x = self.tok(ids) + self.pos(torch.arange(ids.shape[1]))
        return self.head(self.blocks(x, mask=mask, is_causal=True))


def buggy():
    model = Decoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        optimizer.zero_grad()
        logits = model(ids)
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), ids.view(-1))  # BUG: unshifted-target
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 19, (4, 12)))


def fixed():
    model = Decoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        optimizer.zero_grad()
        logits = model(ids)[:, :-1]
        loss = F.cross_entropy(logits.reshape(-1, logits.size(-1)), ids[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 19, (4, 12)))
