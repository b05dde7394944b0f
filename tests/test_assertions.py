"""`trains` and `untouched` say which tensor broke the assertion, and how."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import smokestep
from smokestep import TrainingDefect


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(2, 1)


def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def test_a_trained_module_passes(layer):
    with smokestep.trains(layer):
        update(torch.optim.SGD(layer.parameters(), 0.1), layer(torch.ones(3, 2)).sum())


def test_a_parameter_that_did_not_move_is_named(layer):
    with pytest.raises(TrainingDefect, match=r"layer.bias did not move, though its gradient reaches 3"):
        with smokestep.trains(layer):
            update(torch.optim.SGD([layer.weight], 0.1), layer(torch.ones(3, 2)).sum())


def test_a_parameter_without_a_gradient_is_named(layer):
    with pytest.raises(TrainingDefect, match=r"layer.bias did not move: no gradient reached it"):
        with smokestep.trains(layer):
            update(torch.optim.SGD(layer.parameters(), 0.1), layer.weight.sum())


def test_weight_decay_alone_does_not_train(layer):
    optimizer = torch.optim.AdamW(layer.parameters(), weight_decay=0.5)
    with pytest.raises(TrainingDefect, match=r"layer.bias moved by .* without a gradient"):
        with smokestep.trains(layer):
            optimizer.zero_grad()
            (layer.weight.sum() + 0 * layer.bias.sum()).backward()
            optimizer.step()


def test_a_frozen_parameter_is_named(layer):
    layer.bias.requires_grad_(False)
    with pytest.raises(TrainingDefect, match="layer.bias is frozen"):
        with smokestep.trains(layer):
            update(torch.optim.SGD([layer.weight], 0.1), layer(torch.ones(3, 2)).sum())


def test_a_manual_update_trains(layer):
    with smokestep.trains(layer), torch.no_grad():
        layer.weight.add_(1)
        layer.bias.add_(1)


def test_what_moved_is_named_with_how_far(layer):
    with pytest.raises(TrainingDefect, match=r"layer.bias moved by 0.5"):
        with smokestep.untouched(layer), torch.no_grad():
            layer.bias.add_(0.5)


def test_buffers_must_be_untouched():
    model = nn.Module()
    model.register_buffer("code", torch.zeros(2))
    with pytest.raises(TrainingDefect, match=r"model.code moved by 1"):
        with smokestep.untouched(model):
            model.code.add_(1)


def test_running_statistics_may_move():
    norm = nn.BatchNorm1d(2)
    with smokestep.untouched(norm):
        norm(torch.randn(4, 2))


def test_gradients_may_arrive_in_what_is_untouched(layer):
    with smokestep.untouched(layer):
        layer(torch.ones(1, 2)).sum().backward()


def test_several_things_and_kinds(layer):
    other = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    with smokestep.trains(optimizer, [layer.weight, layer.bias]), smokestep.untouched(other, other.weight):
        update(optimizer, (layer(torch.ones(3, 2)) + other(torch.ones(3, 2))).sum())


def test_an_exception_of_the_block_goes_on(layer):
    with pytest.raises(ZeroDivisionError), smokestep.trains(layer):
        1 / 0  # noqa: B018


def test_no_hook_stays_behind(layer):
    with pytest.raises(TrainingDefect), smokestep.trains(layer):
        pass
    assert not layer.weight._post_accumulate_grad_hooks


def test_the_report_holds_the_line_of_the_assertion(layer):
    with pytest.raises(TrainingDefect) as caught, smokestep.trains(layer):
        pass
    (finding,) = caught.value.report.findings
    assert finding.where.file == __file__ and finding.subjects == ("layer.weight", "layer.bias")


def test_nothing_to_assert_is_refused():
    with pytest.raises(TypeError, match="at least one"):
        smokestep.trains()


def test_a_wrong_kind_is_refused():
    with pytest.raises(TypeError, match="got int"), smokestep.trains(3):
        pass
