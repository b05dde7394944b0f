"""Ways compared: one step as written against the same step run eagerly, or with the plain loop of its optimizer.

What smokestep itself listens with is taken off meanwhile: it is no part of what the user compiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from smokestep.backends.torch import events, frames
from smokestep.backends.torch.lab.drawing import drawing
from smokestep.backends.torch.lab.steps import Rerun
from smokestep.backends.torch.meters import measurable
from smokestep.backends.torch.reach import reachable
from smokestep.evidence.trials import Stepped
from smokestep.evidence.ways import Apart, Way
from smokestep.findings import Line

Tensor = torch.Tensor
WORDS = ("fused", "foreach", "capturable")
ROUNDINGS = 4.0  # square roots of the type's rounding: 1.4e-3 in single precision, 0.35 in bfloat16
FAINT = 1e-2  # of the norm of all gradients: what is smaller may be nothing but rounding


@dataclass(slots=True)
class Ran:
    """What one step did. `before`, `gradients`, `after` by the name of the parameter."""

    did: Stepped
    drew: bool
    before: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    after: dict[str, Tensor] = field(default_factory=dict)


def of_training(rerun: Rerun) -> tuple[Way, ...]:
    """The ways that this training goes, each compared."""
    things = reachable(rerun.training)
    found = []
    compiled, line = _compiled(things, rerun.compiled)
    if compiled:
        found.append(
            _compared(Way("compiled", line), lambda: _run(rerun, "default"), lambda: _run(rerun, "force_eager"))
        )
    for name, optimizer in things.items():
        if not isinstance(optimizer, Optimizer):
            continue
        words = [word for word in WORDS if any(group.get(word) is True for group in optimizer.param_groups)]
        if words:
            way = Way(words[0], rerun.lines.get(id(optimizer)), f"{name} ({type(optimizer).__name__})")
            found.append(_compared(way, lambda: _run(rerun, ""), lambda: _run(rerun, "", plainly=True)))
    return tuple(found)


def _compiled(things: Mapping[str, Any], lines: Sequence[Line | None]) -> tuple[bool, Line | None]:
    """Whether anything is compiled, and the line that says so."""
    if lines:
        return True, lines[0]
    for each in things.values():
        if isinstance(each, nn.Module):
            if each._compiled_call_impl is not None or type(each).__name__ == "OptimizedModule":
                return True, None
        elif (original := getattr(each, "_torchdynamo_orig_callable", None)) is not None:
            code = getattr(original, "__code__", None)
            return True, frames.line_of((code.co_filename, code.co_firstlineno)) if code else None
    return False, None


def _run(rerun: Rerun, stance: str, *, plainly: bool = False) -> Ran:
    with ExitStack() as stack:
        fresh = stack.enter_context(rerun.fresh())
        if stance:
            stack.enter_context(events.unheard())
            stack.enter_context(torch.compiler.set_stance(stance))
        things = reachable(fresh.training)
        held = {id(p) for o in things.values() if isinstance(o, Optimizer) for g in o.param_groups for p in g["params"]}
        trained = {n: t for n, t in things.items() if isinstance(t, Tensor) and (id(t) in held) and measurable(t)}
        for each in things.values():
            if plainly and isinstance(each, Optimizer):
                for group in each.param_groups:
                    group.update({word: False for word in WORDS if word in group})
        before = {name: each.detach().clone() for name, each in trained.items()}
        gradients: dict[str, Tensor] = {}

        def about_to_step(*_: Any) -> None:
            for name, each in trained.items():
                if name not in gradients and each.grad is not None and measurable(each.grad):
                    gradients[name] = each.grad.detach().clone()

        stack.callback(register_optimizer_step_pre_hook(about_to_step).remove)
        drawn = stack.enter_context(drawing(0))
        did = fresh.step()
        after = {name: each.detach().clone() for name, each in trained.items()}
        stack.close()
        return Ran(did, drawn.drew, before, gradients, after)


def _compared(way: Way, written: Any, plain: Any) -> Way:
    one, again = plain(), plain()
    if one.did.error:
        return replace(way, why=f"the plain step raised {one.did.error}")
    if one.drew and way.kind == "compiled":
        return replace(way, why="the step draws random numbers, which a compiled one draws otherwise")
    if not _same(one, again):
        return replace(way, why="the plain step, repeated, gives other numbers")
    other = written()
    if other.did.error:
        return replace(way, why=f"the step as it is written raised {other.did.error}")
    losses = one.did.losses and other.did.losses and (other.did.losses[0], one.did.losses[0])
    found = list(_gradients(one.gradients, other.gradients))
    eps = max((torch.finfo(each.dtype).eps for each in one.before.values()), default=torch.finfo(torch.float32).eps)
    if losses:
        share = abs(losses[0] - losses[1]) / max(abs(losses[1]), 1e-12)
        found.insert(0, Apart("loss", "", share, ROUNDINGS * eps**0.5))
    if all(torch.equal(one.gradients[n], other.gradients[n]) for n in one.gradients.keys() & other.gradients.keys()):
        found += _updates(one, other)
    return replace(way, losses=losses or None, apart=tuple(found))


def _same(one: Ran, other: Ran) -> bool:
    return one.did.losses == other.did.losses and all(
        torch.equal(each, other.after[name]) for name, each in one.after.items() if name in other.after
    )


def _gradients(ones: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> Iterator[Apart]:
    whole = math.sqrt(sum(_norm(each) ** 2 for each in ones.values()))
    for name, each in ones.items():
        if name in others and whole:
            share = _norm(each - others[name]) / max(_norm(each), FAINT * whole)
            yield Apart("gradient", name, share, ROUNDINGS * torch.finfo(each.dtype).eps ** 0.5)


def _updates(one: Ran, other: Ran) -> Iterator[Apart]:
    for name, start in one.before.items():
        mine, theirs = one.after[name] - start, other.after[name] - other.before[name]
        eps = torch.finfo(start.dtype).eps
        room = ROUNDINGS * eps * _norm(start)  # of adding the update to the weight
        share = max(0.0, _norm(mine - theirs) - room) / max(_norm(mine), _norm(theirs), 1e-30)
        yield Apart("update", name, share, ROUNDINGS * eps**0.5)


def _norm(tensor: Tensor) -> float:
    return float(tensor.detach().double().norm())
