"""A training that cannot be run is refused where it is written, in words that say what to write instead."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import pytest

from smokestep import Training


def one(batch):
    pass


def none():
    pass


class Model:
    def parameters(self):
        return iter(())

    def __call__(self, batch):
        pass


def empty(*shape):
    return SimpleNamespace(shape=shape)


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((None,), {}, "step must be a function that does one training step, got a NoneType"),
        ((Model(), 1), {}, "got the model a Model; for plain parts call verify"),
        (({},), {}, "empty mapping"),
        (({1: none},), {}, "non-empty strings, got 1"),
        (({"g": 3},), {}, "step 'g' must be a function"),
        ((one,), {}, r"step is called with nothing, as no batch was given, but its signature is \(batch\)"),
        ((none, 1), {}, r"step is called with the batch, but its signature is \(\)"),
        ((one, ()), {}, "the batch is empty"),
        ((one, {}), {}, "the batch is empty"),
        ((one, empty(0, 3)), {}, r"the batch is empty \(\[\(0, 3\)\]\)"),
        ((one, (empty(0, 3), empty(0))), {}, "the batch is empty"),
        ((none,), {"loss": 3}, "loss must be a function, got an int"),
        ((none,), {"forward": 3}, "forward must be a function"),
        ((none,), {"model": [1]}, "one model or a mapping by name, got a list"),
        ((none,), {"task": "ranking"}, "task must be one of 'classification'.*got 'ranking'"),
        ((none,), {"trains": {"d": "a"}}, r"trains names the steps \['d'\]; the steps are: only one"),
        (({"g": none, "d": none},), {"trains": {"h": "a"}}, "the steps are: 'g', 'd'"),
        (({"g": none, "d": none},), {"trains": "a"}, r"mapping by step name \(g, d\)"),
        ((none,), {"output_range": (1, 0)}, "low < high"),
        ((none,), {"output_range": (1, 2, 3)}, "must be .low, high."),
        ((none,), {"output_range": 3}, "must be .low, high."),
    ],
)
def test_a_wrong_training_is_refused(arguments, keywords, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Training(*arguments, **keywords)


def test_a_coroutine_is_refused():
    async def step():
        pass

    with pytest.raises(TypeError, match="coroutine or generator"):
        Training(step)


def test_none_can_be_a_batch():
    assert Training(one, None).has_batch and not Training(none).has_batch


def test_a_batch_with_one_empty_part_is_no_empty_batch():
    assert Training(one, (empty(4, 3), empty(0))).has_batch


@pytest.mark.parametrize("step", [functools.partial(one, batch=1), Model().__call__, print])
def test_any_callable_is_a_step(step):
    assert Training(step, *([] if isinstance(step, functools.partial) else [1])).steps == {"": step}


def test_single_parts_have_the_empty_name():
    training = Training(none, model="m", optimizer={"adam": "o"})
    assert (training.model, training.optimizer) == ({"": "m"}, {"adam": "o"})


def test_roles_are_kept_by_step():
    assert Training(none, trains="a", untouched=["b", "c"]).untouched == {"": ("b", "c")}
    steps = {"g": none, "d": none}
    assert Training(steps, trains={"g": "x"}).trains == {"g": ("x",)}
    assert Training(steps, untouched=iter("yz")).untouched == {"g": ("y", "z"), "d": ("y", "z")}


def test_ranges_are_one_or_one_for_each_output():
    assert Training(none, output_range=(0, None)).output_range == (0, None)
    assert Training(none, output_range=[(0, 1), (None, None)]).output_range == [(0, 1), (None, None)]


def test_a_training_is_frozen():
    with pytest.raises(AttributeError):
        Training(none).batch = 1


def test_a_state_is_handed_over_whole():
    training = Training(lambda state, batch: state, 7, state={"w": 1})
    assert training.arguments(training.steps[""]) == ({"w": 1}, 7)


def test_a_tuple_is_handed_over_element_by_element_where_the_step_asks_for_it():
    training = Training(lambda params, moments, batch: params, 7, state=(1, 2))
    assert training.arguments(training.steps[""], (3, 4)) == (3, 4, 7)


def test_a_state_needs_no_batch():
    training = Training(lambda params, moments: params, state=(1, 2))
    assert training.arguments(training.steps[""]) == (1, 2)


def test_a_step_that_takes_no_state_is_refused():
    with pytest.raises(TypeError, match="is called with the state"):
        Training(lambda batch: None, 7, state={"w": 1})
