"""Assembly: turns what the recorder heard into evidence: names instead of objects, numbers instead of tensors."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from smokestep.backends.torch import beginnings, frames, losses, optimizers, sources
from smokestep.backends.torch.declarations import STATISTICS, Declarations, batch_names
from smokestep.backends.torch.graphs import Graphs
from smokestep.backends.torch.meters import Tracked, measurable, numbers
from smokestep.backends.torch.naming import Models, installed
from smokestep.backends.torch.recorder import Recorder
from smokestep.backends.torch.trace import shape_of
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.modes import Modes
from smokestep.evidence.numbers import Activation, Numbers, Output
from smokestep.evidence.steps import Event, Movement, Parameter, Steps
from smokestep.world import Recording

SMALL = 65_536  # entries: of masks and flags, not of images


class Assembly:
    """One recording on its way to evidence; `training` is None for a live loop."""

    def __init__(self, recorder: Recorder, training: Any, seconds: float) -> None:
        self.recorder, self.training, self.seconds = recorder, training, seconds
        held = [p for o in recorder.optimizers.values() for group in o.param_groups for p in group["params"]]
        given = list(training.model.values()) if training is not None else []
        called = [each for each in recorder.running.roots.values() if not any(each is g for g in given)]
        leaves = [tensor for ref in recorder.tracer.sources.values() if (tensor := ref()) is not None]
        self.models = Models(called, [*held, *leaves], recorder.words, given)
        self.names = dict(self.models.path_of_tensor)
        self.stray = {id(t): (t, name, module, box) for t, name, module, box in self.models.stray()}
        self.names.update({key: name for key, (_, name, _, _) in self.stray.items()})
        self.optimizer_names = self._optimizer_names()
        for optimizer in recorder.optimizers.values():
            for g, group in enumerate(optimizer.param_groups):
                for i, tensor in enumerate(group["params"]):
                    self.names.setdefault(
                        id(tensor), f"{self.optimizer_names[id(optimizer)]}.param_groups[{g}]['params'][{i}]"
                    )
        self.count = len(recorder.ends)
        self.declarations = Declarations(training, {**self.names, **self.models.buffers}, recorder.names)
        given = list(batch_names(training.batch)) if training is not None and training.has_batch else []
        self.batch = {id(tensor): name for tensor, name in given}
        with torch.no_grad():
            self.uniform = {name for tensor, name in given if _uniform(tensor)}

    def _optimizer_names(self) -> dict[int, str]:
        found: dict[int, str] = {}
        given = {id(o): name for name, o in self.training.optimizer.items()} if self.training is not None else {}
        for key in self.recorder.optimizers:
            name = given.get(key) or self.recorder.words.names.get(key) or "optimizer"
            taken = list(found.values())
            found[key] = name if name not in taken else f"{name}_{len(taken) + 1}"
        return found

    def recording(self) -> Recording:
        """Everything, as evidence."""
        recorder = self.recorder
        graphs = Graphs(self)
        flow = Flow(graphs.all())
        events = self._events()
        movements = self._movements()
        parameters = self._parameters(movements, flow)
        steps = Steps(
            count=self.count,
            events=events,
            parameters=parameters,
            movements=movements,
            optimizers=optimizers.evidence(self, parameters, flow),
            losses=self._loss_values(),
            kind="live" if recorder.live else "training",
            own_loop=bool(getattr(self.training, "own_loop", False)),
            error=f"{type(recorder.error[0]).__name__}: {recorder.error[0]}" if recorder.error else None,
            error_line=frames.line_of(recorder.error[1]) if recorder.error else None,
        )
        return Recording(
            steps=steps,
            flow=flow,
            losses=self._losses(flow),
            modes=self._modes(graphs),
            numbers=self._numbers(),
            declared=self.declarations.declared(movements),
            loading=recorder.loads.finish(self._optimized(), recorder.live),
            seconds=self.seconds,
            beginnings=beginnings.evidence(self),
            feeds=recorder.loaders.feeds.evidence(),
            randomness=recorder.generators.evidence(self.step_of, self.count, recorder.names),
        )

    def _optimized(self) -> set[int]:
        return {id(p) for o in self.recorder.optimizers.values() for group in o.param_groups for p in group["params"]}

    def files(self) -> tuple[str, ...]:
        """The files whose lines made the loop's events."""
        lines = [event.line for event in self.recorder.events if event.kind != "step" and event.line]
        return tuple(sorted({frames.shown(raw[0]) for raw in lines}))

    def step_of(self, serial: int) -> int:
        """The step in which something with this serial number happened."""
        step = bisect_left(self.recorder.ends, serial)
        return step if self.recorder.live else min(step, max(self.count - 1, 0))

    def subject(self, thing: Any) -> str:
        """What an event's object is called."""
        if isinstance(thing, str):
            return thing
        return (
            self.optimizer_names.get(id(thing))
            or self.models.names.get(id(thing))
            or self.models.paths.get(id(thing), "")
        )

    def name(self, item: Tracked) -> str:
        """The full name of a followed tensor."""
        return self.names.get(id(item.tensor)) or self.models.buffers.get(id(item.tensor), "")

    # ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _events(self) -> tuple[Event, ...]:
        values = iter(numbers([e.detail.get("loss") for e in self.recorder.events if e.kind == "backward"]))
        found = []
        for event in self.recorder.events:
            detail = {key: each for key, each in event.detail.items() if key != "rates"}
            if event.kind == "backward":
                detail["loss"] = next(values)
            names = tuple(dict.fromkeys(name for item in event.tensors if (name := self.name(item))))
            line = frames.line_of(event.line)
            found.append(
                Event(
                    event.index, self.step_of(event.index), event.kind, line, self.subject(event.subject), names, detail
                )
            )
        return tuple(found)

    def _movements(self) -> tuple[Movement, ...]:
        plan: list[tuple[int, Tracked, Any]] = [
            (step, item, row)
            for item in self.recorder.book.items.values()
            if self.name(item)
            for step, row in enumerate(item.rows)
        ]
        with torch.no_grad():
            fields = {
                "gradient": numbers([row.gradient for _, _, row in plan]),
                "received": numbers([row.received for _, _, row in plan]),
                "carried": numbers([row.carried for _, _, row in plan]),
                "update": numbers([row.update for _, _, row in plan]),
                "scale": numbers([item.scale for _, item, _ in plan]),
            }
        found = []
        for index, (step, item, row) in enumerate(plan):
            owner = self.models.owner.get(id(item.tensor))
            found.append(
                Movement(
                    step=step,
                    parameter=self.name(item),
                    gradient=fields["gradient"][index],
                    received=fields["received"][index]
                    if fields["received"][index] is not None
                    else fields["gradient"][index],
                    carried=fields["carried"][index],
                    update=fields["update"][index] or 0.0,
                    scale=fields["scale"][index] or 0.0,
                    rate=row.rate,
                    called=None if owner is None else id(owner) in self.recorder.running.ran[step],
                    requires_grad=row.requires_grad,
                )
            )
        return tuple(sorted(found, key=lambda move: move.step))

    def _parameters(self, movements: Sequence[Movement], flow: Flow) -> tuple[Parameter, ...]:
        got = {m.parameter for m in movements if m.received}
        holders: dict[int, list[str]] = {}
        for key, optimizer in self.recorder.optimizers.items():
            for group in optimizer.param_groups:
                for tensor in group["params"]:
                    holders.setdefault(id(tensor), []).append(self.optimizer_names[key])
        files = self.files()
        found = []
        explicit = self.declarations.everywhere("trains")
        for key, tensor in {
            **self.models.tensors,
            **{k: t for k, (t, *_) in self.stray.items()},
            **self._held(),
        }.items():
            name = self.names[key]
            stray = self.stray.get(key)
            module = stray[2] if stray else self.models.owner.get(key)
            keeper = sources.keeper(self.models, module, name) if module is not None else None
            attribute = stray[1].rpartition(".")[2].split("[")[0] if stray else keeper[1] if keeper else ""
            if stray:
                attribute = stray[1][len(self.models.paths[id(module)]) :].lstrip(".").split("[")[0].split(".")[0]
            kind = type(keeper[0]) if keeper and not stray else type(module) if module is not None else type(None)
            silent = name not in got and tensor.requires_grad and module is not None
            found.append(
                Parameter(
                    name=name,
                    shape=shape_of(tensor),
                    dtype=str(tensor.dtype).removeprefix("torch."),
                    size=math.prod(shape_of(tensor)),
                    requires_grad=tensor.requires_grad,
                    registered=key in self.models.tensors,
                    in_model=module is not None,
                    model=self.models.top_of.get(id(module), "") if module is not None else "",
                    owner=self.models.paths.get(id(module), "") if module is not None else "",
                    owner_class=type(module).__name__ if module is not None else "",
                    installed=installed(kind),
                    leaf=tensor.is_leaf,
                    optimizers=tuple(dict.fromkeys(holders.get(key, ()))),
                    aliases=tuple(self.models.aliases.get(key, ())),
                    built=sources.built_at(kind, attribute)
                    if (silent or stray or not holders.get(key)) and attribute
                    else None,
                    mentions=sources.mentions(kind, attribute, files) if silent and attribute else None,
                    explicit=name in explicit,
                    container=stray[3] if stray else "",
                )
            )
        return tuple(found)

    def _held(self) -> dict[int, torch.Tensor]:
        return {
            id(t): t
            for o in self.recorder.optimizers.values()
            for group in o.param_groups
            for t in group["params"]
            if id(t) not in self.models.tensors and id(t) not in self.stray
        }

    def _loss_values(self) -> tuple[float | None, ...]:
        last: dict[int, Any] = {}
        for index, _, _, _, loss in self.recorder.backwards:
            last[self.step_of(index)] = loss
        last.update({k: v for k, v in self.recorder.returned.items() if v is not None})
        return tuple(numbers([last.get(step) for step in range(self.count)]))

    # ── the rest ───────────────────────────────────────────────────────────────────────────────────────────────
    def _losses(self, flow: Flow) -> Losses:
        seen = self.recorder.tracer.losses
        scalars = numbers([scalar for _, scalar in seen])
        calls = []
        finish = [losses.finisher(graph) for graph in flow.graphs]
        for (each, _), scalar in zip(seen, scalars, strict=True):
            each.step = self.step_of(each.op)
            if each.step < len(finish):
                calls.append(finish[each.step](each, scalar))
        return Losses(tuple(calls))

    def _modes(self, graphs: Graphs) -> Modes:
        modes = self.recorder.modes.finish(
            self.models.paths, lambda path: self._model_of(path), graphs.reached, installed, self.names
        )
        layers = []
        for layer in modes.layers:
            module = next((m for k, m in self.models.modules.items() if self.models.paths[k] == layer.path), None)
            keeper = sources.keeper(self.models, module, layer.path) if module is not None else None
            built = sources.built_at(type(keeper[0]), keeper[1]) if keeper and keeper[1] else None
            prefix = f"{layer.path}." if layer.path else ""
            full = {own: prefix + own for own in (*layer.affine, *layer.trainable)}
            names = tuple(prefix + each for each in STATISTICS) if layer.statistics else ()
            layers.append(
                replace(
                    layer,
                    built=built or layer.built,
                    statistics_names=layer.statistics_names or names,
                    affine=tuple(each if each in self.names.values() else full[each] for each in layer.affine),
                    trainable=tuple(each if each in self.names.values() else full[each] for each in layer.trainable),
                )
            )
        return replace(modes, layers=tuple(layers))

    def _model_of(self, path: str) -> str:
        return next((self.models.top_of[k] for k, each in self.models.paths.items() if each == path), "")

    def _numbers(self) -> Numbers:
        tracer = self.recorder.tracer
        activations = [
            Activation(
                self.step_of(site.serial),
                site.name,
                frames.line_of(site.line),
                self.subject(site.module) if site.module is not None else "",
                site.units,
                dead,
                flat,
                site.entries,
                site.times,
                site.value,
            )
            for site, dead, flat in tracer.activations.found()
        ]
        outputs = []
        promised = getattr(self.training, "output_range", None)
        for call in self.recorder.running.calls:
            if self.step_of(call.event.index) >= self.count:
                continue
            pairs = [None if r is None else r.tolist() for r in call.ranges]
            for index, pair in enumerate(pairs):
                if pair is None:
                    continue
                interval = (
                    promised
                    if promised is None or isinstance(promised, tuple) and not isinstance(promised[0], (tuple, list))
                    else (promised[index] if index < len(promised) else None)
                )
                outputs.append(
                    Output(
                        self.step_of(call.event.index),
                        self.subject(call.module),
                        index,
                        call.outputs[index],
                        pair[0],
                        pair[1],
                        interval,
                    )
                )
        return Numbers((), tuple(activations), tuple(outputs), self.recorder.scaled)


def _uniform(tensor: torch.Tensor) -> bool:
    """Whether all entries of an element of the batch are equal; large ones are not looked at."""
    small = measurable(tensor) and 0 < tensor.numel() <= SMALL
    return small and bool((tensor == tensor.reshape(-1)[0]).all())
