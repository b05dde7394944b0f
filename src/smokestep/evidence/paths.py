"""Paths: how far each of some parameters gets in the graph of one step, by value and by gradient.

One pass labels every value with the set of parameters it was computed from, as bits of an integer, so the cost does
not grow with the number of parameters asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from smokestep.evidence.flow import Graph, Op, Value

DATA, TRAINED, FIRST = 1, 2, 2  # bits 0 and 1: computed from data, from a parameter that trains; then the suspects
# Calls whose result depends on the shape and type of what they read, never on its entries.
SHAPE_ONLY = frozenset(
    "zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty new_full "
    "size shape dim numel".split()
)
# Calls whose result starts without a gradient history even where it says that it requires gradient.
FRESH = frozenset("tensor detach detach_ data from_numpy new_tensor".split())

# Calls that give a result for each argument.
PAIRWISE = frozenset("broadcast_tensors meshgrid atleast_1d atleast_2d atleast_3d align_tensors".split())
# Calls that make a tensor of what Python or NumPy hold.
IMPORTS = frozenset("tensor as_tensor asarray from_numpy FloatTensor Tensor".split())


class Paths:
    """The labels of one graph. `names` are the suspects, `trained` parameters known to train, `scales` the largest
    entries of parameters, `skipped` ops that count as no use of what they read."""

    def __init__(
        self,
        graph: Graph,
        names: Sequence[str],
        trained: frozenset[str] = frozenset(),
        scales: Mapping[str, float] | None = None,
        skipped: frozenset[int] = frozenset(),
    ) -> None:
        self.graph = graph
        self.scales = scales or {}
        self.skipped = skipped
        self.bits = {name: 1 << (FIRST + position) for position, name in enumerate(names)}
        self.value: dict[int, int] = {}
        self.history: dict[int, int] = {}
        self._runs = [(call.index, max(call.outputs, default=call.index)) for call in graph.calls]
        self._needed: dict[frozenset[int], set[int]] = {}
        self._cuts: dict[frozenset[int], list[tuple[Op, int]]] = {}
        self._feeding: dict[frozenset[int], set[int]] = {}
        self._ends: list[tuple[Op, int]] | None = None
        self._vanishes: dict[frozenset[int], list[tuple[Op, int, Value, list[Value]]]] = {}
        for value in graph.values.values():
            if value.kind == "parameter":
                bit = self.bits.get(value.name, TRAINED if value.name in trained else 0)
                self.value[value.id] = bit
                self.history[value.id] = bit if value.requires_grad else 0
            elif value.kind in ("input", "unknown", "carried"):
                self.value[value.id] = DATA
        for op in graph.ops:
            if op.name in SHAPE_ONLY or op.id in skipped:
                continue
            reads = op.reads
            if op.name in PAIRWISE and not self._requires_any(op.makes):
                reads = tuple(each for each in op.reads if not self._requires(each))
            by_value = self._of(self.value, reads) if op.reads else DATA
            by_gradient = 0 if op.name in FRESH else self._of(self.history, op.reads)
            for made in op.makes:
                self.value[made] = self.value.get(made, 0) | by_value
                if self._requires(made):
                    self.history[made] = self.history.get(made, 0) | by_gradient

    @staticmethod
    def _of(labels: dict[int, int], values: Iterable[int]) -> int:
        found = 0
        for value in values:
            found |= labels.get(value, 0)
        return found

    def _requires(self, value: int) -> bool:
        return value in self.graph.values and self.graph.values[value].requires_grad

    def _requires_any(self, values: Iterable[int]) -> bool:
        return any(map(self._requires, values))

    def _floating(self, value: int) -> bool:
        return value in self.graph.values and "float" in self.graph.values[value].dtype

    def needed(self, roots: frozenset[int]) -> set[int]:
        """Every value that the roots were computed from, themselves included."""
        if roots not in self._needed:
            found = set(roots)
            for op in reversed(self.graph.ops):
                if op.name not in SHAPE_ONLY and not found.isdisjoint(op.makes):
                    found.update(op.reads)
            self._needed[roots] = found
        return self._needed[roots]

    def by_value(self, roots: Iterable[int]) -> int:
        """The label of what these values were computed from."""
        return self._of(self.value, roots)

    def by_gradient(self, roots: Iterable[int]) -> int:
        """The label of what gradient from these values could reach."""
        return self._of(self.history, roots)

    def peak(self, value: Value) -> float | None:
        """The largest entry of a value, None if it was not measured."""
        return value.peak if value.peak is not None else self.scales.get(value.name)

    def inside(self, op: Op) -> bool:
        """Whether an op ran within a call of a model."""
        return bool(op.module) or any(first < op.id <= last for first, last in self._runs)

    def hidden(self, roots: frozenset[int]) -> bool:
        """Whether calls whose inside was not seen may lie on the way to the roots."""
        values = self.graph.values
        return (
            bool(self.graph.opaque)
            or not self.graph.ops
            or not roots
            or any(each in values and values[each].kind == "unknown" for each in self.needed(roots))
        )

    def felt(self, bit: int) -> bool:
        """Whether gradient was measured at anything computed from a suspect and data."""
        return any(
            label & bit and self.value.get(each, 0) & DATA and self.graph.values[each].gradient
            for each, label in self.history.items()
        )

    def cuts(self, bit: int, roots: frozenset[int]) -> list[Op]:
        """The ops that read a value with gradient history and hand it on, towards the roots, without one."""
        if roots not in self._cuts:
            needed = self.needed(roots)
            found = self._cuts[roots] = []
            for op in self.graph.ops:
                label = 0
                kept = self._of(self.history, op.makes)  # of several results, those beside it that keep the history
                for made in op.makes:
                    if made in needed:
                        lost = self.value.get(made, 0) & ~self.history.get(made, 0)
                        label |= lost & ~kept if self._floating(made) else lost
                label &= self._of(self.history, op.reads)
                if label:
                    found.append((op, label))
        return [op for op, label in self._cuts[roots] if label & bit]

    def feeds(self, cut: Op, roots: frozenset[int]) -> bool:
        """Whether what this op makes is worked on by a trainable layer on its way to the roots: a target is not."""
        if roots not in self._feeding:
            needed = self.needed(roots)
            found = self._feeding[roots] = set()
            for op in reversed(self.graph.ops):
                if needed.isdisjoint(op.makes):
                    continue
                layer = any(self.graph.values[each].kind == "parameter" for each in op.reads if self._requires(each))
                if (layer and self._requires_any(op.makes)) or not found.isdisjoint(op.makes):
                    found.update(op.reads)
        return not self._feeding[roots].isdisjoint(cut.makes)

    def ends(self, bit: int) -> tuple[list[Op], list[Op]]:
        """Where the gradient history of a suspect ends: the last ops on it, and those that look at their results.

        A call that neither belongs to a model nor sees data (the norm of a weight, for a log) is no use of it.
        """
        if self._ends is None:
            onward: dict[int, int] = {}
            for op in self.graph.ops:
                label = self._of(self.history, op.reads if op.id in self.skipped else op.makes)
                for read in op.reads if label else ():
                    onward[read] = onward.get(read, 0) | label
            self._ends = []
            for op in self.graph.ops:
                if self._of(self.value, (*op.reads, *op.makes)) & DATA or self.inside(op):
                    label = self._of(self.history, op.makes) & ~self._of(onward, op.makes)
                    if label:
                        self._ends.append((op, label))
        last = [op for op, label in self._ends if label & bit]
        results = {made for op in last for made in op.makes}
        looks = []
        for op in self.graph.ops if last else ():
            if not results.isdisjoint(op.reads):
                looks.append(op)
                results.update(op.makes)
        return last, looks

    def along(self, bit: int) -> list[Op]:
        """The ops that work on what was computed from a suspect."""
        return [op for op in self.graph.ops if self._of(self.value, op.reads) & bit]

    def given_away(self, bit: int) -> list[Op]:
        """The ops that turn a suspect into plain numbers."""
        return [op for op in self.graph.ops if op.escapes and self._of(self.value, op.reads) & bit]

    def returns(self, escape: Op, roots: frozenset[int]) -> bool:
        """Whether a tensor on the way to the roots was made of plain numbers after this op gave some away."""
        needed = self.needed(roots)
        return any(
            op.id > escape.id and op.name in IMPORTS and not op.reads and not needed.isdisjoint(op.makes)
            for op in self.graph.ops
        )

    def vanishes(self, bit: int, roots: frozenset[int]) -> list[tuple[Op, Value, Value]]:
        """The ops where gradient comes in and none goes on towards a suspect, last one first: (op, its result, what
        it read)."""
        if roots not in self._vanishes:
            needed, values = self.needed(roots), self.graph.values
            found = self._vanishes[roots] = []
            for op in reversed(self.graph.ops):
                made = [each for each in op.makes if each in needed and (each in roots or values[each].gradient)]
                read = [each for each in op.reads if self.history.get(each) and not values[each].gradient]
                kept = [each for each in op.reads if each in values and values[each].gradient]
                label = self._of(self.history, made) & self._of(self.history, read) & ~self._of(self.history, kept)
                if label:
                    found.append((op, label, values[made[0]], [values[each] for each in read]))
        return [
            (op, made, next(each for each in read if self.history.get(each.id, 0) & bit))
            for op, label, made, read in self._vanishes[roots]
            if label & bit
        ]
