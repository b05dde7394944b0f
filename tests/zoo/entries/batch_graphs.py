"""Graphs: the nodes of one graph are no independent samples, and neither are the nodes of a batch of graphs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

NODES = 12


def undirected(nodes: int = NODES, edges: int = 20) -> torch.Tensor:
    """edge_index as PyG has it: both directions of a ring and of some random edges."""
    ring = torch.stack([torch.arange(nodes), torch.arange(nodes).roll(1)])
    both = torch.cat([ring, torch.randint(0, nodes, (2, edges))], dim=1)
    return torch.cat([both, both.flip(0)], dim=1)


def dense(edge_index: torch.Tensor, nodes: int = NODES) -> torch.Tensor:
    """The symmetrically normalised adjacency with self loops."""
    a = torch.eye(nodes)
    a[edge_index[0], edge_index[1]] = 1.0
    degree = a.sum(1).rsqrt()
    return degree[:, None] * a * degree[None]


def scatter_sum(values, index, size):
    return torch.zeros(size, *values.shape[1:], dtype=values.dtype).index_add_(0, index, values)


class GraphConvolution(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adj):
        return adj @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.gc1, self.gc2 = GraphConvolution(6, 16), GraphConvolution(16, 3)

    def forward(self, x, adj):
        x = F.dropout(F.relu(self.gc1(x, adj)), 0.5, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def citation():
    return torch.randn(NODES, 6), torch.randint(0, 3, (NODES,)), torch.arange(NODES) < 7


@healthy()
def gcn_with_the_adjacency_as_argument() -> smokestep.Training:
    model = GCN()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    adj = dense(undirected())

    def step(batch):
        features, labels, idx_train = batch
        model.train()
        optimizer.zero_grad()
        output = model(features, adj)
        loss_train = F.nll_loss(output[idx_train], labels[idx_train])
        loss_train.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            output = model(features, adj)
            loss_val = F.nll_loss(output[~idx_train], labels[~idx_train]).item()
        return loss_train, loss_val

    return smokestep.Training(step, citation())


class TransductiveGCN(nn.Module):
    """The graph is part of the model: any other number of nodes is an error."""

    def __init__(self, adjacency):
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.first, self.second = nn.Linear(6, 16, bias=False), nn.Linear(16, 3, bias=False)

    def forward(self, x):
        h = F.relu(self.adjacency @ self.first(x))
        return self.adjacency @ self.second(h)


@healthy()
def gcn_with_the_adjacency_as_buffer() -> smokestep.Training:
    model = TransductiveGCN(dense(undirected()))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss(ignore_index=-1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y, known = citation()
    return smokestep.Training(step, (x, y.masked_fill(~known, -1)), model=model, loss=criterion)


class SimplifiedConvolution(nn.Module):
    """SGC with a sparse matrix: two hops, then one linear layer."""

    def __init__(self, edge_index):
        super().__init__()
        adjacency = dense(edge_index).to_sparse_coo().coalesce()
        self.register_buffer("indices", adjacency.indices())
        self.register_buffer("values", adjacency.values())
        self.linear = nn.Linear(6, 3)

    def forward(self, x):
        adjacency = torch.sparse_coo_tensor(
            self.indices, self.values, (len(x), len(x)), check_invariants=False, is_coalesced=True
        )
        return self.linear(torch.sparse.mm(adjacency, torch.sparse.mm(adjacency, x)))


@healthy()
def simplified_convolution_with_a_sparse_matrix() -> smokestep.Training:
    model = SimplifiedConvolution(undirected())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.2, weight_decay=5e-5)

    def step(batch):
        x, y, mask = batch
        loss = F.cross_entropy(model(x)[mask], y[mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, citation())


class GATLayer(nn.Module):
    def __init__(self, n_in: int, n_out: int, heads: int = 2):
        super().__init__()
        self.lin = nn.Linear(n_in, heads * n_out, bias=False)
        self.att_src = nn.Parameter(torch.randn(1, heads, n_out) * 0.3)
        self.att_dst = nn.Parameter(torch.randn(1, heads, n_out) * 0.3)
        self.heads, self.n_out = heads, n_out

    def forward(self, x, edge_index):
        src, dst = edge_index
        h = self.lin(x).view(-1, self.heads, self.n_out)
        score = F.leaky_relu((h * self.att_src).sum(-1)[src] + (h * self.att_dst).sum(-1)[dst], 0.2)
        highest = torch.full((len(x), self.heads), -1e9).scatter_reduce(
            0, dst[:, None].expand_as(score), score.detach(), reduce="amax"
        )
        weight = (score - highest[dst]).exp()
        weight = weight / scatter_sum(weight, dst, len(x))[dst].clamp(min=1e-16)
        return scatter_sum(weight[..., None] * h[src], dst, len(x)).flatten(1)


class GAT(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = GATLayer(6, 8), GATLayer(16, 3, heads=1)

    def forward(self, x, edge_index):
        return self.conv2(F.elu(self.conv1(x, edge_index)), edge_index)


@healthy()
def graph_attention_over_edges_by_scatter() -> smokestep.Training:
    model = GAT()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

    def step(data):
        optimizer.zero_grad()
        out = model(data["x"], data["edge_index"])
        loss = F.cross_entropy(out[data["train_mask"]], data["y"][data["train_mask"]])
        loss.backward()
        optimizer.step()
        return loss

    x, y, mask = citation()
    loops = torch.arange(NODES).expand(2, -1)
    return smokestep.Training(
        step, {"x": x, "y": y, "train_mask": mask, "edge_index": torch.cat([undirected(), loops], 1)}
    )


class GIN(nn.Module):
    """Whole graphs are the samples: nodes of all graphs in one tensor, `batch` says which graph each belongs to."""

    def __init__(self):
        super().__init__()
        self.mlp1 = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16))
        self.mlp2 = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16))
        self.eps = nn.Parameter(torch.zeros(2))
        self.head = nn.Linear(16, 2)

    def forward(self, x, edge_index, batch):
        src, dst = edge_index
        for i, mlp in enumerate((self.mlp1, self.mlp2)):
            x = F.relu(mlp((1 + self.eps[i]) * x + scatter_sum(x[src], dst, len(x))))
        graphs = int(batch.max()) + 1
        size = torch.bincount(batch, minlength=graphs).unsqueeze(1)
        return self.head(scatter_sum(x, batch, graphs) / size)


def molecules(sizes=(4, 5, 3, 6)):
    edges, shift = [], 0
    for size in sizes:
        edges.append(undirected(size, 2) + shift)
        shift += size
    batch = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return torch.randn(shift, 4), torch.cat(edges, dim=1), batch


@healthy()
def batch_of_graphs_with_mean_pooling() -> smokestep.Training:
    model = GIN()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(data):
        x, edge_index, batch, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, edge_index, batch), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (*molecules(), torch.tensor([0, 1, 1, 0])))


class DenseGraphClassifier(nn.Module):
    """Padded graphs [B, N, F] with adjacency [B, N, N] and a node mask, pooled by a learned assignment."""

    def __init__(self, clusters: int = 2):
        super().__init__()
        self.embed, self.assign = nn.Linear(4, 8), nn.Linear(4, clusters)
        self.after, self.head = nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x, adj, mask):
        s = self.assign(adj @ x).softmax(-1) * mask[..., None]
        z = F.relu(self.embed(adj @ x)) * mask[..., None]
        x, adj = s.transpose(1, 2) @ z, s.transpose(1, 2) @ adj @ s
        return self.head(F.relu(self.after(adj @ x)).mean(1)).squeeze(-1)


@healthy()
def padded_graphs_with_differentiable_pooling() -> smokestep.Training:
    model = DenseGraphClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(batch):
        x, adj, mask, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x, adj, mask), y)
        loss.backward()
        optimizer.step()
        return loss

    mask = (torch.arange(6)[None] < torch.tensor([6, 4, 5, 3])[:, None]).float()
    adj = ((torch.rand(4, 6, 6) < 0.5).float() + torch.eye(6)).clamp(max=1) * mask[:, None] * mask[..., None]
    return smokestep.Training(step, (torch.randn(4, 6, 4), adj, mask, torch.tensor([0.0, 1.0, 1.0, 0.0])))


class GraphAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.mu, self.logvar = (GraphConvolution(6, 12), GraphConvolution(12, 4), GraphConvolution(12, 4))

    def forward(self, x, adj):
        h = F.relu(self.hidden(x, adj))
        mu, logvar = self.mu(h, adj), self.logvar(h, adj)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return z @ z.T, mu, logvar


@healthy()
def graph_autoencoder_that_decodes_by_inner_products() -> smokestep.Training:
    model = GraphAutoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    adj = dense(undirected())
    present = (adj > 0).float()
    pos_weight = (present.numel() - present.sum()) / present.sum()

    def step(x):
        optimizer.zero_grad()
        logits, mu, logvar = model(x, adj)
        kl = -0.5 / len(x) * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
        loss = F.binary_cross_entropy_with_logits(logits, present, pos_weight=pos_weight) + kl
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(NODES, 6))


class NeighbourMean(nn.Module):
    """GraphSAGE on sampled neighbours: the ids of a mini-batch of nodes go in, features are looked up in a table."""

    def __init__(self, features, neighbours):
        super().__init__()
        self.register_buffer("features", features)
        self.neighbours = neighbours
        self.own, self.other = nn.Linear(6, 16), nn.Linear(6, 16, bias=False)
        self.head = nn.Linear(16, 3)

    def forward(self, ids):
        chosen = self.neighbours[ids][:, torch.randperm(self.neighbours.shape[1])[:2]]
        h = self.own(self.features[ids]) + self.other(self.features[chosen].mean(1))
        return self.head(F.normalize(F.relu(h), dim=-1))


@healthy()
def node_ids_with_sampled_neighbours() -> smokestep.Training:
    model = NeighbourMean(torch.randn(NODES, 6), torch.randint(0, NODES, (NODES, 4)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(batch):
        ids, y = batch
        loss = F.cross_entropy(model(ids), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randperm(NODES)[:8], torch.randint(0, 3, (8,))))


class Potential(nn.Module):
    """Energy of every structure and force on every atom; the forces are a derivative taken in the forward."""

    def __init__(self, cutoff: float = 5.0):
        super().__init__()
        self.species = nn.Embedding(3, 8)
        self.filter = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 8))
        self.readout = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 1))
        self.register_buffer("centres", torch.linspace(0.5, cutoff, 4))

    def forward(self, z, pos, batch):
        pos.requires_grad_(True)
        with torch.enable_grad():
            src, dst = ((batch[:, None] == batch[None]) & ~torch.eye(len(z), dtype=torch.bool)).nonzero().T
            distance = (pos[src] - pos[dst]).norm(dim=-1)
            basis = torch.exp(-(distance[:, None] - self.centres).pow(2))
            h = self.species(z)
            h = h + scatter_sum(h[src] * self.filter(basis), dst, len(z))
            energy = scatter_sum(self.readout(h).squeeze(-1), batch, int(batch.max()) + 1)
            forces = -torch.autograd.grad(energy.sum(), pos, create_graph=self.training)[0]
        return energy, forces


@healthy()
def energy_and_forces_with_positions_that_require_grad_in_the_forward() -> smokestep.Training:
    model = Potential()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, amsgrad=True)

    def step(data):
        energy, forces = model(data["z"], data["pos"], data["batch"])
        loss = 0.05 * F.mse_loss(energy, data["energy"]) + 0.95 * F.mse_loss(forces, data["forces"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    batch = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    data = {"z": torch.randint(0, 3, (7,)), "pos": torch.randn(7, 3) * 2, "batch": batch}
    return smokestep.Training(step, data | {"energy": torch.randn(2), "forces": torch.randn(7, 3)})
