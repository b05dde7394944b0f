"""Reasons: why an operation passes no gradient on, in words for the user, with what to try.

Named after the functions users call; an operation that is not listed is named, and nothing is guessed about it.
"""

from __future__ import annotations

from typing import Literal

from smokestep.evidence.flow import Graph, Op, Value
from smokestep.evidence.paths import TRAINED, Paths

CUTS = {
    "detach": ("`detach` takes it out of the graph", "remove `detach`, or leave the parameter out of the optimizer"),
    "detach_": ("`detach_` takes it out of the graph", "remove `detach_`, or leave the parameter out of the optimizer"),
    "stop_gradient": (
        "`stop_gradient` lets no gradient through",
        "remove `stop_gradient`, or leave the parameter out of the optimizer",
    ),
    "data": ("`.data` takes it out of the graph", "use the tensor itself, not its `.data`"),
    "item": ("`.item()` makes it a Python number", "keep the tensor: arithmetic works on it"),
    "tolist": ("`.tolist()` makes it Python numbers", "keep the tensor, and index it"),
    "__float__": ("`float()` makes it a Python number", "keep the tensor: arithmetic works on it"),
    "__int__": ("`int()` makes it a Python number", "keep the tensor"),
    "__index__": ("using it as an index makes it a Python number", "weight the entries instead of picking one"),
    "__bool__": ("a Python condition makes it True or False", "use `torch.where` on the results"),
    "numpy": ("`.numpy()` takes it out of the graph", "write the computation with torch functions"),
    "__array__": ("a NumPy function takes it out of the graph", "write the computation with torch functions"),
    "tensor": (
        "`torch.tensor` copies the entries, without their history",
        "use the tensor, or `torch.stack` for a list",
    ),
    "as_tensor": ("`torch.as_tensor` copies the entries, without their history", "use `torch.stack` for a list"),
    "new_tensor": ("`new_tensor` copies the entries, without their history", "use the tensor, or `.clone()`"),
    "from_numpy": ("a NumPy array carries no history", "write the computation with torch functions"),
    "outside_tape": ("no tape records it", "compute it inside the `with tf.GradientTape()` block"),
}
COMPARES = frozenset("lt le gt ge eq ne less greater less_equal greater_equal not_equal".split())
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "bool")
# Piecewise constant functions: the derivative is 0 wherever it exists.
FLAT = frozenset(
    "round round_ floor floor_ ceil ceil_ trunc trunc_ fix sign sign_ sgn heaviside floor_divide __floordiv__ "
    "floor_divide_ threshold_backward rint quantize frac_int fake_quantize div_floor".split()
)
DRAWS = frozenset("normal bernoulli bernoulli_ multinomial poisson binomial _standard_gamma _sample_dirichlet".split())
PRODUCTS = frozenset(
    "mul mul_ multiply __mul__ __rmul__ __imul__ div true_divide __truediv__ matmul mm bmm __matmul__ __rmatmul__ "
    "linear einsum addmm baddbmm dot mv".split()
)
CLAMPS = frozenset("clamp clamp_ clip clip_ clamp_min clamp_max hardtanh hardtanh_ relu6 hardsigmoid".split())
RELUS = frozenset("relu relu_ threshold threshold_ clamp_min".split())
SOFTMAXES = frozenset("softmax log_softmax softmin".split())
# What hands on some entries of what it reads; what adds a bias to every sample.
PICKS = frozenset(
    "cat concat stack where gather __getitem__ index_select masked_fill masked_fill_ masked_select".split()
)
ADDS = frozenset("linear conv1d conv2d conv3d add __add__ addmm layer_norm batch_norm group_norm".split())
SATURATES = frozenset("sigmoid sigmoid_ tanh tanh_ softmax log_softmax erf".split())


def whole_numbers(op: Op, graph: Graph) -> bool:
    """Whether an op gives integers or truth values alone."""
    return all(graph.values[made].dtype.removeprefix("torch.") in INTEGERS for made in op.makes if made in graph.values)


def cut_reason(op: Op, graph: Graph) -> tuple[str, str]:
    """Why no gradient passes an op that has one on its input and none on its result."""
    if op.name in CUTS:
        return CUTS[op.name]
    if op.name in DRAWS:
        return f"`{op.name}` draws a sample, which has no gradient", "use rsample(), or a loss on log_prob"
    if not op.grad:
        return (
            "gradient is turned off",
            "move it out of `no_grad`, or leave the parameter out of the optimizer",
        )
    kinds = {graph.values[made].dtype.removeprefix("torch.") for made in op.makes if made in graph.values}
    if "bool" in kinds:
        what = "a comparison" if op.name.strip("_") in COMPARES else f"`{op.name}`"
        return f"{what} gives True or False, which has no gradient", "use a smooth function, such as a sigmoid"
    if kinds & set(INTEGERS):
        return (
            f"`{op.name}` gives whole numbers, which have no gradient",
            "weight by a softmax, or use a straight-through estimator",
        )
    if op.outer:
        return (
            f"the custom Function `{op.outer}` gives a result without gradient",
            "return a gradient from its backward",
        )
    return f"`{op.name}` gives a result without gradient", "use a function that has a derivative"


def zero_reason(
    op: Op, made: Value, read: Value, graph: Graph, paths: Paths
) -> tuple[Literal["cut", "zero", "waiting", "cancelled"], str, str] | None:
    """Why an op turns a nonzero gradient into an exactly zero one; None if that is not known."""
    if op.name in FLAT or (op.name == "div" and op.args.get("rounding_mode") is not None):
        return (
            "cut",
            f"`{op.name}` is flat: its derivative is 0 everywhere",
            f"use a straight-through estimator: x + ({op.name}(x) - x).detach()",
        )
    if 0 in read.shape:
        return "waiting", f"`{op.name}` had no entry to work on", ""
    if op.name == "lax.cond":
        return "waiting", "the branches that `lax.cond` took in these steps do not pass gradient to it", ""
    if op.name in PICKS:
        return "waiting", f"of what `{op.name}` gives, the loss used none of its entries in these steps", ""
    if read.kind == "parameter" and len(read.shape) == 1 and op.name in ADDS:
        return "cancelled", "what the loss asks of it cancels: the loss sees differences only", ""
    if op.name in PRODUCTS:
        factors = [graph.values[each] for each in op.reads if each != read.id and each in graph.values]
        constant = any(type(each) in (int, float) and each == 0 for each in op.args.values())
        zero = (
            constant
            or any(paths.peak(each) == 0 for each in factors)
            or (made.peak == 0 and (paths.peak(read) or 0) > 0)
        )
        if zero and any(paths.value.get(each.id, 0) & TRAINED for each in factors):
            return "waiting", "is multiplied by a factor that is still zero, and trains", ""
        if zero:
            return (
                "zero",
                "is multiplied by exactly 0",
                "look at the other factor: a mask of the wrong sense, a weight of 0",
            )
    if op.name in RELUS and made.peak == 0:
        if not paths.inside(op):  # a hinge that is satisfied, more often than a unit that is dead
            return "waiting", f"`{op.name}` gives 0 for every entry", ""
        return (
            "zero",
            f"`{op.name}` gives 0 for every unit and every sample",
            "lower the learning rate, or look at the bias before it",
        )
    if op.name in CLAMPS:
        return (
            "zero",
            f"every entry lies outside the range of `{op.name}`, where it is flat",
            "widen the range, or clamp the result only",
        )
    if op.name in SOFTMAXES and 1 in made.shape and _normalised(op, made) == 1:
        return "zero", f"`{op.name}` over a single entry is constant", "give it at least two entries, or use a sigmoid"
    if op.name == "cross_entropy" and len(read.shape) > 1 and read.shape[1] == 1:
        return "zero", "the cross-entropy of a single class is constant", "give one output for each class"
    if "dropout" in op.name and 1 in (op.args.get("p"), op.args.get("1")):
        return "zero", "dropout with probability 1 drops everything", "lower the probability"
    if op.name in SATURATES and made.peak is not None and not op.name.endswith("softmax"):
        return "zero", f"`{op.name}` is saturated at every entry", "scale its input down"
    return None


def _normalised(op: Op, made: Value) -> int:
    dim = next((each for key in ("dim", "1") if type(each := op.args.get(key)) is int), -1)
    return made.shape[dim] if -len(made.shape) <= dim < len(made.shape) else 0
