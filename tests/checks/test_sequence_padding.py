"""The checks of padding: what was seen written by hand for the judgements, real small models for what is inferred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep import privacy
from smokestep.backends.torch import open_world
from smokestep.check import Check, Said
from smokestep.checks.sequence.inverted_mask import inverted_mask
from smokestep.checks.sequence.padded_loss import padded_loss
from smokestep.checks.sequence.padded_mismatch import padded_mismatch
from smokestep.checks.sequence.padding_leak import padding_leak
from smokestep.evidence.padded import Layout, Padded, Paddings
from smokestep.evidence.padded_loss import PaddedLoss, Shared
from smokestep.evidence.padding import Cropped, Cut, Padding
from smokestep.findings import Finding, Line, NotApplicable, Severity
from smokestep.judging import _gathering

LINE = Line("net.py", 7, "h = self.encoder(x)")
IDS = Padded(0, "net", 4, 8, (8, 3, 5, 4), (Layout("ids", 0, 1),), ("mask",), token=0.0, agreed=True, by="`mask`")
SEEN = Cropped("net", LINE, padded=IDS, row=1, length=3, apart=0.2, leaks=True)


def at(op: str, **more: Any) -> Cut:
    return Cut(op, LINE, LINE, **more)


def said(check: Check, *inputs: Cropped) -> list[Said]:
    return list(check.judge(Padding(inputs)))


def found(check: Check, *inputs: Cropped) -> list[Finding]:
    return [each for each in said(check, *inputs) if isinstance(each, Finding)]


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("softmax", "also attends"),
        ("mean", "averages over padding"),
        ("__getitem__", "takes the last position"),
        ("amax", "brings padding in"),
    ],
)
def test_a_leak_is_told_by_what_brings_it_in(op: str, words: str) -> None:
    (finding,) = found(padding_leak, replace(SEEN, cut=at(op)))
    assert words in finding.message and "20.0%" in finding.message
    assert finding.cause == LINE


def test_the_last_state_of_a_recurrent_layer_is_told_apart() -> None:
    (finding,) = found(padding_leak, replace(SEEN, cut=at("lstm", states=True)))
    assert "runs on over the padding" in finding.message
    assert "pack" in finding.hint


@pytest.mark.parametrize("op", ["conv1d", "max_pool1d"])
def test_what_reaches_over_the_border_is_no_leak(op: str) -> None:
    (only,) = said(padding_leak, replace(SEEN, cut=at(op)))
    assert isinstance(only, NotApplicable) and "border" in only.reason


def test_where_only_a_token_shows_the_padding_fewer_things_are_told() -> None:
    untold = replace(SEEN, padded=replace(IDS, told=()))
    assert found(padding_leak, replace(untold, cut=at("softmax")))
    assert not found(padding_leak, replace(untold, cut=at("amax")))
    assert not found(padding_leak, replace(untold, cut=at("lstm")))


def test_without_an_operation_or_a_reader_of_the_mask_nothing_is_told() -> None:
    assert not found(padding_leak, SEEN)
    assert not found(padding_leak, replace(SEEN, cut=at("softmax"), ignored=("mask",)))


def test_each_fault_is_told_by_one_check() -> None:
    blind = replace(SEEN, cut=at("softmax"), blind=at("softmax"))
    amount = replace(SEEN, leaks=False, cut=at("mean"))
    checks = (padding_leak, padded_mismatch, inverted_mask)
    assert [len(found(check, blind)) for check in checks] == [0, 0, 1]
    assert [len(found(check, amount)) for check in checks] == [0, 1, 0]
    assert [len(found(check, replace(SEEN, cut=at("softmax")))) for check in checks] == [1, 0, 0]
    assert [len(said(check, replace(SEEN, apart=0.0, leaks=False))) for check in checks] == [0, 0, 0]


def test_an_inverted_mask_is_certain_only_where_the_model_is_told() -> None:
    blind = replace(SEEN, blind=at("softmax"))
    assert found(inverted_mask, blind)[0].severity is None
    assert found(inverted_mask, replace(blind, installed=True))[0].severity is Severity.SUSPICION
    assert found(inverted_mask, replace(blind, padded=replace(IDS, told=())))[0].severity is Severity.SUSPICION


def test_what_was_skipped_is_not_applicable() -> None:
    skipped = Cropped("net", skipped="it draws random numbers")
    for check in (padding_leak, padded_mismatch, inverted_mask):
        assert [type(each) for each in said(check, skipped)] == [NotApplicable]
    assert [type(each) for each in padded_loss.judge(PaddedLoss((Shared("net", "no batch"),)))] == [NotApplicable]


def test_a_loss_divided_by_all_positions_is_told_from_one_that_counts_them() -> None:
    def of(after: float) -> str:
        shared = Shared("net", "", 8, 5, 1.0, after, True, IDS, "mean", LINE)
        (finding,) = padded_loss.judge(PaddedLoss((shared,)))
        assert isinstance(finding, Finding) and finding.cause == LINE
        return finding.message

    assert "`mean` divides by" in of(1.6)
    assert "`mean` counts" in of(1.3)


# ── which positions are padding ────────────────────────────────────────────────────────────────────────────────────
LENGTHS = torch.tensor([6, 3, 5, 4])
REAL = torch.arange(6) < LENGTHS[:, None]


class Net(nn.Module):
    def __init__(self, padding_idx: int | None = None) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 4, padding_idx=padding_idx)
        self.out = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, *more: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        h = x if x.is_floating_point() else self.embed(x)
        return self.out(h).mean(1) + sum(each.sum() * 0 for each in named.values())


def inferred(model: nn.Module, x: torch.Tensor, **named: torch.Tensor) -> tuple[Padded, ...]:
    def training() -> smokestep.Training:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(batch: Any) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(batch[0], **batch[1]), torch.arange(len(batch[0])) % 2).backward()
            optimizer.step()

        return smokestep.Training(step, (x, named))

    with privacy.guard(), open_world(training, seed=0, steps=1) as world:
        found: Callable[[Any], Any] = _gathering(world, {})
        return found(Paddings).found  # type: ignore[no-any-return]


def ids() -> torch.Tensor:
    return torch.randint(1, 12, REAL.shape) * REAL


def features() -> torch.Tensor:
    return torch.randn(4, 6, 4) * REAL[:, :, None]


@pytest.mark.parametrize(
    "named",
    [
        {"attention_mask": REAL.long()},
        {"key_padding_mask": ~REAL},
        {"mask": REAL},
        {"mask": ~REAL},  # its name says nothing, the padded entries do
        {"mask": REAL.float()[:, None, None, :]},
        {"lengths": LENGTHS},
        {"x_lens": LENGTHS},
    ],
)
@pytest.mark.parametrize("content", [ids, features])
def test_padding_is_read_from_masks_and_lengths(content: Callable[[], torch.Tensor], named: Any) -> None:
    (padded,) = inferred(Net(), content(), **named)
    assert padded.lengths == (6, 3, 5, 4) and not padded.left
    assert padded.told == tuple(named)
    assert padded.contents == (Layout("x", 0, 1),)


def test_padding_is_read_from_the_token_of_an_embedding() -> None:
    (padded,) = inferred(Net(padding_idx=0), ids())
    assert (padded.lengths, padded.token, padded.told) == ((6, 3, 5, 4), 0.0, ())
    (padded,) = inferred(Net(padding_idx=0), ids().flip(1))
    assert padded.left and padded.real(1) == (3, 4, 5)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (torch.randn(4, 6, 4), {"mask": REAL}),  # neither the name nor the entries say which side is padding
        (torch.randn(4, 6, 4), {"mask": torch.rand(4, 6) < 0.5}),
        (torch.randn(4, 6, 4) * (torch.arange(6) < 4)[:, None], {"mask": (torch.arange(6) < 4).expand(4, 6)}),
        (torch.randn(4, 6, 4), {"lengths": LENGTHS - 1}),  # none is as long as the sequences are
        (torch.randn(4, 6, 4), {}),
        (torch.randint(0, 12, (4, 6)), {}),
    ],
)
def test_in_doubt_nothing_is_padding(content: torch.Tensor, named: Any) -> None:
    assert inferred(Net(), content, **named) == ()


def test_a_padding_token_within_a_sequence_is_a_token() -> None:
    held = ids()
    held[0, 2] = 0
    assert inferred(Net(padding_idx=0), held) == ()
