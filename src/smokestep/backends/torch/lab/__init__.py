"""The lab: recorded model calls made again, their arguments edited, on the model as the recording left it.

Whatever a trial changes is put back at its end; what the user's code prints or warns of meanwhile is not heard.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from smokestep import facts
from smokestep.backends.torch import snapshot
from smokestep.backends.torch.calls import Called, flat
from smokestep.backends.torch.declarations import batch_names
from smokestep.backends.torch.lab import reading
from smokestep.backends.torch.lab.beside import Beside
from smokestep.backends.torch.lab.capture import Given, edited
from smokestep.backends.torch.lab.compare import described, difference
from smokestep.backends.torch.lab.drawing import drawing
from smokestep.backends.torch.lab.steps import Fresh, Rerun
from smokestep.backends.torch.lab.trail import Followed, stray, touches
from smokestep.backends.torch.reach import reachable
from smokestep.evidence.flow import Flow
from smokestep.evidence.trials import Difference, Edit, Outcome, Stepped, Touch, Trial
from smokestep.evidence.trials import Tensor as Described
from smokestep.world import NotOffered

Tensor = torch.Tensor


class TorchLab:
    """The trials of one recording; `calls` are the calls of root models that were kept."""

    def __init__(self, calls: Sequence[Called], flow: Flow, rerun: Rerun | None = None) -> None:
        self._rerun = rerun
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

    def trials(self) -> tuple[Trial, ...]:
        """The calls that can be made again."""
        return tuple(self._trials)

    def run(self, trial: int, edits: Sequence[Edit] = (), *, training: bool = False, seed: int = 0) -> Outcome:
        """Make a call again with its arguments edited; what the user's code raises is told in the outcome."""
        return self._run(trial, edits, training, seed, ExitStack())

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

    def trail(self, trial: int, edits: Sequence[Edit], nudged: Sequence[Edit]) -> tuple[Touch, ...]:
        """Make a call twice, with `edits` and with `nudged`: the operations whose inputs or results differ."""
        return touches(self._followed(trial, edits), self._followed(trial, nudged))

    def stray(self, trial: int, edits: Sequence[Edit], size: int) -> Touch | None:
        """Make a call whose `size` samples are alike: the first operation that gives unlike rows for alike ones."""
        return stray(self._followed(trial, edits), size)

    def _followed(self, trial: int, edits: Sequence[Edit]) -> Followed:
        follow = Followed(self._given[trial][0])
        self._run(trial, edits, False, 0, follow)
        return follow

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

    def dry(self, edits: Sequence[Edit] = (), *, step: str = "", seed: int = 0) -> Stepped:
        """Run a step of the training up to its losses, on an edited batch."""
        return self._steps().dry(edits, step=step, seed=seed)

    def fresh(self, *, seed: int = 0) -> AbstractContextManager[Fresh]:
        """A training to be trained for real: built afresh, or put back at the end of the block."""
        return self._steps().fresh(seed=seed)

    def _steps(self) -> Rerun:
        if self._rerun is None:
            raise NotOffered(
                "a loop that is watched is run once; for this, hand over a function that builds the training"
            )
        return self._rerun

    def _run(self, trial: int, edits: Sequence[Edit], training: bool, seed: int, inside: Any) -> Outcome:
        module, given = self._given[trial]
        with _alone(), _modes(module, training), self._kept(module) as kept:
            args, kwargs, tensors = edited(given, edits)
            versions = [tensor._version for _, tensor in tensors]
            output, error = None, None
            with drawing(seed) as drawn, given.autocast():
                try:
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
            handle={"outputs": found, "eps": given.eps()},
        )

    @contextmanager
    def _kept(self, module: nn.Module) -> Iterator[list[str]]:
        """Put the model's buffers and attributes back; gives the names of those that had changed."""
        if id(module) not in self._state:
            self._state[id(module)] = {
                name: thing
                for name, thing in reachable(module).items()
                if not isinstance(thing, nn.Parameter) and not isinstance(thing, Tensor) or _owned(thing)
            }
        before = snapshot.snapshot(self._state[id(module)])
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
def _modes(module: nn.Module, training: bool) -> Iterator[None]:
    before = [(each, each.training) for each in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for each, mode in before:
            each.training = mode


@contextmanager
def _alone() -> Iterator[None]:
    """What the user's code prints or warns of is not heard; what is compiled runs eagerly."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        raise NotOffered("several processes train together: one of them alone cannot run the model again")
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
