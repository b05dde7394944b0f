"""Samples compared with samples on purpose: similarities over the batch, mined pairs, permuted partners."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def encoder(n_in: int = 10, n_out: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def jitter(x):
    return x + 0.1 * torch.randn_like(x)


class SimCLR(nn.Module):
    """Takes both views stacked in the batch and returns the logits and labels of the pretext task."""

    def __init__(self, temperature: float = 0.2):
        super().__init__()
        self.backbone, self.head = encoder(), nn.Linear(8, 8)
        self.temperature = temperature

    def forward(self, views):
        features = F.normalize(self.head(F.relu(self.backbone(views))), dim=1)
        n = features.shape[0] // 2
        labels = torch.cat([torch.arange(n) for _ in range(2)], dim=0)
        labels = (labels.unsqueeze(0) == labels.unsqueeze(1)).float()
        similarity = features @ features.T
        mask = torch.eye(labels.shape[0], dtype=torch.bool)
        labels = labels[~mask].view(labels.shape[0], -1)
        similarity = similarity[~mask].view(similarity.shape[0], -1)
        positives = similarity[labels.bool()].view(labels.shape[0], -1)
        negatives = similarity[~labels.bool()].view(similarity.shape[0], -1)
        logits = torch.cat([positives, negatives], dim=1) / self.temperature
        return logits, torch.zeros(logits.shape[0], dtype=torch.long)


@healthy()
def info_nce_logits_inside_the_forward() -> smokestep.Training:
    model = SimCLR()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()

    def step(images):
        logits, labels = model(torch.cat(images, dim=0))
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = torch.randn(6, 10)
    return smokestep.Training(step, [jitter(x), jitter(x)])


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.text = encoder(12, 8), nn.EmbeddingBag(30, 8)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, images, texts):
        return F.normalize(self.image(images), dim=-1), F.normalize(self.text(texts), dim=-1), self.logit_scale.exp()


@healthy()
def clip_features_from_the_model_matrix_outside() -> smokestep.Training:
    model = TwoTowers()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def clip_loss(image_features, text_features, scale):
        logits = scale * image_features @ text_features.T
        labels = torch.arange(len(logits))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2

    def step(batch):
        optimizer.zero_grad()
        loss = clip_loss(*model(*batch))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(6, 12), torch.randint(0, 30, (6, 4))), loss=clip_loss, model=model)


class SigLIP(TwoTowers):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(-10.0))

    def forward(self, images, texts):
        image_features, text_features, scale = super().forward(images, texts)
        logits = scale * image_features @ text_features.T + self.bias
        signs = 2 * torch.eye(len(logits)) - 1
        return -F.logsigmoid(signs * logits).sum(-1).mean()


@healthy()
def pairwise_sigmoid_loss_returned_by_the_model() -> smokestep.Training:
    model = SigLIP()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = model(**batch)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, {"images": torch.randn(6, 12), "texts": torch.randint(0, 30, (6, 4))})


@healthy()
def triplets_mined_hardest_in_the_batch() -> smokestep.Training:
    """The farthest of the same identity and the nearest of another: gathered, so other rows get no gradient."""
    embed = encoder()
    optimizer = torch.optim.Adam(embed.parameters(), lr=1e-3)

    def batch_hard(embeddings, ids, margin=0.3):
        distance = torch.cdist(embeddings, embeddings)
        same = ids[:, None] == ids[None]
        hardest_positive = distance.masked_fill(~same, 0.0).amax(dim=1)
        hardest_negative = distance.masked_fill(same, float("inf")).amin(dim=1)
        return F.relu(margin + hardest_positive - hardest_negative).mean()

    def step(batch):
        x, ids = batch
        loss = batch_hard(embed(x), ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 10), torch.arange(4).repeat_interleave(3)), loss=batch_hard)


class SupConLoss(nn.Module):
    """features: [bsz, n_views, dim], normalised; labels: [bsz]."""

    def __init__(self, temperature: float = 0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, features, labels):
        n, views, _ = features.shape
        mask = torch.eq(labels.view(-1, 1), labels.view(1, -1)).float().repeat(views, views)
        contrast = torch.cat(torch.unbind(features, dim=1), dim=0)
        logits = contrast @ contrast.T / self.temperature
        logits = logits - logits.max(dim=1, keepdim=True).values.detach()
        others = 1 - torch.eye(n * views)
        mask = mask * others
        log_prob = logits - torch.log((torch.exp(logits) * others).sum(1, keepdim=True))
        return -((mask * log_prob).sum(1) / mask.sum(1)).mean()


@healthy()
def supervised_contrastive_with_two_views() -> smokestep.Training:
    model, criterion = encoder(), SupConLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(batch):
        (view1, view2), labels = batch
        features = F.normalize(model(torch.cat([view1, view2])), dim=1)
        f1, f2 = torch.split(features, [len(labels), len(labels)], dim=0)
        loss = criterion(torch.cat([f1.unsqueeze(1), f2.unsqueeze(1)], dim=1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = torch.randn(8, 10)
    return smokestep.Training(step, ((jitter(x), jitter(x)), torch.randint(0, 3, (8,))))


class BarlowTwins(nn.Module):
    def __init__(self, dim: int = 8, lambd: float = 5e-3):
        super().__init__()
        self.backbone = encoder(10, dim)
        self.bn = nn.BatchNorm1d(dim, affine=False)
        self.lambd = lambd

    def forward(self, y1, y2):
        z1, z2 = self.backbone(y1), self.backbone(y2)
        c = self.bn(z1).T @ self.bn(z2)
        c.div_(len(y1))
        on_diag = torch.diagonal(c).add_(-1).pow_(2).sum()
        off_diag = (c - torch.diag(torch.diagonal(c))).pow(2).sum()
        return on_diag + self.lambd * off_diag


@healthy()
def barlow_twins_correlated_inside_the_model() -> smokestep.Training:
    model = BarlowTwins()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(pair):
        model.train()
        optimizer.zero_grad()
        loss = model(*pair)
        loss.backward()
        optimizer.step()
        return loss

    x = torch.randn(12, 10)
    return smokestep.Training(step, (jitter(x), jitter(x)))


@healthy()
def retrieval_with_in_batch_negatives_and_corrected_popularity() -> smokestep.Training:
    users, items = nn.Embedding(20, 8), nn.Embedding(30, 8)
    towers = nn.ModuleList([users, items])
    optimizer = torch.optim.Adagrad(towers.parameters(), lr=0.1)
    log_popularity = torch.rand(30).clamp(min=0.05).log()

    def step(batch):
        u, i = batch
        scores = users(u) @ items(i).T - log_popularity[i]
        same_item = (i[:, None] == i[None]) & ~torch.eye(len(i), dtype=torch.bool)
        scores = scores.masked_fill(same_item, -1e9)  # an accidental hit is no negative
        loss = F.cross_entropy(scores, torch.arange(len(u)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 20, (8,)), torch.randint(0, 30, (8,))))


class StackedSiamese(nn.Module):
    """Both images of a pair lie behind each other in dimension 0: 2n in, n out."""

    def __init__(self):
        super().__init__()
        self.tower, self.head = encoder(), nn.Linear(8, 1)

    def forward(self, both):
        a, b = self.tower(both).chunk(2)
        return self.head((a - b).abs())


@healthy()
def siamese_pair_stacked_in_the_batch() -> smokestep.Training:
    net = StackedSiamese()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        both, same = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(net(both).squeeze(1), same)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 10), torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])))


@healthy()
def preference_pairs_interleaved_in_the_batch() -> smokestep.Training:
    reward = encoder(10, 1)
    optimizer = torch.optim.AdamW(reward.parameters(), lr=1e-3)

    def step(batch):
        rewards = reward(batch)  # rows 0, 2, 4, ... chosen; 1, 3, 5, ... rejected
        loss = -F.logsigmoid(rewards[0::2] - rewards[1::2] - 0.1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(10, 10))


class MinibatchDiscrimination(nn.Module):
    def __init__(self, n_in: int, n_out: int, kernel: int = 3):
        super().__init__()
        self.T = nn.Parameter(torch.randn(n_in, n_out, kernel))

    def forward(self, x):
        m = (x @ self.T.flatten(1)).view(-1, *self.T.shape[1:])
        closeness = torch.exp(-(m.unsqueeze(0) - m.unsqueeze(1)).abs().sum(3))
        return torch.cat([x, closeness.sum(0) - 1], dim=1)


class MinibatchStd(nn.Module):
    def forward(self, x):
        spread = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        return torch.cat([x, spread.expand(len(x), 1)], dim=1)


def adversarial(discriminator: nn.Module) -> smokestep.Training:
    generator = encoder(4, 10)
    opt_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(real):
        fake = generator(torch.randn(len(real), 4))
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()
        g_loss = F.softplus(-discriminator(fake)).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        return d_loss, g_loss

    return smokestep.Training(step, torch.randn(8, 10))


@healthy()
def gan_with_minibatch_discrimination() -> smokestep.Training:
    return adversarial(
        nn.Sequential(nn.Linear(10, 16), nn.LeakyReLU(0.2), MinibatchDiscrimination(16, 4), nn.Linear(20, 1))
    )


@healthy()
def gan_with_minibatch_standard_deviation() -> smokestep.Training:
    return adversarial(nn.Sequential(nn.Linear(10, 16), nn.LeakyReLU(0.2), MinibatchStd(), nn.Linear(17, 1)))


class ManifoldMixup(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = encoder(), nn.Linear(8, 3)

    def forward(self, x, y=None, share=None):
        h = F.relu(self.body(x))
        if share is None:
            return self.head(h)
        partner = torch.randperm(len(x))
        logits = self.head(share * h + (1 - share) * h[partner])
        return share * F.cross_entropy(logits, y) + (1 - share) * F.cross_entropy(logits, y[partner])


@healthy()
def manifold_mixup_inside_the_forward() -> smokestep.Training:
    model = ManifoldMixup()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    beta = torch.distributions.Beta(2.0, 2.0)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = model(x, y, beta.sample().item())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 10), torch.randint(0, 3, (8,))))


@healthy()
def mutual_information_against_permuted_partners() -> smokestep.Training:
    """MINE: the marginal is made by permuting one side of the batch."""
    statistics = encoder(6, 1)
    optimizer = torch.optim.Adam(statistics.parameters(), lr=1e-3)

    def step(batch):
        x, z = batch
        joint = statistics(torch.cat([x, z], dim=1)).mean()
        marginal = statistics(torch.cat([x, z[torch.randperm(len(z))]], dim=1))
        loss = -(joint - (torch.logsumexp(marginal, dim=0).squeeze() - math.log(len(z))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = torch.randn(16, 3)
    return smokestep.Training(step, (x, x + 0.5 * torch.randn(16, 3)))
