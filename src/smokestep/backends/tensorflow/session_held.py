"""Which update of a graph holds which variable, and what became of the variables that it has no gradient for.

Where `minimize` was given no list, it names every trainable variable; what was meant is then read off the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from smokestep.backends.tensorflow import graph_lines, graph_names
from smokestep.backends.tensorflow.graph_forward import Forward
from smokestep.backends.tensorflow.graph_marks import Applied
from smokestep.backends.tensorflow.session_runs import Runs
from smokestep.evidence.steps import Group, Optimizer, Parameter
from smokestep.training import Training

KINDS = {
    "GradientDescentOptimizer": "SGD",
    "MomentumOptimizer": "SGD",
    "AdamOptimizer": "Adam",
    "RMSPropOptimizer": "RMSprop",
    "AdagradOptimizer": "Adagrad",
    "AdadeltaOptimizer": "Adadelta",
    "FtrlOptimizer": "Ftrl",
}
AVERAGING = frozenset({"MomentumOptimizer", "AdamOptimizer", "RMSPropOptimizer", "AdadeltaOptimizer"})


class Held:
    """The variables of the recorded graphs and the updates that hold them. `parameters`: by name, whether trainable."""

    def __init__(self, runs: Runs, forwards: Sequence[Forward], training: Training) -> None:
        self.runs, self.forwards, self.training = runs, forwards, training
        self.applied = [each for each in runs.marks.applied if any(f.graph is each.graph for f in forwards)]
        self.names = self._optimizer_names()
        self.parameters = self._trainable()
        self._held: dict[int, frozenset[str]] = {}

    def _trainable(self) -> dict[str, bool]:
        """The trainable variables, those that an update names, and weights that were made untrainable; by name."""
        found: dict[str, bool] = {}
        for forward in self.forwards:
            trainable = {each.op.name for each in forward.graph.get_collection("trainable_variables")}
            given = {var.op.name for each in self.applied if each.graph is forward.graph for _, var in each.pairs}
            read = {name for node in forward.nodes if node.name != "batch_norm" for name in node.reads}
            for name, variable in forward.variables.items():
                if name in trainable or name in given:
                    found[name] = True
                elif name in read and variable.dtype.base_dtype.is_floating and variable.shape.rank:
                    found[name] = False
        return found

    def held(self, applied: Applied) -> frozenset[str]:
        """The variables that an update holds.

        Where no list was chosen, a variable without gradient counts only if nothing else accounts for it: another
        update that moves it, an assignment (a target network), or a run that fetches what it computes.
        """
        if id(applied) not in self._held:
            self._held[id(applied)] = self._holding(applied)
        return self._held[id(applied)]

    def _holding(self, applied: Applied) -> frozenset[str]:
        every = {var.op.name: gradient for gradient, var in applied.pairs}
        if not applied.implicit:
            return frozenset(every)
        others = {
            var.op.name
            for each in self.applied
            if each is not applied
            for gradient, var in each.pairs
            if gradient is not None
        }
        spared = others | self._assigned(applied.graph) | self._looked_at(applied.graph)
        return frozenset(name for name, gradient in every.items() if gradient is not None or name not in spared)

    def _assigned(self, graph: Any) -> set[str]:
        """The variables that something else than their initializer and the updates writes."""
        found = set()
        hidden = next(forward.hidden for forward in self.forwards if forward.graph is graph)
        initial = {each.initializer for each in graph.get_collection("variables") if each.initializer is not None}
        restored = {op for op in graph.get_operations() if op.type == "RestoreV2"}
        for op in graph.get_operations():
            if op.type in (
                "Assign",
                "AssignVariableOp",
                "AssignAdd",
                "AssignSub",
                "AssignAddVariableOp",
                "AssignSubVariableOp",
            ):
                source = op.inputs[1].op
                while source.type == "Identity" and source.inputs:
                    source = source.inputs[0].op
                if op._id not in hidden and op not in initial and source not in restored:
                    found.add(op.inputs[0].op.name)
        return found

    def _looked_at(self, graph: Any) -> set[str]:
        """The variables whose results runs fetch that do not train: a network that is asked, not trained."""
        found: set[str] = set()
        for ran in self.runs.found:
            if ran.forward.graph is graph and not self.runs.applied(ran):
                for op in ran.executed:
                    found.update(ran.forward.aliases[t.name] for t in op.inputs if t.name in ran.forward.aliases)
        return found

    def evidence(self, declared: frozenset[str], model_of: Callable[[str], str]) -> tuple[Parameter, ...]:
        """Every parameter; `declared` are those that a training says it trains."""
        found = []
        for forward in self.forwards:
            for name, trains in self.parameters.items():
                variable = forward.variables.get(name)
                if variable is None or any(each.name == graph_names.dotted(name) for each in found):
                    continue
                shape = tuple(each or 0 for each in variable.shape.as_list())
                holders = [self.names[id(each)] for each in self.applied if name in self.held(each)]
                full = graph_names.dotted(name)
                line, own = graph_lines.of_op(variable.op)
                found.append(
                    Parameter(
                        name=full,
                        shape=shape,
                        dtype=variable.dtype.base_dtype.name,
                        size=math.prod(shape),
                        requires_grad=trains,
                        model=model_of(name),
                        owner=full.rpartition(".")[0],
                        installed=self._set_apart(name),
                        optimizers=tuple(dict.fromkeys(holders)),
                        built=graph_lines.line_of(own[0] if own else line),
                        mentions=(),
                        explicit=full in declared,
                    )
                )
        return tuple(found)

    def _set_apart(self, name: str) -> bool:
        """Whether a variable has no gradient for a `stop_gradient` alone, in updates for which no list was chosen: to
        leave out a part that was trained before, TensorFlow's users write just that."""
        holders = [each for each in self.applied if name in self.held(each)]
        if not holders or any(each.implicit is False for each in holders):
            return False
        if any(gradient is not None for each in holders for gradient, var in each.pairs if var.op.name == name):
            return False
        forward = next(each for each in self.forwards if each.graph is holders[0].graph)
        losses = {
            forward.source(y)
            for each in self.runs.marks.differentiations
            if each.graph is forward.graph
            for y in each.ys
        }

        def ahead(past_stops: bool) -> bool:
            reached = {name}
            for node in forward.nodes:
                stops = node.parts[0].type == "StopGradient" or any(op.type == "StopGradient" for op in node.parts)
                if not reached.isdisjoint(node.reads) and (past_stops or not stops):
                    reached.update(each.name for each in node.makes)
            return not reached.isdisjoint(losses)

        return ahead(True) and not ahead(False)

    def _optimizer_names(self) -> dict[int, str]:
        given = {id(each): name for name, each in self.training.optimizer.items() if name}
        found: dict[int, str] = {}
        for each in self.applied:
            name = given.get(id(each.optimizer)) or getattr(each.op, "name", "").partition(":")[0] or "optimizer"
            taken = list(found.values())
            found[id(each)] = name if name not in taken else f"{name}_{len(taken) + 1}"
        return found

    def optimizer(self, applied: Applied) -> Optimizer:
        """One update of the graph, as an optimizer of its own."""
        kind = type(applied.optimizer).__name__
        held = self.held(applied)
        runs = [ran for ran in self.runs.found if applied in self.runs.applied(ran)]
        rates = tuple(rate for ran in runs if (rate := ran.rates.get(id(applied))) is not None)
        betas = tuple(
            float(value)
            for key in ("_beta1", "_beta2")
            if isinstance(value := getattr(applied.optimizer, key, None), (int, float))
        )
        momentum = getattr(applied.optimizer, "_momentum", None)
        keeps = kind in AVERAGING and not (kind == "MomentumOptimizer" and momentum == 0)
        epsilon = getattr(applied.optimizer, "_epsilon", None)
        names = tuple(graph_names.dotted(name) for name in self.parameters if name in held)
        return Optimizer(
            name=self.names[id(applied)],
            kind=KINDS.get(kind, kind.removesuffix("Optimizer")),
            groups=(
                Group(
                    names, rates, momentum=keeps, betas=betas, epsilon=epsilon if isinstance(epsilon, float) else None
                ),
            ),
            line=graph_lines.line_of(applied.line),
            updates=len(runs),
            filtered=not applied.implicit,
        )
