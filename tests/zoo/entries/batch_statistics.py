"""An output or a loss that depends on the other samples on purpose: matched moments, whitening, shared experts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def labelled(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def classify(model: nn.Module, batch, lr: float = 1e-3) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        x, y = batch
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch, model=model, loss=F.cross_entropy)


@healthy()
def batch_norm_in_train_mode() -> smokestep.Training:
    return classify(
        nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3)), labelled()
    )


@healthy(suspicions={"batch-leak": "true, and on purpose: the batch decides in evaluation too"})
def batch_norm_that_keeps_no_statistics_even_in_eval() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, track_running_stats=False), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        model.train()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x).argmax(-1) == y).float().mean().item()
        return loss, accuracy

    return smokestep.Training(step, labelled())


class GhostBatchNorm(nn.Module):
    """Every group of four rows is normalised by itself; at inference the running statistics of the inner norm."""

    def __init__(self, dim: int, group: int = 4):
        super().__init__()
        self.bn, self.group = nn.BatchNorm1d(dim, momentum=0.02), group

    def forward(self, x):
        if not self.training:
            return self.bn(x)
        chunks = x.chunk(math.ceil(len(x) / self.group), dim=0)
        return torch.cat([self.bn(chunk) for chunk in chunks], dim=0)


@healthy()
def ghost_batch_norm() -> smokestep.Training:
    return classify(nn.Sequential(nn.Linear(8, 16), GhostBatchNorm(16), nn.ReLU(), nn.Linear(16, 3)), labelled(12))


class BatchWhitening(nn.Module):
    """Decorrelates the features over the batch; keeps a running mean and covariance for inference."""

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("covariance", torch.eye(dim))

    def forward(self, x):
        if self.training:
            mean = x.mean(0)
            centred = x - mean
            covariance = 0.9 * centred.T @ centred / (len(x) - 1) + 0.1 * torch.eye(x.shape[1])
            with torch.no_grad():
                self.mean.lerp_(mean, 0.1)
                self.covariance.lerp_(covariance, 0.1)
        else:
            mean, covariance = self.mean, self.covariance
        factor = torch.linalg.cholesky(covariance)
        return torch.linalg.solve_triangular(factor, (x - mean).T, upper=False).T


@healthy()
def whitening_by_cholesky_over_the_batch() -> smokestep.Training:
    return classify(nn.Sequential(nn.Linear(8, 6), BatchWhitening(6), nn.Linear(6, 3)), labelled(16))


class ReferenceBatchNorm(nn.Module):
    """Virtual batch normalisation: the statistics of one fixed reference batch, never of the batch itself."""

    def __init__(self, reference: torch.Tensor):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 3)
        self.register_buffer("reference", reference)

    def forward(self, x):
        with torch.no_grad():
            anchor = self.first(self.reference)
        return self.second(F.relu((self.first(x) - anchor.mean(0)) / (anchor.std(0) + 1e-5)))


@healthy()
def virtual_batch_norm_from_a_reference_batch() -> smokestep.Training:
    return classify(ReferenceBatchNorm(torch.randn(20, 8)), labelled())


class BatchRenorm(nn.Module):
    def __init__(self, dim: int, momentum: float = 0.01):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_std", torch.ones(dim))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))
        self.momentum = momentum

    def forward(self, x):
        if self.training:
            mean, std = x.mean(0), x.std(0, unbiased=False) + 1e-3
            r = (std.detach() / self.running_std).clamp(1 / 3, 3)
            d = ((mean.detach() - self.running_mean) / self.running_std).clamp(-5, 5)
            x = (x - mean) / std * r + d
            self.running_mean += self.momentum * (mean.detach() - self.running_mean)
            self.running_std += self.momentum * (std.detach() - self.running_std)
            self.num_batches_tracked += 1
        else:
            x = (x - self.running_mean) / self.running_std
        return self.weight * x + self.bias


@healthy()
def batch_renormalisation() -> smokestep.Training:
    return classify(nn.Sequential(nn.Linear(8, 16), BatchRenorm(16), nn.ReLU(), nn.Linear(16, 3)), labelled())


class SampleAttention(nn.Module):
    """A tabular transformer that attends between the rows of the batch (SAINT, NPT): the rows are the context."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.embed = nn.Linear(8, dim)
        self.rows = nn.TransformerEncoderLayer(dim, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        return self.head(self.rows(self.embed(x).unsqueeze(0)).squeeze(0))


@healthy()
def attention_between_the_rows_of_a_table() -> smokestep.Training:
    return classify(SampleAttention(), labelled())


class LabelPropagation(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6))
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, support, support_y, query):
        both = self.embed(torch.cat([support, query]))
        affinity = torch.exp(-self.scale * torch.cdist(both, both).pow(2)) * (1 - torch.eye(len(both)))
        degree = affinity.sum(1).clamp(min=1e-6).rsqrt()
        normalised = degree[:, None] * affinity * degree[None]
        seeds = torch.cat([F.one_hot(support_y, 3).float(), torch.zeros(len(query), 3)])
        spread = torch.linalg.solve(torch.eye(len(both)) - 0.9 * normalised, seeds)
        return spread[len(support) :]


@healthy()
def transductive_label_propagation() -> smokestep.Training:
    model = LabelPropagation()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(episode):
        support, support_y, query, query_y = episode
        scores = model(support, support_y, query)
        loss = F.cross_entropy(scores, query_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    labels = torch.arange(3)
    return smokestep.Training(
        step, (torch.randn(6, 8), labels.repeat(2), torch.randn(6, 8), labels.repeat_interleave(2))
    )


class DeepKernel(nn.Module):
    """An exact Gaussian process on learned features: the kernel matrix runs over the batch."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
        self.log_length, self.log_noise = nn.Parameter(torch.zeros(())), nn.Parameter(torch.tensor(-1.0))

    def forward(self, x):
        z = self.features(x) / self.log_length.exp()
        kernel = torch.exp(-0.5 * (z[:, None] - z[None]).pow(2).sum(-1))
        covariance = kernel + (self.log_noise.exp() + 1e-4) * torch.eye(len(x))
        return torch.distributions.MultivariateNormal(torch.zeros(len(x)), covariance)


@healthy()
def deep_kernel_over_the_batch() -> smokestep.Training:
    model = DeepKernel()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = -model(x).log_prob(y) / len(y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 4), torch.randn(10)))


@healthy()
def domain_adaptation_by_matched_covariances() -> smokestep.Training:
    """Deep CORAL: source and target batch differ in size, and the penalty sees both whole batches."""
    body, head = nn.Sequential(nn.Linear(8, 16), nn.ReLU()), nn.Linear(16, 3)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.01, momentum=0.9)

    def coral(a, b):
        return (torch.cov(a.T) - torch.cov(b.T)).pow(2).sum() / (4 * a.shape[1] ** 2)

    def step(batch):
        (xs, ys), xt = batch
        hs, ht = body(xs), body(xt)
        loss = F.cross_entropy(head(hs), ys) + 0.5 * coral(hs, ht)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (labelled(10), torch.randn(7, 8) + 1))


@healthy()
def generator_by_maximum_mean_discrepancy() -> smokestep.Training:
    generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)

    def kernel(a, b):
        distance = torch.cdist(a, b).pow(2)
        return sum(torch.exp(-distance / width) for width in (0.5, 1.0, 4.0))

    def step(real):
        fake = generator(torch.randn(len(real), 3))
        loss = kernel(fake, fake).mean() - 2 * kernel(fake, real).mean() + kernel(real, real).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(12, 2) + 2)


class ConditionalNeuralProcess(nn.Module):
    """Context points and target points are sets: the function is the sample, its points are not."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 8))
        self.decoder = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, context_x, context_y, target_x):
        r = self.encoder(torch.cat([context_x, context_y], -1)).mean(0, keepdim=True)
        mean, raw = self.decoder(torch.cat([r.expand(len(target_x), -1), target_x], -1)).chunk(2, -1)
        return mean, 0.1 + 0.9 * F.softplus(raw)


@healthy()
def conditional_neural_process_on_one_function() -> smokestep.Training:
    model = ConditionalNeuralProcess()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        order = torch.randperm(len(x))
        mean, std = model(x[order[:4]], y[order[:4]], x)
        loss = -torch.distributions.Normal(mean, std).log_prob(y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = torch.rand(10, 1) * 4 - 2
    return smokestep.Training(step, (x, x.sin()))


class CapacityRouter(nn.Module):
    """A switch layer with a capacity: a full expert drops its later tokens, whichever sample they come from."""

    def __init__(self, dim: int = 8, experts: int = 2, capacity: float = 1.25):
        super().__init__()
        self.gate = nn.Linear(dim, experts, bias=False)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Linear(16, dim)) for _ in range(experts)]
        )
        self.capacity = capacity
        self.balance = None

    def forward(self, x):
        p = self.gate(x).softmax(-1)
        top, choice = p.max(-1)
        room = math.ceil(self.capacity * len(x) / len(self.experts))
        out = x.clone()
        for e, expert in enumerate(self.experts):
            mine = (choice == e).nonzero().flatten()[:room]
            out = out.index_add(0, mine, top[mine, None] * expert(x[mine]))
        share = F.one_hot(choice, len(self.experts)).float().mean(0)
        self.balance = len(self.experts) * (share * p.mean(0)).sum()
        return out


class ExpertChoice(nn.Module):
    """Every expert takes its k best tokens of the whole batch."""

    def __init__(self, dim: int = 8, experts: int = 2, k: int = 6):
        super().__init__()
        self.gate = nn.Linear(dim, experts, bias=False)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, 16), nn.GELU(), nn.Linear(16, dim)) for _ in range(experts)]
        )
        self.k = k

    def forward(self, x):
        weight, chosen = self.gate(x).softmax(-1).T.topk(min(self.k, len(x)), dim=-1)
        out = torch.zeros_like(x)
        for expert, w, tokens in zip(self.experts, weight, chosen):
            out.index_add_(0, tokens, w[:, None] * expert(x[tokens]))
        return x + out


@healthy()
def mixture_of_experts_with_a_capacity() -> smokestep.Training:
    moe, head = CapacityRouter(), nn.Linear(8, 3)
    model = nn.Sequential(moe, head)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y) + 0.01 * moe.balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled(16))


@healthy()
def mixture_where_the_expert_chooses_its_tokens() -> smokestep.Training:
    return classify(nn.Sequential(nn.Linear(8, 8), ExpertChoice(), nn.LayerNorm(8), nn.Linear(8, 3)), labelled(12))
