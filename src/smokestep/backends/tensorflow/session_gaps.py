"""What is not judged on a session's graph, with the reason, and what is said of it in other words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smokestep.findings import NotApplicable, Open

_VALUES = NotApplicable("a graph's gradients are values of one run: nothing keeps, clears or mixes them")
_ORDER = NotApplicable("the order of a graph's operations is that of its data, not that of lines")
_FIRST = Open("first values of variables are not looked into on a session's graph yet")
_FED = Open("what feeds a session's graph is not looked into yet")
_SAVED = Open("what a Saver restores is not looked into yet")
_UNITS = Open("single units are not measured on a session's graph yet")

GAPS: Mapping[str, Open | NotApplicable] = {
    "aliased-checkpoint": _SAVED,
    "cleared-gradients": _VALUES,
    "closure-without-backward": NotApplicable("no optimizer of TensorFlow 1 takes a closure"),
    "dead-units": _UNITS,
    "early-scheduler": NotApplicable("a schedule is an operation of the graph, computed from its step counter"),
    "empty-clip": NotApplicable("gradients are clipped as values; no iterator of parameters is handed over"),
    "growing-graph": Open("whether steps add operations to a graph is not judged yet"),
    "identical-twins": _FIRST,
    "loose-loading": _SAVED,
    "misplaced-clip": _ORDER,
    "out-of-range": Open("the range of outputs is not measured on a session's graph yet"),
    "recreated-optimizer": Open("whether steps make new optimizers is not judged on a session's graph yet"),
    "repeated-randomness": Open("seeds of a graph's operations are not looked into yet"),
    "repeated-update": _VALUES,
    "saturated-units": _UNITS,
    "schedule-pace": _FED,
    "skipped-steps": NotApplicable("no gradient scaler is known in TensorFlow 1"),
    "stale-gradients": _VALUES,
    "step-before-backward": _ORDER,
    "stuck-dropout": Open("whether a dropout could be switched off is not judged on a session's graph yet"),
    "symmetric-units": _FIRST,
    "stale-optimizer": NotApplicable("a variable of a graph is never replaced by another"),
    "trained-in-eval": Open("a dropout that is off leaves no operation in a graph, so it is not seen"),
    "teacher-dropout": Open("which network is a teacher is not judged on a session's graph yet"),
    "unoptimized-parameter": Open("what every var_list leaves out may be left out on purpose, so it is not judged"),
    "unregistered-parameter": NotApplicable("a graph knows every variable: there is no module to register it with"),
    "unshuffled-data": _FED,
    "untied-weights": _FIRST,
    "zero-product": _FIRST,
}

WORDS: Sequence[tuple[str, str]] = (
    ("with requires_grad_(False)", "with trainable=False"),
    ("call requires_grad_(True)", "create it with trainable=True"),
    ("does not require gradient", "is not trainable"),
    ("`detach` takes it out of the graph", "`tf.stop_gradient` takes it out of the graph"),
    ("remove `detach`", "remove `tf.stop_gradient`"),
    ("detach what that loss", "put `tf.stop_gradient` on what that loss"),
    ("`detach`", "`tf.stop_gradient`"),
    (
        "call model.train() before the training step, and again after each evaluation",
        "build or feed is_training=True in the training step, and run the update operations of the moving averages",
    ),
    (
        "look for code that restores the buffers, or that sets track_running_stats to False after building",
        "run the operations of tf.GraphKeys.UPDATE_OPS with the train op (tf.control_dependencies, or "
        "slim.learning.create_train_op)",
    ),
    ("give each network an optimizer of its own", "give minimize() a var_list for each network"),
    ("an optimizer each", "a train op with a var_list each"),
    ("hand it to the optimizer", "put it into var_list"),
    ("hand them to the optimizer", "put them into var_list"),
    ("call loss.backward() before optimizer.step()", "fetch the train op"),
    ("no backward was called", "no run computed a gradient"),
    ("use it in forward", "use it in the network"),
    ("binary_cross_entropy_with_logits", "tf.nn.sigmoid_cross_entropy_with_logits"),
    ("torch.where", "tf.where"),
)
