"""Correct programs that look like a wiring fault: unread outputs, hidden networks, constant starts, swapped storage."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(n_in: int = 8, n_out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def classify(model: nn.Module, optimizer: torch.optim.Optimizer) -> smokestep.Training:
    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class Distiller(nn.Module):
    """The teacher sits in a list so that it is neither saved nor trained with the student."""

    def __init__(self, teacher: nn.Module):
        super().__init__()
        self.student = mlp()
        self._teacher = [teacher.eval().requires_grad_(False)]

    def forward(self, x):
        with torch.no_grad():
            target = self._teacher[0](x).softmax(-1)
        return self.student(x), target


@healthy()
def teacher_kept_out_of_the_parameters() -> smokestep.Training:
    model = Distiller(mlp())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        logits, target = model(x)
        loss = F.cross_entropy(logits, y) + F.cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class FunctionalUse(nn.Module):
    """Holds layers but calls functions with their weights, so no hook of theirs ever runs."""

    def __init__(self):
        super().__init__()
        self.inp, self.out = nn.Linear(8, 16), nn.Linear(16, 3)
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        h = F.linear(x, self.inp.weight, self.inp.bias)
        h = F.layer_norm(h, (16,), self.norm.weight, self.norm.bias)
        return self.out.forward(F.gelu(h))


@healthy()
def layers_used_through_their_weights_only() -> smokestep.Training:
    model = FunctionalUse()
    return classify(model, torch.optim.Adam(model.parameters(), lr=1e-3))


class Retriever(nn.Module):
    """Trained by contrast; the re-ranking head serves `rank`, and is trained in another script."""

    def __init__(self):
        super().__init__()
        self.encoder = mlp(8, 6)
        self.reranker = nn.Linear(12, 1)

    def forward(self, x):
        return F.normalize(self.encoder(x), dim=-1)

    def rank(self, a, b):
        return self.reranker(torch.cat([self(a), self(b)], dim=-1))


@healthy()
def head_used_only_by_another_method() -> smokestep.Training:
    model = Retriever()
    optimizer = torch.optim.Adam(model.encoder.parameters(), lr=1e-3)

    def step(data):
        queries, documents = data
        logits = model(queries) @ model(documents).T / 0.1
        loss = F.cross_entropy(logits, torch.arange(len(logits)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 8), torch.randn(6, 8)))


@healthy()
def image_optimised_under_a_frozen_network() -> smokestep.Training:
    features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval().requires_grad_(False)
    content, style = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    image = content.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([image], lr=0.02)

    def gram(f):
        return torch.einsum("bchw,bdhw->bcd", f, f) / f[0].numel()

    with torch.no_grad():
        content_features, style_gram = features(content), gram(features(style))

    def step():
        optimizer.zero_grad()
        f = features(image)
        loss = F.mse_loss(f, content_features) + 10 * F.mse_loss(gram(f), style_gram)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        return loss

    return smokestep.Training(step)


@healthy()
def latent_codes_learned_beside_the_decoder() -> smokestep.Training:
    decoder = mlp(4 + 2, 1)
    codes = [torch.zeros(4).normal_(0, 0.1).requires_grad_() for _ in range(3)]
    optimizer = torch.optim.Adam([{"params": decoder.parameters()}, {"params": codes, "lr": 1e-2}], lr=1e-3)

    def step(data):
        points, distances = data
        loss = 0.0
        for code, p, d in zip(codes, points, distances):
            predicted = decoder(torch.cat([code.expand(len(p), -1), p], dim=1)).squeeze(1)
            loss = loss + F.l1_loss(predicted, d) + 1e-4 * code.pow(2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(3, 10, 2), torch.randn(3, 10)))


@healthy()
def converted_after_the_optimizer_was_made() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.double()  # in place: the optimizer still holds the very same parameters
    model.load_state_dict(copy.deepcopy(model.state_dict()))

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.double()), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def parameter_group_added_later() -> smokestep.Training:
    body, head = nn.Linear(8, 16), nn.Linear(16, 3)
    body.requires_grad_(False)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    state = {"epoch": 0}

    def step(data):
        x, y = data
        if state["epoch"] == 1:
            body.requires_grad_(True)
            optimizer.add_param_group({"params": body.parameters(), "lr": 0.01})
        state["epoch"] += 1
        optimizer.zero_grad()
        loss = F.cross_entropy(head(torch.relu(body(x))), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def zero_initialised_classifier_head() -> smokestep.Training:
    """Every output equals every other at step 1, the loss is exactly log C, and the body stands still."""
    model = mlp()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return classify(model, torch.optim.SGD(model.parameters(), lr=0.5))


@healthy(
    suspicions={
        "zero-gradient": "the adversarial term is multiplied by an exact zero until the 1000th step: true, and meant",
    }
)
def adversarial_term_switched_on_later() -> smokestep.Training:
    autoencoder, discriminator = mlp(8, 8), mlp(8, 1)
    opt_ae = torch.optim.Adam(autoencoder.parameters(), lr=1e-3)
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    state = {"global_step": 0}

    def step(x):
        factor = 0.0 if state["global_step"] < 1000 else 0.8
        state["global_step"] += 1
        recon = autoencoder(x)
        loss = F.l1_loss(recon, x) - factor * discriminator(recon).mean()
        opt_ae.zero_grad()
        loss.backward()
        opt_ae.step()

        d_loss = F.relu(1 - discriminator(x)).mean() + F.relu(1 + discriminator(recon.detach())).mean()
        opt_d.zero_grad()
        (factor * d_loss).backward()
        opt_d.step()
        return loss

    return smokestep.Training(step, torch.randn(10, 8))


class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.label = nn.Embedding(3 + 1, 8)  # the last row stands for "no label"
        self.net = mlp(16, 8)

    def forward(self, x, label):
        return self.net(torch.cat([x, self.label(label)], dim=1))


@healthy()
def classifier_free_guidance_drops_labels() -> smokestep.Training:
    model = Conditional()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(data):
        x, label = data
        label = torch.where(torch.rand(len(x)) < 0.5, 3, label)
        noise = torch.randn_like(x)
        loss = F.mse_loss(model(0.7 * x + 0.7 * noise, label), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def loss_terms_balanced_by_detached_norms() -> smokestep.Training:
    model = mlp(8, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    last = model[2].weight

    def step(data):
        x, _ = data
        out = model(x)
        recon, energy = F.mse_loss(out, x), out.abs().mean()
        g_recon = torch.autograd.grad(recon, last, retain_graph=True)[0]
        g_energy = torch.autograd.grad(energy, last, retain_graph=True)[0]
        weight = (g_recon.norm() / (g_energy.norm() + 1e-4)).clamp(0, 1e4).detach()
        scale = float(recon.detach())  # a number on purpose
        loss = recon + 0.1 * weight * energy + 0.01 * scale * out.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class WithAttention(nn.Module):
    """Returns what a plot needs beside what the loss needs."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        weights = (self.query(x) @ self.key(x).transpose(1, 2) / 2).softmax(-1)
        pooled = (weights @ self.value(x)).mean(1)
        entropy = -(weights * weights.clamp_min(1e-9).log()).sum(-1).mean()
        return self.head(pooled), weights, entropy


@healthy()
def attention_maps_returned_and_not_used() -> smokestep.Training:
    model = WithAttention()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    maps = []

    def step(data):
        x, y = data
        logits, weights, entropy = model(x)
        maps.append((weights.detach().numpy(), entropy.item()))
        loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 5, 4), torch.randint(0, 3, (6,))))


@healthy()
def hard_routing_decided_by_argmax() -> smokestep.Training:
    """argmax only chooses; the chosen logit's probability carries the gradient."""

    class Hard(nn.Module):
        def __init__(self):
            super().__init__()
            self.select, self.head = nn.Linear(8, 4), nn.Linear(8, 3)
            self.codes = nn.Parameter(torch.randn(4, 8))

        def forward(self, x):
            p = self.select(x).softmax(-1)
            choice = p.argmax(-1)
            gate = p.gather(1, choice[:, None])
            return self.head(x + gate * self.codes[choice])

    model = Hard()
    return classify(model, torch.optim.SGD(model.parameters(), lr=0.1))


@healthy()
def darts_first_order() -> smokestep.Training:
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.ops = nn.ModuleList([nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh()), nn.Identity()])
            self.alpha = nn.Parameter(1e-3 * torch.randn(3))
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(sum(w * op(x) for w, op in zip(self.alpha.softmax(0), self.ops)))

        def weights(self):
            return [p for name, p in self.named_parameters() if name != "alpha"]

    model = Cell()
    w_optim = torch.optim.SGD(model.weights(), lr=0.025, momentum=0.9)
    alpha_optim = torch.optim.Adam([model.alpha], lr=3e-4)

    def step(data):
        (x_train, y_train), (x_valid, y_valid) = data
        alpha_optim.zero_grad()
        F.cross_entropy(model(x_valid), y_valid).backward()
        alpha_optim.step()

        w_optim.zero_grad()
        loss = F.cross_entropy(model(x_train), y_train)
        loss.backward()
        nn.utils.clip_grad_norm_(model.weights(), 5.0)
        w_optim.step()
        return loss

    return smokestep.Training(step, (batch(), batch()))


@healthy()
def deep_mutual_learning() -> smokestep.Training:
    a, b = mlp(), mlp()
    opt_a, opt_b = torch.optim.SGD(a.parameters(), lr=0.1), torch.optim.SGD(b.parameters(), lr=0.1)

    def step(data):
        x, y = data
        for net, other, opt in ((a, b, opt_a), (b, a, opt_b)):
            logits = net(x)
            with torch.no_grad():
                peer = other(x).softmax(1)
            loss = F.cross_entropy(logits, y) + F.kl_div(logits.log_softmax(1), peer, reduction="batchmean")
            opt.zero_grad()
            loss.backward()
            opt.step()
        return loss

    return smokestep.Training(step, batch())
