"""The branch that a `cond` takes is seen, operation by operation; what other branches do is no fault of anything."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.sharding import AxisType, PartitionSpec

import smokestep
from smokestep.backends.jax import open_world
from smokestep.backends.jax.branches import otherwise
from smokestep.backends.jax.sketch import sketch
from smokestep.backends.jax.variants import MOST, Program

INPUTS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
TARGETS = INPUTS[:, :1] * 2
WIRING = ["gradient-cut", "unused-layer", "zero-gradient", "nothing-trains", "unread-field"]


def params():
    first, second, third = jax.random.split(jax.random.key(0), 3)
    return {
        "first": jax.random.normal(first, (3, 4)),
        "other": jax.random.normal(second, (4, 4)),
        "last": jax.random.normal(third, (4, 1)),
    }


def training(middle, compiled=True):
    """The gradient of a loss with something in its middle: `middle(hidden, params, count)`."""
    tx = optax.adam(1e-2)

    def loss_of(params, count, inputs, targets):
        hidden = jnp.tanh(inputs @ params["first"])
        return jnp.mean((middle(hidden, params, count) @ params["last"] - targets) ** 2)

    def step(params, opt_state, count, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, count, *batch)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, count + 1, loss

    state = params(), tx.init(params()), jnp.zeros((), jnp.int32)
    return smokestep.Training(jax.jit(step) if compiled else step, (INPUTS, TARGETS), state=state)


def stopped(hidden):
    return lax.stop_gradient(jnp.tanh(hidden))  # the line that is told


def through_jit(hidden, params, count):
    return jax.jit(stopped)(hidden)


def through_scan(hidden, params, count):
    return lax.scan(lambda hidden, _: (stopped(hidden), None), hidden, None, length=2)[0]


def through_cond(hidden, params, count):
    return lax.cond(count < 100, stopped, lambda hidden: 2 * stopped(hidden), hidden)


def through_remat(hidden, params, count):
    return jax.checkpoint(stopped)(hidden)


def through_custom_vjp(hidden, params, count):
    @jax.custom_vjp
    def double(hidden):
        return 2 * hidden

    double.defvjp(lambda hidden: (2 * hidden, None), lambda _, slope: (2 * slope,))
    return double(stopped(hidden))


def through_vmap(hidden, params, count):
    return jax.vmap(stopped)(hidden)


def through_shard_map(hidden, params, count):
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("rows")
    return jax.shard_map(lambda each: stopped(each), mesh=mesh, in_specs=spec, out_specs=spec)(hidden)


THROUGH = [
    through_jit,
    through_scan,
    through_cond,
    through_remat,
    through_custom_vjp,
    through_vmap,
    through_shard_map,
]


@pytest.mark.parametrize("middle", THROUGH)
def test_a_stopped_gradient_is_told_through(middle):
    report = smokestep.examine(training(middle), select=["gradient-cut"])
    assert report.error is None
    assert [(each.check, each.where.path, each.severity.value) for each in report.findings] == [
        ("gradient-cut", "first", "defect")
    ]
    assert "the line that is told" in source(report.findings[0].cause)


def source(line):
    with open(line.file, encoding="utf-8") as file:
        return file.read().splitlines()[line.line - 1]


def test_a_shard_map_with_collectives_is_walked():
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(AxisType.Auto,))
    rows, whole = PartitionSpec("rows"), PartitionSpec()

    def middle(hidden, params, count):
        def local(hidden, weight):
            hidden = jax.nn.relu(hidden @ weight)
            return hidden - lax.pmean(jnp.mean(hidden, 0), "rows")

        return jax.shard_map(local, mesh=mesh, in_specs=(rows, whole), out_specs=rows)(hidden, params["other"])

    report = smokestep.examine(training(middle), select=WIRING)
    assert report.error is None and not report.findings
    names = [op.name for op in ops(training(middle))]
    assert "relu" in names and "all_reduce" in names and "shard_map" not in names


def test_a_mean_over_an_axis_that_vmap_names_stays_a_mean():
    def middle(hidden, params, count):
        def one(row):
            return row - lax.pmean(lax.psum(row, "rows"), "rows")

        return jax.vmap(one, axis_name="rows")(hidden @ params["other"])

    assert "all_reduce" in [op.name for op in ops(training(middle))]
    assert not smokestep.examine(training(middle), select=WIRING).findings


def ops(subject, steps=1):
    with open_world(subject, seed=0, steps=steps) as world:
        graphs = world.recording().flow.graphs
        assert world.raised() is None, world.raised()
        return [op for graph in graphs for op in graph.ops]


def by_count(hidden, params, count):
    return lax.cond(
        count % 2 == 0, lambda hidden: jnp.sin(hidden @ params["other"]), lambda hidden: jnp.cos(hidden), hidden
    )


@pytest.mark.parametrize("compiled", [True, False])
def test_each_step_shows_the_branch_that_it_took(compiled):
    with open_world(training(by_count, compiled), seed=0, steps=3) as world:
        graphs = world.recording().flow.graphs
    names = [{op.name for op in graph.ops} & {"sin", "cos", "cond", "lax.cond"} for graph in graphs]
    assert names == [{"sin", "lax.cond"}, {"cos", "lax.cond"}, {"sin", "lax.cond"}]
    assert not any(graph.opaque for graph in graphs)


def test_a_cond_in_a_cond_in_a_loop():
    def middle(hidden, params, count):
        def turn(hidden, index):
            def deep(hidden):
                return lax.switch(index, [jnp.sin, jnp.cos, jnp.tanh], hidden)

            return lax.cond(count < 10, deep, lambda hidden: hidden @ params["other"], hidden), None

        return lax.scan(turn, hidden, jnp.arange(2))[0]

    names = [op.name for op in ops(training(middle))]
    assert ("sin" in names, "cos" in names, names.count("tanh")) == (True, True, 1)


def test_a_cond_outside_of_jit_is_seen_inside():
    def step(params, batch):
        scaled = lax.cond(jnp.sum(batch) > 1e9, jnp.sin, jnp.cos, batch)
        grads = jax.grad(lambda params: jnp.mean((scaled @ params["first"]) ** 2))(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    found = ops(smokestep.Training(step, INPUTS, state=params()))
    (cos,) = [op for op in found if op.name == "cos"]
    assert cos.caller is not None and "lax.cond" in cos.caller.code
    assert "sin" not in [op.name for op in found]


def test_what_another_branch_uses_is_open_and_no_fault():
    def middle(hidden, params, count):
        return lax.cond(count > 100, lambda hidden: hidden @ params["other"], lambda hidden: hidden, hidden)

    report = smokestep.examine(training(middle), select=WIRING)
    assert not report.findings
    outcome = report.checks["zero-gradient"]
    assert outcome.verdict.value == "open" and "lax.cond" in outcome.reason and "other" in outcome.reason


def test_what_another_branch_lets_through_is_suspected():
    def middle(hidden, params, count):
        return lax.cond(count < 100, stopped, lambda hidden: hidden, hidden)

    report = smokestep.examine(training(middle), select=WIRING)
    assert [(each.check, each.severity.value) for each in report.findings] == [("gradient-cut", "suspicion")]


def test_branches_are_compared():
    def program(flag, a, b):
        return lax.cond(flag, lambda a, b: (a, lax.stop_gradient(b)), lambda a, b: (a * b, b), a, b)

    closed = jax.make_jaxpr(program)(True, 1.0, 2.0)
    branches = closed.jaxpr.eqns[-1].params["branches"]
    taken = otherwise(branches, 1)
    assert taken.reads == ((1,), ()) and taken.stopped
    other = otherwise(branches, 0)
    assert other.reads == ((), ()) and not other.stopped


def test_a_branch_is_opened_only_if_it_is_known_to_be_taken():
    closed = jax.make_jaxpr(lambda flag, x: lax.cond(flag, jnp.sin, jnp.cos, x))(True, 1.0)
    plain = sketch(closed)
    assert [step.name for step in plain.steps if step.opaque] == ["cond"]
    (key,) = plain.conds
    names = [step.name for step in sketch(closed, {key: 1}).steps]
    assert "sin" in names and "cos" not in names and "cond" not in names


def run(found):
    def answer(arguments):
        env = found.run(arguments)
        return found.results(env)[0], {key: int(env[value]) for key, value in found.conds.items()}

    return answer


def test_a_program_with_many_ways_falls_back_on_the_whole():
    def program(bits, x):
        for bit in range(3):
            x = lax.cond(bits >> bit & 1 == 1, lambda x: x + 1.0, lambda x: 2.0 * x, x)
        return x

    closed = jax.make_jaxpr(program)(0, 1.0)
    ready = Program(closed, run)
    results = [float(ready([jnp.asarray(bits), jnp.asarray(1.0)])) for bits in range(8)]
    assert results == [float(program(bits, 1.0)) for bits in range(8)]
    assert len(ready.variants) == MOST


def test_what_acts_is_run_once():
    seen = []

    def program(flag, x):
        jax.experimental.io_callback(lambda: seen.append(1), None, ordered=True)
        return lax.cond(flag, jnp.sin, jnp.cos, x)

    closed = jax.make_jaxpr(program)(True, 1.0)
    ready = Program(closed, run)
    assert np.isclose(float(ready([jnp.asarray(True), jnp.asarray(1.0)])), np.sin(1.0))
    assert len(ready.variants) == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_an_update_that_a_cond_leaves_out_is_skipped(compiled):
    tx = optax.adam(1e-2)

    def step(params, opt_state, count, batch):
        inputs, targets = batch

        def loss_of(params):
            return jnp.mean((jnp.tanh(inputs @ params["first"]) @ params["last"] - targets) ** 2)

        grads = jax.grad(loss_of)(params)
        grads = jax.tree.map(lambda each: jnp.where(count == 0, jnp.inf, each), grads)
        finite = jnp.all(jnp.stack([jnp.isfinite(each).all() for each in jax.tree.leaves(grads)]))

        def update(params, opt_state):
            updates, opt_state = tx.update(grads, opt_state)
            return optax.apply_updates(params, updates), opt_state

        params, opt_state = lax.cond(finite, update, lambda *old: old, params, opt_state)
        return params, opt_state, count + 1

    start = {key: value for key, value in params().items() if key != "other"}
    state = start, tx.init(start), jnp.zeros((), jnp.int32)
    subject = smokestep.Training(jax.jit(step) if compiled else step, (INPUTS, TARGETS), state=state)
    with open_world(subject, seed=0, steps=3) as world:
        events = world.recording().steps.of("update")
        assert world.raised() is None, world.raised()
    assert [(each.step, each.detail["skipped"]) for each in events] == [(0, True), (1, False), (2, False)]


def test_a_long_loop_and_a_while_loop_stay_whole_and_open():
    def middle(hidden, params, count):
        def turn(hidden, _):
            return jnp.tanh(hidden @ lax.stop_gradient(params["other"])), None

        return lax.scan(turn, hidden, None, length=3000)[0]

    report = smokestep.examine(training(middle), select=WIRING)
    assert not report.defects

    def step(params, batch):
        grads = jax.grad(lambda params: jnp.mean((batch @ params["first"]) ** 2))(params)

        def turn(carry):
            return jax.tree.map(lambda p, g: p - 0.01 * g, carry[0], grads), carry[1] + 1

        return lax.while_loop(lambda carry: carry[1] < 3, turn, (params, 0))[0]

    report = smokestep.examine(smokestep.Training(step, INPUTS, state={"first": params()["first"]}))
    assert not report.defects


def test_a_stopped_gradient_is_told_under_pmap():
    def loss(params, batch):
        return jnp.mean((lax.stop_gradient(jnp.tanh(batch @ params["first"])) @ params["last"]) ** 2)

    @functools.partial(jax.pmap, axis_name="devices")
    def step(params, batch):
        grads = lax.pmean(jax.grad(loss)(params, batch), "devices")
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    replicated = {"first": jnp.ones((1, 3, 4)), "last": jnp.ones((1, 4, 1))}
    report = smokestep.examine(smokestep.Training(step, INPUTS[None], state=replicated), select=["gradient-cut"])
    assert [each.where.path for each in report.findings] == ["first"]
