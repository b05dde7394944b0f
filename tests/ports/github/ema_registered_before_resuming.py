"""The shadow weights are registered before the checkpoint is loaded: they average from the random initialisation.

Source: BangLiu/QANet-PyTorch issue #4 (2018), "Resume checkpoint": "The initialization of ema in QANet_main.py is
before resuming the model" and should come after it.
Symptom: after resuming the training loss is normal, and the test result is as low as in the first epoch.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class EMA:
    def __init__(self, decay=0.9999):
        self.decay, self.shadow = decay, {}

    def register(self, model):
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    def __call__(self, model, num_updates):
        decay = min(self.decay, (1.0 + num_updates) / (10.0 + num_updates))
        for name, p in model.named_parameters():
            self.shadow[name].lerp_(p.detach(), 1.0 - decay)


class QANet(nn.Module):
    def __init__(self, words=30, width=16):
        super().__init__()
        self.word = nn.Embedding(words, width)
        self.conv = nn.Conv1d(width, width, 5, padding=2)
        self.start, self.end = nn.Linear(2 * width, 1), nn.Linear(2 * width, 1)

    def forward(self, context, question):
        c = F.relu(self.conv(self.word(context).transpose(1, 2))).transpose(1, 2)
        q = self.word(question)
        attended = (c @ q.transpose(1, 2)).softmax(dim=-1) @ q
        x = torch.cat([c, attended], dim=-1)
        return self.start(x).squeeze(-1), self.end(x).squeeze(-1)


def trained_before():
    """What a run of an earlier day left on the disk."""
    model = QANet()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    return {"state_dict": copy.deepcopy(model.state_dict()), "step": 5000}


class Trainer:
    def __init__(self, resume_first):
        checkpoint = trained_before()
        self.model, self.ema = QANet(), EMA()
        if resume_first:
            self.resume(checkpoint)
        self.ema.register(self.model)  # FAULT
        if not resume_first:
            self.resume(checkpoint)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, betas=(0.8, 0.999), eps=1e-7)

    def resume(self, checkpoint):
        self.model.load_state_dict(checkpoint["state_dict"])
        self.step = checkpoint["step"]

    def train_batch(self, batch):
        context, question, y1, y2 = batch
        self.optimizer.zero_grad()
        p1, p2 = self.model(context, question)
        loss = F.cross_entropy(p1, y1) + F.cross_entropy(p2, y2)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        self.ema(self.model, self.step)
        return loss.item()


def training(resume_first):
    trainer = Trainer(resume_first)
    y1 = torch.randint(0, 8, (6,))
    batch = (torch.randint(0, 30, (6, 10)), torch.randint(0, 30, (6, 4)), y1, y1 + 1)
    return smokestep.Training(trainer.train_batch, batch)


def buggy():
    return training(resume_first=False)


def fixed():
    return training(resume_first=True)
