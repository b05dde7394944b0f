"""The lab of the JAX backend on sequences: shifted targets, loops over time, shorter runs beside longer ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("jax")
pytest.importorskip("optax")

import jax
import jax.numpy as jnp
import optax

import smokestep
from smokestep.backends.jax import open_world
from smokestep.evidence.trials import Other, Take

NUDGE = Other("batch['ids']", ((0, (0,)), (1, (4,))))


def recurrent(sized: int | None = None) -> smokestep.Training:
    """A language model by a scan over time, of ids [3, 9]; with `sized` it writes the number of samples into a view."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "embed": jax.random.normal(keys[0], (12, 6)),
        "w": jax.random.normal(keys[1], (6, 6)) * 0.4,
        "head": jax.random.normal(keys[2], (6, 12)),
    }
    optimizer = optax.sgd(0.1)

    def forward(params: Any, ids: Any) -> Any:
        def cell(h: Any, x: Any) -> Any:
            h = jnp.tanh(x + h @ params["w"])
            return h, h

        x = params["embed"][ids].swapaxes(0, 1)
        hidden = jax.lax.scan(cell, jnp.zeros(x.shape[1:]), x)[1].swapaxes(0, 1)
        return (hidden if sized is None else hidden.reshape(sized, -1, 6)) @ params["head"]

    def loss_fn(params: Any, batch: Any) -> Any:
        logits = forward(params, batch["ids"])[:, :-1]
        flat = jax.nn.log_softmax(logits).reshape(-1, 12)
        losses = optax.softmax_cross_entropy_with_integer_labels(flat, batch["ids"][:, 1:].reshape(-1))
        return (losses * batch["weights"][:, 1:].reshape(-1)).mean()

    @jax.jit
    def step(params: Any, opt_state: Any, batch: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    batch = {"ids": jax.random.randint(jax.random.key(1), (3, 9), 0, 12), "weights": jnp.ones((3, 9)).at[1, 5:].set(0)}
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


@pytest.fixture(scope="module")
def lab() -> Iterator[Any]:
    with open_world(recurrent, seed=0, steps=1) as world:
        yield world.lab()


def test_a_target_that_is_the_next_token_is_found(lab: Any) -> None:
    (found,) = lab.aligned()
    assert (found.argument, found.time, found.samples, found.shift) == ("batch['ids']", 1, 0, 1)
    assert (found.start, found.made, found.length, found.rows) == (0, 9, 9, 8)
    assert found.compared == 8 + 4 + 8  # what is weighed by zero does not count


def test_rows_are_compared_where_the_prediction_was_made(lab: Any) -> None:
    (found,) = lab.aligned()
    one, other = (lab.run(0, edits, losses=True) for edits in ([], [NUDGE]))
    got = lab.apart(found, one, other, sample=0, samples=3)
    assert got is not None and got[0].beyond(0) == (4, 5, 6, 7, 8) and not got[1]
    got = lab.apart(found, one, other, sample=1, samples=3)
    assert got is not None and got[0].beyond(0) == () and got[1]


def test_a_loop_over_time_is_one_operation(lab: Any) -> None:
    touches = lab.trail(0, [], [NUDGE])
    (loop,) = (each for each in touches if each.name == "rnn_tanh")
    assert loop.reads[0].indices[0] == (4,)
    assert loop.makes[0].indices[0] == (4, 5, 6, 7, 8)
    assert touches[0].name == "embedding"


def test_shorter_sequences_are_laid_beside_longer_ones(lab: Any) -> None:
    shorter = [Take(("batch['ids']",), 1, (0, 1, 2, 3, 4))]
    touches = lab.beside(0, shorter, [], size=9, kept=(0, 1, 2, 3, 4), by=1e4)
    assert [each.name for each in touches] == ["__getitem__"]  # it leaves out another last position
    other = [Other("batch['ids']", ((1, (2,)),))]
    touches = lab.beside(0, shorter, other, size=9, kept=(0, 1, 2, 3, 4), by=1e4)
    assert [each.name for each in touches][:2] == ["embedding", "permute"]


def test_the_view_of_a_program_that_fails_is_told() -> None:
    few = [Take(("batch['ids']",), 0, (0, 1))]
    with open_world(lambda: recurrent(3), seed=0, steps=1) as world:
        lab = world.lab()
        assert lab.run(0, few).error
        touches = lab.trail(0, few, [*few, NUDGE])
    assert [each.makes[0].shape for each in touches if each.name == "reshape"][0][0] == 3
