"""What two workers would draw, tried without processes and without touching what is the user's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

import smokestep
from smokestep.backends.torch import live, loaders
from smokestep.backends.torch.loaders import Shelf
from smokestep.evidence.loaders import Loader

SHARED = np.random.RandomState(3)  # shared


class Data(Dataset[torch.Tensor]):
    def __init__(self, rng: Any = None) -> None:
        self.rng, self.asked = rng, 0

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        self.asked += 1
        return torch.tensor(self.rng.random())


class OfModule(Data):
    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(SHARED.normal())


class OfTorch(Data):
    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.rand((), generator=self.rng)


class Open(Data):
    def __init__(self) -> None:
        super().__init__(random.Random(0))
        self.file = open(__file__)


class Failing(Data):
    def __getitem__(self, index: int) -> torch.Tensor:
        raise KeyError(index)


class Informed(Data):
    def __getitem__(self, index: int) -> torch.Tensor:
        info = get_worker_info()
        assert info is not None and info.dataset is self and info.num_workers == 2
        self.rng = np.random.default_rng(info.seed)
        return super().__getitem__(index)


class Stream(IterableDataset[float]):
    def __init__(self) -> None:
        self.rng = random.Random(0)

    def __iter__(self) -> Any:
        yield self.rng.random()


def tried(data: Any, workers: int = 2, **options: Any) -> tuple[Loader, ...]:
    shelf = Shelf()
    shelf.hear(DataLoader(data, num_workers=workers, **options), (__file__, 1))
    return shelf.tried()


GENERATORS = [
    (Data, lambda: np.random.default_rng(0)),
    (Data, lambda: random.Random(0)),
    (OfTorch, lambda: torch.Generator().manual_seed(0)),
]


@pytest.mark.parametrize(("kind", "make"), GENERATORS)
def test_a_generator_of_the_data_set_repeats_and_stays_as_it_was(kind: type[Data], make: Any) -> None:
    data = kind(make())
    (found,) = tried(data)
    (owned,) = found.generators
    assert (owned.path, owned.repeats, found.unknown) == ("rng", True, "")
    assert owned.line and owned.line.code.startswith("self.rng, self.asked")
    assert loaders._state(data.rng) == loaders._state(make()) and data.asked == 0


def test_a_generator_of_the_module_repeats_and_is_put_back() -> None:
    before = loaders._state(SHARED)
    (found,) = tried(OfModule())
    assert [(owned.path, owned.repeats) for owned in found.generators] == [("SHARED", True)]
    line = found.generators[0].line
    assert line and line.code.endswith("# shared")
    assert loaders._state(SHARED) == before


def test_the_global_generators_belong_to_nobody_and_are_put_back() -> None:
    before = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    (found,) = tried(Data(random))
    assert found.generators == ()
    tried(Data(random.Random(0)))
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])
    assert np.random.get_state()[1].tolist() == before[2]


def test_a_worker_has_its_information_and_its_seed() -> None:
    (found,) = tried(Informed(np.random.default_rng(0)))
    assert found.unknown == "" and [owned.repeats for owned in found.generators] == [False]
    assert get_worker_info() is None


def test_a_generator_that_no_sample_draws_from_does_not_repeat() -> None:
    data = Data(random)
    data.spare = random.Random(0)  # type: ignore[attr-defined]
    (found,) = tried(data)
    assert [(owned.path, owned.repeats) for owned in found.generators] == [("spare", False)]


def test_what_cannot_be_tried_is_said() -> None:
    data = Open()
    assert "TypeError" in tried(data)[0].unknown
    data.file.close()
    assert "KeyError" in tried(Failing(random.Random(0)))[0].unknown
    assert "worker_init_fn" in tried(Data(random.Random(0)), worker_init_fn=print)[0].unknown


def test_a_large_data_set_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "BYTES", 1000)
    data = Data(random.Random(0))
    data.samples = torch.zeros(300)  # type: ignore[attr-defined]
    assert "is not copied" in tried(data)[0].unknown


def test_an_iterable_data_set_is_not_tried() -> None:
    (found,) = tried(Stream())
    assert found.iterable and found.generators == ()


def test_one_worker_has_nobody_to_repeat() -> None:
    assert tried(Data(random.Random(0)), workers=1) == ()


def test_a_loader_of_a_running_loop_is_heard_where_it_is_made() -> None:
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop() -> None:
        DataLoader(Data(random.Random(0)), num_workers=2)  # made
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(1, 1)).sum().backward()
            optimizer.step()

    with live(3) as world:
        loop()
        world.recording()
        (found,) = world.loaders()
        assert world.loaders() == ()  # nothing is kept
    assert found.line and found.line.code.endswith("# made")
    assert [owned.repeats for owned in found.generators] == [True]


def test_a_loader_that_a_training_in_place_holds_is_found() -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    loader = DataLoader(Data(random.Random(0)), num_workers=2)

    def step() -> None:
        optimizer.zero_grad()
        (parameter * loader.num_workers).sum().backward()
        optimizer.step()

    report = smokestep.examine(smokestep.Training(step), select="repeated-augmentation")
    assert [each.subjects for each in report.findings] == [("Data.rng",)]
    assert loader.dataset.asked == 0  # type: ignore[attr-defined]


def test_two_loaders_of_one_data_set_are_one() -> None:
    shelf, data = Shelf(), Data(random.Random(0))
    for line in (5, 6):
        shelf.hear(DataLoader(data, num_workers=2), (__file__, line))
    shelf.hear(DataLoader(data, num_workers=2), None)
    (found,) = shelf.tried()
    assert found.line and found.line.line == 6


def test_only_the_last_few_are_kept() -> None:
    shelf = Shelf()
    for _ in range(20):
        shelf.hear(DataLoader(Data(random.Random(0)), num_workers=2), None)
    assert len(shelf.loaders) == loaders.KEPT
