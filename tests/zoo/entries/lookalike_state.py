"""Correct programs that look like lost state or a wrong mode: constants, caches, samples, partial loading."""

from __future__ import annotations

import copy
import io

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def batch(n: int = 8):
    return torch.randn(n, 6), torch.randint(0, 3, (n,))


def classify(model: nn.Module, data=None, optimizer=None, after=None) -> smokestep.Training:
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if after is not None:
            after(loss.item())
        return loss

    return smokestep.Training(step, data or batch())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 16), nn.Linear(16, 3)

    def between(self, h):
        return h

    def forward(self, x):
        return self.head(self.between(torch.relu(self.body(x))))


@healthy()
def dropout_by_hand_that_asks_for_the_mode() -> smokestep.Training:
    class Dropping(Net):
        def between(self, h):
            if not self.training:
                return h
            return h * (torch.rand_like(h) > 0.2).to(h.dtype) / 0.8

    return classify(Dropping())


@healthy()
def attention_that_drops_in_training_only() -> smokestep.Training:
    class Attending(Net):
        def between(self, h):
            q = h.unsqueeze(1).expand(-1, 4, -1)
            return F.scaled_dot_product_attention(q, q, q, dropout_p=0.1 if self.training else 0.0).mean(1)

    return classify(Attending())


@healthy()
def bottleneck_that_samples_in_evaluation_too() -> smokestep.Training:
    class Sampling(Net):
        def __init__(self):
            super().__init__()
            self.spread = nn.Linear(16, 16)

        def between(self, h):
            return h + F.softplus(self.spread(h)) * torch.randn_like(h)

    return classify(Sampling())


@healthy()
def stochastic_binary_units() -> smokestep.Training:
    class Binary(Net):
        def between(self, h):
            p = torch.sigmoid(h)
            return torch.bernoulli(p).detach() + p - p.detach()

    return classify(Binary())


@healthy()
def frozen_encoder_that_never_trains() -> smokestep.Training:
    class Encoder(nn.Sequential):
        def train(self, mode: bool = True):
            return super().train(False)

    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = Encoder(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1)).requires_grad_(False)
            self.encoder.eval()
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.encoder(x))

    return classify(Probe().train())


@healthy()
def low_rank_weights_merged_for_evaluation() -> smokestep.Training:
    class Merging(nn.Linear):
        def __init__(self, n_in, n_out, rank=2):
            super().__init__(n_in, n_out)
            self.a, self.b = nn.Parameter(torch.randn(rank, n_in) * 0.1), nn.Parameter(torch.randn(n_out, rank) * 0.1)
            self.merged = False
            self.weight.requires_grad_(False)

        def train(self, mode: bool = True):
            super().train(mode)
            if mode == self.merged:
                self.weight.data += (-1 if mode else 1) * (self.b @ self.a).data
                self.merged = not mode
            return self

        def forward(self, x):
            low = 0 if self.merged else x @ self.a.T @ self.b.T
            return super().forward(x) + low

    return classify(nn.Sequential(Merging(6, 16), nn.ReLU(), nn.Linear(16, 3)))


@healthy()
def frozen_teacher_kept_out_of_the_checkpoint() -> smokestep.Training:
    class Student(Net):
        def __init__(self):
            super().__init__()
            self.teacher = [nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.1)).requires_grad_(False)]
            self.teacher[0].eval()

        def forward(self, x):
            return self.head(torch.relu(self.body(x)) + self.teacher[0](x))

    return classify(Student())


@healthy()
def scale_taken_from_the_data() -> smokestep.Training:
    class Standardised(Net):
        def __init__(self, mean, std):
            super().__init__()
            self.mean, self.std = mean, std

        def forward(self, x):
            return super().forward((x - self.mean) / self.std)

    x, y = batch(16)
    return classify(Standardised(x.mean(0), x.std(0)), (x, y))


@healthy()
def projection_from_a_seed_of_its_own() -> smokestep.Training:
    class Projected(Net):
        def __init__(self):
            super().__init__()
            own = torch.Generator().manual_seed(7)
            self.matrix = torch.randn(6, 6, generator=own)

        def forward(self, x):
            return super().forward(x @ self.matrix)

    return classify(Projected())


@healthy()
def positions_cached_as_they_are_needed() -> smokestep.Training:
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(6, 3)
            self.cache = None

        def forward(self, x):
            if self.cache is None or len(self.cache) < x.shape[1]:
                self.cache = torch.arange(x.shape[1] * 6.0).reshape(-1, 6).sin()
            return self.out(x + self.cache[: x.shape[1]]).mean(1)

    return classify(Positions(), (torch.randn(8, 5, 6), torch.randint(0, 3, (8,))))


@healthy()
def hidden_state_carried_between_calls() -> smokestep.Training:
    class Carrying(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out, self.hidden = nn.GRUCell(6, 8), nn.Linear(8, 3), None

        def forward(self, x):
            hidden = self.cell(x, self.hidden)
            self.hidden = hidden.detach()
            return self.out(hidden)

    return classify(Carrying())


@healthy()
def memory_written_in_every_call() -> smokestep.Training:
    class Memory(Net):
        def __init__(self):
            super().__init__()
            self.register_buffer("bank", torch.randn(32, 16))
            self.register_buffer("at", torch.zeros((), dtype=torch.long))

        def between(self, h):
            near = torch.softmax(h @ self.bank.T.clone(), dim=-1) @ self.bank.clone()
            self.bank[(self.at + torch.arange(len(h))) % len(self.bank)] = h.detach()
            self.at += len(h)
            return h + near

    return classify(Memory())


@healthy()
def running_scale_that_asks_for_the_mode() -> smokestep.Training:
    class Scaled(Net):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.ones(16))

        def between(self, h):
            if self.training:
                self.scale.mul_(0.9).add_(0.1 * h.detach().abs().amax(0))
            return h / self.scale.clone()

    return classify(Scaled())


@healthy()
def input_copied_before_it_is_masked() -> smokestep.Training:
    class Masking(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(inplace=True), nn.Linear(16, 6))

        def forward(self, x):
            x = x.clone()
            x[:, ::3] = 0
            x.mul_(1.5)
            return self.net(x)

    model = Masking()
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 6))


@healthy()
def input_made_for_the_call_and_written_in_place() -> smokestep.Training:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3))
    optimizer = torch.optim.Adam(model.parameters())

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x * 2 - 1), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def all_but_the_head_loaded() -> smokestep.Training:
    state = {name: value for name, value in Net().state_dict().items() if name.startswith("body.")}
    model = Net()
    left = model.load_state_dict(state, strict=False)
    assert left.missing_keys == ["head.weight", "head.bias"]
    return classify(model)


@healthy()
def prefix_tried_and_then_taken_off() -> smokestep.Training:
    state = {f"module.{name}": value for name, value in Net().state_dict().items()}
    model = Net()
    if model.load_state_dict(state, strict=False).missing_keys:
        model.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
    return classify(model)


@healthy()
def best_weights_copied_and_written_to_a_file() -> smokestep.Training:
    model, best = Net(), {"loss": float("inf"), "weights": None}

    def after(loss: float) -> None:
        torch.save(model.state_dict(), io.BytesIO())
        if loss < best["loss"]:
            best.update(loss=loss, weights=copy.deepcopy(model.state_dict()))

    return classify(model, after=after)


@healthy()
def average_that_looks_at_the_living_weights() -> smokestep.Training:
    model = Net()
    living = model.state_dict()
    average = {name: value.clone() for name, value in living.items()}

    def after(loss: float) -> None:
        for name, value in living.items():
            average[name].lerp_(value, 0.1)

    return classify(model, after=after)


@healthy()
def rate_by_hand_from_a_count_of_the_step() -> smokestep.Training:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    count = 0

    def after(loss: float) -> None:
        nonlocal count
        count += 1
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (1 + count)

    return classify(model, optimizer=optimizer, after=after)


@healthy()
def batches_drawn_by_a_seeded_generator() -> smokestep.Training:
    data = torch.utils.data.TensorDataset(*batch(32))
    own = torch.Generator().manual_seed(3)
    loader = iter(torch.utils.data.DataLoader(data, batch_size=4, shuffle=True, generator=own))
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters())

    def step():
        x, y = next(loader)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


@healthy()
def keys_written_into_the_callers_cache() -> smokestep.Training:
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.key, self.out = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x, kv_cache):
            keys = self.key(x)
            kv_cache[:, 0] = keys.detach()
            return self.out(keys + kv_cache.mean(1))

    model, cache = Caching(), torch.zeros(8, 4, 8)
    optimizer = torch.optim.Adam(model.parameters())

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, cache), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def one_state_offered_to_both_parts() -> smokestep.Training:
    saved = nn.Sequential(nn.Linear(6, 8), nn.ReLU()).state_dict()
    encoder = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    head = nn.ModuleDict({"out": nn.Linear(8, 3)})
    for part in (encoder, head):
        part.load_state_dict(saved, strict=False)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()])

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(head["out"](encoder(x)), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())
