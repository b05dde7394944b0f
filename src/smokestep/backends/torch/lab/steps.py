"""Steps made again: the user's own step on an edited batch, for its losses alone or for real.

A dry run changes nothing; a real one happens on a training built afresh, or put back afterwards.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from smokestep import facts, privacy
from smokestep.backends.torch import snapshot
from smokestep.backends.torch.declarations import batch_names
from smokestep.backends.torch.events import patch
from smokestep.backends.torch.lab.capture import change
from smokestep.backends.torch.lab.compare import described
from smokestep.backends.torch.lab.drawing import Drawn, drawing, states
from smokestep.backends.torch.quiet import plain, quiet, unreal
from smokestep.backends.torch.reach import reachable
from smokestep.backends.torch.vocabulary import bare_name, tensors_in
from smokestep.evidence.trials import Edit, Stepped
from smokestep.evidence.trials import Tensor as Described
from smokestep.findings import Line
from smokestep.training import Training
from smokestep.world import NotOffered

Tensor = torch.Tensor


class Undropped(TorchFunctionMode):
    """Dropout drops nothing: what it adds is noise on purpose, in which exact relations would drown.

    Of the tensors in `held`, which are too large to copy for every run, one that is about to be written is kept, so
    that `put_back` gives it what it had.
    """

    def __init__(self, held: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self._held = {each.untyped_storage().data_ptr(): each for each in held if plain(each) and each.numel()}
        self._before: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def put_back(self) -> None:
        """Undo what was written by hand."""
        for tensor, data, before in self._before.values():
            tensor.data = data
            with torch.no_grad():
                tensor.copy_(before)

    def _writes(self, name: str, args: Any, kwargs: Any) -> None:
        special = name.endswith("__")
        writing = name.startswith("__i") or name == "__setitem__" if special else name.endswith(("_", "data="))
        first = args[:1] if writing else ()
        for each in tensors_in([first, kwargs.get("out")]):
            owner = self._held.get(each.untyped_storage().data_ptr()) if plain(each) else None
            if owner is not None and id(owner) not in self._before:
                self._before[id(owner)] = owner, owner.data, owner.detach().clone()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = "" if unreal() else bare_name(func)
        with quiet():
            self._writes(name, args, kwargs)
        if "dropout" in name and args and isinstance(args[0], Tensor):
            inplace = name.endswith("_") or kwargs.get("inplace") or (len(args) > 3 and args[3] is True)
            return args[0] if inplace else args[0].clone()
        if "dropout_p" in kwargs:
            kwargs["dropout_p"] = 0.0
        return func(*args, **kwargs)


@dataclass(slots=True)
class Heard:
    """The losses on which a running step called backward."""

    losses: list[float] = field(default_factory=list)


class Rerun:
    """The steps of one training, made again. `models` and `held` (optimizers) are those that the recording saw,
    `compiled` the lines that asked for the compiler, `lines` those that constructed an optimizer, by its id."""

    def __init__(
        self,
        training: Training,
        factory: Callable[[], Training] | None,
        models: list[nn.Module],
        held: list[Optimizer],
        compiled: Sequence[Line | None] = (),
        lines: Mapping[int, Line | None] | None = None,
    ) -> None:
        self.compiled, self.lines = compiled, dict(lines or {})
        self.training, self._factory, self._models, self._optimizers = training, factory, models, held
        self._objects: dict[str, Any] | None = None

    def batch(self) -> tuple[Described, ...]:
        """The tensors of the batch, under the names that edits use."""
        if not self.training.has_batch:
            return ()
        return tuple(described(name, tensor) for tensor, name in batch_names(self.training.batch))

    def dry(self, edits: Sequence[Edit] = (), *, step: str = "", seed: int = 0) -> Stepped:
        """Run a step up to its losses: backward and updates are left out, dropout drops nothing, all is put back."""
        with self._dry() as stack:
            return _ran(self.training, edits, step, seed, stack)

    @contextmanager
    def _dry(self) -> Iterator[ExitStack]:
        with ExitStack() as outer, ExitStack() as stack:
            outer.enter_context(self._preserved())
            for each in self._optimizers:
                outer.enter_context(_without_update(each))
            for module in {id(m): m for root in self._models for m in root.modules()}.values():
                if isinstance(module, (nn.RNNBase, nn.MultiheadAttention)) and module.dropout:
                    outer.callback(setattr, module, "dropout", module.dropout)
                    module.dropout = 0.0
            scaler = torch.amp.GradScaler
            for name in ("step", "update", "unscale_"):
                patch(stack, scaler, name, lambda original, *args, **kwargs: None)
            undropped = stack.enter_context(Undropped(self._still()))
            outer.callback(undropped.put_back)
            yield stack

    def _still(self) -> list[Tensor]:
        """What an optimizer holds: left alone in a dry run, but for what the step writes by hand."""
        found = [each for o in self._optimizers for group in o.param_groups for each in group["params"]]
        return found + [each for o in self._optimizers for state in o.state.values() for each in _values(state)]

    @contextmanager
    def _preserved(self) -> Iterator[None]:
        if self._objects is None:
            still = {id(each) for each in self._still()}
            self._objects = {name: thing for name, thing in reachable(self.training).items() if id(thing) not in still}
        before = snapshot.snapshot(self._objects)
        try:
            yield
        finally:
            snapshot.restore(before)

    def building(self) -> None:
        """Raises `NotOffered` where the training cannot be built afresh."""
        if self._factory is None:
            raise NotOffered(
                "a training handed over as it is cannot be built afresh: hand over a function that builds it"
            )

    @contextmanager
    def fresh(self, *, seed: int = 0) -> Iterator[Fresh]:
        """A training built afresh by the user's function, else the one at hand, put back at the end of the block."""
        with privacy.guard():
            privacy.seed_everything(seed)
            if self._factory is not None:
                yield Fresh(self._factory())
            else:
                with snapshot.preserved(self.training):
                    yield Fresh(self.training)


class Fresh:
    """One training that may be trained: private, or put back afterwards."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self._start = [(each, each.detach().clone()) for each in self._weights()]
        self._way: list[Tensor] = []
        self._drawn = states()

    def step(self, edits: Sequence[Edit] = (), *, name: str = "") -> Stepped:
        """Run one step for real; the random generators go on from where they are."""
        with ExitStack() as stack:
            return _ran(self.training, edits, name, None, stack)

    def travelled(self) -> float:
        """How far the trained weights are from where they began: the norm of the way, as a share of theirs."""
        way = sum(float((now.detach().double() - then.double()).square().sum()) for now, then in self._start)
        norm = sum(float(then.double().square().sum()) for _, then in self._start)
        return float((way / norm) ** 0.5) if norm else 0.0

    def along(self, share: float) -> None:
        """Put the weights at this share of the way that the first step took, and the generators where it found them."""
        self._way = self._way or [now.detach() - then for now, then in self._start]
        with torch.no_grad():
            for (now, then), way in zip(self._start, self._way, strict=True):
                now.copy_(then + share * way)
        for put, state in self._drawn:
            put(state)

    def _weights(self) -> list[Tensor]:
        reached = list(reachable(self.training).values())
        held = (each for each in reached if isinstance(each, Optimizer))
        found = {id(p): p for each in held for group in each.param_groups for p in group["params"]}
        if not found:  # updated by hand
            found = {id(each): each for each in reached if isinstance(each, Tensor) and each.is_leaf}
            found = {key: each for key, each in found.items() if each.requires_grad}
        return [each for each in found.values() if each.is_floating_point()]


def _ran(training: Training, edits: Sequence[Edit], name: str, seed: int | None, inside: ExitStack) -> Stepped:
    heard, error, returned = Heard(), None, None
    dry = seed is not None

    def backward(original: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        heard.losses += [float(each.detach()) for each in roots if each.numel() == 1]
        return None if dry else original(tensors, *args, **kwargs)

    step = training.steps[name] if name in training.steps else next(iter(training.steps.values()))
    arguments = (edited_batch(training, edits),) if training.has_batch else ()
    if edits and not training.has_batch:
        raise NotOffered("the step takes no batch that could be varied: give Training the batch")
    with ExitStack() as around, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        around.enter_context(contextlib.redirect_stdout(io.StringIO()))
        patch(around, torch.autograd, "backward", backward)
        drawn = around.enter_context(drawing(seed)) if seed is not None else Drawn()
        with inside:
            try:
                returned = step(*arguments)
            except Exception as raised:
                error = raised
    first = returned[0] if isinstance(returned, (tuple, list)) and returned else returned
    if isinstance(first, Tensor):
        first = first.detach().item() if first.numel() == 1 else None
    return Stepped(
        losses=tuple(heard.losses),
        returned=float(first) if isinstance(first, (int, float)) else None,
        error=facts.told(error) if error is not None else "",
        error_line=facts.line_of(error) if error is not None else None,
        drew=drawn.drew,
    )


def edited_batch(training: Training, edits: Sequence[Edit]) -> Any:
    """A copy of the batch, edited."""
    names = {id(tensor): name for tensor, name in batch_names(training.batch)}
    return change(training.batch, names, edits)


def _values(state: Any) -> list[Any]:
    return [each for each in state.values() if isinstance(each, Tensor)] if isinstance(state, dict) else []


@contextmanager
def _without_update(optimizer: Optimizer) -> Iterator[None]:
    def step(closure: Any = None) -> Any:
        return closure() if closure is not None else None

    own = vars(optimizer).get("step")
    vars(optimizer)["step"] = step
    try:
        yield
    finally:
        if own is None:
            vars(optimizer).pop("step", None)
        else:
            vars(optimizer)["step"] = own
