"""A bare Training runs on the user's own objects: afterwards each of them must be what it was, bit for bit."""

from __future__ import annotations

import copy
import random
from collections import OrderedDict, defaultdict, deque

import numpy
import pytest
import torch
from torch import nn

import smokestep
from smokestep.backends.torch.snapshot import differences, preserved, restore, snapshot

calls = 0


def run(change, *roots):
    """Run `change` on a preserved world that `roots` reach; nothing may differ after."""
    with preserved(*roots) as changes:
        change()
    assert changes.names == ()


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def test_a_whole_training_step_leaves_no_trace():
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    before, states = copy.deepcopy(model.state_dict()), copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    parameters = list(model.parameters())

    def step(batch):
        optimizer.zero_grad()
        model.eval().train()
        model(batch).sum().backward()
        optimizer.step()
        scheduler.step()

    batch = torch.randn(4, 2)
    run(lambda: step(batch), smokestep.Training(step, batch))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (optimizer.state_dict(), scheduler.state_dict()) == states
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    assert all(parameter.grad is None for parameter in parameters)


def test_a_gradient_is_put_back_in_place():
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.full((2,), 7.0)
    held = weight.grad

    def change():
        (weight * 2).sum().backward()

    run(change, weight)
    assert weight.grad is held and held.tolist() == [7.0, 7.0]


def test_a_replaced_gradient_is_put_back():
    weight = torch.ones(2, requires_grad=True)
    weight.grad = held = torch.zeros(2)

    def change():
        weight.grad = None

    run(change, weight)
    assert weight.grad is held


def test_requires_grad_is_put_back():
    model = net()
    run(lambda: model.requires_grad_(False), model)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_training_flags_are_put_back():
    model = net()
    model[1].eval()
    run(lambda: model.train(), model)
    assert model.training and not model[1].training


def test_a_non_persistent_buffer_is_put_back():
    model = net()
    model.register_buffer("seen", torch.zeros(1), persistent=False)
    run(lambda: model.seen.add_(1), model)
    assert model.seen.item() == 0


def test_a_replaced_parameter_is_the_same_object_again():
    model = net()
    weight = model[0].weight

    def change():
        model[0].weight = nn.Parameter(torch.zeros(3, 2))

    run(change, model)
    assert model[0].weight is weight


def test_a_converted_model_has_its_type_and_storage_again():
    model = net()
    weight, place = model[0].weight, model[0].weight.data_ptr()
    run(lambda: model.double(), model)
    assert weight.dtype is torch.float32 and weight.data_ptr() == place


def test_a_plain_attribute_of_a_module_is_put_back():
    model = net()
    model.note, model.hidden = "old", torch.zeros(2)

    def change():
        model.note = "new"
        model.hidden = torch.ones(2)
        model.more = 1

    run(change, model)
    assert model.note == "old" and model.hidden.tolist() == [0, 0] and not hasattr(model, "more")


def test_a_hook_added_by_the_step_is_gone():
    model = net()
    run(lambda: model.register_forward_hook(lambda *_: None), model)
    assert not model._forward_hooks


def test_a_tensor_with_nan_is_as_it_was():
    weight = torch.tensor([float("nan"), 1.0])
    run(lambda: weight.zero_(), weight)
    assert weight[0].isnan() and weight[1] == 1


def test_minus_zero_differs_from_zero():
    weight = torch.zeros(1)
    before = snapshot({"weight": weight})
    weight.neg_()
    assert differences(before) == ("weight",)


def test_an_expanded_tensor_is_put_back():
    weight = torch.ones(1, 2)
    wide = weight.expand(3, 2)
    run(lambda: weight.zero_(), wide)
    assert wide.tolist() == [[1.0, 1.0]] * 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.complex64, torch.bool, torch.int8])
def test_every_kind_of_number_is_compared_by_its_bits(dtype):
    values = torch.ones(2, dtype=dtype)
    run(lambda: values.zero_(), values)
    assert values.tolist() == torch.ones(2, dtype=dtype).tolist()


def test_a_nonlocal_counter_is_put_back():
    count = 0

    def step():
        nonlocal count
        count += 1

    run(step, smokestep.Training(step))
    assert count == 0


def test_a_global_counter_is_put_back():
    def step():
        global calls
        calls += 1

    run(step, smokestep.Training(step))
    assert calls == 0


def test_lists_dicts_and_sets_of_a_closure_are_put_back():
    history, best, seen = [1.0], {"loss": 2.0}, {3}

    def step():
        history.append(0.0)
        best.update(loss=0.0, step=1)
        seen.clear()

    run(step, smokestep.Training(step))
    assert (history, best, seen) == ([1.0], {"loss": 2.0}, {3})


def test_attributes_of_a_trainer_and_its_model_are_put_back():
    class Trainer:
        def __init__(self):
            self.model, self.count = net(), 0

        def step(self):
            self.count += 1
            with torch.no_grad():
                self.model[0].weight.zero_()

    trainer = Trainer()
    run(trainer.step, smokestep.Training(trainer.step))
    assert trainer.count == 0 and trainer.model[0].weight.abs().sum() > 0


def test_slots_are_put_back():
    class State:
        __slots__ = ("count", "late")

        def __init__(self):
            self.count = 0

    state = State()

    def step():
        state.count, state.late = 1, 2

    run(step, smokestep.Training(step))
    assert state.count == 0 and not hasattr(state, "late")


def test_a_function_called_by_the_step_is_followed():
    model = net()

    def inner():
        with torch.no_grad():
            model[0].weight.zero_()

    def step():
        inner()

    run(step, smokestep.Training(step))
    assert model[0].weight.abs().sum() > 0


def test_private_generators_are_put_back():
    generators = torch.Generator(), random.Random(0), numpy.random.default_rng(0), numpy.random.RandomState(0)
    firsts = [copy.deepcopy(each) for each in generators[1:]]
    state = generators[0].get_state()

    def step():
        torch.rand(1, generator=generators[0])
        generators[1].random(), generators[2].random(), generators[3].random_sample()

    run(step, smokestep.Training(step))
    assert torch.equal(generators[0].get_state(), state)
    assert generators[1].random() == firsts[0].random()
    assert generators[2].random() == firsts[1].random()
    assert generators[3].random_sample() == firsts[2].random_sample()


def test_a_numpy_array_is_put_back():
    values = numpy.ones(3)

    def step():
        values[:] = 0

    run(step, smokestep.Training(step))
    assert values.tolist() == [1, 1, 1]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_everything_is_put_back_when_the_step_raises(raised):
    weight = torch.ones(2)
    with pytest.raises(raised), preserved(weight):
        weight.zero_()
        raise raised
    assert weight.tolist() == [1, 1]


def test_what_cannot_be_put_back_is_named():
    def numbers():
        yield 1
        yield 2

    iterator = numbers()

    def step():
        next(iterator)

    with preserved(smokestep.Training(step)) as changes:
        step()
    assert changes.names == ("iterator",)


def test_a_materialised_lazy_parameter_is_named():
    model = nn.LazyLinear(2)
    with preserved(model) as changes:
        model(torch.ones(1, 3))
    assert "weight" in changes.names


def test_a_parameter_is_called_by_its_path_in_the_model():
    model = net()

    def step():
        model(None)

    before = snapshot({})
    with preserved(smokestep.Training(step)) as changes:
        pass
    restore(before)
    from smokestep.backends.torch.reach import reachable

    assert changes.names == () and reachable(smokestep.Training(step))["model.0.weight"] is model[0].weight


def test_a_large_dataset_is_watched_and_not_copied(monkeypatch):
    from smokestep.backends.torch import snapshot as module

    monkeypatch.setattr(module, "_WATCHED", 8)
    images = torch.ones(100)
    before = snapshot({"images": images})
    assert differences(before) == ()
    images[0] = 0
    restore(before)
    assert differences(before) == ("images",)


def test_containers_of_every_kind_are_put_back():
    class Picky(OrderedDict):
        def update(self, *arguments):
            raise TypeError("not allowed")

    things = [deque([1]), bytearray(b"a"), Picky(a=1), defaultdict(list, a=[1]), {torch.ones(1): 1}]
    before = [list(each.items()) if isinstance(each, dict) else list(each) for each in things]

    def step():
        things[0].append(2), things[1].extend(b"b"), things[3]["b"].append(1), things[4].clear()
        things[2]["b"] = 2

    run(step, smokestep.Training(step))
    after = [list(each.items()) if isinstance(each, dict) else list(each) for each in things]
    assert after == before


def test_an_object_that_refuses_to_be_read_is_left_alone():
    class Closed(torch.Tensor):
        @property
        def data(self):
            raise RuntimeError("no")

    weight, closed = torch.ones(1), torch.ones(1).as_subclass(Closed)
    run(lambda: weight.zero_(), [weight, closed])
    assert weight.item() == 1
