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
_LOADERS = NotApplicable("JAX has no data loader of its own")
_SCHEDULES = NotApplicable("an Optax schedule counts the updates itself: there is no call of its own to misplace")
_TREE = NotApplicable("the state of a training is one tree of values, which is saved as a whole")

JAX: Mapping[str, Open | NotApplicable] = {
    "aliased-checkpoint": NotApplicable("JAX arrays are never changed in place, so a kept one stays what it was"),
    "broken-resume": _TREE,
    "cache-mismatch": Open("decoding with a cache is not made again in JAX yet"),
    "cleared-gradients": _VALUES,
    "closure-without-backward": NotApplicable("no JAX optimizer asks for a closure"),
    "constant-penalty": NotApplicable("a derivative within a loss is differentiated like everything else"),
    "early-scheduler": _SCHEDULES,
    "empty-clip": NotApplicable("clipping is a part of the optimizer there, and is given all gradients"),
    "growing-graph": NotApplicable("in JAX a result holds no history that could grow"),
    "loose-loading": NotApplicable("a tree of other structure cannot be loaded loosely into a JAX state"),
    "lost-state": _TREE,
    "misplaced-clip": NotApplicable("clipping is a part of the optimizer there, and comes before its update"),
    "mutated-input": NotApplicable("JAX arrays are never changed in place"),
    "pooled-penalty": Open(
        "a derivative within a loss is seen as the arithmetic it is made of, not as a derivative yet"
    ),
    "recreated-optimizer": Open("where the state of an optimizer was made is not seen in JAX yet"),
    "repeated-augmentation": _LOADERS,
    "repeated-randomness": Open("the states of NumPy's generator are not compared in JAX yet"),
    "schedule-pace": _SCHEDULES,
    "skipped-steps": Open("updates that Optax leaves out are not told apart in JAX yet"),
    "stale-gradients": _VALUES,
    "stale-optimizer": NotApplicable("an Optax optimizer holds no parameters: they are handed to it at each update"),
    "step-before-backward": NotApplicable("an update is given its gradients as values, so they were computed before"),
    "unloadable-state": _TREE,
    "unreached-mode": NotApplicable(
        "Flax NNX refuses modules in plain lists, and layers of Linen and Equinox have no mode of their own to switch"
    ),
    "unregistered-parameter": NotApplicable("in JAX a parameter is whatever is differentiated: there is no register"),
    "unshuffled-data": _LOADERS,
}

KERAS_ELSEWHERE: Mapping[str, Open | NotApplicable] = {  # on JAX and on torch
    "unregistered-parameter": Open("layers that a Keras model does not track are told on TensorFlow only, yet"),
}

_KERAS_DROPOUT = Open("in which mode the dropouts of Keras run on JAX is not seen yet")

KERAS_ON_JAX: Mapping[str, Open | NotApplicable] = {
    **KERAS_ELSEWHERE,
    "stuck-dropout": _KERAS_DROPOUT,
    "teacher-dropout": _KERAS_DROPOUT,
    "trained-in-eval": _KERAS_DROPOUT,
}

_RESTORED = Open("saving and restoring are not tried yet")

TENSORFLOW: Mapping[str, Open | NotApplicable] = {
    "aliased-checkpoint": Open("which lists of variables are kept as a checkpoint is not seen yet"),
    "broken-resume": _RESTORED,
    "cache-mismatch": Open("decoding with a cache is not tried yet"),
    "cleared-gradients": NotApplicable("a tape returns gradients as values: nothing keeps them until they are cleared"),
    "closure-without-backward": NotApplicable("no optimizer takes a closure: each is given the gradients themselves"),
    "compiled-mismatch": Open("a compiled step is not compared with a plain one yet"),
    "early-scheduler": NotApplicable("the optimizer asks its schedule itself, by its own count of updates"),
    "empty-clip": NotApplicable("clipping is given gradients, and an empty list of them raises"),
    "growing-graph": NotApplicable("a tensor keeps no gradient history: it is the tape's, and goes with it"),
    "inverted-mask": Open("that padding is read is told by `padding-leak`; whether nothing else is, not yet"),
    "irreproducible": Open("a training is not built twice to compare the two yet"),
    "loose-loading": Open("which weights find no place when they are loaded is not seen yet"),
    "lost-state": _RESTORED,
    "misplaced-clip": Open("clipping is not yet told apart from other work on gradients"),
    "mutated-input": NotApplicable("tensors cannot be written into"),
    "overridden-train": NotApplicable("the mode is the argument `training` of a call: no method sets it"),
    "repeated-augmentation": Open("data pipelines are not looked into yet"),
    "repeated-randomness": Open("what is drawn from the random generators is not followed yet"),
    "reused-key": NotApplicable("generators move on by themselves, and hand out no keys"),
    "schedule-pace": Open("data pipelines are not looked into yet, so how long an epoch is, is not known"),
    "shifted-twice": Open("losses inside of a model are not compared with its arguments yet"),
    "skipped-steps": Open("what a `LossScaleOptimizer` leaves out is not seen yet"),
    "stale-gradients": NotApplicable("a tape returns new gradients each time: nothing adds them to earlier ones"),
    "stale-optimizer": Open("that a variable was replaced is not seen; the new one is told by `unoptimized-parameter`"),
    "step-before-backward": NotApplicable("an update is given the gradients themselves: it cannot come before them"),
    "unapplied-update": NotApplicable("an optimizer writes what it computes into the variables itself"),
    "unloadable-state": _RESTORED,
    "unreached-mode": NotApplicable("the mode comes with each call, and no layer keeps one"),
    "unshuffled-data": Open("data pipelines are not looked into yet"),
    "untied-weights": Open("an embedding is not yet compared with a layer whose weight is its transpose"),
    "wrong-gradient": Open("gradients of your own are not compared with finite differences yet"),
}

_RUN_VALUES = NotApplicable("a graph's gradients are values of one run: nothing keeps, clears or mixes them")
_RUN_ORDER = NotApplicable("the order of a graph's operations is that of its data, not that of lines")
_RUN_FIRST = Open("first values of variables are not looked into on a session's graph yet")
_RUN_FED = Open("what feeds a session's graph is not looked into yet")
_RUN_SAVED = Open("what a Saver restores is not looked into yet")
_RUN_UNITS = Open("single units are not measured on a session's graph yet")
_RUN_TRIED = Open("no experiment is made with a session's graph yet: it is only watched")

SESSIONS: Mapping[str, Open | NotApplicable] = {
    "aliased-checkpoint": _RUN_SAVED,
    "batch-leak": _RUN_TRIED,
    "batch-order": _RUN_TRIED,
    "batch-size": _RUN_TRIED,
    "broken-resume": _RUN_TRIED,
    "cache-mismatch": _RUN_TRIED,
    "cannot-overfit": _RUN_TRIED,
    "cleared-gradients": _RUN_VALUES,
    "climbing-update": _RUN_TRIED,
    "closure-without-backward": NotApplicable("no optimizer of TensorFlow 1 takes a closure"),
    "compiled-mismatch": _RUN_TRIED,
    "dead-units": _RUN_UNITS,
    "diverges": _RUN_TRIED,
    "early-scheduler": NotApplicable("a schedule is an operation of the graph, computed from its step counter"),
    "empty-clip": NotApplicable("gradients are clipped as values; no iterator of parameters is handed over"),
    "evaluation-updates": _RUN_TRIED,
    "future-leak": _RUN_TRIED,
    "growing-graph": Open("whether steps add operations to a graph is not judged yet"),
    "identical-twins": _RUN_FIRST,
    "inverted-loss": _RUN_TRIED,
    "inverted-mask": _RUN_TRIED,
    "irreproducible": _RUN_TRIED,
    "learns-nothing-from-input": _RUN_TRIED,
    "lone-sample": _RUN_TRIED,
    "loose-loading": _RUN_SAVED,
    "lost-history": _RUN_TRIED,
    "lost-state": _RUN_TRIED,
    "misplaced-clip": _RUN_ORDER,
    "mutated-input": NotApplicable("tensors cannot be written into"),
    "order-blind": _RUN_TRIED,
    "out-of-range": Open("the range of outputs is not measured on a session's graph yet"),
    "overridden-train": NotApplicable("the mode is the argument `training` of a call: no method sets it"),
    "padded-loss": _RUN_TRIED,
    "padded-mismatch": _RUN_TRIED,
    "padding-leak": _RUN_TRIED,
    "random-evaluation": _RUN_TRIED,
    "recreated-optimizer": Open("whether steps make new optimizers is not judged on a session's graph yet"),
    "repeated-augmentation": _RUN_FED,
    "repeated-randomness": Open("seeds of a graph's operations are not looked into yet"),
    "repeated-update": _RUN_VALUES,
    "reused-key": NotApplicable("generators move on by themselves, and hand out no keys"),
    "saturated-units": _RUN_UNITS,
    "schedule-pace": _RUN_FED,
    "shifted-twice": _RUN_TRIED,
    "skipped-steps": NotApplicable("no gradient scaler is known in TensorFlow 1"),
    "stale-gradients": _RUN_VALUES,
    "stale-optimizer": NotApplicable("a variable of a graph is never replaced by another"),
    "step-before-backward": _RUN_ORDER,
    "stuck-dropout": Open("whether a dropout could be switched off is not judged on a session's graph yet"),
    "symmetric-units": _RUN_FIRST,
    "teacher-dropout": Open("which network is a teacher is not judged on a session's graph yet"),
    "trained-in-eval": Open("a dropout that is off leaves no operation in a graph, so it is not seen"),
    "unapplied-update": NotApplicable("an optimizer writes what it computes into the variables itself"),
    "unloadable-state": _RUN_TRIED,
    "unoptimized-parameter": Open("what every var_list leaves out may be left out on purpose, so it is not judged"),
    "unpaired-target": _RUN_TRIED,
    "unreached-mode": NotApplicable("the mode comes with each call, and no layer keeps one"),
    "unread-samples": _RUN_TRIED,
    "unregistered-parameter": NotApplicable("a graph knows every variable: there is no module to register it with"),
    "unshifted-target": _RUN_TRIED,
    "unshuffled-data": _RUN_FED,
    "untied-weights": _RUN_FIRST,
    "wrong-gradient": _RUN_TRIED,
    "zero-product": _RUN_FIRST,
}
