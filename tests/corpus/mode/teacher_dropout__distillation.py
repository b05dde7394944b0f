"""A large teacher is loaded and frozen for distillation, and left in the mode in which it was built."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Text(nn.Module):
    def __init__(self, width, layers):
        super().__init__()
        self.embed = nn.Embedding(40, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.classify = nn.Linear(width, 4)

    def forward(self, tokens):
        return self.classify(self.encoder(self.embed(tokens)).mean(1))


def load_teacher():
    teacher = Text(16, 2)
    for p in teacher.parameters():
        p.requires_grad = False
    return teacher


def training(prepare):
    teacher, student = prepare(load_teacher()), Text(8, 1)
    optimizer = torch.optim.AdamW(student.parameters(), lr=5e-4)
    temperature, alpha = 2.0, 0.7

    def step(batch):
        tokens, labels = batch
        with torch.no_grad():
            soft = F.softmax(teacher(tokens) / temperature, dim=-1)  # BUG?: teacher-dropout teacher
        logits = student(tokens)
        distill = F.kl_div(F.log_softmax(logits / temperature, dim=-1), soft, reduction="batchmean")
        loss = alpha * temperature**2 * distill + (1 - alpha) * F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 40, (6, 7)), torch.randint(0, 4, (6,))))


def buggy():
    return training(lambda teacher: teacher)


def fixed():
    return training(lambda teacher: teacher.eval())
