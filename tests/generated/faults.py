"""What can be wrong in a generated program: each fault, the check that must tell it, and where it can be put in."""

from __future__ import annotations

from dataclasses import dataclass

ANY = ("classify", "regress", "binary", "segment", "tag", "masked", "next")
SCORED = ("classify", "segment", "tag", "masked", "next")  # tasks whose loss takes scores of classes
ORDERED = ("tag", "masked", "classify", "binary")  # tasks that a sequence may have, and that may look both ways


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `check` must tell it; `severity` is what that promises; `what` says what is done to a right program.

    `tasks`: those it can occur in. `layers`: the kinds that carry it, `starts`: the kinds of input, all if empty.
    `loop`: it sits in the step, not in the model.
    """

    what: str
    check: str
    tasks: tuple[str, ...] = ANY
    layers: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    loop: bool = False
    severity: str = "defect"


SEQUENCES = ("series", "tokens")
FAULTS: dict[str, Fault] = {
    "dropped-result": Fault("the result of a layer's call is not assigned", "dead-branch"),
    "old-input": Fault("a block is fed the input of the block before it", "dead-branch"),
    "detach": Fault("`.detach()` behind a layer", "gradient-cut"),
    "data": Fault("`.data` behind a layer", "gradient-cut"),
    "tolist": Fault("`torch.tensor(h.tolist())`", "gradient-cut"),
    "numpy": Fault("through NumPy and back", "gradient-cut"),
    "no-grad": Fault("a layer under `no_grad`", "gradient-cut"),
    "list": Fault("a layer in a plain list or tuple", "unregistered-parameter"),
    "dict": Fault("a layer in a plain dict", "unregistered-parameter"),
    "replaced": Fault("a layer is replaced after the optimizer was built", "stale-optimizer"),
    "frozen": Fault("a layer that is declared to train is frozen", "frozen-parameter"),
    "frozen-group": Fault(
        "a layer with a parameter group of its own is frozen", "frozen-parameter", severity="suspicion"
    ),
    "no-zero-grad": Fault("`zero_grad` is missing", "stale-gradients", loop=True),
    "cleared": Fault("`zero_grad` between `backward` and `step`", "cleared-gradients", loop=True),
    "no-step": Fault("`optimizer.step()` is missing", "no-step", loop=True),
    "early-step": Fault("`optimizer.step()` before `backward`", "step-before-backward", loop=True),
    "softmax": Fault("a softmax before cross entropy", "double-softmax", tasks=SCORED, loop=True),
    "eval": Fault(
        "batch norm trains in evaluation mode",
        "inference-normalization",
        tasks=tuple(task for task in ANY if task != "next"),
    ),
    "attention-batch-first": Fault(
        "attention without `batch_first` is given (batch, time, width)",
        "batch-leak",
        ORDERED,
        ("mha", "encoder"),
        SEQUENCES,
        severity="suspicion",
    ),
    "recurrent-batch-first": Fault(
        "a recurrent layer without `batch_first` is given (batch, time, width)",
        "batch-leak",
        ORDERED,
        ("recurrent",),
        SEQUENCES,
        severity="suspicion",
    ),
    "view-for-transpose": Fault(
        "`reshape` where the first two dimensions must be swapped",
        "batch-leak",
        ORDERED,
        ("mha", "encoder", "recurrent"),
        SEQUENCES,
    ),
    "softmax-over-batch": Fault(
        "a softmax over dimension 0",
        "batch-leak",
        (*ORDERED, "regress"),
        ("attention", "gated"),
        ("vector", *SEQUENCES),
        severity="suspicion",
    ),
    "mean-over-batch": Fault(
        "`mean(0)` for `mean(1)`",
        "batch-leak",
        ("classify", "binary", "regress"),
        starts=SEQUENCES,
        severity="suspicion",
    ),
    "no-mask": Fault(
        "the causal mask is missing", "future-leak", ("next",), ("mha", "encoder", "attention"), severity="suspicion"
    ),
    "transposed-mask": Fault(
        "the causal mask is transposed", "future-leak", ("next",), ("mha", "encoder", "attention"), severity="suspicion"
    ),
    "symmetric-convolution": Fault(
        "a convolution padded on both sides", "future-leak", ("next",), ("convolution",), severity="suspicion"
    ),
    "bidirectional": Fault(
        "a bidirectional recurrent layer", "future-leak", ("next",), ("recurrent",), severity="suspicion"
    ),
    "unshifted": Fault(
        "the target is the input, not shifted",
        "unshifted-target",
        ("next",),
        ("mha", "encoder", "attention", "convolution", "recurrent"),
        loop=True,
        severity="suspicion",
    ),
}
