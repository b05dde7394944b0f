"""Correct programs whose layers are hidden from `eval()`, and follow the mode all the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def classify(*models: nn.Module) -> smokestep.Training:
    optimizer = torch.optim.Adam([own for each in models for own in each.parameters()], lr=1e-2)

    def step(batch):
        value, labels = batch
        optimizer.zero_grad()
        for each in models:
            each.train()
            value = each(value)
        loss = F.cross_entropy(value, labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


class Listed(nn.Module):
    """Its dropouts are in a plain list."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 3)])
        self.drops = [nn.Dropout(0.2), nn.Dropout(0.2)]

    def forward(self, x):
        for layer, drop in zip(self.layers, self.drops, strict=True):
            x = layer(drop(torch.relu(x)))
        return x


@healthy()
def listed_dropouts_whose_mode_the_forward_sets() -> smokestep.Training:
    class Setting(Listed):
        def forward(self, x):
            for drop in self.drops:
                drop.train(self.training)
            return super().forward(x)

    return classify(Setting())


@healthy()
def listed_dropouts_whose_mode_train_sets() -> smokestep.Training:
    class Switching(Listed):
        def train(self, mode=True):
            super().train(mode)
            for drop in self.drops:
                drop.train(mode)
            return self

    return classify(Switching())


@healthy(suspicions={"unreached-mode": "it samples on purpose, which nothing but its own `eval` tells"})
def listed_dropouts_that_eval_keeps_for_sampling() -> smokestep.Training:
    class Sampling(Listed):
        def eval(self):
            super().eval()
            for drop in self.drops:
                drop.train()
            return self

    return classify(Sampling())


@healthy()
def dropout_lent_by_another_model() -> smokestep.Training:
    encoder = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2))

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(16, 3)
            self.lent = [encoder[2]]

        def forward(self, code):
            return self.head(self.lent[0](code))

    return classify(encoder, Decoder())


@healthy()
def dropout_lent_by_what_is_never_called() -> smokestep.Training:
    class Head(nn.Module):
        def __init__(self, drop):
            super().__init__()
            self.last = nn.Linear(6, 3)
            self.drops = [drop, drop]

        def forward(self, x):
            return self.last(self.drops[0](x))

    drop = nn.Dropout(0.2)
    around = nn.ModuleDict({"drop": drop, "head": Head(drop)})
    training = classify(around["head"])

    def step(batch):
        around.train()
        return next(iter(training.steps.values()))(batch)

    return smokestep.Training(step, training.batch)
