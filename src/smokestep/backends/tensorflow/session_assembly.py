"""Assembly of runs: turns what the runs of the recorded steps did into evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from smokestep.backends.tensorflow import graph_lines, graph_losses, graph_modes, graph_names, graph_words, session_flow
from smokestep.backends.tensorflow.graph_forward import Forward, Node, needed
from smokestep.backends.tensorflow.graph_lines import Raw
from smokestep.backends.tensorflow.graph_marks import Applied, Differentiation, dense
from smokestep.backends.tensorflow.session_declared import Declarations
from smokestep.backends.tensorflow.session_flow import StepFlow
from smokestep.backends.tensorflow.session_held import Held
from smokestep.backends.tensorflow.session_numbers import largest, moved
from smokestep.backends.tensorflow.session_runs import Ran, Runs
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.numbers import Numbers
from smokestep.evidence.steps import Event, Movement, Steps
from smokestep.training import Training
from smokestep.world import NotOffered, Recording


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
        self.holding = Held(runs, self.forwards, training)
        self.optimizer_names, self.parameters = self.holding.names, self.holding.parameters
        self.networks = graph_names.networks([name for name, trains in self.parameters.items() if trains])
        self._scopes: dict[int, frozenset[str]] = {}
        self._needed: dict[tuple[int, int], bool] = {}
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
            self._rest_nodes = frozenset(each for forward in self.forwards for each in _predicting(forward))
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
        declared = Declarations(self.training, self.forwards)
        trains = declared.resolved(name for things in self.training.trains.values() for name in things)
        parameters = self.holding.evidence(trains, self._model_of)
        steps = Steps(
            count=count,
            events=tuple(events),
            parameters=parameters,
            movements=movements,
            optimizers=tuple(self.holding.optimizer(each) for each in self.holding.applied),
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
            declared=declared.evidence(self.names, movements, self.runs.found),
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
            if name not in held
            and name in ran.before
            and name in ran.after
            and moved(ran.before[name], ran.after[name])
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
                    if var.op.name == name and name in self.holding.held(applied):
                        rate = ran.rates.get(id(applied), rate)
                        if used is not None:
                            self._known(ran, used, name)
                            gradient = ran.gradients[dense(used).name].peak
        return gradient, received, rate

    def _model_of(self, name: str) -> str:
        slashed = name.replace(".", "/")
        found = self.networks.get(slashed)
        if found is None:
            top = slashed.partition("/")[0]
            found = top if top in set(self.networks.values()) else graph_names.REST
        return found

    @staticmethod
    def _known(ran: Ran, gradient: Any, name: str) -> None:
        """A gradient that was not measured must not pass for none."""
        if dense(gradient).name not in ran.gradients:
            raise NotOffered(
                f"the gradient of {graph_names.dotted(name)} could not be fetched: it is of a branch or loop"
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
