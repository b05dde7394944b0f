"""Right objectives that look like faults: adversaries, contrasts, penalties on derivatives, weights, estimators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Normal

import smokestep

from ..registry import healthy


def mlp(n_in: int, n_out: int, hidden: int = 24) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, hidden), nn.Tanh(), nn.Linear(hidden, n_out))


def trained(model: nn.Module, loss_of: Callable[..., torch.Tensor], batch: Any) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch: Any) -> torch.Tensor:
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch)


# ── adversaries ────────────────────────────────────────────────────────────────────────────────────────────────────
def adversaries(judged: Callable[..., torch.Tensor], deceives: Callable[..., torch.Tensor]) -> smokestep.Training:
    generator, judge = mlp(3, 6), mlp(6, 1)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
    j_optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3)

    def step(real: torch.Tensor) -> None:
        fake = generator(torch.randn(len(real), 3))
        j_optimizer.zero_grad()
        judged(judge, real, fake.detach()).backward()
        j_optimizer.step()
        g_optimizer.zero_grad()
        deceives(judge, real, fake).backward()
        g_optimizer.step()

    return smokestep.Training(step, torch.randn(10, 6))


@healthy()
def adversaries_by_least_squares() -> smokestep.Training:
    def fit(scores, label):
        return F.mse_loss(scores, torch.full_like(scores, label))

    return adversaries(
        lambda judge, real, fake: fit(judge(real), 1.0) + fit(judge(fake), -1.0),
        lambda judge, real, fake: fit(judge(fake), 0.0),
    )


@healthy()
def adversaries_by_hinge() -> smokestep.Training:
    return adversaries(
        lambda judge, real, fake: (1 - judge(real)).relu().mean() + (1 + judge(fake)).relu().mean(),
        lambda judge, real, fake: -judge(fake).mean(),
    )


@healthy()
def adversaries_in_a_saturating_game() -> smokestep.Training:
    return adversaries(
        lambda judge, real, fake: -(F.logsigmoid(judge(real)) + F.logsigmoid(-judge(fake))).mean(),
        lambda judge, real, fake: F.logsigmoid(-judge(fake)).mean(),
    )


@healthy()
def adversaries_that_compare() -> smokestep.Training:
    return adversaries(
        lambda judge, real, fake: F.softplus(judge(fake) - judge(real)).mean(),
        lambda judge, real, fake: F.softplus(judge(real) - judge(fake)).mean(),
    )


@healthy()
def adversaries_with_energies_and_a_margin() -> smokestep.Training:
    return adversaries(
        lambda judge, real, fake: judge(real).square().mean() + (1 - judge(fake).square()).relu().mean(),
        lambda judge, real, fake: judge(fake).square().mean(),
    )


@healthy()
def adversaries_with_smoothed_labels_the_other_way_round() -> smokestep.Training:
    def say(scores, label):
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))

    return adversaries(
        lambda judge, real, fake: say(judge(real), 0.1) + say(judge(fake), 0.9),
        lambda judge, real, fake: say(judge(fake), 0.1),
    )


@healthy()
def embedder_helps_its_detector() -> smokestep.Training:
    embedder, detector = mlp(6, 6), mlp(6, 1)
    optimizer = torch.optim.Adam([*embedder.parameters(), *detector.parameters()], lr=1e-3)

    def step(images):
        marked = images + 0.1 * torch.tanh(embedder(images))
        found, clean = detector(marked), detector(images)
        loss = F.binary_cross_entropy_with_logits(found, torch.ones_like(found))
        loss = loss + F.binary_cross_entropy_with_logits(clean, torch.zeros_like(clean))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(10, 6))


# ── penalties on derivatives ───────────────────────────────────────────────────────────────────────────────────────
@healthy()
def penalty_on_real_samples_alone() -> smokestep.Training:
    def judged(judge, real, fake):
        real = real.clone().requires_grad_()
        scores = judge(real)
        (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        game = F.softplus(-scores).mean() + F.softplus(judge(fake)).mean()
        return game + 5 * slope.square().sum() / len(real)

    return adversaries(judged, lambda judge, real, fake: F.softplus(-judge(fake)).mean())


@healthy()
def penalty_with_a_norm_of_each_sample_kept_wide() -> smokestep.Training:
    def judged(judge, real, fake):
        mixed = torch.lerp(real, fake, torch.rand(len(real), 1)).requires_grad_()
        (slope,) = torch.autograd.grad(judge(mixed).sum(), mixed, create_graph=True)
        penalty = (torch.linalg.vector_norm(slope, dim=1, keepdim=True) - 1).clamp(min=0).square().mean()
        return judge(fake).mean() - judge(real).mean() + 10 * penalty

    return adversaries(judged, lambda judge, real, fake: -judge(fake).mean())


@healthy()
def field_of_distances_with_slope_one_at_every_point() -> smokestep.Training:
    def loss_of(model, batch):
        points, distance = batch
        points = points.clone().requires_grad_()
        told = model(points)
        (slope,) = torch.autograd.grad(told, points, torch.ones_like(told), create_graph=True)
        return (told.squeeze(-1) - distance).abs().mean() + 0.1 * ((slope.norm(dim=-1) - 1) ** 2).mean()

    return trained(mlp(3, 1), loss_of, (torch.randn(4, 9, 3), torch.rand(4, 9)))


@healthy()
def loss_weighed_by_a_ratio_of_slopes() -> smokestep.Training:
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.last = mlp(5, 16), nn.Linear(16, 4)

        def forward(self, x):
            return self.last(torch.tanh(self.body(x)))

    def loss_of(model, batch):
        x, y, z = batch
        out = model(x)
        first, second = F.mse_loss(out, y), F.l1_loss(out, z)
        slopes = [torch.autograd.grad(each, model.last.weight, retain_graph=True)[0] for each in (first, second)]
        share = (slopes[0].norm() / (slopes[1].norm() + 1e-4)).clamp(0, 1e4).detach()
        return first + share * second

    return trained(Both(), loss_of, (torch.randn(8, 5), torch.randn(8, 4), torch.randn(8, 4)))


@healthy()
def examples_moved_along_their_slope() -> smokestep.Training:
    def loss_of(model, batch):
        x, y = batch
        probe = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(model(probe), y), probe)
        return F.cross_entropy(model(x), y) + F.cross_entropy(model(x + 0.1 * slope.sign()), y)

    return trained(mlp(5, 3), loss_of, (torch.randn(8, 5), torch.randint(0, 3, (8,))))


# ── contrasts ──────────────────────────────────────────────────────────────────────────────────────────────────────
def contrasted(loss_of: Callable[[torch.Tensor], torch.Tensor]) -> smokestep.Training:
    def both(model, x):
        views = torch.cat([x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)])
        return loss_of(F.normalize(model(views), dim=1))

    return trained(mlp(6, 8), both, torch.randn(7, 6))


@healthy()
def contrast_with_the_diagonal_cut_out() -> smokestep.Training:
    def loss_of(z):
        n = len(z)
        others = ~torch.eye(n, dtype=torch.bool)
        similar = (z @ z.T)[others].view(n, n - 1) / 0.3
        positive = (z * z.roll(n // 2, 0)).sum(1) / 0.3
        return (similar.logsumexp(1) - positive).mean()

    return contrasted(loss_of)


@healthy()
def contrast_less_the_similarity_to_itself() -> smokestep.Training:
    def loss_of(z):
        weight = (z @ z.T / 0.5).exp()
        positive = (z * z.roll(len(z) // 2, 0)).sum(1).div(0.5).exp()
        return -(positive / (weight.sum(1) - weight.diagonal())).log().mean()

    return contrasted(loss_of)


@healthy()
def contrast_less_a_constant() -> smokestep.Training:
    def loss_of(z):
        total = torch.exp(z @ z.T / 0.5).sum(dim=1) - 2.718281828 ** (1 / 0.5)
        positive = torch.exp((z * z.roll(len(z) // 2, 0)).sum(1) / 0.5)
        return (total.log() - positive.log()).mean()

    return contrasted(loss_of)


@healthy()
def contrast_between_two_views() -> smokestep.Training:
    def loss_of(z):
        first, second = z.chunk(2)
        scores = first @ second.T / 0.1
        here = torch.arange(len(first))
        return (F.cross_entropy(scores, here) + F.cross_entropy(scores.T, here)) / 2

    return contrasted(loss_of)


@healthy()
def similarities_distilled_with_their_diagonal() -> smokestep.Training:
    teacher = mlp(6, 8).requires_grad_(False)

    def loss_of(model, x):
        mine, theirs = F.normalize(model(x), dim=1), F.normalize(teacher(x), dim=1)
        return F.kl_div((mine @ mine.T).log_softmax(1), (theirs @ theirs.T).softmax(1), reduction="batchmean")

    return trained(mlp(6, 8), loss_of, torch.randn(9, 6))


@healthy()
def kernels_of_a_two_sample_test() -> smokestep.Training:
    def loss_of(model, batch):
        z, y = model(batch[0]), batch[1]

        def kernel(a, b):
            return (a @ b.T / 4).exp()

        return kernel(z, z).mean() + kernel(y, y).mean() - 2 * kernel(z, y).mean()

    return trained(mlp(6, 4), loss_of, (torch.randn(9, 6), torch.randn(9, 4)))


@healthy()
def covariance_held_near_one() -> smokestep.Training:
    def loss_of(z):
        gram = z.T @ z / len(z) * z.shape[1]
        return (gram - torch.eye(z.shape[1])).square().sum() - (z * z.roll(len(z) // 2, 0)).sum(1).mean()

    return contrasted(loss_of)


# ── weights ────────────────────────────────────────────────────────────────────────────────────────────────────────
@healthy()
def loss_times_a_schedule_of_tasks() -> smokestep.Training:
    def loss_of(model, batch):
        x, y, shares = batch
        out = model(x)
        losses = torch.stack([F.mse_loss(out[:, i], y[:, i]) for i in range(3)])
        return (losses * shares).sum()

    return trained(mlp(4, 3), loss_of, (torch.randn(10, 4), torch.randn(10, 3), torch.tensor([1.0, 0.5, 0.1])))


@healthy()
def mean_of_each_sample_is_masked() -> smokestep.Training:
    def loss_of(model, batch):
        x, y, mask = batch
        return (F.mse_loss(model(x), y, reduction="none").mean(1) * mask).sum() / mask.sum()

    mask = torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 1])
    return trained(mlp(4, 3), loss_of, (torch.randn(8, 4), torch.randn(8, 3), mask))


@healthy()
def trajectory_weighed_by_its_return() -> smokestep.Training:
    def loss_of(model, batch):
        obs, action, rewards = batch
        chosen = model(obs).log_softmax(1).gather(1, action).squeeze(1)
        return -(chosen.sum() * rewards).sum() / 10

    return trained(mlp(4, 3), loss_of, (torch.randn(10, 4), torch.randint(0, 3, (10, 1)), torch.randn(10)))


@healthy()
def mixed_labels_weighed_by_one_number() -> smokestep.Training:
    def loss_of(model, batch):
        x, y = batch
        share, other = torch.rand(1), torch.randperm(len(x))
        out = model(share * x + (1 - share) * x[other])
        return (share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[other])).sum()

    return trained(mlp(4, 3), loss_of, (torch.randn(10, 4), torch.randint(0, 3, (10,))))


# ── estimators ─────────────────────────────────────────────────────────────────────────────────────────────────────
@healthy()
def estimator_with_its_terms_the_other_way_round() -> smokestep.Training:
    class Coder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.codes, self.decode = mlp(6, 4), nn.Embedding(8, 4), mlp(4, 6)

        def forward(self, x):
            z = self.encode(x)
            q = self.codes(torch.cdist(z, self.codes.weight).argmin(1))
            return self.decode((q - z).detach() + z), F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())

    def loss_of(model, x):
        decoded, extra = model(x)
        return F.mse_loss(decoded, x) + extra

    return trained(Coder(), loss_of, torch.randn(12, 6))


@healthy()
def estimator_of_a_hard_choice() -> smokestep.Training:
    def loss_of(model, batch):
        x, y = batch
        soft = model(x).softmax(1)
        hard = F.one_hot(soft.argmax(1), 3).float()
        choice = soft + (hard - soft).detach()
        return F.mse_loss(choice @ torch.tensor([[0.0], [1.0], [2.0]]), y)

    return trained(mlp(4, 3), loss_of, (torch.randn(10, 4), torch.randint(0, 3, (10, 1)).float()))


@healthy()
def step_looked_ahead_from_where_it_was() -> smokestep.Training:
    def loss_of(model, x):
        z = model(x)
        before = z.roll(1, 0)
        return F.mse_loss(z + (z - before).detach(), x)

    return trained(mlp(5, 5), loss_of, torch.randn(9, 5))


# ── policies ───────────────────────────────────────────────────────────────────────────────────────────────────────
class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.actor, self.critic = nn.Linear(4, 24), nn.Linear(24, 3), nn.Linear(24, 1)

    def forward(self, obs):
        hidden = torch.tanh(self.body(obs))
        return self.actor(hidden), self.critic(hidden).squeeze(1)


def rollout() -> tuple[torch.Tensor, ...]:
    return torch.randn(12, 4), torch.randint(0, 3, (12,)), torch.randn(12) - 1


@healthy()
def actions_stored_with_advantages_below_zero() -> smokestep.Training:
    def loss_of(model, batch):
        obs, action, advantage = batch
        dist = Categorical(logits=model(obs))
        return -(dist.log_prob(action) * advantage).mean() - 0.01 * dist.entropy().mean()

    return trained(mlp(4, 3), loss_of, rollout())


@healthy()
def entropy_written_out_beside_a_fitted_value() -> smokestep.Training:
    def loss_of(model, batch):
        obs, action, returns = batch
        logits, value = model(obs)
        log_p = logits.log_softmax(1)
        advantage = (returns - value).detach()
        chosen = log_p.gather(1, action.unsqueeze(1)).squeeze(1)
        entropy = -(log_p.exp() * log_p).sum(1)
        return (-chosen * advantage - 0.01 * entropy + (returns - value).pow(2)).mean()

    return trained(ActorCritic(), loss_of, rollout())


@healthy()
def focal_beside_a_brier_score() -> smokestep.Training:
    def loss_of(model, batch):
        x, y = batch
        log_p = model(x).log_softmax(1)
        p = log_p.exp()
        mine = log_p.gather(1, y.unsqueeze(1)).squeeze(1)
        brier = (p - F.one_hot(y, 3)).pow(2).sum(1)
        return (-((1 - mine.exp()) ** 2) * mine + 0.1 * brier).mean()

    return trained(mlp(4, 3), loss_of, (torch.randn(12, 4), torch.randint(0, 3, (12,))))


@healthy()
def temperature_of_a_soft_policy() -> smokestep.Training:
    class Soft(nn.Module):
        def __init__(self):
            super().__init__()
            self.actor, self.q = mlp(4, 4), mlp(6, 1)
            self.log_alpha = nn.Parameter(torch.zeros(()))

    def loss_of(model, obs):
        mean, log_std = model.actor(obs).chunk(2, 1)
        dist = Normal(mean, log_std.clamp(-5, 2).exp())
        action = dist.rsample()
        log_prob = dist.log_prob(action).sum(1)
        value = model.q(torch.cat([obs, action], 1)).squeeze(1)
        policy = (model.log_alpha.exp().detach() * log_prob - value).mean()
        return policy - (model.log_alpha * (log_prob - 2.0).detach()).mean()

    return trained(Soft(), loss_of, torch.randn(12, 4))
