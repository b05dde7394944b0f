"""Sets, bags, episodes, rays and points: what one sample is must be told from the model, not from dimension 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(*sizes: int, last: nn.Module | None = None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1], *([last] if last else []))


class SetFirst(nn.Module):
    """The elements of the set lie in dimension 0, as in [element, set, feature]."""

    def __init__(self):
        super().__init__()
        self.phi, self.rho = mlp(3, 16, 16), mlp(16, 16, 1)

    def forward(self, elements):
        return self.rho(self.phi(elements).mean(dim=0)).squeeze(-1)


@healthy()
def deep_sets_with_the_elements_in_dimension_zero() -> smokestep.Training:
    model = SetFirst()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        elements, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(elements), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(5, 4, 3), torch.randn(4)), model=model, loss=F.mse_loss)


@healthy()
def one_set_of_elements_a_step() -> smokestep.Training:
    """No batch dimension at all: the rows are the elements of one set, the target is one number."""
    phi, rho = mlp(3, 16, 16), mlp(16, 16, 1)
    model = nn.ModuleDict({"phi": phi, "rho": rho})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(batch):
        elements, total = batch
        prediction = model["rho"](model["phi"](elements).sum(0))
        loss = (prediction.squeeze() - total).pow(2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(7, 3), torch.tensor(2.0)))


class MAB(nn.Module):
    def __init__(self, dim: int = 8):
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.ln0, self.ln1, self.fc = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.Linear(dim, dim)

    def forward(self, q, k):
        h = self.ln0(q + self.attention(q, k, k, need_weights=False)[0])
        return self.ln1(h + F.relu(self.fc(h)))


class SetTransformer(nn.Module):
    def __init__(self, dim: int = 8, inducing: int = 3):
        super().__init__()
        self.project = nn.Linear(3, dim)
        self.points = nn.Parameter(torch.randn(1, inducing, dim))
        self.seed = nn.Parameter(torch.randn(1, 1, dim))
        self.down, self.up, self.pool = MAB(dim), MAB(dim), MAB(dim)
        self.head = nn.Linear(dim, 2)

    def forward(self, x):
        x = self.project(x)
        x = self.up(x, self.down(self.points.expand(len(x), -1, -1), x))
        return self.head(self.pool(self.seed.expand(len(x), -1, -1), x).squeeze(1))


@healthy()
def set_transformer_with_inducing_points() -> smokestep.Training:
    model = SetTransformer()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        sets, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(sets), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(4, 6, 3), torch.randint(0, 2, (4,))))


class PointNet(nn.Module):
    """[B, 3, N] clouds, turned by a learned transform that starts at the identity, pooled by a maximum."""

    def __init__(self):
        super().__init__()
        self.transform = nn.Sequential(nn.Conv1d(3, 8, 1), nn.ReLU())
        self.to_matrix = nn.Linear(8, 9)
        nn.init.zeros_(self.to_matrix.weight)
        with torch.no_grad():
            self.to_matrix.bias.copy_(torch.eye(3).flatten())
        self.features = nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 16, 1))
        self.head = nn.Linear(16, 3)

    def forward(self, cloud):
        matrix = self.to_matrix(self.transform(cloud).amax(-1)).view(-1, 3, 3)
        cloud = torch.bmm(cloud.transpose(2, 1), matrix).transpose(2, 1)
        return F.log_softmax(self.head(self.features(cloud).max(dim=2)[0]), dim=-1)


@healthy()
def point_net_with_a_learned_alignment() -> smokestep.Training:
    model = PointNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        points, target = batch
        optimizer.zero_grad()
        loss = F.nll_loss(model.train()(points), target)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(5, 3, 9), torch.randint(0, 3, (5,))))


class AttentionMIL(nn.Module):
    """One bag is one sample: its instances in dimension 0, one label for all of them."""

    def __init__(self):
        super().__init__()
        self.extract = mlp(10, 16, 8)
        self.v, self.u, self.w = nn.Linear(8, 6), nn.Linear(8, 6), nn.Linear(6, 1)
        self.classify = nn.Linear(8, 1)

    def forward(self, bag):
        h = self.extract(bag.squeeze(0))
        a = self.w(torch.tanh(self.v(h)) * torch.sigmoid(self.u(h))).T.softmax(dim=1)
        return torch.sigmoid(self.classify(a @ h)).clamp(1e-5, 1 - 1e-5), a


@healthy()
def multiple_instances_in_one_bag() -> smokestep.Training:
    model = AttentionMIL()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, weight_decay=1e-4)

    def step(batch):
        bag, label = batch
        optimizer.zero_grad()
        probability, _ = model(bag)
        loss = -(label * torch.log(probability) + (1 - label) * torch.log(1 - probability)).squeeze()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(1, 9, 10), torch.tensor(1.0)))


class PrototypicalNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = mlp(6, 16, 8)

    def forward(self, support, support_labels, query):
        z = self.embed(support)
        ways = int(support_labels.max()) + 1
        prototypes = torch.stack([z[support_labels == way].mean(0) for way in range(ways)])
        return -torch.cdist(self.embed(query), prototypes)


@healthy()
def prototypes_of_the_support_inside_the_forward() -> smokestep.Training:
    model = PrototypicalNetwork()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    def step(episode):
        support, support_labels, query, query_labels = episode
        optimizer.zero_grad()
        loss = criterion(model(support, support_labels, query), query_labels)
        loss.backward()
        optimizer.step()
        return loss

    ways = torch.arange(3)
    return smokestep.Training(
        step, (torch.randn(12, 6), ways.repeat(4), torch.randn(6, 6), ways.repeat(2)), loss=criterion
    )


class MatchingNetwork(nn.Module):
    """Support and queries in one batch; the first `n_support` rows are the support."""

    def __init__(self, n_support: int):
        super().__init__()
        self.embed = mlp(6, 16, 8)
        self.n_support = n_support

    def forward(self, episode, labels):
        z = F.normalize(self.embed(episode), dim=-1)
        attention = (5 * z[self.n_support :] @ z[: self.n_support].T).softmax(-1)
        return (attention @ F.one_hot(labels[: self.n_support], 3).float()).clamp(min=1e-6).log()


@healthy()
def matching_network_with_support_and_queries_in_one_batch() -> smokestep.Training:
    model = MatchingNetwork(6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        episode, labels = batch
        loss = F.nll_loss(model(episode, labels), labels[6:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 6), torch.arange(10) % 3))


class RadianceField(nn.Module):
    """Rays are the samples; points along a ray are sampled in strata, and sorted, inside the forward."""

    def __init__(self, samples: int = 8):
        super().__init__()
        self.trunk, self.sigma = mlp(3 + 3 * 4, 16, 16), nn.Linear(16, 1)
        self.color = mlp(16 + 3, 16, 3, last=nn.Sigmoid())
        self.samples = samples

    def forward(self, origins, directions):
        edges = torch.linspace(2.0, 6.0, self.samples + 1)
        lower, upper = edges[:-1], edges[1:]
        u = torch.rand(len(origins), self.samples) if self.training else torch.full((len(origins), self.samples), 0.5)
        t = lower + (upper - lower) * u
        points = origins[:, None] + directions[:, None] * t[..., None]
        encoded = torch.cat([points, *(f(points * 2**k) for k in range(2) for f in (torch.sin, torch.cos))], dim=-1)
        h = F.relu(self.trunk(encoded))
        density = F.softplus(self.sigma(h).squeeze(-1))
        rgb = self.color(torch.cat([h, directions[:, None].expand_as(points)], dim=-1))
        delta = torch.cat([t[:, 1:] - t[:, :-1], torch.full((len(t), 1), 1e10)], dim=1)
        alpha = 1 - torch.exp(-density * delta)
        through = torch.cumprod(torch.cat([torch.ones(len(t), 1), 1 - alpha + 1e-10], dim=1), dim=1)[:, :-1]
        return ((alpha * through)[..., None] * rgb).sum(1)


@healthy()
def radiance_field_on_a_batch_of_rays() -> smokestep.Training:
    field = RadianceField()
    optimizer = torch.optim.Adam(field.parameters(), lr=5e-4)

    def step(batch):
        origins, directions, target = batch
        rendered = field(origins, directions)
        loss = ((rendered - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    directions = F.normalize(torch.randn(10, 3), dim=-1)
    return smokestep.Training(step, (torch.zeros(10, 3), directions, torch.rand(10, 3)))


class HeatEquation(nn.Module):
    """Returns u and the residual u_t - u_xx; both derivatives are taken inside the forward."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, t, x):
        t, x = t.requires_grad_(), x.requires_grad_()
        u = self.net(torch.cat([t, x], dim=1))
        ones = torch.ones_like(u)
        u_t, u_x = torch.autograd.grad(u, (t, x), ones, create_graph=True)
        u_xx = torch.autograd.grad(u_x, x, ones, create_graph=True)[0]
        return u, u_t - 0.1 * u_xx


@healthy()
def heat_equation_with_derivatives_inside_the_forward() -> smokestep.Training:
    model = HeatEquation()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        (t, x), (x0, u0) = batch
        optimizer.zero_grad()
        _, residual = model(t, x)
        start, _ = model(torch.zeros_like(x0), x0)
        loss = residual.pow(2).mean() + F.mse_loss(start, u0)
        loss.backward()
        optimizer.step()
        return loss

    x0 = torch.rand(6, 1)
    return smokestep.Training(step, ((torch.rand(8, 1), torch.rand(8, 1)), (x0, torch.sin(3.14 * x0))))


class SignedDistance(nn.Module):
    """A decoder with one code a shape: thousands of points of one shape share it, in dimension 0."""

    def __init__(self):
        super().__init__()
        self.codes = nn.Embedding(4, 6, max_norm=1.0)
        self.net = mlp(9, 16, 16, 1, last=nn.Tanh())

    def forward(self, shape, points):
        code = self.codes(shape)
        return self.net(torch.cat([code.expand(len(points), -1), points], dim=-1)).squeeze(-1)


@healthy()
def many_points_of_one_shape_with_its_code() -> smokestep.Training:
    model = SignedDistance()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        shape, points, distance = batch
        predicted = model(shape, points)
        loss = (predicted.clamp(-0.5, 0.5) - distance.clamp(-0.5, 0.5)).abs().mean()
        loss = loss + 1e-3 * model.codes(shape).pow(2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    points = torch.randn(16, 3)
    return smokestep.Training(step, (torch.tensor([1]), points, points.norm(dim=-1) - 1))


@healthy()
def a_coordinate_network_fits_one_image() -> smokestep.Training:
    """SIREN: the batch is the grid of one image's pixels, without a batch dimension."""

    class Sine(nn.Module):
        def __init__(self, n_in, n_out, first=False):
            super().__init__()
            self.linear = nn.Linear(n_in, n_out)
            bound = 1 / n_in if first else (6 / n_in) ** 0.5 / 30
            nn.init.uniform_(self.linear.weight, -bound, bound)

        def forward(self, x):
            return torch.sin(30 * self.linear(x))

    siren = nn.Sequential(Sine(2, 16, first=True), Sine(16, 16), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(siren.parameters(), lr=1e-4)

    def step(batch):
        grid, pixels = batch
        loss = ((siren(grid) - pixels) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    axis = torch.linspace(-1, 1, 6)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).view(-1, 2)
    return smokestep.Training(step, (grid, torch.rand(36, 1)), model=siren)
