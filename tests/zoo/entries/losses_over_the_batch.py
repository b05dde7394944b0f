"""Losses that are no mean over samples: sums, ratios, ranks, sorted or matched targets, floors above zero."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def net(n_out: int = 1, n_in: int = 6) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def x(n: int = 10) -> torch.Tensor:
    return torch.randn(n, 6)


def train(model: nn.Module, criterion, *batch, lr: float = 1e-3) -> smokestep.Training:
    """The criterion is handed over as well: it takes (output, target) and may mix samples."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        inputs, target = batch
        optimizer.zero_grad()
        loss = criterion(model(inputs), target)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch, model=model, optimizer=optimizer, loss=criterion)


@healthy()
def sum_over_the_batch_on_purpose() -> smokestep.Training:
    return train(net(3), nn.CrossEntropyLoss(reduction="sum"), x(), torch.randint(0, 3, (10,)), lr=1e-4)


@healthy()
def sum_over_the_features_mean_over_the_batch() -> smokestep.Training:
    return train(net(5), lambda out, y: (out - y).pow(2).sum(dim=1).mean(), x(), torch.randn(10, 5))


@healthy()
def weighted_classes_with_some_ignored() -> smokestep.Training:
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]), ignore_index=255)
    return train(net(3), criterion, x(), torch.tensor([0, 2, 255, 1, 0, 0, 255, 0, 1, 2]))


@healthy()
def smoothed_labels_whose_loss_never_reaches_zero() -> smokestep.Training:
    return train(net(4), nn.CrossEntropyLoss(label_smoothing=0.2), x(), torch.randint(0, 4, (10,)))


@healthy()
def multi_class_focal_normalised_by_the_positives() -> smokestep.Training:
    """RetinaNet: the sum over all anchors, over the number of positive ones."""

    def focal(logits, onehot):
        bce = F.binary_cross_entropy_with_logits(logits, onehot, reduction="none")
        p_t = torch.exp(-bce)
        alpha = 0.25 * onehot + 0.75 * (1 - onehot)
        return (alpha * (1 - p_t) ** 2 * bce).sum() / onehot.sum().clamp(min=1)

    onehot = torch.zeros(10, 3)
    onehot[[1, 4, 7], [0, 2, 1]] = 1
    return train(net(3), focal, x(), onehot)


def masks(n: int = 4):
    return torch.randn(n, 1, 6, 6), (torch.rand(n, 1, 6, 6) > 0.6).float()


def segmenter():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))


@healthy()
def dice_over_the_whole_batch() -> smokestep.Training:
    def dice(logits, target, smooth=1.0):
        p, t = logits.sigmoid().view(-1), target.view(-1)
        return 1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)

    return train(segmenter(), dice, *masks())


@healthy()
def dice_of_each_image() -> smokestep.Training:
    def dice(logits, target):
        p, t = logits.sigmoid().flatten(1), target.flatten(1)
        return (1 - (2 * (p * t).sum(1) + 1) / (p.pow(2).sum(1) + t.pow(2).sum(1) + 1)).mean()

    return train(segmenter(), dice, *masks())


@healthy()
def tversky_with_a_power() -> smokestep.Training:
    def focal_tversky(logits, target):
        p = logits.sigmoid()
        tp, fp, fn = (p * target).sum(), (p * (1 - target)).sum(), ((1 - p) * target).sum()
        return (1 - (tp + 1) / (tp + 0.3 * fp + 0.7 * fn + 1)) ** 0.75

    return train(segmenter(), focal_tversky, *masks())


@healthy()
def lists_ranked_by_softmax_across_the_batch() -> smokestep.Training:
    """ListNet: the batch is one query's list of documents."""

    def list_net(scores, relevance):
        return -(relevance.softmax(0) * scores.squeeze(-1).log_softmax(0)).sum()

    return train(net(), list_net, x(), torch.randint(0, 4, (10,)).float())


@healthy()
def smooth_ranks_for_discounted_gain() -> smokestep.Training:
    def approximate_ndcg(scores, relevance):
        s = scores.squeeze(-1)
        ranks = 0.5 + torch.sigmoid((s[None] - s[:, None]) / 0.5).sum(1)
        gain = 2**relevance - 1
        ideal = (gain.sort(descending=True).values / torch.log2(torch.arange(len(s)) + 2.0)).sum()
        return 1 - (gain / torch.log2(1 + ranks)).sum() / ideal.clamp(min=1e-6)

    return train(net(), approximate_ndcg, x(), torch.tensor([3.0, 0, 1, 2, 0, 0, 1, 0, 2, 0]))


@healthy()
def area_under_the_curve_by_pairs() -> smokestep.Training:
    def pairwise_auc(scores, y):
        s = scores.squeeze(-1)
        return F.softplus(s[y == 0][None] - s[y == 1][:, None]).mean()

    return train(net(), pairwise_auc, x(), torch.tensor([0, 1, 0, 0, 1, 0, 0, 1, 0, 0]))


@healthy()
def three_quantiles_by_the_pinball_loss() -> smokestep.Training:
    q = torch.tensor([0.1, 0.5, 0.9])

    def pinball(out, y):
        error = y[:, None] - out
        return torch.maximum(q * error, (q - 1) * error).mean()

    return train(net(3), pinball, x(), torch.randn(10))


@healthy()
def gaussian_likelihood_by_the_library() -> smokestep.Training:
    criterion = nn.GaussianNLLLoss()
    return train(net(2), lambda out, y: criterion(out[:, 0], y, F.softplus(out[:, 1])), x(), torch.randn(10))


@healthy()
def overlap_of_boxes() -> smokestep.Training:
    def generalised_iou(out, target):
        a = torch.cat([out[:, :2], out[:, :2] + F.softplus(out[:, 2:])], dim=1)
        inner = (torch.minimum(a[:, 2:], target[:, 2:]) - torch.maximum(a[:, :2], target[:, :2])).clamp(min=0).prod(1)
        outer = (torch.maximum(a[:, 2:], target[:, 2:]) - torch.minimum(a[:, :2], target[:, :2])).prod(1)
        union = (a[:, 2:] - a[:, :2]).prod(1) + (target[:, 2:] - target[:, :2]).prod(1) - inner
        return (1 - inner / union + (outer - union) / outer).mean()

    corner = torch.rand(10, 2)
    return train(net(4), generalised_iou, x(), torch.cat([corner, corner + 0.5 + torch.rand(10, 2)], 1))


@healthy()
def huber_with_a_wide_threshold() -> smokestep.Training:
    return train(net(), lambda out, y: F.huber_loss(out.squeeze(1), y, delta=5.0), x(), torch.randn(10))


@healthy()
def log_cosh() -> smokestep.Training:
    def log_cosh_loss(out, y):
        d = out.squeeze(1) - y
        return (d + F.softplus(-2 * d) - math.log(2.0)).mean()

    return train(net(), log_cosh_loss, x(), torch.randn(10))


@healthy()
def squared_hinge_on_signs() -> smokestep.Training:
    """A loss of exactly zero on samples beyond the margin."""
    signs = torch.tensor([1.0, -1.0] * 5)
    return train(net(), lambda out, y: F.relu(1 - y * out.squeeze(1)).pow(2).mean(), x(), signs)


@healthy()
def proportional_hazards_over_the_risk_set() -> smokestep.Training:
    """Cox: everyone who lived longer is in the denominator; the censored count there only."""

    def partial_likelihood(out, target):
        time, event = target.unbind(1)
        order = time.argsort(descending=True)
        risk, event = out.squeeze(1)[order], event[order]
        return -((risk - torch.logcumsumexp(risk, 0)) * event).sum() / event.sum()

    target = torch.stack([torch.rand(10), torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 0, 1, 1])], dim=1)
    return train(net(), partial_likelihood, x(), target)


@healthy()
def one_minus_the_correlation() -> smokestep.Training:
    def correlation_loss(out, y):
        a, b = out.squeeze(1) - out.mean(), y - y.mean()
        return 1 - (a * b).sum() / (a.norm() * b.norm() + 1e-8)

    return train(net(), correlation_loss, x(), torch.randn(10))


@healthy()
def concordance_correlation() -> smokestep.Training:
    def ccc(out, y):
        p = out.squeeze(1)
        covariance = ((p - p.mean()) * (y - y.mean())).mean()
        return 1 - 2 * covariance / (p.var(unbiased=False) + y.var(unbiased=False) + (p.mean() - y.mean()) ** 2)

    return train(net(), ccc, x(), torch.randn(10))


@healthy()
def error_relative_to_the_spread_of_the_targets() -> smokestep.Training:
    """One minus R squared: the variance of the batch's targets divides."""

    def unexplained(out, y):
        return (out.squeeze(1) - y).pow(2).sum() / (y - y.mean()).pow(2).sum()

    return train(net(), unexplained, x(), torch.randn(10))


@healthy()
def spectral_convergence_and_log_magnitude() -> smokestep.Training:
    def spectral(out, y):
        a, b = (torch.fft.rfft(s).abs().clamp(min=1e-5) for s in (out, y))
        return (b - a).norm() / b.norm() + (b.log() - a.log()).abs().mean()

    return train(net(8), spectral, x(4), torch.randn(4, 8))


@healthy()
def distributions_compared_after_sorting() -> smokestep.Training:
    """Sliced Wasserstein: both sides are sorted, so no row of the target belongs to a row of the output."""

    def wasserstein(out, y):
        directions = F.normalize(torch.randn(2, 4), dim=0)
        return ((out @ directions).sort(0).values - (y @ directions).sort(0).values).pow(2).mean()

    return train(net(2), wasserstein, x(), torch.randn(10, 2))


@healthy()
def nearest_points_of_two_clouds() -> smokestep.Training:
    """Chamfer: the order of the target's points means nothing."""

    def chamfer(out, cloud):
        d = torch.cdist(out.view(len(out), -1, 2), cloud).pow(2)
        return d.amin(1).mean() + d.amin(2).mean()

    return train(net(10), chamfer, x(3), torch.randn(3, 5, 2))


@healthy()
def speakers_in_the_best_order() -> smokestep.Training:
    """Permutation invariant training on a negative signal-to-distortion ratio: the loss is below zero when good."""

    def pit(out, sources):
        est = out.view(len(out), 2, -1)
        orders = []
        for order in itertools.permutations(range(2)):
            target = sources[:, order]
            scale = (est * target).sum(-1, keepdim=True) / target.pow(2).sum(-1, keepdim=True)
            noise = est - scale * target
            ratio = (scale * target).pow(2).sum(-1) / (noise.pow(2).sum(-1) + 1e-6)
            orders.append(-10 * torch.log10(ratio + 1e-6).mean(1))
        return torch.stack(orders).amin(0).mean()

    return train(net(12), pit, x(4), torch.randn(4, 2, 6))


@healthy()
def only_the_hardest_samples_count() -> smokestep.Training:
    def hard_examples(logits, y):
        return F.cross_entropy(logits, y, reduction="none").topk(4).values.mean()

    return train(net(3), hard_examples, x(), torch.randint(0, 3, (10,)))


@healthy()
def worst_group_counts() -> smokestep.Training:
    def worst_group(logits, target):
        y, group = target.unbind(1)
        losses = F.cross_entropy(logits, y, reduction="none")
        return torch.stack([losses[group == g].mean() for g in (0, 1)]).logsumexp(0)

    target = torch.stack([torch.randint(0, 3, (10,)), torch.arange(10) % 2], dim=1)
    return train(net(3), worst_group, x(), target)


@healthy()
def log_density_of_a_mixture_may_be_negative() -> smokestep.Training:
    def negative_log_density(out, y):
        mean, log_std = out.chunk(2, -1)
        return -torch.distributions.Normal(mean, log_std.clamp(-4, 2).exp()).log_prob(y).sum(-1).mean()

    return train(net(4), negative_log_density, x(), 0.01 * torch.randn(10, 2))


@healthy()
def restricted_boltzmann_machine_by_contrastive_divergence() -> smokestep.Training:
    """No target: the difference of two free energies, the second on a sample of the model itself."""

    class RBM(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.v, self.h = (nn.Parameter(0.1 * torch.randn(s)) for s in ((8, 5), (8,), (5,)))

        @torch.no_grad()
        def gibbs(self, visible):
            hidden = torch.bernoulli(torch.sigmoid(visible @ self.w + self.h))
            return torch.bernoulli(torch.sigmoid(hidden @ self.w.T + self.v))

        def forward(self, visible):
            return -(visible @ self.v) - F.softplus(visible @ self.w + self.h).sum(-1)

    rbm = RBM()
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1)

    def step(data):
        loss = rbm(data).mean() - rbm(rbm.gibbs(data)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 2, (10, 8)).float())
