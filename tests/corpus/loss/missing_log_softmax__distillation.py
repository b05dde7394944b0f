"""`kl_div` wants log-probabilities first; the student hands over probabilities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Distiller:
    def __init__(self):
        self.teacher = nn.Linear(6, 4).requires_grad_(False).eval()
        self.student = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
        self.optimizer = torch.optim.Adam(self.student.parameters())

    def loss(self, student, teacher):
        return F.kl_div(student.softmax(1), teacher.softmax(1), reduction="batchmean")  # BUG: missing-log-softmax

    def fit_batch(self, x):
        with torch.no_grad():
            teacher = self.teacher(x)
        loss = self.loss(self.student(x), teacher)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


class LogDistiller(Distiller):
    def loss(self, student, teacher):
        return F.kl_div(F.log_softmax(student, dim=1), F.softmax(teacher, dim=1), reduction="batchmean")


def buggy():
    return smokestep.Training(Distiller().fit_batch, torch.randn(8, 6))


def fixed():
    return smokestep.Training(LogDistiller().fit_batch, torch.randn(8, 6))
