"""Correct programs that look like a wrong loss: odd softmax axes, constant labels, both sides learning, signs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(n_in: int = 8, n_out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def train(model: nn.Module, loss_of, data) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        loss = loss_of(model, *data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, data)


class SlotAttention(nn.Module):
    """The slots compete: softmax over the slots, then normalised over the inputs."""

    def __init__(self, slots: int = 3, dim: int = 8):
        super().__init__()
        self.slots = nn.Parameter(torch.randn(slots, dim))
        self.k, self.v, self.q = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.gru = nn.GRUCell(dim, dim)
        self.decode = nn.Linear(dim, dim)

    def forward(self, x):
        slots = self.slots.expand(len(x), -1, -1)
        k, v = self.k(x), self.v(x)
        for _ in range(2):
            dots = torch.einsum("bid,bjd->bij", self.q(slots), k) / 8**0.5
            attention = dots.softmax(dim=1) + 1e-8
            updates = torch.einsum("bij,bjd->bid", attention / attention.sum(-1, keepdim=True), v)
            slots = self.gru(updates.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
        return torch.einsum("bij,bid->bjd", attention, self.decode(slots))


@healthy()
def slot_attention_softmax_over_slots() -> smokestep.Training:
    return train(SlotAttention(), lambda m, x: F.mse_loss(m(x), x), (torch.randn(4, 6, 8),))


@healthy()
def swav_with_sinkhorn_assignments() -> smokestep.Training:
    encoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6))
    prototypes = nn.Linear(6, 5, bias=False)
    model = nn.ModuleDict({"encoder": encoder, "prototypes": prototypes})

    @torch.no_grad()
    def sinkhorn(scores):
        q = torch.exp(scores / 0.05).t()
        q /= q.sum()
        for _ in range(3):
            q /= q.sum(dim=1, keepdim=True) * q.shape[0]
            q /= q.sum(dim=0, keepdim=True) * q.shape[1]
        return (q * q.shape[1]).t()

    def swapped(m, x):
        a, b = (m["prototypes"](F.normalize(m["encoder"](x + 0.1 * torch.randn_like(x)), dim=1)) for _ in range(2))
        qa, qb = sinkhorn(a), sinkhorn(b)
        loss = -(qa * F.log_softmax(b / 0.1, dim=1)).sum(1).mean() - (qb * F.log_softmax(a / 0.1, dim=1)).sum(1).mean()
        return loss / 2

    return train(model, swapped, (torch.randn(10, 8),))


@healthy()
def dual_softmax_matching() -> smokestep.Training:
    model = nn.Linear(8, 8)

    def loss_of(m, left, right):
        similarity = m(left) @ m(right).T / 0.5
        confidence = similarity.softmax(0) * similarity.softmax(1)
        return -confidence.diagonal().clamp(1e-6, 1 - 1e-6).log().mean()

    x = torch.randn(6, 8)
    return train(model, loss_of, (x, x + 0.1 * torch.randn(6, 8)))


@healthy()
def spatial_softmax_keypoints() -> smokestep.Training:
    net = nn.Conv2d(1, 4, 3, padding=1)

    def loss_of(m, images, points):
        heat = m(images).flatten(2).softmax(-1).view(len(images), 4, 6, 6)
        grid = torch.linspace(-1, 1, 6)
        x, y = (heat.sum(2) * grid).sum(-1), (heat.sum(3) * grid).sum(-1)
        return F.mse_loss(torch.stack([x, y], -1), points)

    return train(net, loss_of, (torch.rand(3, 1, 6, 6), torch.rand(3, 4, 2) * 2 - 1))


@healthy()
def softmax_gate_before_the_logits() -> smokestep.Training:
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.value, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.out(F.softmax(self.gate(x), dim=1) * torch.sigmoid(self.value(x)))

    return train(Gated(), lambda m, x, y: F.cross_entropy(m(x), y), batch())


@healthy()
def mixture_of_softmaxes_into_nll() -> smokestep.Training:
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.prior, self.experts = nn.Linear(8, 2), nn.Linear(8, 6)

        def forward(self, x):
            prior = self.prior(x).softmax(-1)
            experts = self.experts(x).view(-1, 2, 3).softmax(-1)
            return torch.log((prior.unsqueeze(-1) * experts).sum(1).clamp_min(1e-8))

    return train(Mixture(), lambda m, x, y: F.nll_loss(m(x), y), batch())


@healthy()
def nll_of_a_log_softmax_by_hand() -> smokestep.Training:
    def loss_of(m, x, y):
        logits = m(x)
        return F.nll_loss(logits - logits.logsumexp(dim=1, keepdim=True), y)

    return train(mlp(), loss_of, batch())


@healthy()
def kl_div_of_clamped_probabilities() -> smokestep.Training:
    model = nn.Sequential(mlp(), nn.Softmax(dim=-1))

    def loss_of(m, x, p):
        return F.kl_div(m(x).clamp_min(1e-7).log(), p, reduction="batchmean")

    return train(model, loss_of, (torch.randn(10, 8), torch.rand(10, 3).softmax(-1)))


@healthy()
def probabilities_from_the_model_and_a_loss_that_takes_them() -> smokestep.Training:
    model = nn.Sequential(mlp(), nn.Softmax(dim=1))

    def loss_of(m, x, y):
        p = m(x)
        return -torch.log(p[torch.arange(len(y)), y] + 1e-9).mean()

    return train(model, loss_of, batch())


@healthy()
def class_dimension_in_the_middle() -> smokestep.Training:
    net = nn.Conv1d(4, 5, 3, padding=1)

    def loss_of(m, x, y):
        log_p = F.log_softmax(m(x), dim=1)
        return F.nll_loss(log_p, y) + 0.1 * F.cross_entropy(m(x).permute(0, 2, 1).reshape(-1, 5), y.reshape(-1))

    return train(net, loss_of, (torch.randn(3, 4, 7), torch.randint(0, 5, (3, 7))))


@healthy()
def vicreg_both_sides_learn() -> smokestep.Training:
    def loss_of(m, x):
        a, b = m(x + 0.1 * torch.randn_like(x)), m(x + 0.1 * torch.randn_like(x))
        invariance = F.mse_loss(a, b)
        variance = sum(F.relu(1 - torch.sqrt(z.var(dim=0) + 1e-4)).mean() for z in (a, b))
        covariance = sum(((z - z.mean(0)).T @ (z - z.mean(0)) / 9).fill_diagonal_(0).pow(2).sum() for z in (a, b))
        return 25 * invariance + 25 * variance + covariance / 6

    return train(mlp(8, 6), loss_of, (torch.randn(10, 8),))


@healthy()
def consistency_between_two_branches_that_learn() -> smokestep.Training:
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.depth, self.normal = mlp(8, 4), mlp(8, 4)

        def forward(self, x):
            return self.depth(x), self.normal(x)

    def loss_of(m, x, d, n):
        depth, normal = m(x)
        return F.l1_loss(depth, d) + F.l1_loss(normal, n) + 0.1 * F.l1_loss(depth.diff(), normal.diff())

    return train(Two(), loss_of, (torch.randn(10, 8), torch.randn(10, 4), torch.randn(10, 4)))


@healthy()
def pseudo_labels_with_an_empty_mask() -> smokestep.Training:
    """Nothing is confident at first: the unsupervised term is exactly zero for a while."""

    def loss_of(m, x, y, unlabelled):
        with torch.no_grad():
            confidence, pseudo = m(unlabelled).softmax(-1).max(-1)
        mask = (confidence > 0.95).float()
        strong = m(unlabelled + 0.3 * torch.randn_like(unlabelled))
        unsupervised = (F.cross_entropy(strong, pseudo, reduction="none") * mask).mean()
        return F.cross_entropy(m(x), y) + unsupervised

    return train(mlp(), loss_of, (*batch(), torch.randn(12, 8)))


@healthy()
def quantile_q_learning_pairwise_huber() -> smokestep.Training:
    model = mlp(8, 5)
    taus = (torch.arange(5) + 0.5) / 5

    def loss_of(m, x, target):
        quantiles = m(x).unsqueeze(2).expand(-1, -1, 5)
        targets = target.unsqueeze(1).expand(-1, 5, -1)
        huber = F.smooth_l1_loss(quantiles, targets, reduction="none")
        weight = (taus[None, :, None] - (targets - quantiles < 0).float()).abs().detach()
        return (weight * huber).sum(1).mean()

    return train(model, loss_of, (torch.randn(10, 8), torch.randn(10, 5)))


@healthy()
def pairwise_ranking_by_broadcast() -> smokestep.Training:
    def loss_of(m, x, relevance):
        score = m(x).squeeze(1)
        difference = score[:, None] - score[None, :]
        ordered = (relevance[:, None] > relevance[None, :]).float()
        return (ordered * F.softplus(-difference)).sum() / ordered.sum().clamp(min=1)

    return train(mlp(8, 1), loss_of, (torch.randn(10, 8), torch.arange(10).float()))


@healthy()
def bce_with_soft_and_smoothed_targets() -> smokestep.Training:
    def loss_of(m, x, y):
        return F.binary_cross_entropy_with_logits(m(x), y * 0.9 + 0.05)

    return train(mlp(8, 4), loss_of, (torch.randn(10, 8), (torch.rand(10, 4) < 0.5).float()))


@healthy()
def domain_confusion_towards_the_uniform() -> smokestep.Training:
    features, domain = nn.Linear(8, 8), nn.Linear(8, 2)
    opt_f, opt_d = torch.optim.Adam(features.parameters(), lr=1e-3), torch.optim.Adam(domain.parameters(), lr=1e-3)

    def step(data):
        x, d = data
        opt_d.zero_grad()
        d_loss = F.cross_entropy(domain(features(x).detach()), d)
        d_loss.backward()
        opt_d.step()

        opt_f.zero_grad()
        uniform = torch.full((len(x), 2), 0.5)
        f_loss = F.cross_entropy(domain(features(x)), uniform)
        f_loss.backward()
        opt_f.step()
        return d_loss, f_loss

    return smokestep.Training(step, (torch.randn(10, 8), torch.randint(0, 2, (10,))))


@healthy(
    suspicions={
        "negative-cross-entropy": "the loss on the forget set is climbed on purpose: the sign really is turned around"
    }
)
def unlearning_by_gradient_ascent() -> smokestep.Training:
    def loss_of(m, x, y, forget_x, forget_y):
        keep = F.cross_entropy(m(x), y)
        forget = F.cross_entropy(m(forget_x), forget_y)
        return keep - 0.1 * forget

    return train(mlp(), loss_of, (*batch(), *batch(4)))


@healthy()
def adversarial_perturbation_climbs_the_loss() -> smokestep.Training:
    """Free adversarial training: the perturbation is moved up the loss, the network down, from the same backward."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    delta = torch.zeros(10, 8, requires_grad=True)

    def step(data):
        x, y = data
        for _ in range(2):
            loss = F.cross_entropy(model(x + delta), y)
            optimizer.zero_grad()
            loss.backward()
            with torch.no_grad():
                delta.add_(0.02 * delta.grad.sign()).clamp_(-0.1, 0.1)
            delta.grad = None
            optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def lagrange_multiplier_by_ascent() -> smokestep.Training:
    model = mlp(8, 1)
    log_lambda = nn.Parameter(torch.zeros(()))
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    opt_lambda = torch.optim.SGD([log_lambda], lr=1e-2, maximize=True)

    def step(data):
        x, y = data
        prediction = model(x).squeeze(1)
        constraint = prediction.pow(2).mean() - 0.1
        loss = F.mse_loss(prediction, y) + log_lambda.exp() * constraint
        opt.zero_grad()
        opt_lambda.zero_grad()
        loss.backward()
        opt.step()
        opt_lambda.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 8), torch.randn(10)))


@healthy()
def sigmoid_output_for_targets_in_the_unit_interval() -> smokestep.Training:
    model = nn.Sequential(mlp(8, 4), nn.Sigmoid())
    return train(model, lambda m, x, y: F.mse_loss(m(x), y), (torch.randn(10, 8), torch.rand(10, 4)))


@healthy()
def rectified_output_for_counts() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4), nn.ReLU())
    nn.init.constant_(model[2].bias, 1.0)
    return train(model, lambda m, x, y: F.l1_loss(m(x), y), (torch.randn(10, 8), torch.randint(0, 5, (10, 4)).float()))


@healthy()
def tanh_actions_cloned_from_an_expert() -> smokestep.Training:
    model = nn.Sequential(mlp(8, 2), nn.Tanh())
    return train(model, lambda m, x, a: F.mse_loss(m(x), a), (torch.randn(10, 8), torch.rand(10, 2) * 2 - 1))
