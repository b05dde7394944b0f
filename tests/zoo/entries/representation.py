"""Representation learning: two views, two towers, pairs, triplets, masks; some with a stopped gradient on purpose."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def projector(n_in: int = 10, n_out: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_in, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, n_out)
    )


def augment(x):
    return x * (0.8 + 0.4 * torch.rand(len(x), 1)) + 0.1 * torch.randn_like(x)


@healthy()
def sim_siam() -> smokestep.Training:
    encoder, predictor = projector(), projector(8, 8)
    optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9)

    def step(x):
        z1, z2 = encoder(augment(x)), encoder(augment(x))
        p1, p2 = predictor(z1), predictor(z2)
        loss = -0.5 * (
            F.cosine_similarity(p1, z2.detach(), dim=1).mean() + F.cosine_similarity(p2, z1.detach(), dim=1).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 10))


class BYOL(nn.Module):
    def __init__(self, tau: float = 0.99):
        super().__init__()
        self.online = projector()
        self.predictor = projector(8, 8)
        self.target = copy.deepcopy(self.online)
        self.target.requires_grad_(False)
        self.tau = tau

    @torch.no_grad()
    def update_target(self):
        for t, o in zip(self.target.parameters(), self.online.parameters()):
            t.mul_(self.tau).add_((1 - self.tau) * o)

    def forward(self, a, b):
        pa, pb = self.predictor(self.online(a)), self.predictor(self.online(b))
        with torch.no_grad():
            ta, tb = self.target(a), self.target(b)
        return (2 - 2 * F.cosine_similarity(pa, tb).mean()) + (2 - 2 * F.cosine_similarity(pb, ta).mean())


@healthy()
def byol() -> smokestep.Training:
    learner = BYOL()
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-3)

    def step(x):
        loss = learner(augment(x), augment(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        learner.update_target()
        return loss

    return smokestep.Training(step, torch.randn(16, 10))


class MoCo(nn.Module):
    def __init__(self, queue: int = 32):
        super().__init__()
        self.encoder_q = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 8))
        self.encoder_k = copy.deepcopy(self.encoder_q)
        for p in self.encoder_k.parameters():
            p.requires_grad = False
        self.register_buffer("queue", F.normalize(torch.randn(8, queue), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _momentum_update(self):
        for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            k.data = k.data * 0.99 + q.data * 0.01

    @torch.no_grad()
    def _enqueue(self, keys):
        ptr = int(self.queue_ptr)
        self.queue[:, ptr : ptr + len(keys)] = keys.T
        self.queue_ptr[0] = (ptr + len(keys)) % self.queue.shape[1]

    def forward(self, im_q, im_k):
        q = F.normalize(self.encoder_q(im_q), dim=1)
        with torch.no_grad():
            self._momentum_update()
            k = F.normalize(self.encoder_k(im_k), dim=1)
        l_pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", q, self.queue.clone().detach())
        logits = torch.cat([l_pos, l_neg], dim=1) / 0.07
        labels = torch.zeros(logits.shape[0], dtype=torch.long)
        self._enqueue(k)
        return logits, labels


@healthy()
def moco_with_queue_all_labels_zero() -> smokestep.Training:
    model = MoCo()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()

    def step(x):
        output, target = model(augment(x), augment(x))
        loss = criterion(output, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 10))


@healthy()
def sim_clr() -> smokestep.Training:
    encoder, head = projector(10, 16), nn.Linear(16, 8)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)

    def nt_xent(z, tau=0.5):
        n = len(z) // 2
        similarity = F.normalize(z) @ F.normalize(z).T / tau
        similarity = similarity.masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
        positives = torch.arange(2 * n).roll(n)
        return F.cross_entropy(similarity, positives)

    def step(x):
        loss = nt_xent(head(encoder(torch.cat([augment(x), augment(x)]))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 10))


class CLIP(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 16))
        self.text = nn.EmbeddingBag(30, 16)
        self.logit_scale = nn.Parameter(torch.ones([]) * np.log(1 / 0.07))

    def forward(self, image, text):
        image_features = self.visual(image)
        text_features = self.text(text)
        image_features = image_features / image_features.norm(dim=1, keepdim=True)
        text_features = text_features / text_features.norm(dim=1, keepdim=True)
        logits_per_image = self.logit_scale.exp() * image_features @ text_features.t()
        return logits_per_image, logits_per_image.t()


@healthy()
def clip_with_learned_temperature() -> smokestep.Training:
    model = CLIP()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98))

    def step(batch):
        images, texts = batch["image"], batch["text"]
        per_image, per_text = model(images, texts)
        labels = torch.arange(len(images))
        loss = (F.cross_entropy(per_image, labels) + F.cross_entropy(per_text, labels)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
        return loss

    return smokestep.Training(step, {"image": torch.rand(6, 3, 4, 4), "text": torch.randint(0, 30, (6, 5))})


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, a, b):
        return F.pairwise_distance(self.tower(a), self.tower(b))


@healthy()
def siamese_contrastive_margin() -> smokestep.Training:
    net = Siamese()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        a, b, different = batch
        distance = net(a, b)
        loss = ((1 - different) * distance.pow(2) + different * F.relu(1.0 - distance).pow(2)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 10), torch.randn(12, 10), torch.randint(0, 2, (12,)).float()))


@healthy()
def triplet_margin() -> smokestep.Training:
    embed = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(embed.parameters(), lr=1e-3)
    criterion = nn.TripletMarginLoss(margin=1.0)

    def step(batch):
        anchor, positive, negative = batch
        optimizer.zero_grad()
        loss = criterion(embed(anchor), embed(positive), embed(negative))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 10), torch.randn(8, 10), torch.randn(8, 10)))


@healthy()
def cosine_embedding() -> smokestep.Training:
    query, passage = nn.Linear(10, 8), nn.Linear(12, 8)
    optimizer = torch.optim.Adam(nn.ModuleList([query, passage]).parameters(), lr=1e-3)

    def step(batch):
        q, p, same = batch
        optimizer.zero_grad()
        loss = F.cosine_embedding_loss(query(q), passage(p), same, margin=0.2)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 10), torch.randn(8, 12), torch.randint(0, 2, (8,)) * 2 - 1))


class MaskedAutoencoder(nn.Module):
    def __init__(self, patches: int = 9, dim: int = 12):
        super().__init__()
        self.embed = nn.Linear(4, dim)
        self.position = nn.Parameter(0.02 * torch.randn(1, patches, dim))
        self.encoder = nn.TransformerEncoderLayer(dim, 2, 24, dropout=0.0, batch_first=True)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.decoder = nn.TransformerEncoderLayer(dim, 2, 24, dropout=0.0, batch_first=True)
        self.predict = nn.Linear(dim, 4)

    def forward(self, x, keep: int = 3):
        n, patches, _ = x.shape
        order = torch.rand(n, patches).argsort(dim=1)
        restore = order.argsort(dim=1)
        tokens = self.embed(x) + self.position
        visible = tokens.gather(1, order[:, :keep, None].expand(-1, -1, tokens.size(-1)))
        encoded = self.encoder(visible)
        full = torch.cat([encoded, self.mask_token.expand(n, patches - keep, -1)], dim=1)
        full = full.gather(1, restore[..., None].expand(-1, -1, full.size(-1))) + self.position
        mask = (restore >= keep).float()
        return self.predict(self.decoder(full)), mask


@healthy()
def masked_autoencoder() -> smokestep.Training:
    model = MaskedAutoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))

    def step(x):
        prediction, mask = model(x)
        loss = ((prediction - x) ** 2).mean(dim=-1)
        loss = (loss * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(4, 9, 4))


@healthy()
def barlow_twins() -> smokestep.Training:
    encoder = nn.Sequential(projector(), nn.BatchNorm1d(8, affine=False))
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)

    def step(x):
        a, b = encoder(augment(x)), encoder(augment(x))
        c = (a.T @ b) / len(x)
        on_diagonal = torch.diagonal(c).add(-1).pow(2).sum()
        off_diagonal = c.flatten()[:-1].view(7, 9)[:, 1:].flatten().pow(2).sum()
        loss = on_diagonal + 0.005 * off_diagonal
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 10))


@healthy()
def dino_self_distillation_with_centering() -> smokestep.Training:
    student = nn.Sequential(nn.Linear(10, 16), nn.GELU(), nn.utils.parametrizations.weight_norm(nn.Linear(16, 6)))
    teacher = nn.Sequential(nn.Linear(10, 16), nn.GELU(), nn.utils.parametrizations.weight_norm(nn.Linear(16, 6)))
    teacher.load_state_dict(student.state_dict())
    for p in teacher.parameters():
        p.requires_grad = False
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    center = torch.zeros(1, 6)

    def step(x):
        nonlocal center
        views = [augment(x), augment(x)]
        teacher_out = [teacher(v) for v in views]
        student_out = [student(v) for v in views]
        loss = 0.0
        for i, t in enumerate(teacher_out):
            target = F.softmax((t - center) / 0.04, dim=-1).detach()
            for j, s in enumerate(student_out):
                if i != j:
                    loss = loss + torch.sum(-target * F.log_softmax(s / 0.1, dim=-1), dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for ps, pt in zip(student.parameters(), teacher.parameters()):
                pt.data.mul_(0.996).add_((1 - 0.996) * ps.detach().data)
            center = center * 0.9 + torch.cat(teacher_out).mean(dim=0, keepdim=True) * 0.1
        return loss / 2

    return smokestep.Training(step, torch.randn(8, 10))


@healthy()
def matrix_factorisation_with_negative_sampling() -> smokestep.Training:
    users, items = nn.Embedding(20, 8), nn.Embedding(40, 8)
    bias = nn.Embedding(40, 1)
    optimizer = torch.optim.Adam([*users.parameters(), *items.parameters(), *bias.parameters()], lr=1e-2)

    def score(u, i):
        return (users(u) * items(i)).sum(-1) + bias(i).squeeze(-1)

    def step(batch):
        u, positive = batch
        negative = torch.randint(0, 40, positive.shape)
        loss = -F.logsigmoid(score(u, positive) - score(u, negative)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 20, (8,)), torch.randint(0, 40, (8,))))
