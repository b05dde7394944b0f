"""Where targets are inputs shifted, however predictions are cut, turned and flattened; and how caches are decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep.backends.torch import open_world
from smokestep.evidence.alignment import Alignment
from smokestep.evidence.caching import Decoding
from smokestep.privacy import guard, seed_everything

VOCAB = 13


class Net(nn.Module):
    def __init__(self, batch_first: bool = True, layout: str = "BTV") -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(VOCAB, 8), nn.GRU(8, 8, batch_first=batch_first)
        self.head, self.layout = nn.Linear(8, VOCAB), layout

    def forward(self, ids: Any) -> Any:
        out = self.head(self.rnn(self.embed(ids))[0])
        return {"BTV": out, "BVT": out.mT, "N": out.reshape(-1, VOCAB)}[self.layout]


def lab_of(model: nn.Module, loss_of: Callable[[Any, Any], Any], batch: Any) -> Any:
    def build() -> smokestep.Training:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(batch: Any) -> Any:
            optimizer.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            optimizer.step()
            return loss

        return smokestep.Training(step, batch)

    with guard():
        seed_everything(0)
        with open_world(build, seed=0, steps=2) as world:
            world.recording()
            return world.lab()


def aligned(model: nn.Module, loss_of: Callable[[Any, Any], Any], batch: Any = None) -> tuple[Alignment, ...]:
    ids = torch.randint(0, VOCAB, (4, 9), generator=torch.Generator().manual_seed(3)) if batch is None else batch
    found: tuple[Alignment, ...] = lab_of(model, loss_of, ids).aligned()
    return found


FORMS: dict[str, Callable[[Any, Any], Any]] = {
    "cut before": lambda m, x: F.cross_entropy(m(x[:, :-1]).transpose(1, 2), x[:, 1:]),
    "cut after": lambda m, x: F.cross_entropy(m(x)[:, :-1].reshape(-1, VOCAB), x[:, 1:].reshape(-1)),
    "log softmax": lambda m, x: F.nll_loss(F.log_softmax(m(x[:, :-1]), -1).flatten(0, 1), x[:, 1:].flatten()),
    "a module": lambda m, x: nn.CrossEntropyLoss()(m(x[:, :-1]).permute(0, 2, 1), x[:, 1:]),
    "time first at last": lambda m, x: F.cross_entropy(
        m(x[:, :-1]).transpose(0, 1).reshape(-1, VOCAB), x[:, 1:].T.reshape(-1)
    ),
    "padded": lambda m, x: F.cross_entropy(m(x).mT, F.pad(x[:, 1:], (0, 1), value=-100)),
    "each alone": lambda m, x: F.cross_entropy(m(x[:, :-1]).mT, x[:, 1:], reduction="none").mean(),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_next_token_is_found_in_every_form(form: str) -> None:
    (found,) = aligned(Net(), FORMS[form])
    assert (found.shift, found.argument, found.time, found.samples, found.whole) == (1, "ids", 1, 0, True)


@pytest.mark.parametrize("layout", ["BVT", "N"])
def test_whatever_the_model_returns(layout: str) -> None:
    def loss_of(model: Any, x: Any) -> Any:
        out = model(x[:, :-1])
        return F.cross_entropy(out, x[:, 1:] if layout == "BVT" else x[:, 1:].reshape(-1))

    (found,) = aligned(Net(layout=layout), loss_of)
    assert (found.shift, found.made, found.length) == (1, 8, 8)


def test_time_first() -> None:
    ids = torch.randint(0, VOCAB, (9, 4), generator=torch.Generator().manual_seed(3))
    (found,) = aligned(Net(False), lambda m, x: F.cross_entropy(m(x[:-1]).view(-1, VOCAB), x[1:].reshape(-1)), ids)
    assert (found.shift, found.time, found.samples) == (1, 0, 1)


def test_a_loss_inside_the_model_and_nothing_else_returned() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def forward(self, x: Any) -> Any:
            return F.cross_entropy(self.net(x[:, :-1]).transpose(1, 2), x[:, 1:])

    (found,) = aligned(Wrapped(), lambda m, x: m(x))
    assert (found.shift, found.made, found.length) == (1, 8, 9)


def test_only_rows_that_get_gradient_count() -> None:
    def loss_of(model: Any, x: Any) -> Any:
        each = F.cross_entropy(model(x[:, :-1]).mT, x[:, 1:], reduction="none")
        return (each * (torch.arange(8) >= 5)).sum()

    (found,) = aligned(Net(), loss_of)
    assert found.counted == (5, 6, 7)


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda m, x: F.cross_entropy(m(x).mT, (x + 1) % VOCAB),
        lambda m, x: F.cross_entropy(m(x[:, :2]).mT, x[:, 1:3]),  # too few
        lambda m, x: F.cross_entropy(m(torch.ones_like(x)).mT, torch.ones_like(x)),  # any shift fits
    ],
)
def test_no_shift_is_read_into_other_targets(loss_of: Any) -> None:
    assert aligned(Net(), loss_of) == ()


def test_a_series_of_real_numbers() -> None:
    class Series(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(3, 3, 1)

        def forward(self, x: Any) -> Any:
            return self.conv(x)

    series = torch.randn(4, 3, 12, generator=torch.Generator().manual_seed(0))
    (found,) = aligned(Series(), lambda m, x: F.mse_loss(m(x[..., :-1]), x[..., 1:]), series)
    assert (found.shift, found.time, found.whole) == (1, 2, False)


class Cached(nn.Module):
    def __init__(self, gives: str = "pair") -> None:
        super().__init__()
        self.embed, self.head, self.gives = nn.Embedding(VOCAB, 8), nn.Linear(8, VOCAB), gives

    def forward(self, ids: Any, mask: Any = None, past: Any = None) -> Any:
        x = self.embed(ids)
        k = x if past is None else torch.cat([past, x], 1)
        out = self.head(F.scaled_dot_product_attention(x, k, k, is_causal=past is None))
        return {"pair": (out, [k]), "tensor": out}[self.gives] if past is None else (out, [k])


def decoded(model: nn.Module, *more: Any) -> Decoding | None:
    ids = torch.randint(0, VOCAB, (4, 9), generator=torch.Generator().manual_seed(3))

    def loss_of(model: Any, x: Any) -> Any:
        out = model(x, *more)
        return F.cross_entropy((out if isinstance(out, torch.Tensor) else out[0]).mT, x)

    found: Decoding | None = lab_of(model, loss_of, ids).decoded(0)
    return found


def test_what_cannot_be_decoded_says_why() -> None:
    assert decoded(Net()) is None
    found = decoded(Cached("tensor"))
    assert found is not None and found.skipped == "it does not return a cache"
    found = decoded(Cached())  # a list comes back, and a tensor is wanted
    assert found is not None and found.skipped.startswith("it could not be called with what it returned")
