"""Private worlds of sessions, beside eager TensorFlow in one process: recognised, examined, and without a trace."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
from tensorflow.python.framework import ops

import smokestep
from smokestep.backends import tensorflow as backend
from smokestep.backends.tensorflow import sessions
from smokestep.world import NotOffered

v1 = tf.compat.v1
pytestmark = pytest.mark.filterwarnings("ignore")


def graph_of(rate):
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    with v1.variable_scope("layer"):
        w = v1.get_variable("w", [3, 1], use_resource=True)
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1.0))
    train_op = v1.train.GradientDescentOptimizer(rate).minimize(loss)
    sess = v1.Session()
    sess.run(v1.global_variables_initializer())
    return x, loss, train_op, sess


def training():
    with tf.Graph().as_default():
        x, loss, train_op, sess = graph_of(0.1)
    return smokestep.Training(
        lambda batch: sess.run([loss, train_op], {x: batch})[0], np.random.RandomState(0).randn(4, 3)
    )


def eager():
    weight = tf.Variable(tf.ones([3, 1]))
    return smokestep.Training(lambda: weight.assign_sub(0.1 * weight))


def test_a_factory_that_makes_a_session_is_recognised():
    assert tf.executing_eagerly()
    assert sessions.wanted(training) and not sessions.wanted(eager)
    assert sessions.wanted(training())  # the finished one, by what its step holds


def test_what_a_step_did_is_in_the_evidence():
    with backend.open_world(training, seed=0, steps=2) as world:
        recording = world.recording()
    steps = recording.steps
    assert [each.name for each in steps.parameters] == ["layer.w"]
    assert all(move.gradient and move.update and move.rate == pytest.approx(0.1) for move in steps.movements)
    assert [event.kind for event in steps.events if event.step == 0] == [
        "step",
        "forward",
        "backward",
        "update",
        "zero_grad",
    ]
    assert steps.losses[0] > steps.losses[1] > 0
    assert [op.name for op in recording.flow.graphs[0].ops][:3] == ["linear", "sub", "square"]
    gradient, update = steps.movements[0].gradient, steps.movements[0].update
    assert update == pytest.approx(0.1 * gradient, rel=1e-5)


def test_the_same_seed_gives_the_same_evidence():
    def recorded():
        with backend.open_world(training, seed=3, steps=2) as world:
            return world.recording().steps.movements

    assert recorded() == recorded()


def test_nothing_is_left_behind():
    graph, run = ops._default_graph_stack._global_default_graph, v1.Session.run
    with backend.open_world(training, seed=0, steps=1) as world:
        world.recording()
    assert ops._default_graph_stack._global_default_graph is graph and v1.Session.run is run
    assert tf.executing_eagerly() and world.fingerprint_changes() == ()


def test_a_finished_training_is_not_examined():
    with backend.open_world(training(), seed=0, steps=1) as world, pytest.raises(NotOffered, match="function"):
        world.recording()


def test_an_error_of_the_step_is_told():
    def broken():
        with tf.Graph().as_default():
            x, loss, train_op, sess = graph_of(0.1)
        return smokestep.Training(lambda batch: sess.run(train_op, {x: batch}), np.zeros((4, 2)))

    with backend.open_world(broken, seed=0, steps=1) as world:
        steps = world.recording().steps
    assert "shape" in str(world.raised()) and steps.error is not None and "ValueError" in steps.error
    assert steps.error_line is not None and steps.error_line.file.endswith("test_worlds.py")
