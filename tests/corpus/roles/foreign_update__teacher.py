"""The optimizer also holds the teacher, whose features the student's loss reaches without a detach."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Distillation:
    def __init__(self, parameters, detach):
        self.teacher = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.student = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.optimizer = torch.optim.Adam(parameters(self), lr=1e-3)
        self.detach = detach

    def fit_batch(self, x):
        student, teacher = self.student(x), self.teacher(x)
        if self.detach:
            teacher = teacher.detach()
        loss = (student - teacher).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()  # BUG: foreign-update teacher.0.weight, teacher.0.bias
        return loss


def training(distillation):
    return smokestep.Training(
        distillation.fit_batch,
        torch.randn(8, 6),
        model={"teacher": distillation.teacher, "student": distillation.student},
        trains=distillation.student,
    )


def buggy():
    return training(Distillation(lambda self: [*self.teacher.parameters(), *self.student.parameters()], detach=False))


def fixed():
    return training(Distillation(lambda self: self.student.parameters(), detach=True))
