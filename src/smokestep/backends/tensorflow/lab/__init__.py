"""The experiments: recorded model calls made again with edited arguments; every trial begins alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
import tensorflow as tf

from smokestep import facts
from smokestep.backends.tensorflow.declarations import batch_names
from smokestep.backends.tensorflow.hooks import listening
from smokestep.backends.tensorflow.lab import trail
from smokestep.backends.tensorflow.lab.alignment import Rows, align, answers, apart
from smokestep.backends.tensorflow.lab.averages import Averages
from smokestep.backends.tensorflow.lab.beside import beside
from smokestep.backends.tensorflow.lab.compare import EPS, described, difference
from smokestep.backends.tensorflow.lab.edits import change, entries
from smokestep.backends.tensorflow.lab.keeping import kept
from smokestep.backends.tensorflow.lab.steps import Steps, replying
from smokestep.backends.tensorflow.naming import layers_of
from smokestep.backends.tensorflow.running import Called, arguments, flat
from smokestep.evidence.alignment import Alignment
from smokestep.evidence.flow import Flow
from smokestep.evidence.trials import Difference, Edit, Outcome, Reply, Stepped, Tensor, Touch, Trial
from smokestep.world import NotOffered

CALLS = 4  # of one model in one step: one run over time is called with the same kind of input
PLAIN = (type(None), bool, int, float, complex, str, tf.DType)


class TensorFlowLab:
    """The trials of one recording."""

    def __init__(self, recorder: Any, flow: Flow, module_name: Any, training: Any) -> None:
        self.recorder, self._module_name = recorder, module_name
        self._steps = Steps(training, recorder) if training is not None else None
        self._aligned: dict[Alignment, Rows] | None = None
        self._trials: list[Trial] = []
        self._called: list[Called] = []
        known = {call.index: call for graph in flow.graphs for call in graph.calls}
        kept_calls = [each for each in recorder.running.calls if each.args is not None and each.event.index in known]
        last = max((known[each.event.index].step for each in kept_calls), default=-1)
        count: Counter[str] = Counter()
        for each in kept_calls:
            call = known[each.event.index]
            count[call.model] += call.step == last
            if call.step != last or count[call.model] > CALLS:
                continue
            values, graph = dict(call.inputs), flow.graphs[last]
            args, kwargs = each.args
            names = _names(each.layer, args, kwargs)
            self._trials.append(
                Trial(
                    index=len(self._trials),
                    step=last,
                    model=call.model,
                    arguments=tuple(described(name, tensor, values.get(name)) for name, tensor in names),
                    outputs=tuple(
                        Tensor(name, graph.values[key].shape, graph.values[key].dtype, key)
                        for name, key in zip(each.returned, call.outputs, strict=False)
                    ),
                    line=call.line,
                    definition=call.definition,
                    installed=call.installed,
                    training=call.training,
                    grad=call.grad,
                    others=tuple(_others(args, kwargs)),
                )
            )
            self._called.append(each)

    def trials(self) -> tuple[Trial, ...]:
        """The calls that can be made again."""
        return tuple(self._trials)

    def run(
        self, trial: int, edits: Sequence[Edit] = (), *, training: bool = False, seed: int = 0, losses: bool = False
    ) -> Outcome:
        """Make a call again with its arguments edited; what the user's code raises is told in the outcome."""
        return self._run(trial, edits, training, seed)

    def _run(
        self, trial: int, edits: Sequence[Edit], training: bool, seed: int, inside: Any = None, times: int = 1
    ) -> Outcome:
        called = self._called[trial]
        layer, (args, kwargs) = called.layer, called.args
        names = {id(tensor): name for name, tensor in _names(layer, args, kwargs)}
        new_args, new_kwargs = change((args, kwargs), names, edits)
        given = [(name, np.array(np.asarray(tensor))) for name, tensor in _names(layer, new_args, new_kwargs)]
        new_kwargs = {key: each for key, each in new_kwargs.items() if key != "training"}
        output, error = None, None
        with kept(_variables(layer), seed) as drawn:
            try:
                for _ in range(times):
                    with inside or ExitStack():
                        output = layer(*new_args, **new_kwargs, training=training)
            except Exception as raised:
                error = raised
        found = [(name, tensor) for name, tensor in flat(output, "")]
        after = dict(_names(layer, new_args, new_kwargs))
        wrote = tuple(
            name
            for name, before in given
            if name in after and not np.array_equal(np.asarray(after[name]), before, True)
        )
        return Outcome(
            outputs=tuple(described(name, tensor) for name, tensor in found),
            error=facts.told(error) if error is not None else "",
            error_line=facts.line_of(error) if error is not None else None,
            drew=drawn.drew,
            kept=tuple(drawn.names),
            wrote=wrote if all(each is not None for each in after) else (),
            handle={"outputs": found, "eps": EPS.get(str(getattr(layer, "compute_dtype", "")), 0.0)},
        )

    def aligned(self) -> tuple[Alignment, ...]:
        """The losses outside of the model whose target is an argument of it, shifted in time."""
        if self._aligned is None:
            self._aligned = {}
            known = answers(self.recorder.losses.calls, self._trials[0].step) if self._trials else []
            for index, called in enumerate(self._called):
                names = _names(called.layer, *called.args)
                self._aligned.update(align(known, index, called.event.index, names, called.results))
        return tuple(self._aligned)

    def apart(
        self, aligned: Alignment, one: Outcome, other: Outcome, *, sample: int, samples: int
    ) -> tuple[Difference, bool] | None:
        """How far two outcomes differ in the rows of a loss of one sample, and whether they do in another sample."""
        rows = (self._aligned or {}).get(aligned)
        return None if rows is None or one.error or other.error else apart(rows, one, other, sample, samples)

    def differences(
        self, one: Outcome, other: Outcome, *, dim: int = 0, at: Sequence[int] | None = None
    ) -> tuple[Difference | None, ...]:
        """For each output, how far the two differ at every index of `dim`; of `other` the indices `at` are taken."""
        if one.error or other.error or len(one.outputs) != len(other.outputs):
            return ()
        pairs = zip(one.handle["outputs"], other.handle["outputs"], strict=True)
        return tuple(
            difference(name, first, second, dim, at, one.handle["eps"]) for (name, first), (_, second) in pairs
        )

    def trail(
        self, trial: int, edits: Sequence[Edit], nudged: Sequence[Edit], *, seeds: tuple[int, int] = (0, 0)
    ) -> tuple[Touch, ...]:
        """Make a call twice, with `edits` and with `nudged`: the operations whose inputs or results differ."""
        one, other = (self._followed(trial, *each) for each in zip((edits, nudged), seeds, strict=True))
        return trail.touches(one, other)

    def stray(self, trial: int, edits: Sequence[Edit], size: int) -> Touch | None:
        """Make a call whose `size` samples are alike: the first operation that gives unlike rows for alike ones."""
        return trail.stray(self._followed(trial, edits, 0), size)

    def _followed(self, trial: int, edits: Sequence[Edit], seed: int) -> list[trail.Kept]:
        follow = trail.Followed(self._module_name, self.recorder.built, self.recorder.applied)
        follow.places = self.recorder.places
        for place in follow.places:
            place.version = None  # of another trace
        with listening(follow):
            self._run(trial, edits, False, seed, follow.tracer)
        return follow.ops()

    def beside(
        self, trial: int, edits: Sequence[Edit], longer: Sequence[Edit], *, size: int, kept: Sequence[int], by: float
    ) -> tuple[Touch, ...]:
        """The operations that differ between shorter and longer sequences where both have entries."""
        runs = (self._followed(trial, each, 0) for each in (edits, longer))
        return tuple(beside(*runs, size, kept, by))

    def averages(self, trial: int, edits: Sequence[Edit] = ()) -> tuple[str, ...]:
        """The variables that move as an average does when a call is made three times in a row."""
        names, plain = self.recorder.variables, (each for _, each in _variables(self._called[trial].layer))
        watched = Averages([(names[id(each)], each) for each in plain if id(each) in names])
        once, last = self.run(trial, edits), self._run(trial, edits, False, 0, watched, times=3)
        changed = any(each and each.beyond(0) for each in self.differences(once, last))
        return watched.found() if changed and not once.drew else ()

    def entries(self, name: str, edits: Sequence[Edit] = (), *, trial: int | None = None) -> tuple[float, ...]:
        """The entries of an argument of a trial, or of a tensor of the batch, edited; none where there are too many."""
        if trial is not None:
            called = self._called[trial]
            return entries(_names(called.layer, *called.args), name, edits)
        tensors = batch_names(self._training().training.batch)
        return entries(((known, tensor) for tensor, known in tensors), name, edits)

    def attributes(self, trial: int, name: str) -> tuple[tuple[str, float], ...]:
        """The numbers that layers of a trial's model keep under this name: (path, number)."""
        found = ((self._module_name(each), vars(each).get(name)) for each in layers_of(self._called[trial].layer))
        return tuple((path, float(each)) for path, each in found if isinstance(each, (int, float)))

    def batch(self) -> tuple[Tensor, ...]:
        """The tensors of the training's batch, under the names that edits use."""
        return self._training().batch()

    def dry(self, edits: Sequence[Edit] = (), *, step: str = "", seed: int = 0, reply: Reply | None = None) -> Stepped:
        """Run a step of the training up to its losses, on an edited batch."""
        steps = self._training()
        answer = replying(self._called[reply.trial].layer, reply, steps.training.batch) if reply else None
        return steps.dry(edits, step, seed, answer)

    def _training(self) -> Steps:
        if self._steps is None:
            raise NotOffered(
                "a loop that is watched is run once; for this, hand over a function that builds the training"
            )
        return self._steps

    # ── what is not made yet ───────────────────────────────────────────────────────────────────────────────────
    def decoded(self, trial: int) -> Any:
        """Decoding with a cache is not tried."""
        raise NotOffered("decoding with a cache is not yet tried with TensorFlow")

    def modes(self, trial: int) -> Any:
        """A mode is an argument of the call, and reaches every layer in it."""
        raise NotOffered("the mode is an argument of the call in Keras")

    def round_trip(self, trial: int) -> Any:
        """Saving and loading are not tried."""
        raise NotOffered("saving and loading are not yet tried with TensorFlow")

    def resume(self) -> Any:
        """Resuming is not tried."""
        raise NotOffered("resuming is not yet tried with TensorFlow")

    def rebuilt(self) -> Any:
        """Building twice is not tried."""
        raise NotOffered("building the training twice is not yet tried with TensorFlow")

    def functions(self) -> Any:
        """Custom gradients are not tried."""
        raise NotOffered("custom gradients are not yet tried with TensorFlow")

    def slopes(self, trial: int) -> Any:
        """Models are not tried against finite differences."""
        raise NotOffered("gradients are not yet compared with finite differences with TensorFlow")

    def ways(self) -> Any:
        """Compiled steps are not compared with plain ones."""
        raise NotOffered("compiled steps are not yet compared with plain ones with TensorFlow")

    def fresh(self, *, seed: int = 0) -> AbstractContextManager[Any]:
        """The training at hand, to be trained for real and put back."""
        return self._training().fresh(seed)


def _names(layer: Any, args: Any, kwargs: Any) -> list[tuple[str, Any]]:
    return list(arguments(layer, args, {key: each for key, each in kwargs.items() if key != "training"}))


def _others(args: Any, kwargs: Any) -> list[str]:
    found = []
    for name, value in [*((f"argument {i}", each) for i, each in enumerate(args)), *kwargs.items()]:
        if not isinstance(value, PLAIN) and not list(flat(value, "")):
            found.append(name)
    return found


def _variables(layer: Any) -> list[tuple[str, Any]]:
    return [(str(each.path), each._value) for each in getattr(layer, "variables", ()) if hasattr(each, "_value")]
