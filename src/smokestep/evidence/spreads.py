"""Spreads: the logarithms of scales in a loss written by hand, as in a divergence of Gaussians or a likelihood.

Such a logarithm enters the loss twice: as it is, and in an exponential. Pure questions to one step's graph; a way that
is not seen through is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.origins import VIEWS, bare, signs, slope

SCALES = frozenset("mul div __mul__ __rmul__ true_divide __truediv__".split())
POWERS = frozenset("pow __pow__ square".split())
NEVER_NEGATIVE = frozenset(
    "square abs exp relu softplus sigmoid softmax norm mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy "
    "nll_loss binary_cross_entropy binary_cross_entropy_with_logits".split()
)
DRAWS = ("randn", "normal", "standard_normal")


@dataclass(frozen=True, slots=True)
class Spread:
    """One value that enters a loss as a logarithm (`direct`: with which sign) and in an exponential.

    `value`: that value, or a scale whose logarithm is taken (`scale`). `power`: the number before it in the
    exponential, or the power of the scale; `sign`: with which sign that enters. `alone`: nothing multiplies it.
    """

    value: int
    scale: bool
    direct: int
    power: float
    sign: int
    alone: bool
    op: Op
    root: int


def spreads(graph: Graph) -> Iterator[Spread]:
    """Every value of a step that enters a loss both ways."""
    entering = signs(graph)
    trained = graph.forward_of(v.id for v in graph.values.values() if v.kind == "parameter" and v.requires_grad)
    for value in sorted(trained):
        if value not in graph.values or not graph.readers().get(value):
            continue
        single = graph.values[value].kind == "made" and not graph.values[value].shape  # a loss, rather than a scale
        for scale in (False, True)[: 1 if single else 2]:
            direct = set(_direct(graph, entering, value, scale))
            others = list(_powers(graph, entering, value, scale)) if len(direct) == 1 else []
            if len({(power > 0, sign, alone) for power, sign, alone, _ in others}) == 1:
                power, sign, alone, op = others[0]
                yield Spread(value, scale, direct.pop(), power, sign, alone, op, min(graph.roots))


def number(op: Op) -> float | None:
    """The one plain number among an op's arguments."""
    numbers = [float(n) for n in op.args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
    return numbers[0] if len(numbers) == 1 else None


def scaled(graph: Graph, value: int, factor: float = 1.0) -> Iterator[tuple[int, float]]:
    """The value and its multiples by plain numbers."""
    ahead = [(value, factor)]
    while ahead:
        value, factor = ahead.pop()
        yield value, factor
        for op in graph.readers().get(value, ()):
            by = number(op)
            if bare(op.name) in SCALES and len(op.reads) == 1 and by:
                ahead += [(made, factor * by if "mul" in op.name else factor / by) for made in op.makes]
            elif op.name in ("neg", "__neg__"):
                ahead += [(made, -factor) for made in op.makes]
            elif op.name in VIEWS - {"detach", "data", "detach_"}:
                ahead += [(made, factor) for made in op.makes]


def _direct(graph: Graph, entering: Mapping[int, int | None], value: int, scale: bool) -> Iterator[int]:
    """The signs with which a value, or its logarithm, enters the loss by sums alone."""
    for given in _logarithms(graph, value) if scale else [value]:
        for each, factor in scaled(graph, given):
            for op in graph.readers().get(each, ()):
                sign = entering.get(op.makes[0]) if op.makes else None
                by = slope(op, op.reads.index(each))
                if sign and by and (len(op.reads) > 1 or bare(op.name) in ("add", "sub", "__rsub__", "sum", "mean")):
                    yield sign * by * (1 if factor > 0 else -1)


def _logarithms(graph: Graph, value: int) -> Iterator[int]:
    for op in graph.readers().get(value, ()):
        if op.name == "log":
            yield from op.makes
        elif op.name in POWERS and op.makes:
            yield from (made for far in graph.readers().get(op.makes[0], ()) if far.name == "log" for made in far.makes)


def _powers(
    graph: Graph, entering: Mapping[int, int | None], value: int, scale: bool
) -> Iterator[tuple[float, int, bool, Op]]:
    """The ways in which the exponential of a value, or a power of a scale, enters: power, sign, alone, the op."""
    if scale:
        for sign in _direct(graph, entering, value, scale=False):
            op = next(iter(graph.readers()[value]))
            yield 1.0, sign, True, op
        yield from _raised(graph, entering, value, 1.0)
        return
    for each, factor in scaled(graph, value):
        for op in graph.readers().get(each, ()):
            if bare(op.name) == "exp":
                entered = entering.get(op.makes[0])
                if entered:
                    yield factor, entered, True, op
                yield from _raised(graph, entering, op.makes[0], factor)


def _raised(
    graph: Graph, entering: Mapping[int, int | None], value: int, power: float
) -> Iterator[tuple[float, int, bool, Op]]:
    """Where a scale is squared, and where it multiplies or divides what is never negative, or what is squared then."""
    for op in graph.readers().get(value, ()):
        made = op.makes[0] if op.makes else -1
        exponent = 2.0 if op.name == "square" else number(op)
        if op.name in POWERS and exponent:
            sign = entering.get(made)
            if sign:
                yield power * exponent, sign, True, op
            yield from _weighing(graph, entering, made, power * exponent)
        else:
            yield from _weighing(graph, entering, value, power, (op,))


def _weighing(
    graph: Graph, entering: Mapping[int, int | None], value: int, power: float, ops: tuple[Op, ...] | None = None
) -> Iterator[tuple[float, int, bool, Op]]:
    for op in graph.readers().get(value, ()) if ops is None else ops:
        if bare(op.name) not in SCALES or len(op.reads) != 2 or not op.makes or op.reads[0] == op.reads[1]:
            continue
        place = op.reads.index(value)
        turned = -power if "div" in op.name and place == 1 else power
        sign = entering.get(op.makes[0])
        if "div" in op.name and place == 0:
            continue
        if sign and never_negative(graph, op.reads[1 - place]):
            yield turned, sign, False, op
        for far in graph.readers().get(op.makes[0], ()):
            even = far.name == "square" or (far.name in POWERS and (number(far) or 1) % 2 == 0)
            sign = entering.get(far.makes[0]) if even and far.makes else None
            if sign:
                yield 2 * turned, sign, False, far


def never_negative(graph: Graph, value: int, depth: int = 0) -> bool:
    """Whether a value cannot be negative, by the operation that made it."""
    op = graph.maker(value)
    if op is None or depth > 8:
        return False
    name = bare(op.name)
    if name in NEVER_NEGATIVE or (name in POWERS and (number(op) or 1) % 2 == 0):
        return True
    if name == "mul" and len(op.reads) == 2 and op.reads[0] == op.reads[1]:
        return True
    by = number(op)
    if (name in ("sum", "mean") or name in VIEWS) or (name in SCALES and len(op.reads) == 1 and (by or -1) > 0):
        return never_negative(graph, op.reads[0], depth + 1)
    return name == "add" and len(op.reads) == 2 and all(never_negative(graph, each, depth + 1) for each in op.reads)


def drawn(graph: Graph, value: int) -> bool:
    """Whether a value is Gaussian noise."""
    op = graph.maker(value)
    while op is not None and op.name in VIEWS and op.reads:
        op = graph.maker(op.reads[0])
    return op is not None and op.name.startswith(DRAWS)


def samples(graph: Graph, spread: Spread) -> Iterator[tuple[Op, float | None]]:
    """Where noise is multiplied by a function of the value, and the sum with a mean that the loss squares is taken:
    the op, and the power of the exponential (or of the scale); None for the value that is a logarithm."""
    squared = {op.reads[0] for op in graph.ops if op.name in POWERS and op.reads and (number(op) or 2) == 2}
    for value, power in _scales(graph, spread):
        for op in graph.readers().get(value, ()):
            noisy = bare(op.name) == "mul" and len(op.reads) == 2 and any(drawn(graph, read) for read in op.reads)
            added = [far for made in op.makes for far in graph.readers().get(made, ()) if "add" in far.name]
            if noisy and any(not squared.isdisjoint(far.reads) for far in added):
                yield op, power


def _scales(graph: Graph, spread: Spread) -> Iterator[tuple[int, float | None]]:
    for each, factor in scaled(graph, spread.value):
        if not spread.scale:
            yield each, None
        elif factor == 1:
            yield each, 1.0
        for op in graph.readers().get(each, ()):
            if bare(op.name) == "exp" and not spread.scale:
                yield op.makes[0], factor
            elif spread.scale and op.name in ("sqrt", *POWERS) and factor == 1:
                yield op.makes[0], 0.5 if op.name == "sqrt" else number(op) or 2.0
