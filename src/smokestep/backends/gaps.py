"""Gaps: the checks that a framework's backend cannot judge, each with the verdict it gets and the reason.

`Open`: the fault exists there and is not seen yet. `NotApplicable`: what the check is about does not exist there. The
table in the documentation is made of this one, and a test holds that no check passes where it has a gap.
"""

from __future__ import annotations

from collections.abc import Mapping

from smokestep.findings import NotApplicable, Open

_VALUES = NotApplicable(
    "in JAX gradients are values that a step computes and uses up; nothing keeps them for the next one"
)
_CALLS = Open("what belongs to one call of a model is not told apart in JAX yet")
_BEGINNINGS = Open("what the parameters held before the first step is not compared in JAX yet")
_ACTIVATIONS = Open("the single units of an activation are not looked at in JAX yet")
_MODES = Open("a dropout that is switched off leaves no trace in a JAX program, so its mode is not seen yet")
_LOADERS = NotApplicable("JAX has no data loader of its own")
_SCHEDULES = NotApplicable("an Optax schedule counts the updates itself: there is no call of its own to misplace")

JAX: Mapping[str, Open | NotApplicable] = {
    "aliased-checkpoint": NotApplicable("JAX arrays are never changed in place, so a kept one stays what it was"),
    "cleared-gradients": _VALUES,
    "closure-without-backward": NotApplicable("no JAX optimizer asks for a closure"),
    "constant-input": _CALLS,
    "constant-output": _CALLS,
    "dead-units": _ACTIVATIONS,
    "early-scheduler": _SCHEDULES,
    "empty-clip": NotApplicable("clipping is a part of the optimizer there, and is given all gradients"),
    "foreign-parameters": _CALLS,
    "growing-graph": NotApplicable("in JAX a result holds no history that could grow"),
    "identical-twins": _BEGINNINGS,
    "ignored-input": _CALLS,
    "loose-loading": NotApplicable("a tree of other structure cannot be loaded loosely into a JAX state"),
    "missing-nonlinearity": Open("layers written as `x @ w + b` are not told from other products in JAX yet"),
    "misplaced-clip": NotApplicable("clipping is a part of the optimizer there, and comes before its update"),
    "overridden-train": NotApplicable("JAX modules have no `train` method to override"),
    "recreated-optimizer": Open("where the state of an optimizer was made is not seen in JAX yet"),
    "repeated-augmentation": _LOADERS,
    "repeated-randomness": NotApplicable(
        "JAX has no global random generator; keys used again are told by `reused-key`"
    ),
    "repeated-update": _VALUES,
    "reversed-momentum": Open("the momentum of running statistics is not read off in JAX yet"),
    "saturated-units": _ACTIVATIONS,
    "schedule-pace": _SCHEDULES,
    "skipped-steps": NotApplicable("JAX has no gradient scaler of its own"),
    "stale-gradients": _VALUES,
    "stale-optimizer": NotApplicable("an Optax optimizer holds no parameters: they are handed to it at each update"),
    "step-before-backward": NotApplicable("an update is given its gradients as values, so they were computed before"),
    "stuck-dropout": _MODES,
    "symmetric-units": _BEGINNINGS,
    "teacher-dropout": _CALLS,
    "trained-in-eval": _MODES,
    "unregistered-parameter": NotApplicable("in JAX a parameter is whatever is differentiated: there is no register"),
    "unshuffled-data": _LOADERS,
    "untied-weights": _BEGINNINGS,
    "zero-product": _BEGINNINGS,
}

TENSORFLOW: Mapping[str, Open | NotApplicable] = {}
