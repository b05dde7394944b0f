"""Optimizers: what is told of each: its groups with their settings, and what it holds that no model uses."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from smokestep.backends.torch import frames, sources
from smokestep.evidence.flow import Flow
from smokestep.evidence.steps import Group, Parameter
from smokestep.evidence.steps import Optimizer as OptimizerEvidence

THOUSANDTH = 1e-3
_ROOTS = {"Adagrad", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop"}  # divide by a root to which they add it


def evidence(assembly: Any, parameters: Sequence[Parameter], flow: Flow) -> tuple[OptimizerEvidence, ...]:
    """Each optimizer, in the order in which they were met."""
    recorder = assembly.recorder
    read = {v.name for g in flow.graphs for op in g.ops for i in op.reads if (v := g.values.get(i)) and v.name}
    used_models = {c.model for g in flow.graphs for c in g.calls} | {p.model for p in parameters if p.name in read}
    free = [p for p in parameters if p.requires_grad and p.in_model and not p.optimizers and p.model in used_models]
    rates: dict[int, list[Any]] = {}
    for event in recorder.events:
        if event.kind == "update" and "rates" in event.detail:
            rates.setdefault(id(event.subject), []).append(event.detail["rates"])
    known = {p.name: p for p in parameters}
    found = []
    for key, optimizer in recorder.optimizers.items():
        groups, stale, spare = [], [], list(free)
        for index, group in enumerate(optimizer.param_groups):
            names = tuple(assembly.names[id(t)] for t in group["params"])
            seen = tuple(step[index] for step in rates.get(key, ()) if index < len(step) and step[index] is not None)
            groups.append(
                Group(
                    names,
                    seen,
                    float(group.get("weight_decay") or 0.0),
                    _keeps_moving(optimizer, group),
                    bool(group.get("maximize")),
                    betas=_betas(group),
                    epsilon=_epsilon(optimizer, group),
                )
            )
            for name in names:
                parameter = known[name]
                if name in read or (parameter.in_model and parameter.model in used_models):
                    continue
                twin = next((p for p in spare if p.shape == parameter.shape), None)
                if twin is None and not parameter.in_model:  # replaced by a layer of another width
                    twin = next((p for p in spare if _alike(p.shape, parameter.shape)), None)
                if twin is not None:
                    spare.remove(twin)
                if not parameter.in_model or twin is not None:
                    stale.append((name, twin.name if twin else ""))
        line = frames.line_of(recorder.lines.get(key))
        found.append(
            OptimizerEvidence(
                name=assembly.optimizer_names[key],
                kind=type(optimizer).__name__,
                groups=tuple(groups),
                line=line,
                stale=tuple(stale),
                updates=recorder.updates.get(key, 0),
                needs_closure=isinstance(optimizer, torch.optim.LBFGS),
                filtered=sources.filtered(line),
                born=recorder.born.get(key),
            )
        )
    return tuple(found)


def _alike(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes differ in one dimension at most."""
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) <= 1


def _keeps_moving(optimizer: Optimizer, group: Mapping[str, Any]) -> bool:
    return bool(group.get("momentum") or "betas" in group or group.get("beta1"))


def _betas(group: Mapping[str, Any]) -> tuple[float, ...]:
    given = group.get("betas")
    return tuple(map(float, given)) if isinstance(given, (tuple, list)) else ()


def _epsilon(optimizer: Optimizer, group: Mapping[str, Any]) -> float | None:
    """What the framework's own optimizers add to a root in the parameter's own type; fused ones compute in a wider."""
    own = type(optimizer).__module__.startswith("torch.optim") and type(optimizer).__name__ in _ROOTS
    given = group.get("eps")
    return float(given) if own and isinstance(given, (int, float)) and not group.get("fused") else None


def remembers(optimizer: Optimizer) -> bool:
    """Whether an optimizer keeps something of earlier gradients; how often it stepped is not that."""
    states = getattr(optimizer, "state", {}).values()
    return any(isinstance(each, dict) and any(v is not None for k, v in each.items() if k != "step") for each in states)


def pace(scheduler: Any) -> dict[str, int]:
    """After how many calls a schedule that only ever lowers the rate has it at a thousandth, if it will be."""
    kind, gamma = type(scheduler).__name__, getattr(scheduler, "gamma", None)
    if not isinstance(gamma, float) or not 0 < gamma < 1 or not type(scheduler).__module__.startswith("torch.optim"):
        return {}
    drops = math.ceil(math.log(THOUSANDTH) / math.log(gamma) - 1e-9)  # 0.1³ is a thousandth, but for rounding
    if kind == "ExponentialLR":
        return {"spent": drops}
    if kind == "StepLR":
        return {"spent": drops * int(scheduler.step_size)}
    milestones = sorted(scheduler.milestones.elements()) if kind == "MultiStepLR" else []
    return {"spent": int(milestones[drops - 1])} if len(milestones) >= drops else {}


def constructing() -> bool:
    """Whether a scheduler that steps now does so while it is being built: that step is not the user's."""
    frame = sys._getframe()
    for _ in range(9):
        if frame.f_back is None:
            break
        frame = frame.f_back
        if frame.f_code.co_name in ("_initial_step", "__init__") and "lr_scheduler" in frame.f_code.co_filename:
            return True
    return False
