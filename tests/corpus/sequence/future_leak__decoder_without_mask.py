"""A translation model whose decoder is given no tgt_mask."""

import torch
from torch import nn

import smokestep

PAD = 0


class Translator(nn.Module):
    def __init__(self, masked, vocab=21, dim=16):
        super().__init__()
        self.masked = masked
        self.source, self.target = nn.Embedding(vocab, dim), nn.Embedding(vocab, dim)
        self.place = nn.Parameter(torch.randn(1, 16, dim) * 0.1)
        self.transformer = nn.Transformer(dim, 2, 1, 1, 32, dropout=0.1, batch_first=True)
        self.generator = nn.Linear(dim, vocab)

    def forward(self, src, tgt):
        s = self.source(src) + self.place[:, : src.size(1)]
        t = self.target(tgt) + self.place[:, : tgt.size(1)]
        if self.masked:
            hidden = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
            out = self.transformer(s, t, tgt_mask=hidden)
        else:
            out = self.transformer(s, t)  # BUG: future-leak
        return self.generator(out)


def training(masked):
    model = Translator(masked)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98))
    loss_fn = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)

    def step(batch):
        src, tgt = batch
        logits = model(src, tgt[:, :-1])
        loss = loss_fn(logits.reshape(-1, logits.shape[-1]), tgt[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    tgt = torch.randint(1, 21, (4, 10))
    tgt[1, 7:] = PAD
    return smokestep.Training(step, (torch.randint(1, 21, (4, 8)), tgt))


def buggy():
    return training(masked=False)


def fixed():
    return training(masked=True)
