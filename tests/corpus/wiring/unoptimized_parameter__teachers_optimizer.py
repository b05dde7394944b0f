"""Distillation in which the student's optimizer is built from the teacher's parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(student_optimised):
    teacher, student = nn.Linear(6, 3), nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    held = student if student_optimised else teacher
    optimizer = torch.optim.Adam(held.parameters())  # BUG: unoptimized-parameter student.*

    def step(x):
        with torch.no_grad():
            wanted = teacher(x).softmax(dim=1)  # BUG?: gradient-cut teacher.*
        loss = F.cross_entropy(student(x), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 6), model={"teacher": teacher, "student": student})


def buggy():
    return training(False)


def fixed():
    return training(True)
