"""State that is more, or less, than parameters: extra state, left-out buffers, shared weights, loaded checkpoints."""

from __future__ import annotations

import io

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import smokestep

from ..registry import healthy


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def classify(model: nn.Module, optimizer=None, after=lambda: None) -> smokestep.Training:
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        after()
        return loss

    return smokestep.Training(step, batch(), model=model, optimizer=optimizer)


class Annealed(nn.Module):
    """The temperature is a Python number that falls with the steps; it is saved as extra state."""

    def __init__(self):
        super().__init__()
        self.net, self.calls = mlp(), 0

    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.net(x) / max(0.5, 2.0 * 0.99**self.calls)

    def get_extra_state(self):
        return {"calls": self.calls}

    def set_extra_state(self, state):
        self.calls = state["calls"]


@healthy()
def temperature_in_a_python_number_saved_as_extra_state() -> smokestep.Training:
    return classify(Annealed())


class HeadOnlyCheckpoint(nn.Module):
    """The frozen backbone is downloaded anyway: the state has the head only, and loading fills in the rest."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(8, 16).requires_grad_(False), nn.Linear(16, 3)
        published = torch.Generator().manual_seed(2024)  # stands for the download: the same weights in every process
        self.backbone.weight.normal_(std=0.3, generator=published)
        self.backbone.bias.zero_()

    def state_dict(self, *args, **kwargs):
        full = super().state_dict(*args, **kwargs)
        return {name: value for name, value in full.items() if "backbone" not in name}

    def load_state_dict(self, state_dict, strict=True, assign=False):
        own = {f"backbone.{name}": value for name, value in self.backbone.state_dict().items()}
        return super().load_state_dict({**own, **state_dict}, strict, assign)

    def forward(self, x):
        return self.head(torch.tanh(self.backbone(x)))


@healthy()
def state_without_the_frozen_backbone() -> smokestep.Training:
    model = HeadOnlyCheckpoint()
    return classify(model, torch.optim.Adam(model.head.parameters(), lr=1e-2))


class RenamedOnLoading(nn.Module):
    """Reads checkpoints of an older version, in which the layers had other names."""

    def __init__(self):
        super().__init__()
        self.body, self.classifier = nn.Linear(8, 16), nn.Linear(16, 3)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        for old, new in (("features.", "body."), ("fc.", "classifier.")):
            for name in [name for name in state_dict if name.startswith(prefix + old)]:
                state_dict[prefix + new + name[len(prefix + old) :]] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x):
        return self.classifier(F.relu(self.body(x)))


@healthy()
def checkpoint_of_an_older_version_renamed_on_loading() -> smokestep.Training:
    model = RenamedOnLoading()
    old = nn.ModuleDict({"features": nn.Linear(8, 16), "fc": nn.Linear(16, 3)})
    model.load_state_dict(old.state_dict())
    return classify(model)


class MaskedLinear(nn.Linear):
    """The mask is rebuilt by the constructor, so it is not saved."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__(n_in, n_out)
        degrees = torch.arange(n_out) % n_in
        self.register_buffer("mask", (degrees[:, None] >= torch.arange(n_in)[None]).float(), persistent=False)

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


@healthy()
def mask_that_is_not_saved() -> smokestep.Training:
    return classify(nn.Sequential(MaskedLinear(8, 16), nn.ReLU(), nn.Linear(16, 3)))


class SharedLayers(nn.Module):
    """ALBERT: one block, applied four times; the list holds it four times."""

    def __init__(self):
        super().__init__()
        block = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU())
        self.blocks, self.head = nn.ModuleList([block] * 4), nn.Linear(8, 3)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


@healthy()
def one_block_listed_four_times() -> smokestep.Training:
    return classify(SharedLayers())


class ThreeWayTied(nn.Module):
    """One matrix for both embeddings and the output."""

    def __init__(self, words: int = 16, dim: int = 8):
        super().__init__()
        self.source, self.target = nn.Embedding(words, dim), nn.Embedding(words, dim)
        self.encoder, self.decoder = nn.GRU(dim, dim, batch_first=True), nn.GRU(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, words, bias=False)
        self.target.weight = self.source.weight
        self.out.weight = self.source.weight

    def forward(self, source, target):
        _, h = self.encoder(self.source(source))
        return self.out(self.decoder(self.target(target), h)[0]) * 8**-0.5


@healthy()
def one_matrix_for_both_embeddings_and_the_output() -> smokestep.Training:
    model = ThreeWayTied()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        source, target = batch
        loss = F.cross_entropy(model(source, target[:, :-1]).transpose(1, 2), target[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 16, (4, 6)), torch.randint(0, 16, (4, 7))))


@healthy()
def orthogonal_recurrence() -> smokestep.Training:
    class OrthogonalRNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.inward, self.head = nn.Linear(2, 8), nn.Linear(8, 3)
            self.recurrent = parametrizations.orthogonal(nn.Linear(8, 8, bias=False))

        def forward(self, x):
            h = torch.zeros(len(x), 8)
            with parametrize.cached():
                for value in x.view(len(x), 4, 2).unbind(1):
                    h = F.leaky_relu(self.inward(value) + self.recurrent(h), 0.1)
            return self.head(h)

    return classify(OrthogonalRNN())


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T


class PositiveDiagonal(nn.Module):
    def forward(self, x):
        return F.softplus(x)

    def right_inverse(self, y):
        return torch.log(torch.expm1(y))


@healthy()
def symmetric_matrix_and_positive_scale_by_parametrization() -> smokestep.Training:
    class Quadratic(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.scale = nn.Linear(8, 8, bias=False), nn.Parameter(torch.ones(3))
            self.head = nn.Linear(8, 3)
            parametrize.register_parametrization(self.a, "weight", Symmetric())
            parametrize.register_parametrization(self, "scale", PositiveDiagonal())

        def forward(self, x):
            return self.scale * self.head(x * self.a(x))

    return classify(Quadratic())


@healthy()
def spectral_norm_of_a_convolution_in_both_modes() -> smokestep.Training:
    critic = nn.Sequential(
        parametrizations.spectral_norm(nn.Conv1d(1, 4, 3)), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(24, 3)
    )
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        critic.train()
        loss = F.cross_entropy(critic(x.unsqueeze(1)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        critic.eval()
        with torch.no_grad():
            accuracy = (critic(x.unsqueeze(1)).argmax(-1) == y).float().mean().item()
        return loss, accuracy

    return smokestep.Training(step, batch())


@healthy()
def resumed_from_a_checkpoint() -> smokestep.Training:
    """Model, optimizer and scheduler of a first run are written, read, and trained on."""

    def parts():
        model = mlp()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        return model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)

    first, old_optimizer, old_schedule = parts()
    x, y = batch()
    for _ in range(2):
        old_optimizer.zero_grad()
        F.cross_entropy(first(x), y).backward()
        old_optimizer.step()
        old_schedule.step()
    file = io.BytesIO()
    torch.save({"m": first.state_dict(), "o": old_optimizer.state_dict(), "s": old_schedule.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    model, optimizer, schedule = parts()
    model.load_state_dict(saved["m"])
    optimizer.load_state_dict(saved["o"])
    schedule.load_state_dict(saved["s"])
    return classify(model, optimizer, schedule.step)


@healthy()
def best_weights_kept_in_memory() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    best = {"loss": float("inf"), "state": None}

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        if loss.item() < best["loss"]:
            best["loss"] = loss.item()
            best["state"] = {name: value.detach().clone() for name, value in model.state_dict().items()}
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def fused_adam() -> smokestep.Training:
    model = mlp()
    return classify(model, torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True))


@healthy()
def foreach_adam_and_foreach_clipping() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=True)

    def step(batch):
        x, y = batch
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class FastAttention(nn.Module):
    """The fused kernel in one mode, the arithmetic written out in the other: equal up to rounding."""

    def __init__(self):
        super().__init__()
        self.qkv, self.head = nn.Linear(2, 12), nn.Linear(4, 3)

    def forward(self, x):
        q, k, v = self.qkv(x.view(len(x), 4, 2)).chunk(3, dim=-1)
        if self.training:
            h = (q @ k.transpose(1, 2) * 0.5).softmax(-1) @ v
        else:
            h = F.scaled_dot_product_attention(q, k, v)
        return self.head(h.mean(1))


@healthy()
def fused_attention_in_eval_written_out_in_training() -> smokestep.Training:
    return classify(FastAttention())


@healthy()
def compiled_module_with_the_eager_backend_and_its_original_saved() -> smokestep.Training:
    model = mlp()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    kept = {}

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(compiled(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        kept.update({name: value.clone() for name, value in compiled._orig_mod.state_dict().items()})
        return loss

    return smokestep.Training(step, batch())
