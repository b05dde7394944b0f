"""Healthy trainings that looked like faults when faults from bug reports were written again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


class SentenceVAE(nn.Module):
    """Encodes a sentence in both directions, decodes it word by word; of the encoder only the last states are read."""

    def __init__(self, recurrent, words: int = 20, width: int = 12):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.encoder = recurrent(width, width, bidirectional=True, batch_first=True)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.mean, self.logv = nn.Linear(2 * width, 4), nn.Linear(2 * width, 4)
        self.start, self.head = nn.Linear(4, width), nn.Linear(width, words)

    def forward(self, ids):
        x = self.embed(ids)
        _, state = self.encoder(x)
        state = state[0] if isinstance(state, tuple) else state
        state = state.transpose(0, 1).flatten(1)
        mean, logv = self.mean(state), self.logv(state)
        z = mean + torch.randn_like(mean) * (0.5 * logv).exp()
        out, _ = self.decoder(x, self.start(z).unsqueeze(0))
        return self.head(out), -0.5 * (1 + logv - mean**2 - logv.exp()).sum(1).mean()


def _sentences(recurrent) -> smokestep.Training:
    model = SentenceVAE(recurrent)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(ids):
        logits, kl = model(ids[:, :-1])
        loss = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").sum(1).mean() + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 20, (6, 8)))


@healthy()
def sentence_vae_with_a_gru_in_both_directions() -> smokestep.Training:
    return _sentences(nn.GRU)


@healthy()
def sentence_vae_with_an_lstm_in_both_directions() -> smokestep.Training:
    return _sentences(nn.LSTM)


@healthy()
def last_rows_held_out_for_validation() -> smokestep.Training:
    """One step is an epoch over the first rows; the last ones are only evaluated."""
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best = [float("inf")]

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.mse_loss(model(x[:24]), y[:24])
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            best[0] = min(best[0], F.mse_loss(model(x[24:]), y[24:]).item())
        return loss

    x = torch.randn(32, 5)
    return smokestep.Training(step, (x, x.sum(1, keepdim=True)))


@healthy()
def additive_mask_made_in_forward() -> smokestep.Training:
    """The mask of the attention is single precision by itself, whatever the precision of the model."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.qkv, self.head = nn.Embedding(16, 12), nn.Linear(12, 36), nn.Linear(12, 16)

        def forward(self, ids):
            x = self.embed(ids)
            hidden = torch.triu(torch.full((ids.shape[1],) * 2, torch.finfo(torch.float32).min), diagonal=1)
            return self.head(x + F.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1), attn_mask=hidden))

    model = Masked()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 16, (4, 9)))


@healthy()
def every_network_clipped_after_each_backward() -> smokestep.Training:
    """One call clips all networks, also one that has no gradient yet, as its turn comes later in the step."""
    critic, actor = nn.Linear(6, 1), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2), nn.Tanh())
    optimizers = [torch.optim.Adam(net.parameters(), lr=1e-3) for net in (critic, actor)]

    def update(optimizer, loss):
        for each in optimizers:
            each.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*critic.parameters(), *actor.parameters()], 1.0)
        optimizer.step()
        return loss

    def step(batch):
        states, actions, returns = batch
        loss = update(optimizers[0], F.mse_loss(critic(torch.cat([states, actions], 1)), returns))
        update(optimizers[1], -critic(torch.cat([states, actor(states)], 1)).mean())
        return loss

    return smokestep.Training(step, (torch.randn(8, 4), torch.randn(8, 2), torch.randn(8, 1)))


@healthy()
def one_target_for_an_ensemble() -> smokestep.Training:
    """Five networks in one; all of them are to meet the same target, which is repeated for them."""
    weight, bias = (nn.Parameter(torch.randn(5, 4, 1) * 0.3), nn.Parameter(torch.zeros(5, 1, 1)))
    optimizer = torch.optim.Adam([weight, bias], lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss((x @ weight + bias).squeeze(-1).t(), y.expand(-1, 5))
        loss.backward()
        optimizer.step()
        return loss

    x = torch.randn(16, 4)
    return smokestep.Training(step, (x, x.sum(1, keepdim=True)))
