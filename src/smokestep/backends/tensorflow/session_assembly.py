"""Assembly of runs: turns what the runs of the recorded steps did into evidence."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import graph_lines, graph_losses, graph_modes, graph_names, graph_words, session_flow
from smokestep.backends.tensorflow.graph_forward import Forward, Node, needed
from smokestep.backends.tensorflow.graph_lines import Raw
from smokestep.backends.tensorflow.graph_marks import Applied, Differentiation, dense
from smokestep.backends.tensorflow.session_flow import StepFlow
from smokestep.backends.tensorflow.session_numbers import largest, moved
from smokestep.backends.tensorflow.session_runs import Ran, Runs
from smokestep.config import ConfigError
from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.numbers import Numbers
from smokestep.evidence.steps import Event, Group, Movement, Optimizer, Parameter, Steps
from smokestep.training import Training
from smokestep.world import NotOffered, Recording

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


class Assembly:
    """The runs of one recording on their way to evidence; `names` is the name of each step, `returned` its result."""

    def __init__(
        self,
        runs: Runs,
        training: Training,
        names: Sequence[str],
        returned: Sequence[float | None],
        error: tuple[BaseException, Raw | None] | None,
        seconds: float,
    ) -> None:
        self.runs, self.training, self.names, self.returned = runs, training, names, returned
        self.error, self.seconds = error, seconds
        self.serials = session_flow.serials()
        self.forwards = list({id(ran.forward): ran.forward for ran in runs.found}.values())
        self._rest_nodes: frozenset[int] | None = None
        self.applied = [each for each in runs.marks.applied if any(f.graph is each.graph for f in self.forwards)]
        self.optimizer_names = self._optimizer_names()
        self.parameters = self._parameters()
        self.networks = graph_names.networks([name for name, trains in self.parameters.items() if trains])
        self._scopes: dict[int, frozenset[str]] = {}
        self._needed: dict[tuple[int, int], bool] = {}
        self._held: dict[int, frozenset[str]] = {}
        self._layers: dict[int, dict[str, str]] = {}
        self._effective: dict[int, list[Differentiation]] = {}

    # ── what the flow asks ─────────────────────────────────────────────────────────────────────────────────────
    def scopes(self, forward: Forward) -> frozenset[str]:
        """The scopes that hold variables."""
        if id(forward) not in self._scopes:
            tops = {name.rpartition("/")[0] for name in self.parameters if "/" in name}
            self._scopes[id(forward)] = frozenset(
                "/".join(top.split("/")[: n + 1]) for top in tops for n in range(top.count("/") + 1)
            )
        return self._scopes[id(forward)]

    def layers(self, forward: Forward) -> dict[str, str]:
        """The weights of layers, with the layer's name."""
        if id(forward) not in self._layers:
            self._layers[id(forward)] = {
                node.reads[1]: node.name
                for node in forward.nodes
                if node.name in ("linear", "conv2d", "conv3d")
                and len(node.reads) > 1
                and node.parts[0].type != "DepthwiseConv2dNative"
            }
        return self._layers[id(forward)]

    def feeds(self, found: Differentiation, applied: Applied) -> bool:
        """Whether a differentiation gave a gradient that is applied here."""
        key = id(found), id(applied)
        if key not in self._needed:
            used = [dense(gradient) for gradient, _ in applied.pairs if gradient is not None]
            made = {dense(gradient).op for gradient in found.grads if gradient is not None}
            within = {op for op in needed(used, ()) if op in made} if made else set()
            self._needed[key] = bool(within)
        return self._needed[key]

    def effective(self, ran: Ran) -> list[Differentiation]:
        """The differentiations of a run that train: gradients that only enter another loss are part of that."""
        if ran.index not in self._effective:
            self._effective[ran.index] = self._training(ran)
        return self._effective[ran.index]

    def _training(self, ran: Ran) -> list[Differentiation]:
        found = self.runs.differentiated(ran)
        inner = {
            id(each)
            for each in found
            for other in found
            if other is not each and any(dense(g).op in needed(other.ys, ()) for g in each.grads if g is not None)
        }
        applied = self.runs.applied(ran)
        if applied:
            found = [each for each in found if any(self.feeds(each, some) for some in applied)]
        return [each for each in found if id(each) not in inner]

    def network_call(self, node: Node) -> str | None:
        """Which call of which network a node belongs to ("generator:generator_1"); None if to none."""
        name = node.makes[0].op.name
        tops = set(self.networks.values())
        for network in tops - {graph_names.REST}:
            call = graph_names.call_of(name, network)
            if call is not None:
                return f"{network}:{call}"
        if graph_names.REST in tops and id(node) in self._rest(node):
            return f"{graph_names.REST}:"
        return None

    def _rest(self, node: Node) -> frozenset[int]:
        """The nodes of the network without a scope: what predictions are computed from, losses left out."""
        if self._rest_nodes is None:
            self._rest_nodes = frozenset(
                each for forward in self.forwards for each in _predicting(forward)
            )
        return self._rest_nodes

    def executed_in(self, step: int, node: Node) -> bool:
        """Whether any run of a step executed a node."""
        return any(ran.step == step and ran.did(node.makes[0]) for ran in self.runs.found)

    # ── evidence ───────────────────────────────────────────────────────────────────────────────────────────────
    def recording(self) -> Recording:
        """Everything, as evidence."""
        count = len(self.names)
        graphs, events, losses = [], [], []
        flows: dict[int, StepFlow] = {}
        for step in range(count):
            flow = flows[step] = StepFlow(self, step)
            flow.events.append(Event(flow.serial(), step, "step", None, self.names[step]))
            runs = [ran for ran in self.runs.found if ran.step == step]
            training = [ran for ran in runs if self.runs.applied(ran) or self.runs.differentiated(ran)]
            for ran in runs:
                flow.tell(ran, unexecuted=bool(training) and ran is training[-1])
                self._by_hand(flow, ran)
            if self.error is not None and step == count - 1:
                flow.events.append(self._error(flow))
            graph = flow.graph()
            graphs.append(graph)
            events += sorted(flow.events, key=lambda each: each.index)
            losses += session_flow.finished(graph, flow.seen)
        movements = self._movements(count)
        parameters = self._evidence_of_parameters()
        steps = Steps(
            count=count,
            events=tuple(events),
            parameters=parameters,
            movements=movements,
            optimizers=tuple(self._optimizer(each) for each in self.applied),
            losses=self._losses(events, count),
            own_loop=self.training.own_loop,
            error=f"{type(self.error[0]).__name__}: {self.error[0]}" if self.error else None,
            error_line=graph_lines.line_of(self.error[1]) if self.error else None,
        )
        needed_by = {graph.step: graph.backward_of(graph.roots) for graph in graphs}

        def reached(ran: Ran, node: Node) -> bool:
            value = flows[ran.step].of_run[ran.index].get(node.makes[0].name, -1)
            return value in needed_by[ran.step]

        trainable = frozenset(name for name, trains in self.parameters.items() if trains)
        modes = graph_modes.modes(self.runs.found, trainable, count, self._model_of, reached)
        return Recording(
            steps=steps,
            flow=Flow(tuple(graphs)),
            losses=Losses(tuple(losses)),
            modes=modes,
            numbers=Numbers(),
            declared=self._declared(movements),
            seconds=self.seconds,
        )

    def _error(self, flow: StepFlow) -> Event:
        assert self.error is not None
        error, raw = self.error
        detail = {"type": type(error).__name__, "message": str(error)}
        return Event(flow.serial(), flow.step, "error", graph_lines.line_of(raw), "", (), detail)

    def _by_hand(self, flow: StepFlow, ran: Ran) -> None:
        """The parameters that a run wrote, and that no optimizer of it holds."""
        held = {var.op.name for each in self.runs.applied(ran) for gradient, var in each.pairs if gradient is not None}
        changed = [
            name
            for name in self.parameters
            if name not in held and name in ran.before and name in ran.after and moved(ran.before[name], ran.after[name])
        ]
        if changed:
            writers = [op for op in ran.executed if op.type.startswith(("Assign", "Scatter", "ResourceScatter"))]
            line = next((graph_lines.of_op(op)[0] for op in writers if op.inputs[0].op.name in changed), ran.line)
            names = tuple(map(graph_names.dotted, changed))
            flow.events.append(Event(flow.serial(), flow.step, "manual", graph_lines.line_of(line), "", names))

    def _losses(self, events: Iterable[Event], count: int) -> tuple[float | None, ...]:
        last: dict[int, Any] = {}
        for event in events:
            if event.kind == "backward" and event.detail.get("loss") is not None:
                last[event.step] = event.detail["loss"]
        last.update({step: value for step, value in enumerate(self.returned) if value is not None})
        return tuple(last.get(step) for step in range(count))

    def _movements(self, count: int) -> tuple[Movement, ...]:
        found = []
        for step in range(count):
            runs = [ran for ran in self.runs.found if ran.step == step]
            for name, trains in self.parameters.items():
                own = [ran for ran in runs if name in ran.before and name in ran.after]
                if not own:
                    continue
                gradient, received, rate = self._gradients(name, own)
                found.append(
                    Movement(
                        step,
                        graph_names.dotted(name),
                        gradient,
                        received if received is not None else gradient,
                        moved(own[0].before[name], own[-1].after[name]),
                        largest(own[0].before[name]) or 0.0,
                        rate=rate,
                        requires_grad=trains,
                    )
                )
        return tuple(found)

    def _gradients(self, name: str, runs: list[Ran]) -> tuple[float | None, float | None, float | None]:
        gradient = received = rate = None
        for ran in runs:
            for each in self.effective(ran):
                known = each.of(name)
                if known is not None and ran.did(dense(known)):
                    self._known(ran, known, name)
                    received = max(received or 0.0, ran.gradients[dense(known).name].peak or 0.0)
            for applied in self.runs.applied(ran):
                for used, var in applied.pairs:
                    if var.op.name == name and name in self.held(applied):
                        rate = ran.rates.get(id(applied), rate)
                        if used is not None:
                            self._known(ran, used, name)
                            gradient = ran.gradients[dense(used).name].peak
        return gradient, received, rate

    @staticmethod
    def _known(ran: Ran, gradient: Any, name: str) -> None:
        """A gradient that was not measured must not pass for none."""
        if dense(gradient).name not in ran.gradients:
            raise NotOffered(f"the gradient of {graph_names.dotted(name)} could not be fetched: it is of a branch or loop")

    # ── parameters and optimizers ──────────────────────────────────────────────────────────────────────────────
    def _parameters(self) -> dict[str, bool]:
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
            if op.type in ("Assign", "AssignVariableOp", "AssignAdd", "AssignSub", "AssignAddVariableOp", "AssignSubVariableOp"):
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

    def _evidence_of_parameters(self) -> tuple[Parameter, ...]:
        declared = self._resolved(name for things in self.training.trains.values() for name in things)
        found = []
        for forward in self.forwards:
            for name, trains in self.parameters.items():
                variable = forward.variables.get(name)
                if variable is None or any(each.name == graph_names.dotted(name) for each in found):
                    continue
                shape = tuple(each or 0 for each in variable.shape.as_list())
                holders = [self.optimizer_names[id(each)] for each in self.applied if name in self.held(each)]
                full = graph_names.dotted(name)
                line, own = graph_lines.of_op(variable.op)
                found.append(
                    Parameter(
                        name=full,
                        shape=shape,
                        dtype=variable.dtype.base_dtype.name,
                        size=math.prod(shape),
                        requires_grad=trains,
                        model=self._model_of(name),
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
            forward.source(y) for each in self.runs.marks.differentiations if each.graph is forward.graph for y in each.ys
        }

        def ahead(past_stops: bool) -> bool:
            reached = {name}
            for node in forward.nodes:
                stops = node.parts[0].type == "StopGradient" or any(op.type == "StopGradient" for op in node.parts)
                if not reached.isdisjoint(node.reads) and (past_stops or not stops):
                    reached.update(each.name for each in node.makes)
            return not reached.isdisjoint(losses)

        return ahead(True) and not ahead(False)

    def _model_of(self, name: str) -> str:
        slashed = name.replace(".", "/")
        found = self.networks.get(slashed)
        if found is None:
            top = slashed.partition("/")[0]
            found = top if top in set(self.networks.values()) else graph_names.REST
        return found

    def _optimizer_names(self) -> dict[int, str]:
        given = {id(each): name for name, each in self.training.optimizer.items() if name}
        found: dict[int, str] = {}
        for each in self.applied:
            name = given.get(id(each.optimizer)) or getattr(each.op, "name", "").partition(":")[0] or "optimizer"
            taken = list(found.values())
            found[id(each)] = name if name not in taken else f"{name}_{len(taken) + 1}"
        return found

    def _optimizer(self, applied: Applied) -> Optimizer:
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
            name=self.optimizer_names[id(applied)],
            kind=KINDS.get(kind, kind.removesuffix("Optimizer")),
            groups=(
                Group(names, rates, momentum=keeps, betas=betas, epsilon=epsilon if isinstance(epsilon, float) else None),
            ),
            line=graph_lines.line_of(applied.line),
            updates=len(runs),
            filtered=not applied.implicit,
        )

    # ── declarations ───────────────────────────────────────────────────────────────────────────────────────────
    def _resolved(self, things: Iterable[Any]) -> frozenset[str]:
        every = {graph_names.dotted(name) for forward in self.forwards for name in forward.variables}
        found: set[str] = set()
        for thing in things:
            if isinstance(thing, (list, tuple)):
                found |= self._resolved(thing)
                continue
            text = thing if isinstance(thing, str) else getattr(getattr(thing, "op", None), "name", None)
            if not isinstance(text, str):
                raise ConfigError(f"expected the name, pattern or scope of variables, or a variable, got {thing!r}")
            name = graph_names.dotted(text)
            hit = {each for each in every if each == name or each.startswith(f"{name}.") or fnmatch.fnmatchcase(each, name)}
            if not hit:
                raise ConfigError(f"{text!r} matches no variable; there are: {', '.join(sorted(every)[:20])}")
            found |= hit
        return frozenset(found)

    def _declared(self, movements: Sequence[Movement]) -> Declared:
        order = tuple(self.names)
        changed: dict[str, set[str]] = {name: set() for name in order}
        statistics: dict[str, set[str]] = {name: set() for name in order}
        for move in movements:
            if move.update != 0.0:
                changed[order[move.step]].add(move.parameter)
        for ran in self.runs.found:
            for name in ran.before:
                moving = name.endswith(graph_modes.STATISTICS) and name in ran.after
                if moving and not np.array_equal(ran.before[name], ran.after[name]):
                    statistics[order[ran.step]].add(graph_names.dotted(name))
        return Declared(
            trains={step: self._resolved(things) for step, things in self.training.trains.items()},
            untouched={step: self._resolved(things) for step, things in self.training.untouched.items()},
            changed={name: frozenset(each) for name, each in changed.items()},
            changed_statistics={name: frozenset(each) for name, each in statistics.items()},
            order=order,
            task=self.training.task,
            causal=self.training.causal,
            batch_dim=self.training.batch_dim,
        )


def _predicting(forward: Forward) -> Iterable[int]:
    """The nodes that what a loss is given, or what the graph ends in, is computed from."""
    wanted: set[str] = set()
    for node in forward.nodes:
        if node.name in graph_words.LOSSES and (pair := graph_losses.operands(forward, node)) is not None:
            wanted.add(pair[0])
    if not wanted:  # the last layers
        wanted = {
            each.name
            for node in forward.nodes
            if any(read in forward.variables for read in node.reads) and forward.trained.get(node.makes[0].name)
            for each in node.makes
        }
    for node in reversed(forward.nodes):
        if any(each.name in wanted for each in node.makes):
            wanted.update(node.reads)
            yield id(node)
