"""A recurrent translator whose decoder is fed the sentence that it is to say, from its first word on."""

import torch
from torch import nn

import smokestep


class Seq2Seq(nn.Module):
    def __init__(self, vocab=22, dim=16):
        super().__init__()
        self.src_embed, self.tgt_embed = nn.Embedding(vocab, dim), nn.Embedding(vocab, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.decoder = nn.GRU(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, vocab)

    def forward(self, src, tgt):
        _, hidden = self.encoder(self.src_embed(src))
        states, _ = self.decoder(self.tgt_embed(tgt), hidden)
        return self.out(states)


def buggy():
    model = Seq2Seq()
    criterion = nn.CrossEntropyLoss(ignore_index=0)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        src, tgt = batch
        optimizer.zero_grad()
        output = model(src, tgt)
        loss = criterion(output.flatten(0, 1), tgt.flatten())  # BUG?: unshifted-target
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(1, 22, (4, 6)), torch.randint(1, 22, (4, 9))))


def fixed():
    model = Seq2Seq()
    criterion = nn.CrossEntropyLoss(ignore_index=0)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        src, tgt = batch
        optimizer.zero_grad()
        output = model(src, tgt[:, :-1])
        loss = criterion(output.flatten(0, 1), tgt[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(1, 22, (4, 6)), torch.randint(1, 22, (4, 9))))
