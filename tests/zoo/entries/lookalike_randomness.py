"""Correct programs that look as if they repeated random numbers: seeds kept apart, put back, or varied."""

from __future__ import annotations

import itertools
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def net(dropout: float = 0.3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def training(step_of):
    """A training of a classifier, whose step calls what `step_of(model)` gives instead of the plain loss."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = step_of(model)

    def step(data):
        optimizer.zero_grad()
        loss = loss_of(*data)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def seed_of_each_step_is_another() -> smokestep.Training:
    """A run that can be resumed anywhere: the seed is that of the run plus the number of the step."""

    def seeded(model):
        count = itertools.count()

        def loss(x, y):
            number = 1234 + next(count)
            random.seed(number)
            np.random.seed(number)
            torch.manual_seed(number)
            x = x * random.uniform(0.9, 1.1) + torch.from_numpy(np.random.normal(0, 0.01, x.shape)).float()
            return F.cross_entropy(model(x), y)

        return loss

    return training(seeded)


@healthy()
def evaluation_with_a_fixed_seed_in_a_fork() -> smokestep.Training:
    def forked(model):
        scores = []

        def loss(x, y):
            value = F.cross_entropy(model(x), y)
            with torch.random.fork_rng():
                torch.manual_seed(0)
                noisy = x + torch.randn_like(x)
                scores.append(F.cross_entropy(model(noisy), y).item())  # with gradients on: nobody looks at them
            return value

        return loss

    return training(forked)


@healthy()
def evaluation_with_a_fixed_seed_in_a_fork_and_no_other_chance() -> smokestep.Training:
    model = net(dropout=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scores = []

    def step(data):
        x, y = data
        optimizer.zero_grad()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            scores.append(model(x + torch.randn_like(x)).std().item())
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def states_kept_and_put_back_by_hand() -> smokestep.Training:
    def kept(model):
        scores = []

        def validate(x, y):
            states = random.getstate(), np.random.get_state(), torch.get_rng_state()
            random.seed(1)
            np.random.seed(1)
            torch.manual_seed(1)
            shift = random.gauss(0, 1) + float(np.random.normal())
            scores.append(F.cross_entropy(model(x + shift * torch.randn_like(x)), y).item())
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])

        def loss(x, y):
            validate(x, y)
            return F.cross_entropy(model(x + 0.01 * random.random() * float(np.random.normal())), y)

        return loss

    return training(kept)


@healthy()
def generator_of_its_own_seeded_anew_for_fixed_noise() -> smokestep.Training:
    def own(model):
        generator = torch.Generator()
        scores = []

        def loss(x, y):
            generator.manual_seed(0)
            noise = torch.randn(x.shape, generator=generator)
            with torch.no_grad():
                scores.append(F.cross_entropy(model(x + noise), y))
            return F.cross_entropy(model(x), y)

        return loss

    return training(own)


@healthy()
def preview_from_fixed_noise_beside_a_training_without_chance() -> smokestep.Training:
    model = net(dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    previews = []

    def step(data):
        x, y = data
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        torch.manual_seed(0)
        noise = torch.randn(4, 8)
        with torch.no_grad():
            previews.append(model(noise))
        return loss

    return smokestep.Training(step, batch())


@healthy()
def seed_set_every_step_and_nothing_drawn() -> smokestep.Training:
    model = net(dropout=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        x, y = data
        torch.manual_seed(0)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


@healthy()
def two_passes_through_one_dropout_mask() -> smokestep.Training:
    """The same mask for both views of a batch, a new one for each batch: the seed itself is drawn."""

    def paired(model):
        def loss(x, y):
            seed = int(torch.randint(2**31, ()))
            torch.manual_seed(seed)
            first = model(x)
            torch.manual_seed(seed)
            second = model(x + 0.1)
            return F.cross_entropy(first, y) + F.mse_loss(second, first.detach())

        return loss

    return training(paired)


@healthy()
def samples_seeded_by_their_index() -> smokestep.Training:
    """Each sample has its own fixed distortion, as in a test set; the steps see different samples."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))

    def sample(index):
        np.random.seed(index)
        return data[index] + torch.from_numpy(np.random.normal(0, 0.1, 8)).float(), labels[index]

    order = iter(torch.randperm(64).split(8))

    def step():
        x, y = map(torch.stack, zip(*(sample(int(index)) for index in next(order)), strict=True))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)
