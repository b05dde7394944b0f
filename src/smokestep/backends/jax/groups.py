"""Groups: the operations of a sketch at the level of the functions that users call.

What one call of a library function made is one operation: consecutive equations from one place of the user's code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from smokestep.backends.jax import frames, vocabulary
from smokestep.backends.jax.sketch import MARKERS, Plain, Sketch, Step

UPDATES = frozenset("update update_fn apply_updates".split())
PROMOTES = frozenset("promote_shapes promote_args promote_args_inexact ufunc.__call__".split())
KERAS = "keras/src/optimizers/base_optimizer.py"
NORMALISING = frozenset("log_softmax log_sigmoid softplus".split())
REDUCTIONS = frozenset("reduce_sum reduce_max reduce_min reduce_prod argmax argmin cumsum".split())


@dataclass(slots=True)
class Group:
    """One operation as the user wrote it. `kind`: "layer", "loss", "function" or ""."""

    name: str
    kind: str
    steps: list[Step]
    reads: tuple[int, ...] = ()
    makes: tuple[int, ...] = ()
    args: dict[str, Any] = field(default_factory=dict)
    path: frames.Path = ()
    module: str = ""
    outer: str = ""
    opaque: bool = False
    unsure: bool = False  # another branch of a cond has gradient where this has none
    label: str = ""  # the library function, as the library calls it

    @property
    def optimizing(self) -> bool:
        """Whether an optimizer library does it: a transformation's update, or its being applied."""
        return any(
            (frame.function.split(".")[-1] in UPDATES and frames.library(frame.file).startswith("optax/"))
            or (frame.function.split(".")[-1] == "apply" and frames.library(frame.file) == KERAS)
            for frame in frames.calls(self.path)[0]
        )

    def within(self, function: str) -> bool:
        """Whether a framework function of this name is on the way from the user's line."""
        return any(frame.function.split(".")[0] == function for frame in frames.calls(self.path)[0])


def grouped(sketch: Sketch, inner: bool = False) -> list[Group | Step]:
    """The operations in order, and the markers between them; JAX's own work on a marked function is left out, unless
    it is itself a part of one (`inner`: a derivative within what is differentiated)."""
    found: list[Group | Step] = []
    stretched: list[Step] = []
    current: Group | None = None
    site: Any = None
    first: Any = None
    for step in sketch.steps:
        if step.primitive in MARKERS:
            found += [*map(_alone, stretched), step]
            stretched, current = [], None
            continue
        if step.effect or (step.apart and not inner):
            continue
        if _stretched(step):
            stretched.append(step)
            continue
        before = [each for each in stretched if each.makes[0] in step.operands]
        stretched = [each for each in stretched if each not in before]
        calls, user = frames.calls(step.path)
        name, kind, frame = vocabulary.named(calls)
        here: Any = None
        place: Any = None
        if frame is not None and not step.outer:
            depth = step.path.index(frame)
            here = (frame.function, tuple((f.file, f.number, f.at) for f in step.path[depth + 1 :]))
            place = (step.primitive, tuple((f.number, f.at) for f in step.path[: depth + 1]))
        if current is not None and here is not None and here == site and place != first:
            current.steps += [*before, step]
            continue
        current = _alone(step)
        current.name, current.kind, current.steps = name or step.name, kind, [*before, step]
        current.label = frame.function.split(".")[0] if frame is not None else step.name
        if frame is None:
            current.name = step.name
        site, first = here, place
        found.append(current)
    found += map(_alone, stretched)
    _link(found, sketch)
    return found


def _alone(step: Step) -> Group:
    return Group(step.name, "", [step], path=step.path, module=step.module, outer=step.outer, label=step.name)


def _stretched(step: Step) -> bool:
    """Whether a value is given the dimensions of another by the operation that joins them, and not by the user.

    Under vmap it is no stretch of what the user sees: one row is joined with one row."""
    return (
        step.primitive == "broadcast_in_dim"
        and not mapped(step)
        and any(
            frame.function in PROMOTES and frames.library(frame.file).startswith("jax/_src/numpy/")
            for frame in frames.calls(step.path)[0]
        )
    )


def mapped(step: Step) -> bool:
    """Whether a function that vmap maps does it."""
    return "vmap(" in step.module


def _link(found: Iterable[Group | Step], sketch: Sketch) -> None:
    readers: dict[int, set[int]] = {}
    for number, each in enumerate(found):
        for step in each.steps if isinstance(each, Group) else [each]:
            for read in step.operands:
                readers.setdefault(read, set()).add(number)
    # what JAX's own work reads is no use by the user's
    results = {each for each in sketch.outputs if not isinstance(each, Plain)}
    for number, group in enumerate(found):
        if not isinstance(group, Group):
            continue
        made = [value for step in group.steps for value in step.makes]
        inside = set(made)
        swaps = {step.makes[0]: step.operands for step in group.steps if len(group.steps) > 1 and _stretched(step)}
        plain = [read for step in group.steps if step.makes[:1] not in [(m,) for m in swaps] for read in step.operands]
        plain = [read for each in plain for read in swaps.get(each, (each,))]
        group.reads = tuple(dict.fromkeys(read for read in plain if read not in inside))
        group.makes = tuple(v for v in made if v in results or readers.get(v, set()) - {number})
        if not group.makes and made:
            group.makes = (made[-1],)
        group.opaque = any(step.opaque for step in group.steps)
        group.unsure = any(step.unsure for step in group.steps)
        _name(group, sketch)


def _name(group: Group, sketch: Sketch) -> None:
    """The last touches to a name, and the plain arguments, as torch would have them."""
    step = group.steps[0]
    if group.kind == "loss" and any(map(mapped, group.steps)):
        group.args["vmap"] = True
    if group.label in vocabulary.KERAS_LOSSES and group.kind == "loss" and any(map(_of_scores, group.steps)):
        group.name = vocabulary.OF_SCORES[group.name]
    if group.name in ("conv", "conv_transpose"):
        group.name += f"{max(len(sketch.avals[group.makes[0]].shape) - 2, 1)}d"
    if group.name == "conv_general_dilated":
        group.name = f"conv{max(len(sketch.avals[group.makes[0]].shape) - 2, 1)}d"
    if group.name == "reduce_window_max":
        group.name = "max_pool2d"
    numbers = {
        str(index): _number(each.value)
        for each_step in group.steps
        if each_step.primitive not in ("jit", "broadcast_in_dim", "convert_element_type") or len(group.steps) == 1
        for index, each in enumerate(each_step.reads)
        if isinstance(each, Plain) and _number(each.value) is not None
    }
    simple = [
        each for each in group.steps if each.primitive not in ("broadcast_in_dim", "convert_element_type", "reshape")
    ]
    if len(simple) == 1 and group.kind in ("", "function"):
        group.args.update(numbers)
        if "y" in simple[0].params and simple[0].primitive == "integer_pow":
            group.name = group.name if group.name == "square" else "pow"
            group.args["exponent"] = simple[0].params["y"]
        if "0" in numbers and len(group.reads) == 1:
            group.name = {"sub": "rsub", "div": "reciprocal" if numbers["0"] == 1 else "__rtruediv__"}.get(
                group.name, group.name
            )
        if group.name == "maximum" and 0 in numbers.values():
            group.name = "relu"
        if group.name == "mul" and len(group.reads) == 1 and simple[0].operands.count(group.reads[0]) == 2:
            group.name = "square"
    for each in group.steps:
        if (each.primitive in REDUCTIONS or "over" in each.params) and "dim" not in group.args:
            axes = each.params.get("axes", each.params.get("over", each.params.get("axis")))
            size = len(sketch.avals[each.operands[0]].shape) if each.operands else 0
            axes = (axes,) if isinstance(axes, int) else tuple(axes or ())
            if len(axes) == 1 and (size > 1 or group.name in ("softmax", "log_softmax")):
                group.args["dim"] = axes[0]
            elif 0 < len(axes) < size:
                group.args["dim"] = axes
    if step.primitive == "concatenate" and isinstance(step.params.get("dimension"), int):
        group.args["dim"] = step.params["dimension"]
    if group.name == "scaled_dot_product_attention":
        group.args["is_causal"] = bool(step.params.get("is_causal"))
    if group.name == "permute" and isinstance(step.params.get("permutation"), tuple):
        group.args["dims"] = step.params["permutation"]


def _of_scores(step: Step) -> bool:
    """Whether Keras takes what its loss is given for scores: it normalises them itself."""
    return step.name in NORMALISING or any(frame.function in NORMALISING for frame in step.path)


def _number(value: Any) -> bool | int | float | None:
    try:
        if getattr(value, "shape", ()) != ():
            return None
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, (bool, int, float)):
            return type(plain)(plain) if not isinstance(plain, bool) else plain
    except (TypeError, ValueError):
        return None
    return None
