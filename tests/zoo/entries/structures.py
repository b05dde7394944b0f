"""Unusual structures: networks inside networks, conditional parts, steps within steps, inputs in every shape."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


class MessagePassing(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.message = nn.Linear(2 * n_in + 1, n_out)
        self.update = nn.Linear(n_in + n_out, n_out)

    def forward(self, x, edge_index, edge_attr):
        source, target = edge_index
        messages = F.relu(self.message(torch.cat([x[source], x[target], edge_attr], dim=1)))
        gathered = torch.zeros(x.size(0), messages.size(1)).index_add(0, target, messages)
        return F.relu(self.update(torch.cat([x, gathered], dim=1)))


class GraphNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = MessagePassing(4, 12), MessagePassing(12, 12)
        self.readout = nn.Linear(12, 1)

    def forward(self, data):
        x = self.conv1(data["x"], data["edge_index"], data["edge_attr"])
        x = self.conv2(x, data["edge_index"], data["edge_attr"])
        graphs = int(data["batch"].max()) + 1
        pooled = torch.zeros(graphs, x.size(1)).index_add_(0, data["batch"], x)
        return self.readout(pooled).squeeze(-1)


@healthy()
def graph_network_with_index_add() -> smokestep.Training:
    model = GraphNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        optimizer.zero_grad()
        loss = F.mse_loss(model(data), data["y"])
        loss.backward()
        optimizer.step()
        return loss

    data = {
        "x": torch.randn(10, 4),
        "edge_index": torch.stack([torch.randint(0, 5, (14,)), torch.randint(0, 5, (14,))]),
        "edge_attr": torch.rand(14, 1),
        "batch": torch.tensor([0] * 5 + [1] * 5),
        "y": torch.randn(2),
    }
    data["edge_index"][:, 7:] += 5
    return smokestep.Training(step, data)


@healthy()
def graph_convolution_semi_supervised() -> smokestep.Training:
    w1, w2 = nn.Linear(6, 16, bias=False), nn.Linear(16, 3, bias=False)
    optimizer = torch.optim.Adam([*w1.parameters(), *w2.parameters()], lr=1e-2, weight_decay=5e-4)
    adjacency = (torch.rand(12, 12) < 0.3).float()
    adjacency = ((adjacency + adjacency.T + torch.eye(12)) > 0).float()
    degree = adjacency.sum(1).rsqrt()
    a_hat = degree[:, None] * adjacency * degree[None]
    train_mask = torch.arange(12) < 6

    def step(batch):
        x, y = batch
        h = F.dropout(F.relu(a_hat @ w1(x)), p=0.5)
        logits = a_hat @ w2(h)
        loss = F.cross_entropy(logits[train_mask], y[train_mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 6), torch.randint(0, 3, (12,))))


class DeepSets(nn.Module):
    def __init__(self):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 16))
        self.rho = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, sets, mask=None):
        h = self.phi(sets)
        if mask is not None:
            h = h * mask.unsqueeze(-1)
        return self.rho(h.sum(dim=1)).squeeze(-1)


@healthy()
def deep_sets_with_optional_mask() -> smokestep.Training:
    model = DeepSets()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        sets, mask, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(sets, mask=mask), y)
        loss.backward()
        optimizer.step()
        return loss

    mask = (torch.arange(6)[None] < torch.tensor([6, 3, 4, 5])[:, None]).float()
    return smokestep.Training(step, (torch.randn(4, 6, 3), mask, torch.randn(4)))


class CellularAutomaton(nn.Module):
    def __init__(self, channels: int = 6):
        super().__init__()
        sobel = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])) / 8
        identity = torch.zeros(3, 3)
        identity[1, 1] = 1.0
        kernel = torch.stack([identity, sobel, sobel.T])
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1).unsqueeze(1))
        self.w1 = nn.Conv2d(3 * channels, 16, 1)
        self.w2 = nn.Conv2d(16, channels, 1, bias=False)
        self.w2.weight.data.zero_()
        self.channels = channels

    def forward(self, x):
        y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), self.kernel, groups=self.channels)
        update = (torch.rand_like(x[:, :1]) < 0.5).float()
        return x + self.w2(F.relu(self.w1(y))) * update


@healthy()
def neural_cellular_automaton() -> smokestep.Training:
    model = CellularAutomaton()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    target = torch.rand(1, 3, 8, 8)

    def step():
        x = torch.zeros(2, 6, 8, 8)
        x[:, 3:, 4, 4] = 1.0
        for _ in range(4):
            x = model(x)
        loss = F.mse_loss(x[:, :3], target.expand(2, -1, -1, -1))
        optimizer.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.grad /= p.grad.norm() + 1e-8  # per-parameter normalisation
        optimizer.step()
        return loss

    return smokestep.Training(step)


class HyperNetwork(nn.Module):
    def __init__(self, n_in: int = 5, hidden: int = 8):
        super().__init__()
        self.shapes = [(hidden, n_in), (hidden,), (1, hidden), (1,)]
        self.task = nn.Embedding(3, 4)
        self.generate = nn.Linear(4, sum(torch.Size(s).numel() for s in self.shapes))

    def forward(self, x, task):
        flat = self.generate(self.task(task))
        sizes = [torch.Size(s).numel() for s in self.shapes]
        w1, b1, w2, b2 = (part.view(shape) for part, shape in zip(flat.split(sizes), self.shapes))
        return F.linear(torch.tanh(F.linear(x, w1, b1)), w2, b2).squeeze(-1)


@healthy()
def hypernetwork() -> smokestep.Training:
    model = HyperNetwork()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        loss = sum(F.mse_loss(model(x, torch.tensor(task)), y) for task, (x, y) in enumerate(batch)) / len(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, [(torch.randn(6, 5), torch.randn(6)) for _ in range(3)])


class Dynamics(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

    def forward(self, t, y):  # autonomous: the solver's interface hands over t, the field does not need it
        return self.net(y**3)


def rk4(f, y, times):
    path = [y]
    for t0, t1 in zip(times[:-1], times[1:]):
        dt = t1 - t0
        k1 = f(t0, y)
        k2 = f(t0 + dt / 2, y + dt * k1 / 2)
        k3 = f(t0 + dt / 2, y + dt * k2 / 2)
        k4 = f(t1, y + dt * k3)
        y = y + dt * (k1 + 2 * k2 + 2 * k3 + k4) / 6
        path.append(y)
    return torch.stack(path)


@healthy()
def neural_ode_that_ignores_time() -> smokestep.Training:
    func = Dynamics()
    optimizer = torch.optim.RMSprop(func.parameters(), lr=1e-3)
    times = torch.linspace(0.0, 1.0, 5)

    def step(batch):
        y0, trajectory = batch
        optimizer.zero_grad()
        loss = (rk4(func, y0, times) - trajectory).abs().mean()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 2), torch.randn(5, 6, 2)))


def task_batch(n: int = 3):
    return [(torch.randn(5, 4), torch.randn(5, 1), torch.randn(5, 4), torch.randn(5, 1)) for _ in range(n)]


@healthy()
def maml_second_order() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 1))
    meta_optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def forward(params, x):
        w1, b1, w2, b2 = params
        return F.linear(torch.tanh(F.linear(x, w1, b1)), w2, b2)

    def step(tasks):
        meta_loss = 0.0
        for xs, ys, xq, yq in tasks:
            fast = list(model.parameters())
            for _ in range(2):
                inner = F.mse_loss(forward(fast, xs), ys)
                grads = torch.autograd.grad(inner, fast, create_graph=True)
                fast = [w - 0.1 * g for w, g in zip(fast, grads)]
            meta_loss = meta_loss + F.mse_loss(forward(fast, xq), yq)
        meta_loss = meta_loss / len(tasks)
        meta_optimizer.zero_grad()
        meta_loss.backward()
        meta_optimizer.step()
        return meta_loss

    return smokestep.Training(step, task_batch())


@healthy()
def reptile() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 1))

    def step(tasks):
        before = copy.deepcopy(model.state_dict())
        for xs, ys, _, _ in tasks[:1]:
            inner = torch.optim.SGD(model.parameters(), lr=0.05)
            for _ in range(3):
                inner.zero_grad()
                loss = F.mse_loss(model(xs), ys)
                loss.backward()
                inner.step()
        after = model.state_dict()
        model.load_state_dict({name: before[name] + 0.5 * (after[name] - before[name]) for name in before})
        return loss

    return smokestep.Training(step, task_batch())


@healthy()
def prototypical_episodes() -> smokestep.Training:
    embed = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8))
    optimizer = torch.optim.Adam(embed.parameters(), lr=1e-3)

    def step(episode):
        support, query = episode  # [way, shot, features], [way, queries, features]
        prototypes = embed(support).mean(dim=1)
        queries = embed(query.flatten(0, 1))
        labels = torch.arange(query.size(0)).repeat_interleave(query.size(1))
        loss = F.cross_entropy(-torch.cdist(queries, prototypes).pow(2), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(3, 4, 6), torch.randn(3, 2, 6)))


@dataclass
class Sample:
    image: torch.Tensor
    meta: torch.Tensor
    label: torch.Tensor


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.meta = nn.Linear(3, 4)
        self.head = nn.Linear(8, 2)

    def forward(self, batch: Sample):
        pooled = F.adaptive_avg_pool2d(F.relu(self.conv(batch.image)), 1).flatten(1)
        return self.head(torch.cat([pooled, F.relu(self.meta(batch.meta))], dim=1))


@healthy()
def dataclass_batch() -> smokestep.Training:
    model = Fusion()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), batch.label)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, Sample(torch.randn(4, 1, 6, 6), torch.randn(4, 3), torch.randint(0, 2, (4,))))


@healthy()
def nested_tuple_batch() -> smokestep.Training:
    left, right, head = nn.Linear(4, 8), nn.Linear(3, 8), nn.Bilinear(8, 8, 1)
    optimizer = torch.optim.Adam([p for m in (left, right, head) for p in m.parameters()], lr=1e-3)

    def step(batch):
        (a, (b, weight)), y = batch
        prediction = head(torch.tanh(left(a)), torch.tanh(right(b)))
        loss = (weight * (prediction - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, ((torch.randn(6, 4), (torch.randn(6, 3), torch.rand(6, 1))), torch.randn(6, 1)))
