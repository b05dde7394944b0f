"""Where a value comes from and how it counts: pure questions to one step's graph about the op behind a value.

Names are those of the functions users call; everything unknown ends the walk, so an answer is never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from smokestep.evidence.flow import Graph, Op

# What hands its first argument on with the same entries, or some of them.
VIEWS = frozenset(
    "view reshape squeeze unsqueeze flatten unflatten ravel permute transpose t T mT H mH swapaxes swapdims movedim "
    "moveaxis expand expand_as view_as reshape_as broadcast_to contiguous alias detach data requires_grad_ detach_ "
    "squeeze_ unsqueeze_ transpose_ t_ atleast_1d atleast_2d identity to float double half bfloat16 type type_as clone "
    "cpu cuda lax.cond".split()
)
PICKS = frozenset(
    "__getitem__ narrow select chunk split tensor_split unbind index_select masked_select take_along_dim gather flip "
    "roll".split()
)
TRANSPARENT = VIEWS | PICKS
COPIES = VIEWS - frozenset("permute transpose t T mT H mH swapaxes swapdims movedim moveaxis transpose_ t_".split())
JOINS = frozenset("cat concat concatenate stack hstack vstack".split())
NORMALISES = frozenset({"softmax", "log_softmax", "softmin"})
ALIASES: Mapping[str, str] = {
    "expit": "sigmoid",
    "special_expit": "sigmoid",
    "special_log_softmax": "log_softmax",
    "special_softmax": "softmax",
}
# What ends a network with scores of any size and sign.
LINEAR_LAYERS = frozenset(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d addmm".split()
)
SUMS = frozenset("sum mean add __add__ __radd__ __iadd__".split())


def bare(name: str) -> str:
    """The function's name, without the mark of its in-place form and under one spelling."""
    if name.endswith("_") and not name.endswith("__"):
        name = name.removesuffix("_")
    return ALIASES.get(name, name)


def maker_of(graph: Graph, value: int) -> Op | None:
    """The op that computed a value's entries: what only views, casts, picks or (of one maker) joins them is passed."""
    op = graph.maker(value)
    while op is not None and op.reads:
        if op.name in TRANSPARENT:
            op = graph.maker(op.reads[0])
        elif op.name in JOINS:
            parts = [maker_of(graph, read) for read in op.reads]
            return parts[0] if len({bare(part.name) if part else "" for part in parts}) == 1 and parts[0] else op
        else:
            return op
    return op


def normalised_along(graph: Graph, op: Op) -> tuple[int | None, int | None]:
    """The dimension along which a softmax normalises, and its length; the old implicit choice when none was given."""
    if bare(op.name) not in NORMALISES or not op.makes or op.makes[0] not in graph.values:
        return None, None
    shape = graph.values[op.makes[0]].shape
    if not shape:
        return 0, 1
    dim = next((op.args[key] for key in ("dim", "axis", "1", "arg1") if op.args.get(key) is not None), None)
    if not isinstance(dim, int) or isinstance(dim, bool):
        dim = 0 if len(shape) in (1, 3) else 1  # as torch.nn.functional chooses when none is given
    return (dim % len(shape), shape[dim]) if -len(shape) <= dim < len(shape) else (None, None)


def signs(graph: Graph) -> Mapping[int, int | None]:
    """For every value that passes gradient to a root: the sign with which it enters, None where that is uncertain."""
    found: dict[int, int | None] = dict.fromkeys(graph.roots, 1)
    for op in reversed(graph.ops):
        made = [value for value in op.makes if value in found]
        if not made or not graph.passes_gradient(op):
            continue
        for position, read in enumerate(op.reads):
            factor, sign = slope(op, position), found[made[0]]
            sign = None if factor is None or sign is None or len(made) > 1 else factor * sign
            found[read] = sign if found.get(read, sign) == sign else None
    return found


def slope(op: Op, position: int) -> int | None:
    """The sign of an op's derivative with respect to one tensor it reads, if it does not depend on the numbers."""
    name = bare(op.name)
    if name in SUMS or name in TRANSPARENT or name in JOINS:
        return 1 if "alpha" not in op.args else None
    if name in ("neg", "negative", "__neg__"):
        return -1
    if name in ("sub", "subtract", "__sub__", "__isub__", "rsub", "__rsub__") and "alpha" not in op.args:
        return -1 if (name in ("rsub", "__rsub__")) != (position == 1) else 1
    if name in "mul multiply __mul__ __rmul__ __imul__ div divide true_divide __truediv__ __itruediv__".split():
        numbers = [n for n in op.args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
        if len(op.reads) == len(numbers) == 1 and numbers[0] and not math.isnan(numbers[0]):
            return 1 if numbers[0] > 0 else -1
    return None


def made_of_what_was(graph: Graph, value: int) -> Op | None:
    """The op that computed what the maker of a value was given (the softmax before a log-softmax)."""
    op = maker_of(graph, value)
    return maker_of(graph, op.reads[0]) if op is not None and op.reads else None


def made_without_picks(graph: Graph, value: int) -> bool:
    """Nothing between a value and its maker picked or joined entries: the value holds all that the maker made."""
    op = graph.maker(value)
    while op is not None and op.reads and op.name in VIEWS:
        op = graph.maker(op.reads[0])
    return op is not None and op == maker_of(graph, value)


def narrow_layer(graph: Graph, value: int) -> bool:
    """The scores come from a layer that has one output unit, whatever the batch."""
    op = maker_of(graph, value)
    if op is not None and bare(op.name) in NORMALISES and op.reads:
        op = maker_of(graph, op.reads[0])
    weights = [graph.values[read] for read in op.reads if read in graph.values] if op else []
    return any(
        weight.kind in ("parameter", "leaf") and len(weight.shape) > 1 and 1 in (weight.shape[0], weight.shape[-1])
        for weight in weights
        if len(weight.shape) == 2 or weight.shape[:1] == (1,)
    )


def same_entries(graph: Graph, value: int) -> int:
    """The value that a value is a mere copy, cast or reshape of: the same entries in the same order."""
    while (op := graph.maker(value)) is not None and op.reads and op.name in COPIES:
        value = op.reads[0]
    return value


def turned_at(graph: Graph, value: int) -> Op | None:
    """The first op on the way from a value to a root that changes its sign."""
    readers, needed = graph.readers(), graph.backward_of(graph.roots)
    while True:
        after = [op for op in readers.get(value, ()) if not needed.isdisjoint(op.makes)]
        if len(after) != 1 or not after[0].makes:
            return None
        if slope(after[0], after[0].reads.index(value)) == -1:
            return after[0]
        value = after[0].makes[0]


def minimised_log_probability(graph: Graph) -> Op | None:
    """The op that picks log-probabilities which enter the root only as a sum or mean, with a plus sign."""
    entering = signs(graph)
    for op in graph.ops:
        if op.name in ("gather", "take_along_dim", "__getitem__") and len(op.reads) > 1 and op.makes:
            maker = maker_of(graph, op.reads[0])
            if maker is not None and bare(maker.name) == "log_softmax" and entering.get(op.makes[0]) == 1:
                return op
    return None
