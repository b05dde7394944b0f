"""Cross-entropies written by hand: which are recognised as what, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import smokestep
from smokestep.backends.jax import open_world
from smokestep.evidence.losses import LossCall

X, LABELS = jax.random.normal(jax.random.key(0), (6, 4)), jnp.array([0, 2, 1, 1, 0, 2])
RETURNS = jnp.array([1.0, -0.5, 0.3, 0.0, 2.0, -1.0])


def picked(scores: Any, labels: Any) -> Any:
    return jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], axis=-1)[:, 0]


def one_hot(scores: Any, labels: Any) -> Any:
    return jnp.sum(jax.nn.one_hot(labels, 3) * jax.nn.log_softmax(scores), axis=-1)


def calls(loss: Callable[[Any, Any], Any]) -> tuple[LossCall, ...]:
    def step(w: Any, batch: Any) -> Any:
        value, gradient = jax.value_and_grad(lambda w: loss(batch[0] @ w, batch[1]))(w)
        return w - 0.1 * gradient, value

    w = jax.random.normal(jax.random.key(1), (4, 3))
    with open_world(smokestep.Training(step, (X, LABELS), state=w), seed=0, steps=1) as world:
        return world.recording().losses.calls


@pytest.mark.parametrize(
    ("loss", "reduction"),
    [
        (lambda z, y: -picked(z, y).mean(), "mean"),
        (lambda z, y: jnp.mean(-picked(z, y)), "mean"),
        (lambda z, y: -one_hot(z, y).mean(), "mean"),
        (lambda z, y: -jnp.sum(one_hot(z, y)), "sum"),
        (lambda z, y: -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(6), y]), "mean"),
        (lambda z, y: jax.vmap(lambda a, b: -jax.nn.log_softmax(a)[b])(z, y).mean(), "mean"),
    ],
)
def test_a_cross_entropy_by_hand(loss: Any, reduction: str) -> None:
    (call,) = calls(loss)
    plain = optax.softmax_cross_entropy_with_integer_labels(X @ jax.random.normal(jax.random.key(1), (4, 3)), LABELS)
    assert (call.name, call.reduction, call.classes, call.class_dim, call.sign) == ("nll_loss", reduction, 3, 1, 1)
    assert call.prediction.maker == "log_softmax" and call.target is not None
    assert call.loss == pytest.approx(float(plain.mean() if reduction == "mean" else plain.sum()), rel=1e-4)


def test_scores_less_their_logsumexp() -> None:
    (call,) = calls(lambda z, y: -jnp.mean((z - jax.nn.logsumexp(z, 1, keepdims=True))[jnp.arange(6), y]))
    assert (call.name, call.prediction.maker, call.classes) == ("cross_entropy", "matmul", 3)


@pytest.mark.parametrize(
    "loss",
    [
        lambda z, y: -jnp.mean(picked(z, y) * RETURNS),  # a policy's gradient
        lambda z, y: -jnp.mean(one_hot(z, y) * RETURNS),
        lambda z, y: -jnp.sum(picked(z, y)) * RETURNS[0],
        lambda z, y: jnp.mean(jnp.sum(jax.nn.softmax(z) * jax.nn.log_softmax(z), axis=-1)),  # its entropy
        lambda z, y: -jnp.mean(jnp.sum((0.9 * jax.nn.one_hot(y, 3) + 0.1 / 3) * jax.nn.log_softmax(z), axis=-1)),
        lambda z, y: -jnp.mean(jnp.sum(jax.nn.softmax(X[:, :3]) * jax.nn.log_softmax(z), axis=-1)),  # a teacher
        lambda z, y: -jnp.sum(picked(z, y) * (y > 0)) / jnp.sum(y > 0),  # a mask
        lambda z, y: picked(z, y).mean(),  # its sign is wrong, which is told of itself
        lambda z, y: -jax.nn.log_softmax(z)[:, 0].mean(),  # no labels
    ],
)
def test_what_only_looks_like_one(loss: Any) -> None:
    assert calls(loss) == ()
