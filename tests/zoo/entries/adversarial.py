"""Adversarial trainings: networks that pull against each other, each moved by its own optimizer only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

LATENT = 4


class Generator(nn.Module):
    def __init__(self, out=torch.tanh):
        super().__init__()
        self.fc = nn.Linear(LATENT, 32)
        self.bn = nn.BatchNorm1d(32)
        self.out = nn.Linear(32, 8)
        self.squash = out

    def forward(self, z):
        h = F.relu(self.bn(self.fc(z)))
        return self.squash(self.out(h))


class Discriminator(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, width), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x)


def real_batch(n: int = 16):
    return torch.tanh(torch.randn(n, 8))


@healthy()
def gan() -> smokestep.Training:
    netG, netD = Generator(), Discriminator()
    optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()

    def step(real):
        # (1) maximize log(D(x)) + log(1 - D(G(z)))
        netD.zero_grad()
        label = torch.full((real.size(0), 1), 1.0)
        errD_real = criterion(netD(real), label)
        errD_real.backward()
        noise = torch.randn(real.size(0), LATENT)
        fake = netG(noise)
        label.fill_(0.0)
        errD_fake = criterion(netD(fake.detach()), label)
        errD_fake.backward()
        optimizerD.step()
        # (2) maximize log(D(G(z)))
        netG.zero_grad()
        label.fill_(1.0)
        errG = criterion(netD(fake), label)
        errG.backward()
        optimizerG.step()
        return errD_real + errD_fake, errG

    return smokestep.Training(step, real_batch())


@healthy()
def gan_with_declared_steps() -> smokestep.Training:
    generator, discriminator = Generator(), Discriminator()
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3)
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3)

    def discriminator_step(real):
        with torch.no_grad():
            fake = generator(torch.randn(len(real), LATENT))
        opt_d.zero_grad()
        loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()
        loss.backward()
        opt_d.step()
        return loss

    def generator_step(real):
        opt_g.zero_grad()
        loss = F.softplus(-discriminator(generator(torch.randn(len(real), LATENT)))).mean()
        loss.backward()
        opt_g.step()
        return loss

    return smokestep.Training(
        {"discriminator": discriminator_step, "generator": generator_step},
        real_batch(),
        model={"generator": generator, "discriminator": discriminator},
        trains={"generator": generator, "discriminator": discriminator},
    )


@healthy()
def gan_minimax_with_negated_cross_entropy() -> smokestep.Training:
    G, D = Generator(), Discriminator()
    opt_G = torch.optim.SGD(G.parameters(), lr=1e-2)
    opt_D = torch.optim.SGD(D.parameters(), lr=1e-2)

    def step(real):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        opt_D.zero_grad()
        fake = G(torch.randn(len(real), LATENT)).detach()
        d_loss = F.binary_cross_entropy_with_logits(D(real), ones) + F.binary_cross_entropy_with_logits(D(fake), zeros)
        d_loss.backward()
        opt_D.step()

        opt_G.zero_grad()
        fake = G(torch.randn(len(real), LATENT))
        g_loss = -F.binary_cross_entropy_with_logits(D(fake), zeros)
        g_loss.backward()
        opt_G.step()
        return g_loss

    return smokestep.Training(step, real_batch())


@healthy()
def hinge_gan_with_spectral_norm_and_frozen_toggle() -> smokestep.Training:
    G = Generator()
    D = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(8, 32)),
        nn.LeakyReLU(0.1),
        nn.utils.parametrizations.spectral_norm(nn.Linear(32, 1)),
    )
    opt_G = torch.optim.Adam(G.parameters(), lr=1e-4, betas=(0.0, 0.9))
    opt_D = torch.optim.Adam(D.parameters(), lr=4e-4, betas=(0.0, 0.9))

    def step(real):
        D.requires_grad_(True)
        G.requires_grad_(False)
        opt_D.zero_grad()
        fake = G(torch.randn(len(real), LATENT))
        loss_d = F.relu(1.0 - D(real)).mean() + F.relu(1.0 + D(fake)).mean()
        loss_d.backward()
        opt_D.step()

        D.requires_grad_(False)
        G.requires_grad_(True)
        opt_G.zero_grad()
        loss_g = -D(G(torch.randn(len(real), LATENT))).mean()
        loss_g.backward()
        opt_G.step()
        return loss_d, loss_g

    return smokestep.Training(step, real_batch())


def gradient_penalty(critic, real, fake):
    alpha = torch.rand(real.size(0), 1)
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(mixed)
    (gradients,) = torch.autograd.grad(scores, mixed, grad_outputs=torch.ones_like(scores), create_graph=True)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


@healthy()
def wgan_gradient_penalty_five_critic_steps() -> smokestep.Training:
    G = Generator()
    critic = nn.Sequential(nn.Linear(8, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    opt_G = torch.optim.Adam(G.parameters(), lr=1e-4, betas=(0.0, 0.9))
    opt_C = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))

    def step(real):
        for _ in range(5):
            opt_C.zero_grad()
            fake = G(torch.randn(len(real), LATENT)).detach()
            loss_c = critic(fake).mean() - critic(real).mean() + 10 * gradient_penalty(critic, real, fake)
            loss_c.backward()
            opt_C.step()
        opt_G.zero_grad()
        loss_g = -critic(G(torch.randn(len(real), LATENT))).mean()
        loss_g.backward()
        opt_G.step()
        return {"critic": loss_c.item(), "generator": loss_g.item()}

    return smokestep.Training(step, real_batch())


@healthy()
def wgan_with_weight_clipping() -> smokestep.Training:
    G, C = Generator(), nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    opt_G = torch.optim.RMSprop(G.parameters(), lr=5e-5)
    opt_C = torch.optim.RMSprop(C.parameters(), lr=5e-5)
    calls = {"n": 0}

    def step(real):
        fake = G(torch.randn(len(real), LATENT))
        opt_C.zero_grad()
        loss_c = -C(real).mean() + C(fake.detach()).mean()
        loss_c.backward()
        opt_C.step()
        for p in C.parameters():
            p.data.clamp_(-0.1, 0.1)
        calls["n"] += 1
        if calls["n"] % 2 == 0:
            opt_G.zero_grad()
            loss_g = -C(G(torch.randn(len(real), LATENT))).mean()
            loss_g.backward()
            opt_G.step()
        return loss_c

    return smokestep.Training(step, real_batch())


@healthy()
def style_gan_with_lazy_regularisation() -> smokestep.Training:
    mapping = nn.Sequential(nn.Linear(LATENT, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16))
    synthesis = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 8))
    D = nn.Sequential(nn.Linear(8, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    g_optim = torch.optim.Adam([*mapping.parameters(), *synthesis.parameters()], lr=2e-3, betas=(0.0, 0.99))
    d_optim = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.99))
    state = {"i": 0}

    def step(real):
        i = state["i"]
        D.requires_grad_(True)
        with torch.no_grad():
            fake = synthesis(mapping(torch.randn(len(real), LATENT)))
        d_loss = F.softplus(D(fake)).mean() + F.softplus(-D(real)).mean()
        D.zero_grad()
        d_loss.backward()
        d_optim.step()
        if i % 2 == 0:  # the R1 penalty, every k-th step only, scaled by k
            real_ = real.detach().requires_grad_(True)
            scores = D(real_)
            (grad_real,) = torch.autograd.grad(scores.sum(), real_, create_graph=True)
            r1 = grad_real.pow(2).flatten(1).sum(1).mean()
            D.zero_grad()
            (10.0 / 2 * r1 * 2 + 0 * scores[0].sum()).backward()
            d_optim.step()
        D.requires_grad_(False)
        fake = synthesis(mapping(torch.randn(len(real), LATENT)))
        g_loss = F.softplus(-D(fake)).mean()
        mapping.zero_grad()
        synthesis.zero_grad()
        g_loss.backward()
        g_optim.step()
        state["i"] += 1
        return d_loss, g_loss

    return smokestep.Training(step, real_batch())


class ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.alpha = alpha
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return -ctx.alpha * grad_output, None


@healthy()
def gradient_reversal_domain_adaptation() -> smokestep.Training:
    features = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
    label_head, domain_head = nn.Linear(16, 3), nn.Linear(16, 2)
    params = [*features.parameters(), *label_head.parameters(), *domain_head.parameters()]
    optimizer = torch.optim.SGD(params, lr=0.01, momentum=0.9)

    def step(batch):
        (xs, ys), xt = batch
        optimizer.zero_grad()
        fs, ft = features(xs), features(xt)
        class_loss = F.cross_entropy(label_head(fs), ys)
        mixed = ReverseGradient.apply(torch.cat([fs, ft]), 0.3)
        domains = torch.cat([torch.zeros(len(xs)), torch.ones(len(xt))]).long()
        domain_loss = F.cross_entropy(domain_head(mixed), domains)
        loss = class_loss + domain_loss
        loss.backward()
        optimizer.step()
        return loss

    source = torch.randn(10, 8), torch.randint(0, 3, (10,))
    return smokestep.Training(step, (source, torch.randn(10, 8) + 1))


@healthy()
def cycle_gan_chained_parameters() -> smokestep.Training:
    import itertools

    G_ab, G_ba = nn.Linear(8, 8), nn.Linear(8, 8)
    D_a, D_b = Discriminator(16), Discriminator(16)
    opt_G = torch.optim.Adam(itertools.chain(G_ab.parameters(), G_ba.parameters()), lr=2e-4)
    opt_D = torch.optim.Adam(itertools.chain(D_a.parameters(), D_b.parameters()), lr=2e-4)
    mse, l1 = nn.MSELoss(), nn.L1Loss()

    def step(batch):
        real_a, real_b = batch
        ones, zeros = torch.ones(len(real_a), 1), torch.zeros(len(real_a), 1)
        for p in itertools.chain(D_a.parameters(), D_b.parameters()):
            p.requires_grad = False
        opt_G.zero_grad()
        fake_b, fake_a = G_ab(real_a), G_ba(real_b)
        loss_G = mse(D_b(fake_b), ones) + mse(D_a(fake_a), ones)
        loss_G = loss_G + 10.0 * (l1(G_ba(fake_b), real_a) + l1(G_ab(fake_a), real_b))
        loss_G = loss_G + 5.0 * (l1(G_ab(real_b), real_b) + l1(G_ba(real_a), real_a))
        loss_G.backward()
        opt_G.step()

        for p in itertools.chain(D_a.parameters(), D_b.parameters()):
            p.requires_grad = True
        opt_D.zero_grad()
        loss_a = 0.5 * (mse(D_a(real_a), ones) + mse(D_a(fake_a.detach()), zeros))
        loss_b = 0.5 * (mse(D_b(real_b), ones) + mse(D_b(fake_b.detach()), zeros))
        loss_a.backward()
        loss_b.backward()
        opt_D.step()
        return loss_G

    return smokestep.Training(step, (real_batch(), real_batch()))


@healthy()
def adversarial_examples_pgd_training() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def attack(x, y, eps=0.1, steps=3):
        delta = torch.zeros_like(x).uniform_(-eps, eps).requires_grad_(True)
        for _ in range(steps):
            loss = F.cross_entropy(model(x + delta), y)
            loss.backward()
            delta.data = (delta + 0.05 * delta.grad.sign()).clamp(-eps, eps)
            delta.grad.zero_()
        return delta.detach()

    def step(batch):
        x, y = batch
        delta = attack(x, y)
        optimizer.zero_grad()  # also clears what the attack left behind
        loss = F.cross_entropy(model(x + delta), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 8), torch.randint(0, 3, (12,))))
