"""Gaps: the checks that a framework's backend cannot judge, each with the verdict it gets and the reason.

`Open`: the fault exists there and is not seen yet. `NotApplicable`: what the check is about does not exist there. The
table in the documentation is made of this one, and a test holds that no check passes where it has a gap.
"""

from __future__ import annotations

from collections.abc import Mapping

from smokestep.findings import NotApplicable, Open

JAX: Mapping[str, Open | NotApplicable] = {}

TENSORFLOW: Mapping[str, Open | NotApplicable] = {
    "aliased-checkpoint": Open("which lists of variables are kept as a checkpoint is not seen yet"),
    "cleared-gradients": NotApplicable("a tape returns gradients as values: nothing keeps them until they are cleared"),
    "closure-without-backward": NotApplicable("no optimizer takes a closure: each is given the gradients themselves"),
    "early-scheduler": NotApplicable("the optimizer asks its schedule itself, by its own count of updates"),
    "empty-clip": NotApplicable("clipping is given gradients, and an empty list of them raises"),
    "growing-graph": NotApplicable("a tensor keeps no gradient history: it is the tape's, and goes with it"),
    "loose-loading": Open("which weights find no place when they are loaded is not seen yet"),
    "misplaced-clip": Open("clipping is not yet told apart from other work on gradients"),
    "mutated-input": NotApplicable("tensors cannot be written into"),
    "overridden-train": NotApplicable("the mode is the argument `training` of a call: no method sets it"),
    "repeated-augmentation": Open("data pipelines are not looked into yet"),
    "repeated-randomness": Open("what is drawn from the random generators is not followed yet"),
    "schedule-pace": Open("data pipelines are not looked into yet, so how long an epoch is, is not known"),
    "stale-gradients": NotApplicable("a tape returns new gradients each time: nothing adds them to earlier ones"),
    "step-before-backward": NotApplicable("an update is given the gradients themselves: it cannot come before them"),
    "unreached-mode": NotApplicable("the mode comes with each call, and no layer keeps one"),
    "unshuffled-data": Open("data pipelines are not looked into yet"),
}
