"""Correct programs that look as if they repeated random numbers: seeds kept apart, put back, or varied."""

from __future__ import annotations

import itertools
import os
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


class Data(torch.utils.data.Dataset):
    """Samples whose noise is drawn by `noise`, which each kind of data set defines."""

    def __init__(self):
        self.inputs, self.labels = torch.randn(32, 8), torch.randint(0, 3, (32,))

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return self.inputs[index] + 0.1 * self.noise(index), self.labels[index]


def loaded(data, **options) -> smokestep.Training:
    """A training whose loader is made, and in these few steps not iterated: it would start processes."""
    model = net(dropout=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = torch.utils.data.DataLoader(data, batch_size=8, **options)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step.loader = loader
    return smokestep.Training(step, batch())


@healthy()
def workers_that_draw_from_the_global_generators() -> smokestep.Training:
    class Noisy(Data):
        def noise(self, index):
            return torch.randn(8) * random.random() + torch.from_numpy(np.random.normal(size=8)).float()

    return loaded(Noisy(), num_workers=2)


@healthy()
def a_generator_of_its_own_without_workers() -> smokestep.Training:
    class Noisy(Data):
        def __init__(self):
            super().__init__()
            self.rng = np.random.default_rng(0)

        def noise(self, index):
            return torch.from_numpy(self.rng.normal(size=8)).float()

    return loaded(Noisy())


@healthy()
def workers_whose_generator_is_seeded_by_the_index() -> smokestep.Training:
    class Noisy(Data):
        def __init__(self):
            super().__init__()
            self.generator = torch.Generator()

        def noise(self, index):
            self.generator.manual_seed(1000 + index)
            return torch.randn(8, generator=self.generator)

    return loaded(Noisy(), num_workers=2)


@healthy()
def workers_that_seed_their_generator_once_from_the_worker() -> smokestep.Training:
    class Noisy(Data):
        def __init__(self):
            super().__init__()
            self.rng, self.seeded = random.Random(0), False

        def noise(self, index):
            info = torch.utils.data.get_worker_info()
            if info is not None and not self.seeded:
                self.rng.seed(info.seed)
                self.seeded = True
            return torch.tensor([self.rng.gauss(0, 1) for _ in range(8)])

    return loaded(Noisy(), num_workers=2)


@healthy()
def workers_that_seed_their_generator_in_another_process() -> smokestep.Training:
    class Noisy(Data):
        def __init__(self):
            super().__init__()
            self.rng, self.process = np.random.RandomState(0), os.getpid()

        def noise(self, index):
            if os.getpid() != self.process:
                self.rng, self.process = np.random.RandomState(torch.initial_seed() % 2**32), os.getpid()
            return torch.from_numpy(self.rng.normal(size=8)).float()

    return loaded(Noisy(), num_workers=2)


@healthy()
def workers_that_are_given_a_generator_each() -> smokestep.Training:
    class Noisy(Data):
        def __init__(self):
            super().__init__()
            self.rng = np.random.default_rng(0)

        def noise(self, index):
            return torch.from_numpy(self.rng.normal(size=8)).float()

    def begin(worker):
        info = torch.utils.data.get_worker_info()
        info.dataset.rng = np.random.default_rng(info.seed)

    return loaded(Noisy(), num_workers=2, worker_init_fn=begin)


@healthy()
def workers_that_shuffle_alike_and_take_their_share() -> smokestep.Training:
    """The workers must draw the same order, so that their shares are apart."""

    class Stream(torch.utils.data.IterableDataset):
        def __init__(self):
            self.rng, self.inputs = random.Random(0), torch.randn(32, 8)

        def __iter__(self):
            info = torch.utils.data.get_worker_info()
            order = list(range(len(self.inputs)))
            self.rng.shuffle(order)
            first, step = (info.id, info.num_workers) if info else (0, 1)
            yield from (self.inputs[index] for index in order[first::step])

    return loaded(Stream(), num_workers=2)


@healthy()
def a_sampler_with_a_generator_of_its_own() -> smokestep.Training:
    """The sampler runs in the training's own process, and is not copied."""

    class Plain(Data):
        def noise(self, index):
            return torch.zeros(8)

    data = Plain()
    generator = torch.Generator().manual_seed(0)
    sampler = torch.utils.data.RandomSampler(data, generator=generator)
    return loaded(data, num_workers=2, sampler=sampler, generator=generator)


@healthy()
def a_split_made_with_a_generator_that_is_kept() -> smokestep.Training:
    class Split(Data):
        def __init__(self):
            super().__init__()
            self.rng = np.random.default_rng(0)
            self.order = self.rng.permutation(32)

        def noise(self, index):
            return self.inputs[int(self.order[index])]

    return loaded(Split(), num_workers=2)
