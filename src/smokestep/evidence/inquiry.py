"""Inquiry: asks the graphs of the recorded steps why some parameters got no gradient, or exactly zero.

Every step in which an optimizer that holds the parameter was stepped is asked, and the most telling answer is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from smokestep.evidence import source
from smokestep.evidence.fate import NO_GRAD, Fate, FateKind
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.paths import Paths
from smokestep.evidence.reasons import CUTS, DRAWS, PRODUCTS, cut_reason, whole_numbers, zero_reason
from smokestep.evidence.steps import Movement, Parameter, Steps
from smokestep.findings import Line

TELLING: tuple[FateKind, ...] = ("opaque", "waiting", "zero", "cut", "dropped", "unexplained", "conditional")
INITIAL = frozenset({"__init__", "reset_parameters", "init_weights", "_init_weights", "_reset_parameters"})


class Inquiry:
    """Asks the graphs why some parameters got no gradient, or exactly zero."""

    def __init__(
        self,
        steps: Steps,
        flow: Flow,
        moves: dict[str, list[Movement]],
        suspects: Sequence[Parameter],
        trained: frozenset[str],
        skipped: Mapping[int, frozenset[int]] | None = None,
        evaluated: frozenset[str] = frozenset(),
    ) -> None:
        self.steps, self.moves, self.trained, self.evaluated = steps, moves, trained, evaluated
        self.updates = steps.of("update")
        broken = {event.step for event in steps.of("error")}
        self.graphs = [graph for graph in flow.graphs if graph.step not in broken]
        names = tuple(parameter.name for parameter in suspects)
        scales: dict[int, dict[str, float]] = {graph.step: {} for graph in self.graphs}
        for name, some in moves.items():
            for move in some:
                scales.setdefault(move.step, {})[name] = move.scale
        self.paths = {
            graph.step: Paths(graph, names, trained, scales[graph.step], (skipped or {}).get(graph.step, frozenset()))
            for graph in self.graphs
        }
        self.carried = {value.id for graph in self.graphs for value in graph.values.values() if value.kind == "carried"}

    def explain(self, parameter: Parameter) -> Fate:
        """The most telling of the explanations that the steps give."""
        graphs = [graph for graph in self.graphs if self._judges(parameter, graph)]
        if not graphs:
            return self._fate(parameter, "no update", "no step in which it could train was recorded")
        found = [self._in(parameter, graph) for graph in graphs]
        best = min(found, key=lambda fate: TELLING.index(fate.kind) if fate.kind in TELLING else len(TELLING))
        if best.kind == "cut" and self._is_twin(parameter):
            return self._fate(parameter, "aside", "a copy of a network that trains, used without gradient")
        sometimes = best.kind == "dropped" and any(fate.kind == "conditional" for fate in found)
        return replace(best, certain=False) if sometimes else best

    def reached(self, parameter: Parameter) -> bool:
        """Whether gradient of any root may reach the parameter in any step, or did reach what was computed from it."""
        return any(
            paths.by_gradient(graph.roots) & paths.bits[parameter.name] or paths.felt(paths.bits[parameter.name])
            for graph in self.graphs
            for paths in (self.paths[graph.step],)
        )

    def _judges(self, parameter: Parameter, graph: Graph) -> bool:
        if not graph.backwards:
            return False
        return not parameter.optimizers or any(
            event.step == graph.step and event.subject in parameter.optimizers and not event.detail.get("skipped")
            for event in self.updates
        )

    def _roots(self, parameter: Parameter, graph: Graph) -> frozenset[int]:
        """What was differentiated for the updates of this parameter's optimizers, and not for those of others."""
        updates = [event for event in self.updates if event.step == graph.step]
        found: set[int] = set()
        for position, event in enumerate(updates):
            if event.subject in parameter.optimizers:
                since = updates[position - 1].index if position else -1
                found.update(
                    root for each in graph.backwards if since < each.index < event.index for root in each.roots
                )
        return frozenset(found)

    def _in(self, parameter: Parameter, graph: Graph) -> Fate:
        paths = self.paths[graph.step]
        bit = paths.bits[parameter.name]
        roots = self._roots(parameter, graph)
        if not roots or not paths.by_value(roots) & bit:
            roots = graph.roots
        move = next((each for each in self.moves[parameter.name] if each.step == graph.step), None)
        if move is not None and move.received == 0.0:
            return self._zero(parameter, graph, paths, bit, roots)
        if paths.by_value(roots) & bit:
            return self._cut(parameter, graph, paths, bit, roots)
        last, looks = paths.ends(bit)
        cut = self._escaped(parameter, graph, paths, looks or paths.given_away(bit))
        if cut is not None:
            return cut
        if last:
            return self._dropped(parameter, graph, paths, bit, last, looks)
        return self._unused(parameter, graph, paths)

    def _escaped(self, parameter: Parameter, graph: Graph, paths: Paths, looks: list[Op]) -> Fate | None:
        """The cut at plain numbers that are used on; None if there is none, or they are only looked at."""
        if paths.hidden(graph.roots) or not any(op.escapes and self._comes_back(op, graph, paths) for op in looks):
            return None
        op = _given_away(next(op for op in looks if op.escapes or op.name in CUTS), looks)
        reason, hint = cut_reason(op, graph)
        return self._fate(parameter, "cut", reason, _line(op), (), hint, op, True, False, graph.step)

    def _unused(self, parameter: Parameter, graph: Graph, paths: Paths) -> Fate:
        ran = any(move.called for move in self.moves[parameter.name]) and not _direct(parameter)
        if paths.hidden(graph.roots):
            return self._hidden(parameter, graph)
        mentions = parameter.mentions
        if mentions is not None and all(source.function_of(line) in INITIAL for line in mentions) and not ran:
            return self._fate(parameter, "unused", "nothing reads it", parameter.built, step=graph.step)
        return self._fate(parameter, "conditional", "no operation read it", parameter.built, step=graph.step)

    def _dropped(
        self, parameter: Parameter, graph: Graph, paths: Paths, bit: int, last: list[Op], looks: list[Op]
    ) -> Fate:
        if paths.hidden(graph.roots):
            return self._hidden(parameter, graph)
        own = [op for op in last if not _installed(op)] or last
        op = own[-1]
        if op.inplace or any(made in self.carried for made in op.makes):
            return self._fate(
                parameter, "conditional", "its result is kept for later steps", _line(op), op=op, step=graph.step
            )
        line, use = _where_dropped(op)
        related: list[tuple[Line, str]] = []
        hint, certain = "", True
        reason = "is computed, and nothing that reaches the loss uses it"
        if use.kind == "overwritten" and use.at and line:
            before = dict.fromkeys([line, *(at for each in paths.along(bit) if (at := _line(each)))])
            pairs = (source.again(at, use.at, use.name) for at in before)
            name, callee = next((pair for pair in pairs if pair[0]), ("", ""))
            again = f"reads `{name}` again, and " if name and use.at != line else ""
            turn = "the next turn of the loop overwrites" if use.at == line else "overwrites"
            related.append((use.at, f"{again}{turn} `{use.name}`"))
            hint = f"feed `{use.name}`, not `{name}`, to {callee}" if name and callee and use.at != line else ""
        elif use.kind == "conditional":
            return self._fate(
                parameter, "conditional", f"`{use.name}` is used only under a condition", line, op=op, step=graph.step
            )
        elif use.kind == "bare":
            hint = "assign the result"
        elif use.kind == "unread" and not use.several:
            hint = f"use `{use.name}`, or remove the line"
        else:
            certain = use.kind in ("overwritten", "unknown")
        if line and line != op.line and not self._alone(op, line, graph, paths):
            certain = False  # something else that this call computed is used
        if not certain:
            reason, hint = "gives a result that nothing on the way to the loss uses", ""
        inside = _installed(op) and not (certain and use.kind in ("overwritten", "unread", "bare"))
        if op.line and line and op.line != line:
            related.append((op.line, "where it is computed"))
        for look in looks[-1:]:
            at = _line(look)
            if at and at != line and look.escapes:
                related.append((at, f"only looks at it (`{look.name}`)"))
        related.extend((at, "also computed from it, also unused") for at in _others(own[:-1], line))
        return self._fate(parameter, "dropped", reason, line, tuple(related), hint, op, certain, inside, graph.step)

    def _alone(self, op: Op, line: Line, graph: Graph, paths: Paths) -> bool:
        """Whether nothing that was computed in the same call on this line, outside this op's own, reaches a root."""
        needed = paths.needed(graph.roots)
        return not any(
            line in other.stack and _same_call(op.module, other.module) and not needed.isdisjoint(other.makes)
            for other in graph.ops
        )

    def _comes_back(self, escape: Op, graph: Graph, paths: Paths) -> bool:
        """Whether the plain numbers that an op gives are used on: in a tensor again, or by the model's own code."""
        if escape.name in ("__bool__", "__contains__"):
            return False
        if escape.name in ("numpy", "tolist", "__array__", "item") and paths.returns(escape, graph.roots):
            return True
        line = _line(escape)
        return line is not None and paths.inside(escape) and source.becomes(line).kind in ("read", "returned")

    def _cut(self, parameter: Parameter, graph: Graph, paths: Paths, bit: int, roots: frozenset[int]) -> Fate:
        ops = paths.cuts(bit, roots)
        if not ops or paths.by_gradient(roots) & bit:
            if paths.hidden(graph.roots):
                return self._hidden(parameter, graph)
            for op, _, _ in paths.vanishes(bit, roots):
                if op.outer:
                    reason = f"the backward of `{op.outer}` gives no gradient"
                    return self._fate(
                        parameter, "cut", reason, _line(op), (), "return one from it", op, step=graph.step
                    )
            return self._fate(parameter, "unexplained", "gets no gradient, though nothing cuts it off", step=graph.step)
        own = [op for op in ops if not _installed(op)] or ops
        # An index never has gradient, and a factor, such as an advantage, needs none: others first, nearest the loss.
        ranks = {op.id: (whole_numbers(op, graph), _scales(op, graph, paths.needed(roots))) for op in own}
        own.sort(key=lambda op: (ranks[op.id], -op.id))
        op = own[0]
        line = _line(op)
        related: list[tuple[Line, str]] = []
        chosen = False
        if not op.grad and op.name not in ("detach", "data") and op.name not in DRAWS:
            region = source.no_grad_region(op.stack or ((line,) if line else ()))
            if region is not None:
                line = region[0]
                related.append((region[1], NO_GRAD))
            else:  # switched off by a variable, or out of sight
                chosen = True
        reason, hint = cut_reason(_given_away(op, graph.ops), graph)
        equals = [each for each in own[1:] if ranks[each.id] == ranks[op.id]]
        related.extend((at, "cut here as well") for at in _others(equals, line))
        # A target taken without gradient, or a part in evaluation mode, may well be left out of training on purpose.
        meant = (not op.grad and op.name not in DRAWS) or op.name in ("detach", "detach_", "data")
        left_out = chosen or parameter.installed or parameter.owner.split(".")[0] in self.evaluated
        certain = not meant or (paths.feeds(op, roots) and not left_out)
        return self._fate(parameter, "cut", reason, line, tuple(related), hint, op, certain, _installed(op), graph.step)

    def _zero(self, parameter: Parameter, graph: Graph, paths: Paths, bit: int, roots: frozenset[int]) -> Fate:
        found = paths.vanishes(bit, roots)
        # Where gradient comes in at the very op that reads the parameter, no zero nearer the loss explains the whole.
        for op, made, read in sorted(found, key=lambda each: each[2].name != parameter.name):
            said = zero_reason(op, made, read, graph, paths)
            if said is None:
                continue
            kind, reason, hint = said
            return self._fate(parameter, kind, reason, _line(op), (), hint, op, True, _installed(op), graph.step)
        return self._fate(parameter, "zero", "", step=graph.step, certain=False)

    def _hidden(self, parameter: Parameter, graph: Graph) -> Fate:
        calls = ", ".join(dict.fromkeys(name for name, _ in graph.opaque)) or "a value of unknown origin"
        return self._fate(parameter, "opaque", f"calls whose inside was not seen: {calls}", step=graph.step)

    def _is_twin(self, parameter: Parameter) -> bool:
        """Whether it is a copy of a parameter that trains: same last names, same shape, same first values. An average
        of this one moves too, but gets no gradient: it is the copy."""
        mine = self.moves[parameter.name]
        scale = mine[0].scale if mine else 0.0
        parts = parameter.name.split(".")
        return scale != 0.0 and any(
            other.name in self.trained
            and other.shape == parameter.shape
            and other.name.split(".")[-min(2, len(parts) - 1) or -1 :] == parts[-min(2, len(parts) - 1) or -1 :]
            and self.moves[other.name]
            and self.moves[other.name][0].scale == scale
            and any(move.gradient for move in self.moves[other.name])
            for other in self.steps.parameters
        )

    @staticmethod
    def _fate(
        parameter: Parameter,
        kind: FateKind,
        reason: str,
        line: Line | None = None,
        related: tuple[tuple[Line, str], ...] = (),
        hint: str = "",
        op: Op | None = None,
        certain: bool = True,
        installed: bool | None = None,
        step: int = 0,
    ) -> Fate:
        return Fate(
            parameter.name,
            kind,
            reason,
            line,
            related,
            hint,
            op.name if op else "",
            certain,
            parameter.installed if installed is None else installed,
            step,
            parameter.owner,
        )


def _direct(parameter: Parameter) -> bool:
    """Whether the line that builds it assigns the parameter itself, and not a layer that it is part of."""
    built = parameter.built.code if parameter.built else ""
    return re.search(rf"\b{re.escape(parameter.name.rpartition('.')[2])}\b", built) is not None


def _installed(op: Op) -> bool:
    return op.line is not None and op.line.installed


def _line(op: Op) -> Line | None:
    return op.line if op.line and not op.line.installed else op.caller or op.line


def _scales(cut: Op, graph: Graph, needed: set[int]) -> bool:
    """Whether what an op makes only scales results that have gradient, on its way to the loss."""
    values, reached, scales = graph.values, set(cut.makes), False
    for op in graph.ops:
        if reached.isdisjoint(op.reads) or needed.isdisjoint(op.makes):
            continue
        if not any(values[made].requires_grad for made in op.makes if made in values):
            reached.update(op.makes)
        elif op.name in PRODUCTS and not any(values[each].kind == "parameter" for each in op.reads if each in values):
            scales = True
        else:
            return False
    return scales


def _given_away(op: Op, others: Iterable[Op]) -> Op:
    """Of `t.detach().numpy()` on one line the second call, which made the first one necessary."""
    if op.name not in ("detach", "data"):
        return op
    return next((each for each in others if each.escapes and each.line == op.line and op.makes[0] in each.reads), op)


def _others(ops: Iterable[Op], line: Line | None) -> list[Line]:
    """Up to two further lines of ops, each once."""
    found = dict.fromkeys(at for op in ops if (at := _line(op)) is not None and at != line)
    return list(found)[-2:]


def _same_call(one: str, other: str) -> bool:
    """Whether two modules may run in one call: neither in another branch of the model nor another item of a list."""
    first, second = (path.split(".") if path else [] for path in (one, other))
    common = 0
    while common < min(len(first), len(second)) and first[common] == second[common]:
        common += 1
    if common in (len(first), len(second)):
        return True
    return common > 0 and not (first[common].isdigit() and second[common].isdigit())


def _where_dropped(op: Op) -> tuple[Line | None, source.Use]:
    """The line that drops an op's result: its own, or, where that hands it on, the caller's."""
    lines = op.stack or tuple(line for line in (_line(op),) if line)
    use = source.Use("unknown")
    for position, line in enumerate(lines):
        use = source.becomes(line)
        if use.kind != "returned" or position == len(lines) - 1:
            return line, use if op.stack or use.kind != "returned" else source.Use("unknown")
    return None, use
