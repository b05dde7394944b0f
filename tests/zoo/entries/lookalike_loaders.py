"""Correct programs whose loaders and schedules look wrong: no shuffling needed, and rates that fall with batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

import smokestep

from ..registry import healthy


def mlp(n_in: int = 8, n_out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_out))


def fed(loader: DataLoader, schedule=None, model: nn.Module | None = None) -> smokestep.Training:
    """Classification from a loader, with a schedule stepped with each batch."""
    model = model or mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = schedule(optimizer) if schedule else None
    batches = iter(loader)

    def step():
        x, y = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        return loss

    return smokestep.Training(step)


def dataset(labels: torch.Tensor) -> TensorDataset:
    return TensorDataset(torch.randn(len(labels), 8), labels)


@healthy()
def cosine_shorter_than_an_epoch() -> smokestep.Training:
    """A run of 50 updates over a large data set."""
    loader = DataLoader(dataset(torch.randint(0, 3, (2000,))), batch_size=8, shuffle=True)
    return fed(loader, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=50))


@healthy()
def step_schedule_counted_in_batches() -> smokestep.Training:
    loader = DataLoader(dataset(torch.randint(0, 3, (2000,))), batch_size=8, shuffle=True)
    return fed(loader, lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=2 * len(loader)))


@healthy()
def slow_exponential_decay_with_each_batch() -> smokestep.Training:
    loader = DataLoader(dataset(torch.randint(0, 3, (2000,))), batch_size=8, shuffle=True)
    return fed(loader, lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.995))


@healthy()
def short_warm_up_then_constant() -> smokestep.Training:
    loader = DataLoader(dataset(torch.randint(0, 3, (2000,))), batch_size=8, shuffle=True)
    return fed(loader, lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=5))


@healthy()
def full_batch_with_a_schedule_of_few_steps() -> smokestep.Training:
    """The whole data set is one batch: an epoch is an update."""
    loader = DataLoader(dataset(torch.randint(0, 3, (32,))), batch_size=32)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)

    def step():
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        scheduler.step()
        return loss

    return smokestep.Training(step)


@healthy()
def mixed_data_read_in_order() -> smokestep.Training:
    """The file was shuffled once, when it was written."""
    return fed(DataLoader(dataset(torch.randint(0, 3, (200,))), batch_size=8))


@healthy()
def sorted_data_drawn_with_weights() -> smokestep.Training:
    """A sampler that balances the classes brings its own order."""
    labels = torch.tensor([0] * 120 + [1] * 60 + [2] * 20)
    weights = (1 / torch.bincount(labels).float())[labels]
    return fed(DataLoader(dataset(labels), batch_size=8, sampler=WeightedRandomSampler(weights, 200)))


class Pairs(Dataset):
    """One sample of each class, in turn: the batch sampler makes each batch of all classes."""

    def __init__(self) -> None:
        self.targets = torch.arange(90) // 30

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int):
        return torch.randn(8), self.targets[index]


@healthy()
def sorted_data_in_balanced_batches() -> smokestep.Training:
    order = [[at, at + 30, at + 60] for at in range(30)]
    return fed(DataLoader(Pairs(), batch_sampler=order))


class Stream(IterableDataset):
    """Samples without end, of no known number."""

    def __iter__(self):
        while True:
            yield torch.randn(8), torch.randint(0, 3, ())


@healthy()
def endless_stream_with_a_fast_schedule() -> smokestep.Training:
    """There are no epochs; the rate falls over a few hundred batches, on purpose."""
    return fed(DataLoader(Stream(), batch_size=8), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.98))


@healthy()
def trained_and_validated_from_two_loaders() -> smokestep.Training:
    """The data set for validation is sorted, and read in order, as it may be."""
    train = DataLoader(dataset(torch.randint(0, 3, (64,))), batch_size=8, shuffle=True)
    test = DataLoader(dataset(torch.arange(60) // 20), batch_size=10)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        model.eval()
        with torch.no_grad():
            sum((model(x).argmax(1) == y).sum() for x, y in test)
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return smokestep.Training(step)
