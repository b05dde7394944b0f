"""Correct programs whose gradients are stopped, replaced, cached or not taken at all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(n_in: int = 8, n_out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


@healthy()
def forward_forward_layers_with_local_losses() -> smokestep.Training:
    layers = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 16)])
    optimizers = [torch.optim.Adam(layer.parameters(), lr=1e-2) for layer in layers]

    def goodness(layer, x):
        h = F.relu(layer(x / (x.norm(dim=1, keepdim=True) + 1e-4)))
        return h, h.pow(2).mean(1)

    def step(data):
        positive, negative = data
        for layer, optimizer in zip(layers, optimizers):
            hp, gp = goodness(layer, positive)
            hn, gn = goodness(layer, negative)
            loss = (F.softplus(0.5 - gp) + F.softplus(gn - 0.5)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            positive, negative = hp.detach(), hn.detach()
        return loss

    return smokestep.Training(step, (torch.randn(10, 8), torch.randn(10, 8) * 2))


@healthy()
def online_linear_probe_beside_self_supervision() -> smokestep.Training:
    """The probe has its own loss on detached features, in the same optimizer."""
    encoder, projector, probe = mlp(8, 16), nn.Linear(16, 8), nn.Linear(16, 3)
    modules = nn.ModuleList([encoder, projector, probe])
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        h1, h2 = encoder(x + 0.1 * torch.randn_like(x)), encoder(x + 0.1 * torch.randn_like(x))
        similarity = F.normalize(projector(h1)) @ F.normalize(projector(h2)).T / 0.2
        ssl_loss = F.cross_entropy(similarity, torch.arange(len(x)))
        probe_loss = F.cross_entropy(probe(h1.detach()), y)
        optimizer.zero_grad()
        (ssl_loss + probe_loss).backward()
        optimizer.step()
        return ssl_loss, probe_loss

    return smokestep.Training(step, batch())


class Equilibrium(nn.Module):
    """Finds the fixed point without gradient, then takes one step from it with gradient."""

    def __init__(self):
        super().__init__()
        self.inject, self.recur, self.out = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        with torch.no_grad():
            self.recur.weight.mul_(0.5)

    def cell(self, z, x):
        return torch.tanh(self.recur(z) + self.inject(x))

    def forward(self, x):
        with torch.no_grad():
            z = torch.zeros(len(x), 16)
            for _ in range(8):
                z = self.cell(z, x)
        return self.out(self.cell(z, x))


@healthy()
def deep_equilibrium_one_step_gradient() -> smokestep.Training:
    model = Equilibrium()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def gradient_cache_for_large_batches() -> smokestep.Training:
    """Representations without gradient, the loss's gradient with respect to them, then chunk by chunk with it."""
    query, document = mlp(8, 6), mlp(8, 6)
    optimizer = torch.optim.Adam([*query.parameters(), *document.parameters()], lr=1e-3)

    def step(data):
        q, d = data
        with torch.no_grad():
            q_all = torch.cat([query(chunk) for chunk in q.split(4)])
            d_all = torch.cat([document(chunk) for chunk in d.split(4)])
        q_leaf, d_leaf = q_all.clone().requires_grad_(), d_all.clone().requires_grad_()
        loss = F.cross_entropy(q_leaf @ d_leaf.T, torch.arange(len(q_leaf)))
        loss.backward()
        optimizer.zero_grad()
        for chunk, cached in zip(q.split(4), q_leaf.grad.split(4)):
            (query(chunk) * cached).sum().backward()
        for chunk, cached in zip(d.split(4), d_leaf.grad.split(4)):
            (document(chunk) * cached).sum().backward()
        optimizer.step()
        return loss.detach()

    return smokestep.Training(step, (torch.randn(8, 8), torch.randn(8, 8)))


class Capsules(nn.Module):
    def __init__(self):
        super().__init__()
        self.primary = nn.Linear(8, 4 * 6)
        self.weight = nn.Parameter(0.3 * torch.randn(6, 3, 5, 4))

    @staticmethod
    def squash(s):
        norm = s.norm(dim=-1, keepdim=True)
        return norm / (1 + norm**2) * s

    def forward(self, x):
        u = self.squash(self.primary(x).view(-1, 6, 4))
        u_hat = torch.einsum("ijkl,bil->bijk", self.weight, u)
        routed = u_hat.detach()  # the agreement only decides the routing
        logits = torch.zeros(u_hat.shape[:3])
        for _ in range(2):
            v = self.squash((logits.softmax(2).unsqueeze(-1) * routed).sum(1))
            logits = logits + (routed * v.unsqueeze(1)).sum(-1)
        return self.squash((logits.softmax(2).unsqueeze(-1) * u_hat).sum(1)).norm(dim=-1)


@healthy()
def capsules_with_detached_routing() -> smokestep.Training:
    model = Capsules()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(data):
        x, y = data
        lengths, target = model(x), F.one_hot(y, 3).float()
        loss = (target * F.relu(0.9 - lengths) ** 2 + 0.5 * (1 - target) * F.relu(lengths - 0.1) ** 2).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class FeedbackAlignment(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, feedback):
        ctx.save_for_backward(x, feedback)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, grad):
        x, feedback = ctx.saved_tensors
        return grad @ feedback, grad.T @ x, grad.sum(0), None


class RandomFeedback(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.register_buffer("feedback", torch.randn(n_out, n_in) / n_in**0.5)

    def forward(self, x):
        return FeedbackAlignment.apply(x, self.linear.weight, self.linear.bias, self.feedback)


@healthy()
def feedback_alignment() -> smokestep.Training:
    model = nn.Sequential(RandomFeedback(8, 16), nn.Tanh(), RandomFeedback(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        x, y = data
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def evolution_strategies_without_gradients() -> smokestep.Training:
    model = mlp()
    flat = nn.utils.parameters_to_vector(model.parameters()).detach()

    @torch.no_grad()
    def step(data):
        nonlocal flat
        x, y = data
        noise = torch.randn(6, len(flat))
        rewards = []
        for eps in noise:
            nn.utils.vector_to_parameters(flat + 0.05 * eps, model.parameters())
            rewards.append(-F.cross_entropy(model(x), y))
        rewards = torch.stack(rewards)
        advantage = (rewards - rewards.mean()) / (rewards.std() + 1e-8)
        flat = flat + 0.05 / (6 * 0.05) * (advantage @ noise)
        nn.utils.vector_to_parameters(flat, model.parameters())
        return -rewards.mean()

    return smokestep.Training(step, batch())


@healthy()
def hebbian_rule_without_a_loss() -> smokestep.Training:
    weight = F.normalize(torch.randn(4, 8), dim=1)

    def step(x):
        nonlocal weight
        y = x @ weight.T
        lower = torch.tril(y.unsqueeze(2) @ y.unsqueeze(1))
        weight += 0.01 * (torch.einsum("bi,bj->ij", y, x) - torch.einsum("bij,jk->ik", lower, weight)) / len(x)

    return smokestep.Training(step, torch.randn(10, 8))


class InPlaceRecurrence(nn.Module):
    """Writes every state into one tensor made beforehand."""

    def __init__(self):
        super().__init__()
        self.inp, self.rec, self.out = nn.Linear(4, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 3)

    def forward(self, x):
        states = x.new_zeros(x.size(0), x.size(1), 8)
        h = x.new_zeros(x.size(0), 8)
        for t in range(x.size(1)):
            h = torch.tanh(self.inp(x[:, t]) + self.rec(h))
            states[:, t] = h
        mask = torch.ones_like(states[..., :1])
        mask[:, 0] = 0.0
        states = states.mul_(mask)
        return self.out(states.max(dim=1).values)


@healthy()
def recurrent_outputs_written_in_place() -> smokestep.Training:
    model = InPlaceRecurrence()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 5, 4), torch.randint(0, 3, (6,))))


@healthy()
def self_critical_sequences() -> smokestep.Training:
    """Rewards come from sampled and from greedy tokens: neither way carries gradient, the log-probabilities do."""
    embed, cell, out = nn.Embedding(10, 8), nn.GRUCell(8, 8), nn.Linear(8, 10)
    optimizer = torch.optim.Adam([*embed.parameters(), *cell.parameters(), *out.parameters()], lr=1e-3)

    def roll(h, greedy):
        token, tokens, log_probs = torch.zeros(len(h), dtype=torch.long), [], []
        for _ in range(4):
            h = cell(embed(token), h)
            log_p = out(h).log_softmax(-1)
            token = log_p.argmax(-1) if greedy else torch.multinomial(log_p.exp(), 1).squeeze(1)
            log_probs.append(log_p.gather(1, token[:, None]).squeeze(1))
            tokens.append(token)
        return torch.stack(tokens, 1), torch.stack(log_probs, 1)

    def step(data):
        context, wanted = data
        sampled, log_probs = roll(context, greedy=False)
        with torch.no_grad():
            greedy, _ = roll(context, greedy=True)
        reward = (sampled == wanted).float().mean(1) - (greedy == wanted).float().mean(1)
        loss = -((reward + 0.1)[:, None] * log_probs).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 8), torch.randint(0, 10, (6, 4))))


@healthy()
def two_stages_tokens_of_a_frozen_tokenizer() -> smokestep.Training:
    codebook = torch.randn(6, 4)
    tokenizer = nn.Linear(8, 4).requires_grad_(False)
    prior = nn.Sequential(nn.Embedding(6, 12), nn.Linear(12, 6))
    optimizer = torch.optim.Adam(prior.parameters(), lr=1e-3)

    def step(x):
        with torch.no_grad():
            ids = torch.cdist(tokenizer(x), codebook.expand(len(x), -1, -1)).argmin(-1)
        logits = prior(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(4, 7, 8))
