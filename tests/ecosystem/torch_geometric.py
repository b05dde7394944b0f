"""torch_geometric: its convolutions as node classifiers on one graph, and its own models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
import torch_geometric.nn as geometric
from torch import nn

import smokestep

from .loops import own_loss

NODES, EDGES, FEATURES, CLASSES = 24, 80, 8, 3
CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "GCNConv": {},
    "ChebConv": {"K": 2},
    "SAGEConv": {},
    "GraphConv": {},
    "GATConv": {"heads": 2, "concat": False},
    "GATv2Conv": {"heads": 2, "concat": False},
    "TransformerConv": {"heads": 2, "concat": False},
    "TAGConv": {},
    "ARMAConv": {},
    "SGConv": {},
    "SSGConv": {"alpha": 0.1},
    "MFConv": {},
    "ResGatedGraphConv": {},
    "ClusterGCNConv": {},
    "GENConv": {},
    "FeaStConv": {},
    "LEConv": {},
    "EGConv": {"num_heads": 1, "num_bases": 2},
    "FiLMConv": {},
    "SuperGATConv": {"heads": 2, "concat": False},
    "GeneralConv": {},
    "HypergraphConv": {},
    "MixHopConv": {"powers": [1]},
    "LGConv": {},
    "WLConvContinuous": {},
}
MODELS: dict[str, dict[str, Any]] = {
    "GCN": {},
    "GraphSAGE": {},
    "GIN": {"norm": "batch_norm"},
    "GAT": {"heads": 2, "dropout": 0.1},
    "PNA": {"aggregators": ["mean", "max"], "scalers": ["identity"], "deg": torch.ones(8, dtype=torch.long)},
    "EdgeCNN": {},
}


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """Node classification on one graph; a batch of graphs; energies of point clouds; links."""
    for name, options in CONVOLUTIONS.items():
        if name not in ("LGConv", "WLConvContinuous"):  # without parameters
            yield f"convolution/{name}", partial(convolution, name, options)
    for name, options in MODELS.items():
        yield f"nodes/{name}", partial(nodes, name, options)
        yield f"graphs/{name}", partial(graphs, name, options)
    yield "energies/SchNet", energies
    yield "links/GAE", links
    yield "links/VGAE", variational_links
    yield "links/LightGCN", recommendation
    yield "sets/PointNet", points
    yield "sets/DeepGraphInfomax", infomax
    yield "nodes/GraphUNet", unet


class _Net(nn.Module):
    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__()
        self.first = getattr(geometric, name)(FEATURES, 16, **options)
        self.second = getattr(geometric, name)(16, CLASSES, **options)

    def forward(self, x, edge_index):
        x = F.dropout(F.relu(self.first(x, edge_index)), 0.2, training=self.training)
        return self.second(x, edge_index)


def graph() -> tuple[torch.Tensor, torch.Tensor]:
    """Random nodes and edges."""
    return torch.randn(NODES, FEATURES), torch.randint(0, NODES, (2, EDGES))


def on_one_graph(model: nn.Module) -> smokestep.Training:
    """The usual loop on one graph: half of its nodes are trained on."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    x, edge_index = graph()
    y, mask = torch.randint(0, CLASSES, (NODES,)), torch.arange(NODES) < NODES // 2

    def train():
        model.train()
        optimizer.zero_grad()
        out = model(x, edge_index)
        loss = F.cross_entropy(out[mask], y[mask])
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return smokestep.Training(train)


def convolution(name: str, options: dict[str, Any]) -> smokestep.Training:
    return on_one_graph(_Net(name, options))


def nodes(name: str, options: dict[str, Any]) -> smokestep.Training:
    return on_one_graph(getattr(geometric, name)(FEATURES, 16, 2, CLASSES, **options))


def unet() -> smokestep.Training:
    return on_one_graph(geometric.GraphUNet(FEATURES, 16, CLASSES, depth=2))


class _Pooled(nn.Module):
    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__()
        self.body = getattr(geometric, name)(FEATURES, 16, 2, **options)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x, edge_index, batch):
        return self.head(geometric.global_mean_pool(self.body(x, edge_index), batch))


def graphs(name: str, options: dict[str, Any]) -> smokestep.Training:
    """A batch of graphs from the library's own loader, one label each."""
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    model = _Pooled(name, options)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    data = [
        Data(x=torch.randn(6, FEATURES), edge_index=torch.randint(0, 6, (2, 14)), y=torch.randint(0, CLASSES, (1,)))
        for _ in range(4)
    ]

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch.x, batch.edge_index, batch.batch), batch.y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, next(iter(DataLoader(data, batch_size=4))))


def energies() -> smokestep.Training:
    """One energy a molecule."""
    model = geometric.SchNet(16, 16, 2, 8, interaction_graph=near)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    z, position, batch = torch.randint(1, 9, (12,)), torch.randn(12, 3) * 2, torch.arange(3).repeat_interleave(4)
    target = torch.randn(3, 1)

    def step():
        optimizer.zero_grad()
        loss = F.l1_loss(model(z, position, batch), target)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


def near(position, batch):
    """All pairs within one molecule: what the library's own search needs a compiled package for."""
    same = (batch[:, None] == batch[None, :]) & ~torch.eye(len(batch), dtype=torch.bool)
    edge_index = same.nonzero().t()
    return edge_index, (position[edge_index[0]] - position[edge_index[1]]).norm(dim=-1)


class _Encoder(nn.Module):
    def __init__(self, variational: bool) -> None:
        super().__init__()
        self.first = geometric.GCNConv(FEATURES, 16)
        self.mean = geometric.GCNConv(16, 8)
        self.spread = geometric.GCNConv(16, 8) if variational else None

    def forward(self, x, edge_index):
        x = self.first(x, edge_index).relu()
        return (
            self.mean(x, edge_index) if self.spread is None else (self.mean(x, edge_index), self.spread(x, edge_index))
        )


def links() -> smokestep.Training:
    return _links(geometric.GAE(_Encoder(False)), 0.0)


def variational_links() -> smokestep.Training:
    return _links(geometric.VGAE(_Encoder(True)), 1 / NODES)


def _links(model: nn.Module, weight: float) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x, edge_index = graph()

    def train():
        model.train()
        optimizer.zero_grad()
        z = model.encode(x, edge_index)
        loss = model.recon_loss(z, edge_index)
        if weight:
            loss = loss + weight * model.kl_loss()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return smokestep.Training(train)


def recommendation() -> smokestep.Training:
    model = geometric.LightGCN(NODES, 8, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    _, edge_index = graph()

    def train():
        optimizer.zero_grad()
        negatives = torch.randint(0, NODES, edge_index.shape)
        rank = model(edge_index, torch.cat([edge_index, negatives], dim=1))
        positive, negative = rank.chunk(2)
        loss = model.recommendation_loss(positive, negative, node_id=edge_index.unique())
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return smokestep.Training(train)


class _Points(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = geometric.PointNetConv(geometric.MLP([3 + 3, 16, 16]))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, position, edge_index, batch):
        h = self.first(position, position, edge_index).relu()
        return self.head(geometric.global_max_pool(h, batch))


def points() -> smokestep.Training:
    model = _Points()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    position, batch = torch.randn(32, 3), torch.arange(4).repeat_interleave(8)
    edge_index = near(position, batch)[0]
    y = torch.randint(0, CLASSES, (4,))

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(position, edge_index, batch), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


class _Infomax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = geometric.DeepGraphInfomax(
            hidden_channels=16,
            encoder=_Encoder(False),
            summary=lambda z, *_, **__: z.mean(dim=0).sigmoid(),
            corruption=lambda x, edge_index: (x[torch.randperm(len(x))], edge_index),
        )
        self.net.weight = nn.Parameter(torch.randn(8, 8) * 0.1)

    def forward(self, x, edge_index):
        return self.net.loss(*self.net(x, edge_index))


def infomax() -> smokestep.Training:
    return own_loss(_Infomax(), *graph())
