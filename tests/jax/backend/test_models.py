"""What is told of models and dropouts, and that nothing of the libraries is left changed by it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("jax")
pytest.importorskip("flax")
pytest.importorskip("equinox")
pytest.importorskip("optax")

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep
from smokestep.backends.jax import open_world


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first, self.last = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x: Any, scale: Any = None) -> Any:
        return self.last(self.drop(nnx.relu(self.first(x))))

    def features(self, x: Any) -> Any:
        return nnx.relu(self.first(x))


class Eqx(eqx.Module):
    inner: eqx.nn.Linear

    def __call__(self, x: Any) -> Any:
        return self.inner(x)


def batch() -> tuple[Any, Any]:
    return jax.random.normal(jax.random.key(0), (8, 4)), jnp.arange(8) % 3


def entropy(logits: Any, y: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def of_nnx(loss_fn: Any = lambda model, batch: entropy(model(batch[0]), batch[1])) -> smokestep.Training:
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model: Any, optimizer: Any, batch: Any) -> Any:
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, batch(), state=(model, optimizer))


def of_eqx() -> smokestep.Training:
    model = Eqx(eqx.nn.Linear(4, 3, key=jax.random.key(1)))

    @eqx.filter_jit
    def step(model: Any, batch: Any) -> Any:
        x, y = batch
        loss, grads = eqx.filter_value_and_grad(lambda model: entropy(jax.vmap(model)(x), y))(model)
        return eqx.apply_updates(model, jax.tree.map(lambda g: -0.1 * g, grads)), loss

    return smokestep.Training(step, batch(), state=model)


def recorded(factory: Any) -> Any:
    with open_world(factory, seed=0, steps=2) as world:
        recording = world.recording()
        assert world.raised() is None
    return recording


def test_a_module_is_told_with_its_arguments() -> None:
    (call,) = recorded(of_nnx).called.graphs[0].calls
    assert (call.model, [name for name, _ in call.inputs], call.grad, call.varied) == ("Net", ["x"], True, True)
    assert call.definition.code == "def __call__(self, x: Any, scale: Any = None) -> Any:"
    assert not call.installed and call.spread[0] > 0


def test_a_mapped_module_is_given_the_whole_batch() -> None:
    graph = recorded(of_eqx).called.graphs[0]
    (call,) = graph.calls
    assert [graph.values[value].shape for _, value in call.inputs] == [(8, 4)]
    assert [graph.values[value].shape for value in call.outputs] == [(8, 3)]


def test_the_calls_of_the_flow_are_those_that_are_tried() -> None:
    recording = recorded(of_nnx)
    assert [call.model for call in recording.flow.graphs[0].calls] == [""]


def test_a_method_is_no_call_and_hides_its_layers() -> None:
    def loss_fn(model: Any, batch: Any) -> Any:
        return entropy(model.features(batch[0])[:, :3], batch[1])

    (call,) = recorded(lambda: of_nnx(loss_fn)).called.graphs[0].calls
    assert call.model == "the model"


def test_a_dropout_is_told_with_its_place_and_its_mode() -> None:
    modes = recorded(of_nnx).modes
    assert [(each.path, each.probability) for each in modes.layers if each.kind == "dropout"] == [("Net.drop", 0.5)]
    assert modes.habit("Net.drop") == "train" and modes.habit("Net") == "train"


def test_a_dropout_that_is_off_is_told_too() -> None:
    def loss_fn(model: Any, batch: Any) -> Any:
        model.eval()
        return entropy(model(batch[0]), batch[1])

    modes = recorded(lambda: of_nnx(loss_fn)).modes
    assert modes.habit("Net") == "eval"
    assert modes.switch("Net", False).code == "model.eval()"


def test_classes_are_as_they_were() -> None:
    kinds = (Net, Eqx, nnx.Linear, nnx.Dropout, nnx.Sequential, eqx.nn.Linear, eqx.nn.Dropout)
    before = [(kind, dict(vars(kind))) for kind in (*kinds, nnx.Module, nn.Dense)]
    recorded(of_nnx)
    recorded(of_eqx)
    for kind, own in before:
        assert {name: own[name] for name in ("__call__", "eval", "features") if name in own} == {
            name: vars(kind)[name] for name in ("__call__", "eval", "features") if name in vars(kind)
        }


def test_no_note_is_left_in_what_is_traced_later() -> None:
    model = Net(nnx.Rngs(0))
    model.eval()

    @jax.jit
    def predict(x: Any) -> Any:
        return model(x)

    def loss_fn(other: Any, batch: Any) -> Any:
        return entropy(other(batch[0]) + 0.0 * predict(batch[0]), batch[1])

    recorded(lambda: of_nnx(loss_fn))
    assert "smokestep" not in str(jax.make_jaxpr(predict)(batch()[0]))


def test_what_a_step_raises_inside_of_a_model_is_its_own() -> None:
    class Broken(nnx.Module):
        def __call__(self, x: Any) -> Any:
            raise ValueError("mine")

    broken = Broken()
    with open_world(lambda: smokestep.Training(lambda batch: broken(batch[0]), batch()), seed=0, steps=1) as world:
        world.recording()
        assert str(world.raised()) == "mine"
    with pytest.raises(ValueError, match="mine"):
        broken(batch()[0])
