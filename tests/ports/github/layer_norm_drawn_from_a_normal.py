"""The weight initialisation also reaches the layer norms, whose scale becomes a small random number around zero.

Source: huggingface/transformers issue #143 (2018), "bug in init_bert_weights": `module.gamma.data.normal_(mean=0.0,
std=config.initializer_range)`; "the second init will lead to bad convergence"; fixed.
Symptom: pre-training from scratch converges badly; loading published weights hides it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Bert(nn.Module):
    initializer_range = 0.02

    def __init__(self, words=30, width=16, depth=2):
        super().__init__()
        self.word, self.position = nn.Embedding(words, width), nn.Embedding(32, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 64, dropout=0.1, activation="gelu", batch_first=True)
            for _ in range(depth)
        )
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.decoder = nn.Linear(width, words)
        self.apply(self.init_bert_weights)

    def init_bert_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(mean=0.0, std=self.initializer_range)
        elif isinstance(module, nn.LayerNorm):
            module.bias.data.normal_(mean=0.0, std=self.initializer_range)  # FAULT
            module.weight.data.normal_(mean=0.0, std=self.initializer_range)  # FAULT
        if isinstance(module, nn.Linear):
            module.bias.data.zero_()

    def forward(self, ids):
        x = self.norm(self.word(ids) + self.position(torch.arange(ids.shape[1])))
        for layer in self.layers:
            x = layer(x)
        return self.decoder(self.transform(x))


class OnesAndZeros(Bert):
    def init_bert_weights(self, module):
        if isinstance(module, nn.LayerNorm):
            module.bias.data.zero_()
            module.weight.data.fill_(1.0)
        else:
            super().init_bert_weights(module)


def training(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    mask_token = 0

    def step(ids):
        masked = torch.rand(ids.shape) < 0.15
        masked[:, 0] = True
        logits = model(ids.masked_fill(masked, mask_token))
        loss = F.cross_entropy(logits[masked], ids[masked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, torch.randint(1, 30, (8, 12)))


def buggy():
    return training(Bert())


def fixed():
    return training(OnesAndZeros())
