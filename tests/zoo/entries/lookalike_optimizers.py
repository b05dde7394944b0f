"""Correct programs whose optimizer or clipping looks wrong: made anew on purpose, iterators, skipped updates, betas."""

from __future__ import annotations

import copy
import itertools

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def mlp(n_in: int = 8, n_out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


@healthy()
def plain_sgd_made_anew_for_each_rate() -> smokestep.Training:
    """Without momentum there is nothing to lose."""
    model = mlp()
    rates = itertools.count(1)

    def step(data):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1 / next(rates))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def adam_of_each_round_makes_several_updates() -> smokestep.Training:
    """A round of federated averaging: each client's optimizer lives for its local updates."""
    model = mlp()

    def step(data):
        start = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data[0]), data[1])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(start[name].lerp(p, 0.5))
        return loss

    return smokestep.Training(step, batch())


@healthy()
def reptile_on_a_copy_with_a_new_optimizer() -> smokestep.Training:
    """The inner optimizer trains a copy; the slow weights are moved towards it."""
    model = mlp()

    def step(data):
        fast = copy.deepcopy(model)
        inner = torch.optim.SGD(fast.parameters(), lr=0.1, momentum=0.9)
        inner.zero_grad()
        loss = F.cross_entropy(fast(data[0]), data[1])
        loss.backward()
        inner.step()
        with torch.no_grad():
            for slow, new in zip(model.parameters(), fast.parameters(), strict=True):
                slow.lerp_(new, 0.5)
        return loss

    return smokestep.Training(step, batch(), model=model)


@healthy()
def adam_of_one_step_before_the_weights_are_put_back() -> smokestep.Training:
    """Each batch is a task: its Adam makes one update from the same weights, and a meta optimizer follows."""
    model = mlp()
    outer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        start = copy.deepcopy(model.state_dict())
        inner = torch.optim.Adam(model.parameters(), lr=1e-2)
        loss = F.cross_entropy(model(data[0]), data[1])
        inner.zero_grad()
        loss.backward()
        inner.step()
        outer.zero_grad()
        after = F.cross_entropy(model(data[0]), data[1])
        after.backward()
        model.load_state_dict(start)
        outer.step()
        return after

    return smokestep.Training(step, batch())


@healthy()
def new_optimizer_that_takes_over_the_state() -> smokestep.Training:
    """The optimizer is rebuilt when a rate changes, and continues with what the last one knew."""
    model = mlp()
    box = {"optimizer": torch.optim.Adam(model.parameters(), lr=1e-3)}

    def step(data):
        fresh = torch.optim.Adam(model.parameters(), lr=1e-3)
        fresh.load_state_dict(box["optimizer"].state_dict())
        box["optimizer"] = fresh
        fresh.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        fresh.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def clipping_by_a_fresh_generator_each_time() -> smokestep.Training:
    """The variable holds a new generator in every step."""
    model = mlp()
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)

    def step(data):
        params = model.parameters()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def clipping_of_a_part_that_has_no_parameters() -> smokestep.Training:
    """The same code for every configuration; in this one the extra head is the identity."""
    model, extra = mlp(), nn.Identity()
    optimizer = torch.optim.Adam([*model.parameters(), *extra.parameters()])
    extra_params = filter(lambda p: p.requires_grad, extra.parameters())

    def step(data):
        optimizer.zero_grad()
        loss = F.cross_entropy(extra(model(data[0])), data[1])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        nn.utils.clip_grad_norm_(extra_params, 0.1)
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def scaler_that_begins_too_high() -> smokestep.Training:
    """The first updates overflow and are skipped; then the scale is low enough."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)

    def step(data):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(data[0]), data[1])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def half_precision_with_plain_sgd() -> smokestep.Training:
    """Nothing is divided by, so no epsilon is needed."""
    model = mlp().half()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0].half()).float(), data[1])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def half_precision_with_weights_kept_in_float() -> smokestep.Training:
    """Gradients of the half model are copied to float32 weights, whose Adam keeps its usual epsilon."""
    model = mlp().half()
    master = [p.detach().float().requires_grad_() for p in model.parameters()]
    optimizer = torch.optim.Adam(master, lr=1e-2)

    def step(data):
        model.zero_grad()
        loss = F.cross_entropy(model(data[0].half()).float(), data[1])
        loss.backward()
        for own, p in zip(master, model.parameters(), strict=True):
            own.grad = p.grad.float()
        optimizer.step()
        with torch.no_grad():
            for own, p in zip(master, model.parameters(), strict=True):
                p.copy_(own)
        return loss

    return smokestep.Training(step, batch())


@healthy()
def bfloat16_with_adam() -> smokestep.Training:
    """bfloat16 has the range of float32: epsilon is not lost."""
    model = mlp().bfloat16()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(data):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0].bfloat16()).float(), data[1])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def equal_and_unusual_betas() -> smokestep.Training:
    """A critic without momentum, and a generator whose two betas are equal."""
    generator, critic = mlp(8, 8), mlp(8, 1)
    for_critic = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    for_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.95, 0.95))

    def step(real):
        fake = generator(torch.randn(len(real), 8))
        for_critic.zero_grad()
        (F.softplus(-critic(real)) + F.softplus(critic(fake.detach()))).mean().backward()
        for_critic.step()
        for_generator.zero_grad()
        loss = F.softplus(-critic(fake)).mean()
        loss.backward()
        for_generator.step()
        return loss

    return smokestep.Training(step, torch.randn(12, 8))


@healthy()
def lbfgs_made_anew_for_each_batch():
    """Its history belongs to one batch, and is used within one step."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def step(batch):
        x, y = batch
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=8, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)

    return smokestep.Training(step, (torch.randn(16, 4), torch.randn(16, 1)))
