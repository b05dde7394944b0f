"""Round trip: a model and a training saved as users do, loaded into ones built afresh, and compared.

The trainings built here are thrown away; the one that was recorded is only read.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from smokestep import facts
from smokestep.backends.torch import frames, sources
from smokestep.backends.torch.lab.drawing import states
from smokestep.backends.torch.lab.leaves import Leaf, fits, leaves, same
from smokestep.backends.torch.lab.steps import Fresh, Rerun
from smokestep.backends.torch.quiet import quiet
from smokestep.backends.torch.reach import reachable
from smokestep.backends.torch.trace import storage
from smokestep.backends.torch.vocabulary import bare_name, tensors_in
from smokestep.evidence.roundtrip import Lost, Resumed, Trip
from smokestep.world import NotOffered

Tensor = torch.Tensor
SEEDS = 7919, 7927  # of the trainings built afresh: others than the one that was recorded
STEPS = 2  # before the training is saved, and after
EACH = 8  # candidates that are looked at one by one
SAME = 64.0  # roundings of the scale, as in `evidence.influence`
DRAWS = frozenset(
    "rand randn randint randperm rand_like randn_like randint_like normal normal_ uniform_ bernoulli bernoulli_ "
    "multinomial exponential_ random_ poisson log_normal_ cauchy_ geometric_".split()
)


class Born(TorchFunctionMode):
    """Knows, of the tensors made while it is on, from which draw within a module's own code they come."""

    def __init__(self) -> None:
        super().__init__()
        self._origins: dict[int, tuple[Tensor, Any]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        known = [found for each in tensors_in([args, kwargs]) if (found := self.origin(each)) is not None]
        origin = known[0] if known else frames.position()[1] if bare_name(func) in DRAWS and _in_module() else None
        if origin is not None:
            for each in tensors_in(result):
                self._origins.setdefault(storage(each), (each, origin))  # kept alive: its memory is not used again
        return result

    def origin(self, tensor: Any) -> Any:
        """The line of the draw, if there was one."""
        return self._origins.get(storage(tensor), (None, None))[1] if isinstance(tensor, Tensor) else None


def _in_module() -> bool:
    frame = frames.user_frame()
    while frame is not None:
        first = frame.f_code.co_varnames[:1]
        if first and isinstance(frame.f_locals.get(first[0]), nn.Module):
            return True
        frame = frame.f_back
    return False


def name_in(training: Any, module: nn.Module) -> str:
    """The name by which a training reaches a module. Raises `NotOffered` where it does not."""
    for name, thing in reachable(training).items():
        if thing is module:
            return name
    raise NotOffered("the model is built anew in each step, so that it cannot be found in a training built afresh")


def twin(training: Any, name: str, module: nn.Module) -> nn.Module:
    """The module of the same name in a training built afresh. Raises `NotOffered` where it has none."""
    found = reachable(training).get(name)
    if found is module:
        raise NotOffered("the function that builds the training hands out the same model each time")
    if type(found).__qualname__ != type(module).__qualname__ or not isinstance(found, nn.Module):
        raise NotOffered("the training built afresh holds another kind of model")
    return found


def trip(
    rerun: Rerun, module: nn.Module, known: Trip, rows: int, outcome: Callable[[nn.Module], list[tuple[str, Tensor]]]
) -> Trip:
    """Save a model, load it into a fresh one, and compare what `outcome` gives of both."""
    with ExitStack() as stack:
        rerun.building()
        name = name_in(rerun.training, module)
        fresh = twin(stack.enter_context(rerun.fresh(seed=SEEDS[0])).training, name, module)
        first = outcome(module)
        if _apart(first, outcome(module)):
            return _with(known, skipped="two equal calls of it differ")
        try:
            fresh.load_state_dict(_loaded(_saved(module.state_dict())))
        except Exception as error:
            return _with(known, refused=facts.told(error))
        apart = _apart(first, outcome(fresh))
        if not apart:
            return known
        with Born() as born:
            third = twin(stack.enter_context(rerun.fresh(seed=SEEDS[1])).training, name, module)
        held = {id(each) for each in module.state_dict(keep_vars=True).values()}
        mine, theirs, others = leaves(module), leaves(fresh), leaves(third)
        names = [
            each
            for each, leaf in mine.items()
            if each in theirs and id(leaf.value) not in held and fits(leaf.value, theirs[each].value)
            if not same(leaf.value, theirs[each].value)
        ]
        before = {each: theirs[each].copy() for each in names}
        for each in names:
            theirs[each].put(mine[each].copy())
        if _apart(first, outcome(fresh)):
            later = [each for each in mine if each not in theirs and isinstance(mine[each].value, Tensor)]
            if later:  # a hidden state or a cache: a model built afresh has none yet
                return _with(known, skipped=f"it keeps {later[0]}, which a model built afresh does not have yet")
            return _with(known, apart, skipped="the output differs after loading, and no attribute explains it")
        lost = []
        for each in names[:EACH]:
            theirs[each].put(before[each])
            if len(names) == 1 or _apart(first, outcome(fresh)):
                other = others.get(each)
                changed = other is not None and same(other.value, before[each])
                origin = born.origin(other.value) if other and not _apart_on_purpose(module, mine[each]) else None
                lost.append(_lost(each, mine[each], changed, origin, rows))
            theirs[each].put(mine[each].copy())
        return _with(known, apart, lost=tuple(lost))


def _apart_on_purpose(module: nn.Module, leaf: Leaf) -> bool:
    """Whether it belongs to a frozen network that the model keeps out of its own state: loaded by other means."""
    owner = leaf.keeper if isinstance(leaf.keeper, nn.Module) else None
    hidden = owner is not None and all(owner is not each for each in module.modules())
    frozen = owner is not None and not any(each.requires_grad for each in owner.parameters())
    return (hidden and frozen) or (isinstance(leaf.value, nn.Parameter) and not leaf.value.requires_grad)


def _with(known: Trip, apart: float = 0.0, lost: tuple[Lost, ...] = (), refused: str = "", skipped: str = "") -> Trip:
    return Trip(known.model, known.line, apart, lost, refused, skipped)


def _lost(name: str, leaf: Leaf, changed: bool, origin: Any, rows: int) -> Lost:
    tensor = isinstance(leaf.value, Tensor)
    passing = changed and tensor and rows in leaf.value.shape
    kind: Any = "passing" if passing else "changed" if changed else "drawn" if origin is not None else "made"
    line = frames.line_of(origin) or _assigned(leaf)
    return Lost(name, kind, line, type(leaf.keeper).__name__, "module", tensor)


def _assigned(leaf: Leaf) -> Any:
    return sources.built_at(type(leaf.keeper), leaf.key) if leaf.key and leaf.keeper is not None else None


def _saved(state: Any) -> bytes:
    """Written, as to a file."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _loaded(state: bytes) -> Any:
    """Read anew each time: an optimizer goes on with the very tensors that it loads."""
    return torch.load(io.BytesIO(state), weights_only=False)


def _apart(ones: Sequence[tuple[str, Tensor]], others: Sequence[tuple[str, Tensor]]) -> float:
    """By which part of its scale an output differs; 0 within rounding."""
    largest = 0.0
    with quiet():
        for (_, one), (_, other) in zip(ones, others, strict=False):
            if one.shape != other.shape or not one.is_floating_point():
                largest = max(largest, float(one.shape != other.shape or not torch.equal(one, other)))
                continue
            scale = float(one.double().abs().max()) if one.numel() else 0.0
            gap = float((one.double() - other.double()).abs().nan_to_num(0.0).max()) if one.numel() else 0.0
            if gap > SAME * torch.finfo(one.dtype).eps * scale:
                largest = max(largest, gap / (scale or 1.0))
    return largest


# ── a whole training ────────────────────────────────────────────────────────────────────────────────────────────────
def stateful(training: Any) -> dict[str, Any]:
    """What has a state_dict and can load one, by name; the parts of a module, and of the framework's, are its own."""
    found = {
        name: thing
        for name, thing in reachable(training).items()
        if callable(getattr(type(thing), "state_dict", None))
        and callable(getattr(type(thing), "load_state_dict", None))
    }
    inside = {
        id(below)
        for each in found.values()
        if isinstance(each, nn.Module)
        for below in each.modules()
        if below is not each
    }
    return {name: each for name, each in found.items() if id(each) not in inside}


def resume(rerun: Rerun) -> Resumed:
    """Train, save and train on; do the latter again in a training built afresh that loads what was saved."""
    rerun.building()
    try:
        with rerun.fresh(seed=SEEDS[0]) as fresh:
            _steps(fresh)
            saved = {name: _saved(each.state_dict()) for name, each in stateful(fresh.training).items()}
            values = {name: leaf.copy() for name, leaf in leaves(fresh.training).items()}
            private, random = generators(fresh.training), states()
            _steps(fresh)
            wanted = trained(fresh.training)
    except _Raised as error:
        return Resumed(skipped=f"a step of a training built afresh raised {error}")
    except Exception as error:
        return Resumed(skipped=f"the training could not be saved: {facts.told(error)}")

    def again(names: Sequence[str] | None) -> tuple[float, dict[str, Leaf], dict[str, Any]]:
        """The difference at the end; what differed before the steps, and has a state_dict above it."""
        with rerun.fresh(seed=SEEDS[0]) as fresh:
            if names is None:  # without any interruption
                _steps(fresh)
                _steps(fresh)
                return _gap(wanted, trained(fresh.training)), {}, {}
            objects = stateful(fresh.training)
            for name, state in saved.items():
                objects[name].load_state_dict(_loaded(state))
            found = leaves(fresh.training)
            missing = {
                name: leaf
                for name, leaf in found.items()
                if name in values and fits(leaf.value, values[name]) and not same(leaf.value, values[name])
            }
            for name in names:
                if name in missing:
                    missing[name].put(values[name])
            for name, state in generators(fresh.training).items():
                if name in private:
                    _put_generator(state[0], private[name][1])
            for put, state in random:
                put(state)
            _steps(fresh)
            return _gap(wanted, trained(fresh.training)), missing, objects

    try:
        if again(None)[0]:
            return Resumed(skipped="the training is not the same twice with one seed")
        apart, missing, objects = again(())
        if not apart:
            return Resumed(STEPS)
        if again(tuple(missing))[0]:
            return Resumed(
                STEPS, apart, skipped="it goes on differently for what cannot be seen, such as its data's order"
            )
        needed = [
            name
            for name in list(missing)[:EACH]
            if len(missing) == 1 or again([each for each in missing if each != name])[0]
        ]
    except _Raised as error:
        return Resumed(skipped=f"a step of a training built afresh raised {error}")
    except Exception as error:
        return Resumed(skipped=f"what was saved could not be loaded: {facts.told(error)}")
    lost, loose = [], []
    for name in needed:
        owner = _owner(name, objects)
        if owner is None:
            loose.append(name.removesuffix("'s cell"))
        else:
            leaf, kind = missing[name], _kind(owner)
            tensor = isinstance(leaf.value, Tensor)
            lost.append(Lost(name, "changed", _assigned(leaf), type(owner).__name__, kind, tensor))
    return Resumed(STEPS, apart, tuple(lost), tuple(loose))


class _Raised(Exception):
    """A step raised; the text says what."""


def _steps(fresh: Fresh, count: int = STEPS) -> None:
    for _ in range(count):
        for name in fresh.training.steps:
            done = fresh.step(name=name)
            if done.error:
                raise _Raised(done.error)


def trained(training: Any) -> dict[str, Tensor]:
    """A copy of every parameter that an optimizer or a module holds, by name."""
    with quiet():
        return {
            name: each.detach().clone()
            for name, each in reachable(training).items()
            if isinstance(each, Tensor) and (isinstance(each, nn.Parameter) or each.requires_grad)
        }


def _gap(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> float:
    """The largest difference of an entry; 0 if all are the same bit for bit."""
    with quiet():
        apart = [
            float((one.double() - found[name].double()).abs().max())
            for name, one in wanted.items()
            if name in found and one.shape == found[name].shape and not same(one, found[name])
        ]
    return max(apart, default=0.0)


def _kind(owner: Any) -> Any:
    if isinstance(owner, nn.Module):
        return "module"
    return "optimizer" if isinstance(owner, (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)) else "other"


def _owner(name: str, objects: Mapping[str, Any]) -> Any:
    above = [each for each in objects if each and name.startswith((f"{each}.", f"{each}["))]
    return objects[max(above, key=len)] if above else None


def generators(training: Any) -> dict[str, tuple[Any, Any]]:
    """Every private random generator that a training reaches, by name, with its state."""
    found = {}
    for name, each in reachable(training).items():
        state = generator_state(each)
        if state is not None:
            found[name] = each, state
    return found


def generator_state(thing: Any) -> Any:
    """The state of a random generator; None of anything else."""
    if isinstance(thing, torch.Generator):
        return thing.get_state()
    if type(thing).__module__.partition(".")[0] == "numpy" and hasattr(thing, "bit_generator"):
        return thing.bit_generator.state
    if type(thing).__module__ == "random" and hasattr(thing, "getstate"):
        try:
            return thing.getstate()
        except NotImplementedError:  # the system's
            return None
    return None


def _put_generator(thing: Any, state: Any) -> None:
    if isinstance(thing, torch.Generator):
        thing.set_state(state)
    elif hasattr(thing, "bit_generator"):
        thing.bit_generator.state = state
    else:
        thing.setstate(state)
