"""Steps made again: the user's own step on an edited batch, up to its losses; nothing of it is left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops as tf_ops

from smokestep import facts
from smokestep.backends.tensorflow import state
from smokestep.backends.tensorflow.alive import alive
from smokestep.backends.tensorflow.declarations import batch_names
from smokestep.backends.tensorflow.lab.compare import described
from smokestep.backends.tensorflow.lab.edits import change
from smokestep.backends.tensorflow.lab.keeping import SEEDS, kept
from smokestep.backends.tensorflow.recorder import number
from smokestep.backends.tensorflow.running import DROPOUTS
from smokestep.evidence.trials import Edit, Reply, Stepped, Tensor
from smokestep.training import Training
from smokestep.world import NotOffered

LARGE = 8.0  # a score whose softmax leaves a few in ten thousand to the others, and no infinity
SURE = 0.98  # a share whose logarithm, and that of what is left, are finite


class Dry:
    """What a dry run hears: its losses. The hooks ask it instead of the framework."""

    real = False

    def __init__(self, reply: Callable[[Any, Any], Any] | None = None) -> None:
        self.losses: list[float] = []
        self.reply = reply

    def gradients(self, real: Callable[[], list[Any]], target: Any, sources: Any) -> list[Any]:
        """Of variables: zeros; of data, which may enter the loss: the real ones."""
        if any(each.dtype != tf.resource for each in sources):
            return real()
        self.losses += [float(each) for each in target if not each.shape.rank]
        return [tf.zeros(handle_shape(each), handle_dtype(each)) for each in sources]


class Real(Dry):
    """What a step hears that is run for real: its losses."""

    real = True

    def gradients(self, real: Callable[[], list[Any]], target: Any, sources: Any) -> list[Any]:
        """The real ones."""
        self.losses += [float(each) for each in target if not each.shape.rank and each.dtype.is_floating]
        return real()


def handle_shape(handle: Any) -> Any:
    """The shape of the variable of a handle."""
    return tf.TensorShape(handle._handle_data.shape_and_type[0].shape)


def handle_dtype(handle: Any) -> Any:
    """The type of the variable of a handle."""
    return tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)


class Steps:
    """The steps of one training, made again."""

    def __init__(self, training: Training, recorder: Any) -> None:
        self.training, self.recorder = training, recorder
        living = alive()
        around = {id(each._value): each for each in living["keras"] if each._value is not None}
        self.variables = [
            (str(getattr(around.get(id(each)), "path", each.name)), each)
            for each in living["variable"]
            if each.dtype.is_floating or each.dtype.is_integer or each.dtype.is_bool
        ]

    def batch(self) -> tuple[Tensor, ...]:
        """The tensors of the batch, under the names that edits use."""
        if not self.training.has_batch:
            return ()
        return tuple(described(name, tensor) for tensor, name in batch_names(self.training.batch))

    def dry(self, edits: Sequence[Edit], step: str, seed: int, reply: Any = None) -> Stepped:
        """Run a step up to its losses: gradients and updates are left out, dropout drops nothing, all is put back."""
        heard = Dry(reply)
        with ExitStack() as stack:
            drawn = stack.enter_context(kept(self.variables, seed))
            stack.enter_context(undropped())
            done = self.ran(heard, edits, step)
        return replace(done, drew=drawn.drew)

    def ran(self, heard: Dry, edits: Sequence[Edit], step: str) -> Stepped:
        """Run a step on an edited batch; what is heard of it decides what comes of it."""
        training, error, returned = self.training, None, None
        if edits and not training.has_batch:
            raise NotOffered("the step takes no batch that could be varied: give Training the batch")
        run = training.steps[step] if step in training.steps else next(iter(training.steps.values()))
        names = {id(tensor): name for tensor, name in batch_names(training.batch)} if training.has_batch else {}
        arguments = (change(training.batch, names, edits),) if training.has_batch else ()
        with ExitStack() as stack:
            stack.callback(setattr, self.recorder, "dry", None)
            self.recorder.dry = heard
            try:
                returned = run(*arguments)
            except Exception as raised:
                error = raised
        if isinstance(returned, (tuple, list)) and returned:
            returned = returned[0]
        plain = isinstance(returned, (int, float, np.generic, np.ndarray, tf.Tensor))
        return Stepped(
            losses=tuple(heard.losses),
            returned=number(returned) if plain and not isinstance(returned, bool) else None,
            error=facts.told(error) if error is not None else "",
            error_line=facts.line_of(error) if error is not None else None,
        )

    @contextmanager
    def fresh(self, seed: int) -> Iterator[Fresh]:
        """The training at hand, put back at the end of the block."""
        with kept(self.variables, seed):
            yield Fresh(self)


class Fresh:
    """One training that may be trained."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        trained = {id(place.variable) for held in steps.recorder.held.values() for place in held.values()}
        trained = trained or {id(place.variable) for place in steps.recorder.places if place.asked}
        self._seeds = [(each, each.numpy()) for name, each in steps.variables if name.endswith(SEEDS)]
        self._drawn = state.global_state()
        self._start = [(each, np.array(each.numpy())) for _, each in steps.variables if id(each) in trained]
        self._way: list[Any] = []

    def step(self, edits: Sequence[Edit] = (), *, name: str = "") -> Stepped:
        """Run one step for real; the random generators go on from where they are."""
        return self._steps.ran(Real(), edits, name)

    def travelled(self) -> float:
        """How far the trained weights are from where they began: the norm of the way, as a share of theirs."""
        way = sum(float(np.square(now.numpy().astype(np.float64) - then).sum()) for now, then in self._start)
        norm = sum(float(np.square(then.astype(np.float64)).sum()) for _, then in self._start)
        return float((way / norm) ** 0.5) if norm else 0.0

    def along(self, share: float) -> None:
        """Put the weights at this share of the way that the first step took, and the generators where it found them."""
        self._way = self._way or [now.numpy() - then for now, then in self._start]
        for (now, then), way in zip(self._start, self._way, strict=True):
            now.assign((then + share * way).astype(then.dtype))
        for each, was in self._seeds:
            each.assign(was)
        state.restore_global(self._drawn)


@contextmanager
def undropped() -> Iterator[None]:
    """Dropout drops nothing: what it adds is noise on purpose, in which exact relations would drown."""
    places: list[tuple[Any, str, Any]] = [(tf.nn, "dropout", lambda x, *args, **kwargs: tf.identity(x))]
    if "keras" in sys.modules:
        from keras import layers
        from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

        for name in DROPOUTS:
            owner = next(each for each in getattr(layers, name).__mro__ if "call" in vars(each))
            places.append((owner, "call", lambda self, inputs, training=False: inputs))
        for name in ("get_dropout_mask", "get_recurrent_dropout_mask"):
            places.append((DropoutRNNCell, name, lambda self, step_input: None))
    with ExitStack() as stack:
        for owner, name, new in places:
            if name in vars(owner):
                stack.callback(setattr, owner, name, vars(owner)[name])
                setattr(owner, name, new)
        yield


def replying(layer: Any, reply: Reply, batch: Any) -> Callable[[Any, Any], Any]:
    """What makes a model give the right answer to the batch as it is now."""
    target = np.array(next(np.asarray(tensor) for tensor, name in batch_names(batch) if name == reply.target))

    def answer(given: Any, output: Any) -> Any:
        if given is not layer or not isinstance(output, tf_ops.EagerTensor):
            return output
        return tf.cast(tf.constant(_right(reply, target, output.numpy())), output.dtype)

    return answer


def _right(reply: Reply, target: Any, output: Any) -> Any:
    if reply.form == "same":
        return target.astype(output.dtype).reshape(output.shape)
    if reply.dim is None:
        right = target.astype(output.dtype).reshape(output.shape)
    else:
        index = np.expand_dims(np.clip(target.astype(np.int64), 0, output.shape[reply.dim] - 1), reply.dim)
        right = np.zeros_like(output)
        np.put_along_axis(right, index, 1.0, axis=reply.dim)
    if reply.form == "scores":
        return (2 * right - 1) * LARGE
    rest = (1 - SURE) / (2 if reply.dim is None else output.shape[reply.dim])
    return right * (SURE - rest) + rest
