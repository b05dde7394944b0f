"""Contemporary architectures and habits of code: rotary attention, state spaces, phases, wrappers, odd batches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def train(model: nn.Module, loss_of, data, lr: float = 1e-3) -> smokestep.Training:
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def step(data):
        loss = loss_of(model, data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, data)


class RMSNorm(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class GroupedAttention(nn.Module):
    def __init__(self, dim: int = 16, heads: int = 4, groups: int = 2):
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, dim // heads
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wkv = nn.Linear(dim, 2 * groups * self.size, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        q = self.wq(x).view(b, t, self.heads, self.size).transpose(1, 2)
        k, v = self.wkv(x).view(b, t, 2 * self.groups, self.size).transpose(1, 2).chunk(2, dim=1)
        k, v = (z.repeat_interleave(self.heads // self.groups, dim=1) for z in (rotate(k, cos, sin), v))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), k, v, is_causal=True)
        return self.wo(y.transpose(1, 2).reshape(b, t, -1))


class Llama(nn.Module):
    def __init__(self, vocabulary: int = 20, dim: int = 16):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, dim)
        self.attention, self.norm1, self.norm2 = GroupedAttention(dim), RMSNorm(dim), RMSNorm(dim)
        self.gate, self.up, self.down = (nn.Linear(a, b, bias=False) for a, b in ((dim, 32), (dim, 32), (32, dim)))
        self.norm, self.head = RMSNorm(dim), nn.Linear(dim, vocabulary, bias=False)
        angles = torch.outer(torch.arange(32), 1.0 / 10000 ** (torch.arange(0, 4, 2) / 4))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids):
        x = self.embed(ids)
        x = x + self.attention(self.norm1(x), self.cos[: ids.size(1)], self.sin[: ids.size(1)])
        h = self.norm2(x)
        x = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return self.head(self.norm(x))


@healthy()
def rotary_grouped_attention_with_z_loss() -> smokestep.Training:
    def loss_of(model, ids):
        logits = model(ids[:, :-1])
        z_loss = 1e-4 * logits.logsumexp(-1).pow(2).mean()
        return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:]) + z_loss

    return train(Llama(), loss_of, torch.randint(0, 20, (3, 9)))


class StateSpace(nn.Module):
    """A diagonal state-space layer as a long convolution by FFT."""

    def __init__(self, channels: int = 4, state: int = 6):
        super().__init__()
        self.log_decay = nn.Parameter(torch.log(0.5 * torch.ones(channels, state)))
        self.frequency = nn.Parameter(math.pi * torch.arange(state).float().repeat(channels, 1))
        self.c = nn.Parameter(torch.randn(channels, state, 2) * 0.5)
        self.log_dt = nn.Parameter(torch.full((channels,), -2.0))
        self.skip = nn.Parameter(torch.ones(channels))

    def forward(self, u):  # [batch, channels, length]
        length = u.size(-1)
        a = torch.complex(-self.log_decay.exp(), self.frequency)
        dt_a = a * self.log_dt.exp().unsqueeze(-1)
        c = torch.view_as_complex(self.c) * (dt_a.exp() - 1.0) / a
        kernel = 2 * torch.einsum("cn,cnl->cl", c, torch.exp(dt_a.unsqueeze(-1) * torch.arange(length))).real
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel, n=2 * length), n=2 * length)
        return y[..., :length] + u * self.skip.unsqueeze(-1)


@healthy()
def state_space_by_fft() -> smokestep.Training:
    model = nn.Sequential(StateSpace(), nn.GELU(), nn.Flatten(), nn.Linear(4 * 10, 3))
    data = torch.randn(6, 4, 10), torch.randint(0, 3, (6,))
    return train(model, lambda m, d: F.cross_entropy(m(d[0]), d[1]), data)


class SpatialTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.localise = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 6))
        self.localise[3].weight.data.zero_()
        self.localise[3].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))
        self.classify = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))

    def forward(self, x):
        theta = self.localise(x).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return self.classify(F.grid_sample(x, grid, align_corners=False))


@healthy()
def spatial_transformer() -> smokestep.Training:
    data = torch.rand(6, 1, 8, 8), torch.randint(0, 3, (6,))
    return train(SpatialTransformer(), lambda m, d: F.cross_entropy(m(d[0]), d[1]), data)


class BayesLinear(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.mu = nn.Parameter(0.1 * torch.randn(n_out, n_in))
        self.rho = nn.Parameter(torch.full((n_out, n_in), -4.0))

    def forward(self, x):
        sigma = F.softplus(self.rho)
        self.kl = (-sigma.log() + 0.5 * (sigma**2 + self.mu**2) - 0.5).sum()
        return F.linear(x, self.mu + sigma * torch.randn_like(sigma))


@healthy()
def bayes_by_backprop_with_a_loss_kept_on_the_module() -> smokestep.Training:
    model = nn.Sequential(BayesLinear(8, 16), nn.Tanh(), BayesLinear(16, 3))

    def loss_of(model, data):
        x, y = data
        nll = sum(F.cross_entropy(model(x), y) for _ in range(2)) / 2
        return nll + sum(layer.kl for layer in (model[0], model[2])) / 1000

    return train(model, loss_of, batch())


@healthy()
def phases_of_the_tutorial_in_one_epoch() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    loaders = {phase: [batch(8) for _ in range(2)] for phase in ("train", "val")}

    def epoch():
        results = {}
        for phase in ["train", "val"]:
            if phase == "train":
                model.train()
            else:
                model.eval()
            running_loss, running_corrects = 0.0, 0
            for inputs, labels in loaders[phase]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    _, preds = torch.max(outputs, 1)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(preds == labels.data)
            if phase == "train":
                scheduler.step()
            results[phase] = running_loss / 16, running_corrects.double() / 16
        return results["train"][0]

    return smokestep.Training(epoch)


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor | None = None
    loss: torch.Tensor | None = None


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, inputs, labels=None, output_hidden=False):
        hidden = torch.tanh(self.body(inputs))
        logits = self.head(hidden)
        loss = F.cross_entropy(logits, labels) if labels is not None else None
        return Output(logits, hidden if output_hidden else None, loss)


@healthy()
def model_that_returns_a_dataclass_with_its_loss() -> smokestep.Training:
    return train(Classifier(), lambda m, d: m(d[0], labels=d[1], output_hidden=True).loss, batch())


@healthy()
def batch_with_names_and_missing_fields() -> smokestep.Training:
    def loss_of(model, data):
        logits = model(data["features"]).logits
        weight = data["weight"] if data["weight"] is not None else torch.ones(len(logits))
        return (weight * F.cross_entropy(logits, data["label"], reduction="none")).mean()

    x, y = batch()
    data = {"id": [f"sample {i}" for i in range(len(x))], "features": x, "label": y, "weight": None, "index": 7}
    return train(Classifier(), loss_of, data)


@healthy()
def embedding_with_max_norm_and_padding() -> smokestep.Training:
    """max_norm rewrites rows of the weight in the forward pass; the padding row never moves."""
    table, head = nn.Embedding(20, 8, padding_idx=0, max_norm=1.0), nn.Linear(8, 3)
    model = nn.Sequential(table, head)
    ids = torch.randint(0, 20, (6, 5))
    return train(model, lambda m, d: F.cross_entropy(m(d[0]).mean(1), d[1]), (ids, torch.randint(0, 3, (6,))))


@healthy()
def pretrained_embedding_frozen() -> smokestep.Training:
    model = nn.Sequential(nn.Embedding.from_pretrained(torch.randn(20, 8)), nn.Flatten(), nn.Linear(40, 3))
    data = torch.randint(0, 20, (6, 5)), torch.randint(0, 3, (6,))
    return train(model, lambda m, d: F.cross_entropy(m(d[0]), d[1]), data)


@healthy()
def wrapped_in_data_parallel() -> smokestep.Training:
    model = nn.DataParallel(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)))
    return train(model, lambda m, d: F.cross_entropy(m(d[0]), d[1]), batch())


@healthy()
def anomaly_detection_and_inference_mode() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        x, y = data
        with torch.autograd.set_detect_anomaly(True):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        with torch.inference_mode():
            accuracy = (model(x).argmax(1) == y).float().mean().item()
        return loss, accuracy

    return smokestep.Training(step, batch())


class LockedDropout(nn.Module):
    """One mask for all time steps, drawn by hand."""

    def forward(self, x, p: float = 0.3):
        if not self.training:
            return x
        mask = x.new_empty(x.size(0), 1, x.size(2)).bernoulli_(1 - p) / (1 - p)
        return x * mask


@healthy()
def locked_dropout_mask_by_hand() -> smokestep.Training:
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.drop, self.out = nn.GRU(4, 8, batch_first=True), LockedDropout(), nn.Linear(8, 3)

        def forward(self, x):
            hidden, _ = self.rnn(x)
            return self.out(self.drop(hidden))

    data = torch.randn(4, 6, 4), torch.randint(0, 3, (4, 6))
    return train(Tagger(), lambda m, d: F.cross_entropy(m(d[0]).flatten(0, 1), d[1].flatten()), data)


@healthy()
def cumulative_batch_norm() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16, momentum=None), nn.ReLU(), nn.Linear(16, 3))
    return train(model, lambda m, d: F.cross_entropy(m(d[0]), d[1]), batch())


@healthy()
def dead_codes_restarted_by_hand() -> smokestep.Training:
    encoder, codebook, decoder = nn.Linear(8, 4), nn.Parameter(torch.randn(12, 4)), nn.Linear(4, 8)
    optimizer = torch.optim.Adam([*encoder.parameters(), codebook, *decoder.parameters()], lr=1e-3)

    def step(x):
        z = encoder(x)
        index = torch.cdist(z, codebook).argmin(1)
        q = codebook[index]
        loss = (
            F.mse_loss(decoder(z + (q - z).detach()), x) + F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            unused = torch.bincount(index, minlength=12) == 0
            codebook[unused] = z[torch.randint(0, len(z), (int(unused.sum()),))]
        return loss

    return smokestep.Training(step, torch.randn(10, 8))
