"""The lab: recorded model calls made again, their arguments edited, on the model as the recording left it.

Whatever a trial changes is put back at its end; what the user's code prints or warns of meanwhile is not heard.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from smokestep import facts
from smokestep.backends.torch import snapshot, sources
from smokestep.backends.torch.calls import Called, flat
from smokestep.backends.torch.declarations import batch_names
from smokestep.backends.torch.lab import reading, rebuild, roundtrip, slopes, switch, ways
from smokestep.backends.torch.lab.alignment import Overheard, Rows, align, apart
from smokestep.backends.torch.lab.answers import Answer
from smokestep.backends.torch.lab.averages import Averages
from smokestep.backends.torch.lab.beside import Beside
from smokestep.backends.torch.lab.capture import Given, edited
from smokestep.backends.torch.lab.compare import described, difference
from smokestep.backends.torch.lab.decoding import decoded
from smokestep.backends.torch.lab.drawing import drawing
from smokestep.backends.torch.lab.replies import replying
from smokestep.backends.torch.lab.steps import Fresh, Rerun
from smokestep.backends.torch.lab.trail import Followed, stray, touches
from smokestep.backends.torch.reach import reachable
from smokestep.evidence.alignment import Alignment
from smokestep.evidence.caching import Decoding
from smokestep.evidence.flow import Flow
from smokestep.evidence.roundtrip import Rebuilt, Resumed, Trip
from smokestep.evidence.slopes import Sloped
from smokestep.evidence.switching import Switched
from smokestep.evidence.trials import Difference, Edit, Outcome, Reply, Stepped, Touch, Trial
from smokestep.evidence.trials import Tensor as Described
from smokestep.evidence.ways import Way
from smokestep.world import NotOffered

Tensor = torch.Tensor


class TorchLab:
    """The trials of one recording; `calls` are the calls of root models that were kept."""

    def __init__(
        self, calls: Sequence[Called], flow: Flow, rerun: Rerun | None = None, answers: Sequence[Answer] = ()
    ) -> None:
        self._rerun = rerun
        self._called: list[Called] = []
        self._aligned: dict[Alignment, Rows] | None = None
        known = {call.index: call for graph in flow.graphs for call in graph.calls}
        last = max((known[each.event.index].step for each in calls if each.event.index in known), default=-1)
        self._trials: list[Trial] = []
        self._given: list[tuple[nn.Module, Given]] = []
        self._state: dict[int, dict[str, Any]] = {}
        for each in calls:
            call = known.get(each.event.index)
            if call is None or call.step != last or each.given is None:
                continue
            values, graph = dict(call.inputs), flow.graphs[last]
            self._trials.append(
                Trial(
                    index=len(self._trials),
                    step=call.step,
                    model=call.model,
                    arguments=tuple(described(n, t, values.get(n)) for n, t in each.given.tensors()),
                    outputs=tuple(
                        Described(name, graph.values[key].shape, graph.values[key].dtype, key)
                        for name, key in zip(each.given.returned, call.outputs, strict=False)
                    ),
                    line=call.line,
                    definition=call.definition,
                    installed=call.installed,
                    training=call.training,
                    grad=call.grad,
                    others=tuple(each.given.others()),
                )
            )
            self._given.append((each.module, each.given))
            self._called.append(each)
        made = {op.id for op in flow.graphs[last].ops} if self._trials else set()
        self._answers = [each for each in answers if each.seen.op in made]

    def trials(self) -> tuple[Trial, ...]:
        """The calls that can be made again."""
        return tuple(self._trials)

    def run(
        self, trial: int, edits: Sequence[Edit] = (), *, training: bool = False, seed: int = 0, losses: bool = False
    ) -> Outcome:
        """Make a call again with its arguments edited; what the user's code raises is told in the outcome."""
        if not losses:
            return self._run(trial, edits, training, seed, ExitStack())
        heard = Overheard()
        outcome = self._run(trial, edits, training, seed, heard, cast=False)  # in half precision, little shows
        if outcome.error and self._given[trial][1].eps():
            heard = Overheard()
            outcome = self._run(trial, edits, training, seed, heard)
        outcome.handle["losses"] = heard.found
        return outcome

    def aligned(self) -> tuple[Alignment, ...]:
        """The losses whose target is an argument of the model, shifted in time."""
        if self._aligned is None:
            self._aligned = {}
            for index, called in enumerate(self._called):
                again = cache(partial(self.run, index, losses=True))
                self._aligned.update(align(self._answers, index, called, self._given[index][1], again))
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
        return touches(*(self._followed(trial, *each) for each in zip((edits, nudged), seeds, strict=True)))

    def stray(self, trial: int, edits: Sequence[Edit], size: int) -> Touch | None:
        """Make a call whose `size` samples are alike: the first operation that gives unlike rows for alike ones."""
        return stray(self._followed(trial, edits), size)

    def _followed(self, trial: int, edits: Sequence[Edit], seed: int = 0) -> Followed:
        follow = Followed(self._given[trial][0])
        self._run(trial, edits, False, seed, follow)
        return follow

    def decoded(self, trial: int) -> Decoding | None:
        """A model that takes a cache, decoded with it and without; None for one that takes none."""
        module, given = self._given[trial]
        told = self._trials[trial]

        def call(run: Callable[[], Any], inside: Any) -> Any:
            with _alone(), self._switched(module, False), self._kept(module), drawing(0), given.autocast():
                with torch.no_grad(), inside:
                    return run()

        return decoded(module, given, Decoding(told.model, definition=told.definition, installed=told.installed), call)

    def averages(self, trial: int, edits: Sequence[Edit] = ()) -> tuple[str, ...]:
        """The buffers and attributes that move as an average does when a call is made three times in a row."""
        watched = Averages(self._given[trial][0])
        once, last = self.run(trial, edits), self._run(trial, edits, False, 0, watched, times=3)
        changed = any(each and each.beyond(0) for each in self.differences(once, last))
        return watched.found() if changed and not once.drew else ()

    def modes(self, trial: int) -> Switched:
        """Which layers follow when the model of a call is put into training and into evaluation mode."""
        module, name = self._given[trial][0], self._trials[trial].model
        others = [each for each, _ in self._given if each is not module]
        apart, ran = list(switch.hidden(module, others)), switch.Ran()
        try:
            with _alone(), self._switched(module, module.training), self._kept(module):
                own = tuple(switch.overrides(module))
            outcome = self._run(trial, (), False, 0, ran) if apart else None
            if outcome is not None and outcome.error:
                return Switched(name, (), own, f"its call could not be repeated in evaluation mode: {outcome.error}")
            return Switched(name, tuple(switch.unreached(apart, ran.training)), own)
        except NotOffered:
            raise
        except Exception as error:
            return Switched(name, skipped=f"train() or eval() of the model raised {facts.told(error)}")
        finally:
            sources.forget()

    def round_trip(self, trial: int) -> Trip:
        """Save the model of a call, load it into one built afresh with another seed, and compare their outputs."""
        (module, _), known = self._given[trial], self._trials[trial]
        rows = next((each.shape[0] for each in known.arguments if each.shape), -1)

        def outcome(other: nn.Module) -> Any:
            done = self._run(trial, (), False, 0, ExitStack(), other=other)
            if other is not module:
                self._state.pop(id(other), None)
            if done.error:
                raise NotOffered(f"its call could not be repeated in evaluation mode: {done.error}")
            return done.handle["outputs"]

        about = Trip(known.model, known.definition or known.line)
        try:
            with _alone():
                return roundtrip.trip(self._steps(), module, about, rows, outcome)
        except NotOffered as error:
            return replace(about, skipped=str(error))

    def resume(self) -> Resumed:
        """Train, save and train on, and go on in a training built afresh that loads what was saved."""
        try:
            with _alone():
                return roundtrip.resume(self._steps())
        except NotOffered as error:
            return Resumed(skipped=str(error))

    def rebuilt(self) -> Rebuilt:
        """Build the training twice with one seed, and make one step of each."""
        try:
            with _alone():
                return rebuild.rebuilt(self._steps())
        except NotOffered as error:
            return Rebuilt(skipped=str(error))

    def beside(
        self, trial: int, edits: Sequence[Edit], longer: Sequence[Edit], *, size: int, kept: Sequence[int], by: float
    ) -> tuple[Touch, ...]:
        """The operations that differ between a call and a longer one, at the entries that both have."""
        mode = Beside(self._followed(trial, edits), size, kept, by)
        self._run(trial, longer, False, 0, mode)
        return tuple(mode.touches)

    def entries(self, name: str, edits: Sequence[Edit] = (), *, trial: int | None = None) -> tuple[float, ...]:
        """The entries of an argument of a trial, or of a tensor of the batch, edited; none where there are too many."""
        if trial is not None:
            return reading.entries(self._given[trial][1].tensors(), name, edits)
        tensors = batch_names(self._steps().training.batch)
        return reading.entries(((known, tensor) for tensor, known in tensors), name, edits)

    def attributes(self, trial: int, name: str) -> tuple[tuple[str, float], ...]:
        """The numbers that modules of a trial's model keep under this name: (path, number)."""
        return reading.attributes(self._given[trial][0], name)

    def batch(self) -> tuple[Described, ...]:
        """The tensors of the training's batch, under the names that edits use."""
        return self._steps().batch()

    def dry(self, edits: Sequence[Edit] = (), *, step: str = "", seed: int = 0, reply: Reply | None = None) -> Stepped:
        """Run a step of the training up to its losses, on an edited batch."""
        steps = self._steps()
        with replying(self._given[reply.trial][0], reply, steps.training.batch) if reply else nullcontext():
            return steps.dry(edits, step=step, seed=seed)

    def fresh(self, *, seed: int = 0) -> AbstractContextManager[Fresh]:
        """A training to be trained for real: built afresh, or put back at the end of the block."""
        return self._steps().fresh(seed=seed)

    def functions(self) -> tuple[Sloped, ...]:
        """Every custom Function that the models or the step apply, tried alone."""
        with slopes.applying() as seen, _alone():
            if self._rerun is not None:
                with contextlib.suppress(NotOffered):
                    self._rerun.dry()
            for trial in self._trials:
                self._run(trial.index, (), False, 0, torch.enable_grad())
        with _alone():
            return tuple(slopes.of_function(each) for each in seen.values())

    def slopes(self, trial: int) -> Sloped:
        """The model of a call tried as a whole, in a copy."""
        module, given = self._given[trial]
        known = self._trials[trial]
        with _alone(), drawing(0):
            return slopes.of_model(module, given, Sloped(known.model, known.line, known.definition, whole=True))

    def ways(self) -> tuple[Way, ...]:
        """Where the training is compiled, or its optimizer fused: one step as written against one plain step."""
        rerun = self._steps()
        with _alone():
            return ways.of_training(rerun)

    def _steps(self) -> Rerun:
        if self._rerun is None:
            raise NotOffered(
                "a loop that is watched is run once; for this, hand over a function that builds the training"
            )
        return self._rerun

    def _run(
        self,
        trial: int,
        edits: Sequence[Edit],
        training: bool,
        seed: int,
        inside: Any,
        *,
        cast: bool = True,
        times: int = 1,
        other: nn.Module | None = None,
    ) -> Outcome:
        module, given = self._given[trial]
        module = module if other is None else other
        with _alone(), self._switched(module, training), self._kept(module) as kept:
            args, kwargs, tensors = edited(given, edits)
            if "training" in kwargs and hasattr(module, "_call_has_training_arg"):  # the mode of Keras is an argument
                kwargs["training"] = training
            versions = [tensor._version for _, tensor in tensors]
            output, error = None, None
            with drawing(seed) as drawn, given.autocast() if cast else ExitStack():
                try:
                    for _ in range(times):
                        output = _called(module, args, kwargs, tensors, given, inside)
                except Exception as raised:
                    error = raised
            wrote = tuple(n for (n, t), before in zip(tensors, versions, strict=True) if t._version != before)
        found = [(name, tensor.detach()) for name, tensor in flat(output, "")]
        return Outcome(
            outputs=tuple(described(name, tensor) for name, tensor in found),
            error=facts.told(error) if error is not None else "",
            error_line=facts.line_of(error) if error is not None else None,
            drew=drawn.drew,
            kept=tuple(kept),
            wrote=wrote,
            handle={"outputs": found, "eps": given.eps() if cast else 0.0},
        )

    def _reached(self, module: nn.Module) -> dict[str, Any]:
        if id(module) not in self._state:
            self._state[id(module)] = {
                name: thing
                for name, thing in reachable(module).items()
                if not isinstance(thing, nn.Parameter) and not isinstance(thing, Tensor) or _owned(thing)
            }
        return self._state[id(module)]

    def _switched(self, module: nn.Module, training: bool) -> AbstractContextManager[None]:
        modules = [each for each in self._reached(module).values() if isinstance(each, nn.Module)]
        return switch.switched(module, training, modules)

    @contextmanager
    def _kept(self, module: nn.Module) -> Iterator[list[str]]:
        """Put the model's buffers and attributes back; gives the names of those that had changed."""
        before = snapshot.snapshot(self._reached(module))
        changed: list[str] = []
        try:
            yield changed
        finally:
            changed += snapshot.differences(before)
            if changed:
                snapshot.restore(before)


def _owned(thing: Any) -> bool:
    return isinstance(thing, Tensor) and not isinstance(thing, nn.Parameter)


def _called(module: Any, args: Any, kwargs: Any, tensors: Any, given: Given, inside: Any) -> Any:
    try:
        with torch.no_grad(), inside:
            return module(*args, **kwargs)
    except RuntimeError as error:
        if not given.grad or "grad" not in str(error):
            raise
    for name, tensor in tensors:  # it differentiates within: forces, penalties
        if name in given.wanting and tensor.is_floating_point():
            tensor.requires_grad_()
    with torch.enable_grad(), inside:
        return module(*args, **kwargs)


@contextmanager
def _alone() -> Iterator[None]:
    """What the user's code prints or warns of is not heard; what is compiled runs eagerly."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        raise NotOffered(
            "torch.distributed is initialized: of processes that train together, one cannot run the model alone"
        )
    with ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        # PyTorch's fast path drops or moves what is padded: training never takes it.
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield
