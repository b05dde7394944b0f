"""Units: which parameters are the weights of layers, which of their dimensions counts the units, and what follows them.

Asked of the graphs; a parameter that is used in any other way has no units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from smokestep.evidence.flow import Flow, Graph, Op, Value
from smokestep.evidence.origins import COPIES, JOINS, TRANSPARENT, bare, maker_of
from smokestep.evidence.reasons import CUTS
from smokestep.findings import Line

# The dimension of the weight that counts what the layer gives, by the function that applies it. A framework that keeps
# its weights otherwise says so: the argument "units" of the op names the dimension.
UNITS: Mapping[str, int] = {
    "linear": 0,
    "conv1d": 0,
    "conv2d": 0,
    "conv3d": 0,
    "conv_transpose1d": 1,
    "conv_transpose2d": 1,
    "conv_transpose3d": 1,
    "matmul": 1,
    "__matmul__": 1,
    "mm": 1,
}
LAYERS = frozenset(UNITS)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the network: its weight's name and shape, and the dimension that counts its units."""

    weight: str
    shape: tuple[int, ...]
    unit: int
    op: Op
    line: Line | None = None

    @property
    def units(self) -> int:
        """How many units it has."""
        return self.shape[self.unit]

    @property
    def given(self) -> int:
        """How many features a linear layer is given."""
        return self.shape[1 - self.unit]


def layer_of(graph: Graph, op: Op) -> Layer | None:
    """The layer that an op applies, if its second argument is a parameter of two dimensions or more."""
    unit = UNITS.get(bare(op.name))
    if unit is None or len(op.reads) < 2:
        return None
    weight = graph.values.get(op.reads[1])
    said = op.args.get("units")
    if weight is not None and isinstance(said, int) and weight.shape:
        unit = said % len(weight.shape)
    if weight is None or weight.kind != "parameter" or not weight.name or len(weight.shape) <= unit:
        return None
    return Layer(weight.name, weight.shape, unit, op, op.caller or op.line)


def hidden_layers(flow: Flow) -> Mapping[str, Layer]:
    """The layers, by their weight's name, whose results another layer works on before they reach the loss."""
    found: dict[str, Layer] = {}
    for graph in flow.graphs:
        needed = graph.backward_of(graph.roots)
        fed: set[int] = set()  # values that a layer works on later
        for op in reversed(graph.ops):
            if needed.isdisjoint(op.makes):
                continue
            layer = layer_of(graph, op)
            if layer is not None and not fed.isdisjoint(op.makes):
                found.setdefault(layer.weight, layer)
            if layer is not None or not fed.isdisjoint(op.makes):
                fed.update(op.reads)
    return found


def read_by(flow: Flow) -> Mapping[str, Mapping[str, Op]]:
    """For every parameter read as it is, the first op of each name that reads it, in gradient mode."""
    found: dict[str, dict[str, Op]] = {}
    for graph in flow.graphs:
        for op in graph.ops:
            for read in op.reads if op.grad else ():
                value = graph.values.get(read)
                if value is not None and value.kind == "parameter" and value.name:
                    found.setdefault(value.name, {}).setdefault(bare(op.name), op)
    return found


# What lies between two layers and bends nothing. Attention's products are named because what they give is mixed by
# numbers that depend on the data, so the projection after them is no second linear layer.
STRAIGHT = COPIES - CUTS.keys() | frozenset("dropout dropout_ alpha_dropout feature_dropout".split())
MIXED = frozenset("matmul __matmul__ bmm baddbmm einsum scaled_dot_product_attention".split())


def straight_pairs(graph: Graph) -> Iterator[tuple[Layer, Layer]]:
    """The pairs of linear layers of which the second alone reads what the first gives, as it is."""
    readers, needed = graph.readers(), graph.backward_of(graph.roots)
    given = graph.roots.union(*(call.outputs for call in graph.calls))
    for op in graph.ops:
        layer = layer_of(graph, op) if op.name == "linear" and not needed.isdisjoint(op.makes) else None
        before = maker_of(graph, op.reads[0]) if layer else None
        if layer is None or (before is not None and before.name in MIXED):
            continue
        value = op.makes[0]
        while value not in given and len(after := readers.get(value, ())) == 1 and after[0].makes:
            if after[0].name == "linear":
                second = layer_of(graph, after[0])
                if second is not None and after[0].reads[0] == value and second.given == layer.units:
                    yield layer, second
                break
            if after[0].name not in STRAIGHT or after[0].reads[0] != value:
                break
            value = after[0].makes[0]


NORMALISES = frozenset("batch_norm layer_norm group_norm instance_norm rms_norm normalize".split())
PERIODIC = frozenset({"sin", "cos"})


def layer_before(graph: Graph, value: int) -> Layer | None:
    """The layer whose results an activation was given, past a normalization, dropout or reshaping."""
    op = graph.maker(value)
    for _ in range(6):
        op = graph.maker(op.reads[0]) if op is not None and op.reads else None
        if op is None or (layer := layer_of(graph, op)) is not None:
            return layer if op is not None else None
        if op.name not in STRAIGHT | NORMALISES:
            return None
    return None


def worked_on(graph: Graph, value: int) -> bool:
    """Whether the next that reads a value, past dropout or reshaping, is another layer."""
    readers = graph.readers()
    for _ in range(6):
        after = readers.get(value, ())
        if any(layer_of(graph, op) is not None and op.reads[0] == value for op in after):
            return True
        if len(after) != 1 or after[0].name not in STRAIGHT or not after[0].makes:
            return False
        value = after[0].makes[0]
    return False


def first_layers(graph: Graph) -> Iterator[tuple[Layer, Value, Value]]:
    """The layers that read data as it is (cast, reshaped, joined), each with what it reads and what it makes; those
    left out that a normalization or a periodic function follows, to which size is nothing."""
    readers, told = graph.readers(), set[str]()
    for op in graph.ops:
        layer = layer_of(graph, op)
        source = graph.values.get(op.reads[0]) if layer else None
        while source is not None and source.kind == "made" and (maker := graph.maker(source.id)) is not None:
            passed = maker.name in TRANSPARENT | JOINS and maker.reads
            parts = [graph.values[read] for read in maker.reads if read in graph.values] if passed else []
            source = max(parts, key=lambda each: each.peak or 0.0, default=None)
        if layer is None or source is None or source.kind != "input" or layer.weight in told:
            continue
        value = op.makes[0]
        while len(after := readers.get(value, ())) == 1 and after[0].name in STRAIGHT and after[0].makes:
            value = after[0].makes[0]
        if not any(each.name in NORMALISES | PERIODIC for each in after):
            told.add(layer.weight)
            yield layer, source, graph.values[op.makes[0]]
