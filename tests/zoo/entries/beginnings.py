"""Healthy beginnings that look like faulty ones: zeros, copies, constants, narrow pairs, bounded scores, raw inputs."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def classify(model: nn.Module, *, features: int = 8, classes: int = 3, samples: int = 16, lr: float = 1e-3):
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=lr)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(samples, features), torch.randint(0, classes, (samples,))))


@healthy()
def layer_of_zeros_before_layers_that_are_not() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return classify(model)


@healthy()
def head_of_zeros_on_targets_that_are_all_one() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4))
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x), torch.ones(len(x), 4))
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(8, 6))


@healthy()
def blocks_modulated_from_zero() -> smokestep.Training:
    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norm = nn.LayerNorm(width, elementwise_affine=False)
            self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            self.modulate = nn.Linear(width, 3 * width)
            nn.init.zeros_(self.modulate.weight)
            nn.init.zeros_(self.modulate.bias)

        def forward(self, x, c):
            shift, scale, gate = self.modulate(F.silu(c)).chunk(3, dim=-1)
            return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.condition = nn.Linear(8, 16), nn.Linear(8, 16)
            self.blocks = nn.ModuleList(Block(16) for _ in range(3))
            self.out = nn.Linear(16, 3)

        def forward(self, x):
            h, c = self.into(x), self.condition(x)
            for block in self.blocks:
                h = block(h, c)
            return self.out(h)

    return classify(Net())


@healthy()
def experts_that_begin_as_copies_of_one_dense_layer() -> smokestep.Training:
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            dense = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
            self.experts = nn.ModuleList(copy.deepcopy(dense) for _ in range(3))
            self.router, self.out = nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x):
            weights = self.router(x).softmax(dim=-1)
            mixed = sum(weights[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))
            return self.out(x + mixed)

    return classify(Experts())


@healthy()
def ensemble_of_copies_each_on_samples_of_its_own() -> smokestep.Training:
    members = nn.ModuleList([nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 1))])
    members.extend(copy.deepcopy(members[0]) for _ in range(2))
    optimizer = torch.optim.Adam(members.parameters(), lr=1e-3)
    keep = torch.rand(3, 16, 1) < 0.6

    def step(batch):
        x, y = batch
        losses = [((member(x) - y) ** 2 * keep[i]).mean() for i, member in enumerate(members)]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(16, 5), torch.randn(16, 1)))


@healthy()
def recurrent_weights_that_begin_as_the_identity() -> smokestep.Training:
    class Irnn(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(4, 10, num_layers=2, nonlinearity="relu", batch_first=True)
            self.out = nn.Linear(10, 3)
            for layer in range(2):
                nn.init.eye_(getattr(self.rnn, f"weight_hh_l{layer}"))

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    model = Irnn()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 5, 4), torch.randint(0, 3, (8,))))


@healthy()
def output_layer_copied_from_an_embedding_that_is_frozen() -> smokestep.Training:
    embed, head = nn.Embedding(30, 12), nn.Linear(12, 30, bias=False)
    head.weight.data.copy_(embed.weight.data * 1.0)
    embed.weight.requires_grad_(False)
    body = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 12), nn.LayerNorm(12))
    nn.init.constant_(body[3].weight, 0.1)
    model = nn.Sequential(embed, body, head)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=1e-3)

    def step(ids):
        optimizer.zero_grad()
        F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).backward()
        optimizer.step()

    return smokestep.Training(step, torch.randint(0, 30, (4, 9)))


@healthy()
def positions_that_begin_at_zero_under_attention() -> smokestep.Training:
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.position = nn.Embedding(20, 16), nn.Parameter(torch.zeros(7, 16))
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
            self.out = nn.Linear(16, 3)

        def forward(self, ids):
            return self.out(self.layer(self.embed(ids) + self.position).mean(dim=1))

    model = Reader()
    optimizer = torch.optim.AdamW(model.parameters())

    def step(batch):
        ids, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(ids), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randint(0, 20, (8, 7)), torch.randint(0, 3, (8,))))


@healthy()
def narrow_pairs_of_linear_layers() -> smokestep.Training:
    """Factorised layers, and a projection that two heads read."""

    class Factorised(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Linear(8, 3, bias=False), nn.Linear(3, 32)
            self.project = nn.Linear(32, 16)
            self.first, self.second = nn.Linear(16, 3), nn.Linear(16, 3)

        def forward(self, x):
            h = self.project(torch.relu(self.up(self.down(x))))
            return self.first(h) + self.second(h).tanh()

    return classify(Factorised())


@healthy()
def linear_layers_over_time_and_then_over_channels() -> smokestep.Training:
    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.time, self.channels, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(36, 3)

        def forward(self, x):
            mixed = self.time(x.transpose(1, 2)).transpose(1, 2)
            return self.out(torch.relu(self.channels(mixed)).flatten(1))

    model = Mixer()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 6, 6), torch.randint(0, 3, (8,))))


@healthy()
def attention_written_out_whose_projection_meets_the_head() -> smokestep.Training:
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
            self.project, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
            mixed = scores.softmax(dim=-1) @ self.v(x)
            return self.head(self.project(mixed)).mean(dim=1)

    model = Pool()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(8, 5, 8), torch.randint(0, 3, (8,))))


@healthy()
def encoder_and_decoder_that_meet_in_a_wide_code() -> smokestep.Training:
    encoder = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 12))
    decoder = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 10))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])

    def step(x):
        optimizer.zero_grad()
        code = encoder(x + 0.1 * torch.randn_like(x))
        (F.mse_loss(decoder(code), x) + 1e-3 * code.abs().mean()).backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(16, 10))


@healthy()
def scores_under_a_soft_cap() -> smokestep.Training:
    class Capped(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.out = nn.Linear(8, 16), nn.Linear(16, 3)

        def forward(self, x):
            return 30.0 * torch.tanh(self.out(torch.relu(self.body(x))) / 30.0)

    return classify(Capped())


@healthy()
def normalizations_that_follow_the_last_batch_by_intent() -> smokestep.Training:
    return classify(
        nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=1.0), nn.ReLU(),
            nn.Linear(16, 16), nn.BatchNorm1d(16, momentum=None), nn.ReLU(),
            nn.Linear(16, 16), nn.BatchNorm1d(16, momentum=0.3), nn.ReLU(), nn.Linear(16, 3),
        )
    )  # fmt: skip


@healthy()
def bytes_that_the_network_itself_normalises() -> smokestep.Training:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 3),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        images, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(images.float()), y).backward()
        optimizer.step()

    images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    return smokestep.Training(step, (images, torch.randint(0, 3, (8,))))


@healthy()
def days_of_the_year_that_become_phases() -> smokestep.Training:
    class Phases(nn.Module):
        def __init__(self):
            super().__init__()
            self.frequency, self.out = nn.Linear(1, 16), nn.Linear(16, 1)

        def forward(self, day):
            return self.out(torch.sin(self.frequency(day)))

    model = Phases()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        day, y = batch
        optimizer.zero_grad()
        F.mse_loss(model(day), y).backward()
        optimizer.step()

    day = torch.arange(0, 360, 10.0)[:, None]
    return smokestep.Training(step, (day, torch.cos(day / 58)))


@healthy()
def deep_plain_network_drawn_to_fit() -> smokestep.Training:
    layers: list[nn.Module] = []
    for i in range(12):
        layers += [nn.Linear(8 if i == 0 else 32, 32), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight)
    return classify(nn.Sequential(*layers, nn.Linear(32, 3)), samples=32)


@healthy()
def deep_sigmoids_with_a_way_round_each() -> smokestep.Training:
    class Highway(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.out = nn.Linear(8, 16), nn.Linear(16, 3)
            self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(10))

        def forward(self, x):
            h = self.into(x)
            for layer in self.layers:
                h = h + torch.sigmoid(layer(h)) - 0.5
            return self.out(h)

    return classify(Highway())


@healthy()
def widened_by_doubling_every_unit() -> smokestep.Training:
    narrow = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    wide = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))
    with torch.no_grad():
        wide[0].weight.copy_(narrow[0].weight.repeat(2, 1) + 1e-3 * torch.randn(12, 8))
        wide[0].bias.copy_(narrow[0].bias.repeat(2))
        wide[2].weight.copy_(narrow[2].weight.repeat(1, 2) / 2)
        wide[2].bias.copy_(narrow[2].bias)
    return classify(wide)


@healthy()
def gates_that_begin_almost_open() -> smokestep.Training:
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.gate, self.out = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 3)
            nn.init.constant_(self.gate.bias, 6.0)

        def forward(self, x):
            return self.out(torch.relu(self.body(x)) * torch.sigmoid(self.gate(x)))

    return classify(Gated())


@healthy(steps=3)
def one_sample_that_switches_a_layer_off_before_a_head_of_zeros() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(model[0].weight, -1.0)
    nn.init.zeros_(model[0].bias)
    nn.init.zeros_(model[2].weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(1, 4), torch.randint(0, 3, (1,))))
