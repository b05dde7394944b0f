"""Hooks: where the framework is listened to, besides its operations: gradients, updates, layers, variables, arrays.

Every hook is taken out again when the block ends, and what it wraps runs as ever.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import imperative_grad, record
from tensorflow.python.framework import constant_op
from tensorflow.python.framework import ops as tf_ops
from tensorflow.python.ops import resource_variable_ops

from smokestep.backends.imports import once_imported
from smokestep.backends.keras_objects import gathers
from smokestep.backends.tensorflow import composites, frames
from smokestep.backends.tensorflow.alive import imported

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
ESCAPES = ("numpy", "__array__", "__float__", "__int__", "__bool__", "__index__")


@contextmanager
def listening(recorder: Any) -> Iterator[None]:
    """While the block runs, the recorder hears of everything; functions run eagerly."""
    eagerly = tf.config.functions_run_eagerly()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message=".*run_functions_eagerly.*")  # tf.data says that it goes on as ever
        stack.callback(tf.config.run_functions_eagerly, eagerly)
        tf.config.run_functions_eagerly(True)
        patches = [
            (imperative_grad, "imperative_grad", _gradients(recorder)),
            (record, "record_operation", _custom(recorder)),
            (constant_op, "convert_to_eager_tensor", _imported(recorder)),
            (resource_variable_ops.BaseResourceVariable, "__init__", _made(recorder)),
            *((tf_ops._EagerTensorBase, name, _escaping(recorder, name)) for name in ESCAPES),
        ]

        def patch(some: list[tuple[Any, str, Wrap]]) -> None:
            for owner, name, wrap in some:
                if name in vars(owner):
                    stack.enter_context(_patched(owner, name, wrap))

        patch(patches)
        stack.enter_context(_asked(recorder))
        for module, owner, name, wrap in _keras(recorder):
            late = partial(_late, patch, module, owner, name, wrap)
            if imported(module):
                late()
            else:
                stack.enter_context(once_imported(module, late))
        yield


@contextmanager
def _patched(owner: Any, name: str, wrap: Wrap) -> Iterator[None]:
    before = vars(owner)[name]
    setattr(owner, name, wrap(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _asked(recorder: Any) -> Iterator[None]:
    """Hears which variables are asked whether they train by the functions generated for each operation, which read
    those that they are given without telling of it."""

    def ask(variable: Any) -> Any:
        if not recorder.tracer.paused and os.path.basename(sys._getframe(1).f_code.co_filename).startswith("gen_"):
            recorder.places.asked.append(variable)
        try:
            return variable.__dict__["_trainable"]
        except KeyError:
            raise AttributeError("_trainable") from None

    def say(variable: Any, value: Any) -> None:
        variable.__dict__["_trainable"] = value

    owner = resource_variable_ops.BaseResourceVariable
    before = vars(owner).get("_trainable")  # of a watch around this one
    owner._trainable = property(ask, say)
    try:
        yield
    finally:
        if before is None:
            del owner._trainable
        else:
            owner._trainable = before


def _late(patch: Any, module: str, owner: str, name: str, wrap: Wrap) -> None:
    """Listen to a method of Keras, now that its module is there."""
    composites.load()
    if kind := getattr(sys.modules[module], owner, None):
        patch([(kind, name, wrap)])


def _keras(recorder: Any) -> list[tuple[str, str, str, Wrap]]:
    """Where Keras is listened to: module, class, method."""
    return [
        ("keras.src.backend.tensorflow.core", "Variable", "_initialize", _wrapped(recorder)),
        ("keras.src.backend.tensorflow.core", "Variable", "numpy", _given_away(recorder)),
        ("keras.src.ops.operation", "Operation", "__call__", _layer(recorder)),
        ("keras.src.layers.layer", "Layer", "__call__", _declared(recorder)),
        ("keras.src.layers.layer", "Layer", "__init__", _built(recorder)),
        ("keras.src.models.model", "Model", "__init__", _built(recorder)),
        ("keras.src.losses.loss", "Loss", "__init__", _built(recorder)),
        ("keras.src.optimizers.base_optimizer", "BaseOptimizer", "__init__", _built(recorder)),
        ("keras.src.optimizers.base_optimizer", "BaseOptimizer", "apply", _updates(recorder)),
        ("keras.src.trainers.trainer", "Trainer", "compile", _compiled(recorder)),
    ]


def _gradients(recorder: Any) -> Wrap:
    def wrap(function: Any) -> Any:
        def gradients(
            tape: Any,
            target: Any,
            sources: Any,
            output_gradients: Any = None,
            sources_raw: Any = None,
            unconnected_gradients: Any = imperative_grad.UnconnectedGradients.NONE,
        ) -> Any:
            given = (target, sources, output_gradients, sources_raw, unconnected_gradients)
            eager = all(isinstance(each, tf_ops.EagerTensor) for each in [*target, *sources])
            if recorder.dry is not None and eager:
                return recorder.dry.gradients(lambda: function(tape, *given), target, sources)
            if recorder.tracer.paused or not eager:
                return function(tape, *given)
            return recorder.gradients.asked(lambda *args: function(tape, *args), *given)

        return gradients

    return wrap


def _custom(recorder: Any) -> Wrap:
    def wrap(function: Any) -> Any:
        def record_operation(op_type: Any, outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            result = function(op_type, outputs, inputs, *args, **kwargs)
            if not recorder.tracer.paused:
                recorder.guarded(recorder.custom, str(op_type), outputs, inputs)
            return result

        return record_operation

    return wrap


def _imported(recorder: Any) -> Wrap:
    def wrap(function: Any) -> Any:
        def convert_to_eager_tensor(value: Any, *args: Any, **kwargs: Any) -> Any:
            result = function(value, *args, **kwargs)
            if not recorder.tracer.paused:
                recorder.guarded(recorder.imported, value, result)
            return result

        return convert_to_eager_tensor

    return wrap


def _made(recorder: Any) -> Wrap:
    def wrap(function: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            function(self, *args, **kwargs)
            recorder.places.know(self)
            recorder.places.born(self, frames.user_frame(1))

        return __init__

    return wrap


def _wrapped(recorder: Any) -> Wrap:
    """Remembers which variable of Keras is around which of TensorFlow."""

    def wrap(function: Any) -> Any:
        def _initialize(self: Any, value: Any) -> None:
            function(self, value)
            recorder.places.keras[id(self._value)] = self

        return _initialize

    return wrap


def _escaping(recorder: Any, name: str) -> Wrap:
    def wrap(function: Any) -> Any:
        def escape(self: Any, *args: Any, **kwargs: Any) -> Any:
            if recorder.tracer.paused:
                return function(self, *args, **kwargs)
            recorder.tracer.paused += 1
            try:
                result = function(self, *args, **kwargs)
            finally:
                recorder.tracer.paused -= 1
            if frames.kind_of_file(sys._getframe(1).f_code.co_filename) != frames.SKIP:
                recorder.guarded(recorder.tracer.escape, name, self, result)
            return result

        return escape

    return wrap


def _given_away(recorder: Any) -> Wrap:
    """A variable of Keras gives a copy of its entries, that no tensor gave."""

    def wrap(function: Any) -> Any:
        def numpy(self: Any) -> Any:
            if recorder.tracer.paused or not tf.executing_eagerly() or self._value is None:
                return function(self)
            tensor = tf.convert_to_tensor(self._value)
            with recorder.tracer.quiet():
                result = function(self)
            if frames.kind_of_file(sys._getframe(1).f_code.co_filename) != frames.SKIP:
                recorder.guarded(recorder.tracer.escape, "numpy", tensor, result)
            return result

        return numpy

    return wrap


def _layer(recorder: Any) -> Wrap:
    """Hears of every layer that runs; one that is applied to a symbolic tensor is only put into a model."""

    def wrap(function: Any) -> Any:
        from keras.src.backend.common.keras_tensor import any_symbolic_tensors

        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
            if recorder.dry is not None and recorder.dry.reply is not None:
                return recorder.dry.reply(self, function(self, *args, **kwargs))
            heard = not recorder.tracer.paused and recorder.is_layer(self) and tf.executing_eagerly()
            if not heard or any_symbolic_tensors(args, kwargs):
                return function(self, *args, **kwargs)
            entry = recorder.guarded(recorder.enters, self, args, kwargs)
            try:
                result = function(self, *args, **kwargs)
            finally:
                recorder.guarded(recorder.leaves, entry)
            if entry is not None:
                recorder.guarded(recorder.answered, entry, result)
            return result

        return __call__

    return wrap


def _declared(recorder: Any) -> Wrap:
    """Remembers the line on which a layer is applied to a symbolic tensor."""

    def wrap(function: Any) -> Any:
        from keras.src.backend.common.keras_tensor import any_symbolic_tensors

        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
            if id(self) not in recorder.applied and any_symbolic_tensors(args, kwargs):
                found = frames.trail(1)
                if found.line:
                    recorder.applied[id(self)] = (self, found.line)
            return function(self, *args, **kwargs)

        return __call__

    return wrap


def _built(recorder: Any) -> Wrap:
    def wrap(function: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            if id(self) not in recorder.built:
                found = frames.trail(1)
                inside = _inside_training(sys._getframe(1))
                line = found.stack[0] if inside and found.stack and hasattr(self, "apply_gradients") else None
                recorder.built[id(self)] = (self, line if inside else found.line)
                recorder.guarded(recorder.constructed, self)
            function(self, *args, **kwargs)

        return __init__

    return wrap


def _compiled(recorder: Any) -> Wrap:
    def wrap(function: Any) -> Any:
        def compile(self: Any, *args: Any, **kwargs: Any) -> Any:
            recorder.compiled[id(self)] = (self, frames.trail(1).line)
            return function(self, *args, **kwargs)

        return compile

    return wrap


def _updates(recorder: Any) -> Wrap:
    def wrap(function: Any) -> Any:
        def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
            if recorder.dry is not None and not recorder.dry.real:
                return None
            if recorder.tracer.paused or not tf.executing_eagerly():
                return function(self, grads, trainable_variables)
            grads = list(grads)
            variables = None if trainable_variables is None else list(trainable_variables)
            if gathers(self):
                recorder.gathering = True
                with recorder.tracer.quiet():
                    return function(self, grads, variables)
            recorder.guarded(recorder.updating, self, grads, variables)
            with recorder.tracer.quiet():
                result = function(self, grads, variables)
            recorder.guarded(recorder.updated, self)
            recorder.pause()
            return result

        return apply

    return wrap


def _inside_training(frame: Any) -> bool:
    """Whether the framework makes something on its own while it trains."""
    while frame is not None and frames.kind_of_file(frame.f_code.co_filename) == frames.SKIP:
        if "trainers" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
