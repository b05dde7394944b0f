"""The initialisation runs once more after the checkpoint has been loaded and overwrites what was loaded.

Source: huggingface/transformers issue #46620 and pull request #46632 (2026), "from_pretrained silently returns
random-init weights for custom PreTrainedModel subclasses (clean loading_info, no warning)".
Symptom: fine-tuning starts from random weights; the loading report is clean.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class PreTrained(nn.Module):
    """A small stand-in for the base class of a model hub."""

    def init_weights(self):
        for module in self.modules():
            if not getattr(module, "is_initialised", False):
                self._init_weights(module)

    @classmethod
    def from_pretrained(cls, state):
        model = cls()
        info = model.load_state_dict(state, strict=False)
        assert not info.missing_keys and not info.unexpected_keys
        model.after_loading()
        model.init_weights()  # what the checkpoint lacks
        return model

    def after_loading(self):
        pass


class MyModel(PreTrained):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh())
        self.score = nn.Linear(24, 3)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(mean=0.0, std=0.02)  # FAULT
            module.bias.data.zero_()

    def forward(self, x):
        return self.score(self.encoder(x))


class Flagged(MyModel):
    def after_loading(self):
        for module in self.modules():
            module.is_initialised = True


def training(kind):
    pretrained = MyModel()
    nn.init.orthogonal_(pretrained.encoder[0].weight)
    nn.init.orthogonal_(pretrained.encoder[2].weight)
    model = kind.from_pretrained(pretrained.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    x = torch.randn(16, 12)
    return smokestep.Training(step, (x, x[:, :3].argmax(1)))


def buggy():
    return training(MyModel)


def fixed():
    return training(Flagged)
