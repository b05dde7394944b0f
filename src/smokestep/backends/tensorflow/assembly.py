"""Assembly: turns what the recorder heard into evidence: names instead of objects, numbers instead of tensors."""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from smokestep.backends.tensorflow import beginnings, dangling, declarations, frames, losses, modes, optimizers
from smokestep.backends.tensorflow.alive import alive
from smokestep.backends.tensorflow.graphs import Graphs
from smokestep.backends.tensorflow.naming import Models, containers, defined_in, installed, layers_of
from smokestep.backends.tensorflow.places import Place
from smokestep.backends.tensorflow.recorder import Recorder
from smokestep.backends.tensorflow.sources import mentions
from smokestep.backends.tensorflow.trace import dtype_of, shape_of
from smokestep.evidence.flow import Flow
from smokestep.evidence.losses import Losses
from smokestep.evidence.numbers import Activation, Numbers, Output
from smokestep.evidence.steps import Event, Movement, Parameter, Steps
from smokestep.world import NotOffered, Recording


class Assembly:
    """One recording on its way to evidence; `training` is None for a live loop."""

    def __init__(self, recorder: Recorder, training: Any, seconds: float) -> None:
        self.recorder, self.training, self.seconds = recorder, training, seconds
        given = list(training.model.values()) if training is not None else []
        words = dict(recorder.running.names)
        if training is not None:
            words.update({id(each): name for name, each in (*training.model.items(), *training.optimizer.items())
                          if name})  # fmt: skip
        self.models = Models([*given, *recorder.running.roots.values()], words, recorder.places)
        if recorder.live:  # some may be older than the watch, or as old as Keras itself
            recorder.places.look_around(alive())
        self.keras = recorder.places.keras
        self.stray: dict[int, tuple[str, Any, str, str]] = {}  # variables of layers that no model tracks
        for top in self.models.tops:
            for layer, keeper, attribute, container in containers(top):
                self._stray(layer, keeper, attribute, container)
        for layer in recorder.running.layers.values():  # what ran within a model that does not know it
            if id(layer) not in self.models.paths and self.models.tops:
                self._stray(layer, self.models.tops[0], "", "attribute")
        self.dangling = dangling.adopt(self)
        self._give_what_it_never_got()
        self.optimizer_names = self._optimizer_names(words)
        self.names: dict[int, str] = {**self.models.path_of}
        self._name_the_rest()
        recorder.variables = dict(self.models.buffers)
        self.count = len(recorder.ends)
        known = {**self.models.buffers, **self.names}
        self.declarations = declarations.Declarations(training, known, recorder.names, self.models)

    def _stray(self, layer: Any, keeper: Any, attribute: str, container: str) -> None:
        base = self.models.paths.get(id(keeper), "")
        variables = [each for sub in layers_of(layer) for each in getattr(sub, "_trainable_variables", ())]
        for variable in variables or ([layer] if not hasattr(layer, "call") else []):
            plain = getattr(variable, "_value", variable)
            if plain is not None and id(plain) not in self.models.owner:
                path = str(getattr(variable, "path", getattr(variable, "name", attribute))).removesuffix(":0")
                own = str(getattr(self.models.tops[0], "name", ""))
                full = path.replace("/", ".").removeprefix(f"{own}.")
                self.models.owner.setdefault(id(plain), layer if hasattr(layer, "call") else keeper)
                self.stray[id(plain)] = (f"{base}.{full}".lstrip("."), keeper, attribute, container)

    def _name_the_rest(self) -> None:
        """Variables that were used or are held, and belong to no model."""
        taken = {*self.models.path_of.values(), *self.models.buffers.values()}
        held = {id(place) for each in self.recorder.held.values() for place in each.values()}
        for place in self.recorder.places:
            variable = place.variable
            if variable is None or id(variable) in self.names or id(variable) in self.models.buffers:
                continue
            if not (place.used or id(place) in held):
                continue
            keras = self.keras.get(id(variable))
            if id(variable) in self.stray:
                name = self.stray[id(variable)][0]
            else:
                name = str(keras.path if keras is not None else variable.name).removesuffix(":0").replace("/", ".")
            base, number = name, 1
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            taken.add(name)
            trains = bool(getattr(keras if keras is not None else variable, "trainable", False))
            meant = place.asked or (id(variable) in self.stray and math.prod(shape_of(variable)) > 1)
            if id(place) in held or (trains and meant):  # a weight of a loss is a trainable variable by default, too
                self.names[id(variable)] = name
            else:
                self.models.buffers[id(variable)] = name

    def _optimizer_names(self, words: dict[int, str]) -> dict[int, str]:
        found: dict[int, str] = {}
        given = {id(each) for each in self.training.optimizer.values()} if self.training is not None else set()
        for key in self.recorder.optimizers:
            if not (self.recorder.updates.get(key) or key in given or key in self.recorder.held):
                continue
            name = words.get(key) or "optimizer"
            taken = list(found.values())
            found[key] = name if name not in taken else f"{name}_{len(taken) + 1}"
        return found

    def _give_what_it_never_got(self) -> None:
        """An optimizer is shown its variables when it updates; the only one, that never did, is there for those that
        got gradient and never moved."""
        recorder, asked = self.recorder, [place for place in self.recorder.places if place.asked]
        alone = len(recorder.optimizers) == 1 and not recorder.updates and not any(recorder.held.values())
        if alone and recorder.backwards and not any(row.update for place in asked for row in place.rows):
            recorder.held[next(iter(recorder.optimizers))] = {id(place): place for place in asked}

    # ── names ──────────────────────────────────────────────────────────────────────────────────────────────────
    def name(self, place: Place) -> str:
        """The full name of a variable that is a parameter or a buffer."""
        key = id(place.variable)
        return self.names.get(key) or self.models.buffers.get(key, "")

    def is_parameter(self, place: Place) -> bool:
        """Whether a variable is a parameter of the training."""
        return id(place.variable) in self.names

    def module(self, layer: Any) -> str:
        """The path of a layer."""
        return self.models.paths.get(id(layer), str(getattr(layer, "name", ""))) if layer is not None else ""

    def subject(self, thing: Any) -> str:
        """What an event's object is called."""
        if isinstance(thing, str):
            return thing
        return self.optimizer_names.get(id(thing)) or self.models.names.get(id(thing)) or self.module(thing)

    def step_of(self, serial: int) -> int:
        """The step in which something with this serial number happened."""
        step = bisect_left(self.recorder.ends, serial)
        return step if self.recorder.live else min(step, max(self.count - 1, 0))

    # ── evidence ───────────────────────────────────────────────────────────────────────────────────────────────
    def recording(self) -> Recording:
        """Everything, as evidence."""
        recorder = self.recorder
        graphs = Graphs(self)
        flow = Flow(graphs.all())
        movements = self._movements()
        parameters = self._parameters(movements)
        steps = Steps(
            count=self.count,
            events=self._events(),
            parameters=parameters,
            movements=movements,
            optimizers=optimizers.evidence(self, parameters),
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
            modes=modes.evidence(self, graphs),
            numbers=self._numbers(),
            declared=self.declarations.declared(movements),
            seconds=self.seconds,
            beginnings=beginnings.evidence(self),
        )

    def _events(self) -> tuple[Event, ...]:
        applied: set[int] = set()
        for event in self.recorder.events:
            applied |= event.detail.get("from", frozenset())
        found = []
        for event in self.recorder.events:
            if self.step_of(event.index) >= self.count:
                continue
            detail = {key: each for key, each in event.detail.items() if key not in ("rates", "from")}
            places = event.places if event.kind != "backward" or not applied or event.index in applied else []
            names = tuple(dict.fromkeys(name for place in places if (name := self.name(place)) in self._all_names))
            line = frames.line_of(event.line)
            found.append(
                Event(
                    event.index, self.step_of(event.index), event.kind, line, self.subject(event.subject), names, detail
                )
            )
        return tuple(found)

    @property
    def _all_names(self) -> set[str]:
        return set(self.names.values())

    def _movements(self) -> tuple[Movement, ...]:
        found = []
        for place in self.recorder.places:
            name = self.name(place)
            buffer = not self.is_parameter(place)
            if not name or (buffer and not (self.training and (self.training.trains or self.training.untouched))):
                continue
            owner = self.models.owner.get(id(place.variable))
            for step, row in enumerate(place.rows[: self.count]):
                received = row.received if place.asked else row.measured
                found.append(
                    Movement(
                        step=step,
                        parameter=name,
                        gradient=row.gradient,
                        received=received if received is not None else row.gradient or None,
                        update=row.update,
                        scale=row.scale,
                        rate=row.rate,
                        called=self._called(owner, step),
                        requires_grad=row.requires_grad and not buffer,
                    )
                )
        return tuple(sorted(found, key=lambda move: move.step))

    def _called(self, owner: Any, step: int) -> bool | None:
        """Whether a layer ran; of one of the user's own it says nothing of the variables that it keeps itself."""
        ran = None if owner is None else id(owner) in self.recorder.running.ran[step]
        return None if ran and defined_in(type(owner)) is not None else ran

    def _built(self, variable: Any, layer: Any) -> tuple[str, int] | None:
        """The line that built a layer; of a variable in one of the user's own that ran, the line that made it there."""
        ran = id(layer) in self.recorder.running.layers and id(layer) in self.models.paths
        made = self.recorder.places.made(variable, layer) if ran else None
        return made or self.recorder.built.get(id(layer), (None, None))[1]

    def _parameters(self, movements: Sequence[Movement]) -> tuple[Parameter, ...]:
        recorder = self.recorder
        got = {move.parameter for move in movements if move.received}
        holders: dict[int, list[str]] = {}
        for key, held in recorder.held.items():
            for place in held.values():
                if key in self.optimizer_names:
                    holders.setdefault(id(place.variable), []).append(self.optimizer_names[key])
        explicit = self.declarations.everywhere("trains")
        found = []
        for place in recorder.places:
            variable = place.variable
            if id(variable) not in self.names:
                continue
            name, layer, stray = self.names[id(variable)], self.models.owner.get(id(variable)), None
            stray = self.stray.get(id(variable))
            built = frames.line_of(self._built(variable, layer))
            top = self.models.top_of.get(id(layer), "") or (self.models.top_of.get(id(stray[1]), "") if stray else "")
            kind = type(layer) if layer is not None else type(None)
            trains = recorder.places.trainable(place)
            shape = shape_of(variable)
            found.append(
                Parameter(
                    name=name,
                    shape=shape,
                    dtype=dtype_of(variable),
                    size=math.prod(shape),
                    requires_grad=trains,
                    registered=id(variable) in self.models.path_of,
                    in_model=layer is not None,
                    model=top,
                    owner=self.models.paths.get(id(layer), "") if layer is not None else "",
                    owner_class=kind.__name__ if layer is not None else "",
                    installed=installed(kind),
                    optimizers=tuple(dict.fromkeys(holders.get(id(variable), ()))),
                    built=built,
                    mentions=mentions(layer, name.rpartition(".")[2]) if name not in got and trains else None,
                    explicit=name in explicit,
                    container=stray[3] if stray else "",
                )
            )
        return tuple(found)

    def _loss_values(self) -> tuple[float | None, ...]:
        last: dict[int, float | None] = {}
        for index, _, _, _, loss in self.recorder.backwards:
            last[self.step_of(index)] = loss
        last.update({key: value for key, value in self.recorder.returned.items() if value is not None})
        return tuple(last.get(step) for step in range(self.count))

    def _losses(self, flow: Flow) -> Losses:
        finish = [losses.finisher(graph) for graph in flow.graphs]
        calls = []
        for call in self.recorder.losses.calls:
            step = self.step_of(call.op.id)
            if step < len(finish):
                call.step = step
                calls.append(finish[step](call))
        return Losses(tuple(calls))

    def _numbers(self) -> Numbers:
        activations = [
            Activation(
                self.step_of(site.value),
                site.name,
                frames.line_of(site.line),
                self.module(site.module),
                site.units,
                dead,
                flat,
                site.entries,
                site.times,
                site.value,
            )  # fmt: skip
            for site, dead, flat in self.recorder.activations.found()
        ]
        promised = getattr(self.training, "output_range", None)
        outputs = []
        for call in self.recorder.running.calls:
            step = self.step_of(call.event.index)
            for index, pair in enumerate(call.ranges if step < self.count else ()):
                if pair is None:
                    continue
                single = promised is None or (
                    isinstance(promised, tuple) and not isinstance(promised[0], (tuple, list))
                )
                interval = promised if single else promised[index] if index < len(promised) else None
                name = self.subject(call.layer)
                outputs.append(Output(step, name, index, call.outputs[index], pair[0], pair[1], interval))
        return Numbers((), tuple(activations), tuple(outputs), False)


def assembled(recorder: Recorder, training: Any, seconds: float) -> tuple[Recording, Callable[[Any], str]]:
    """The evidence of what was heard, and what names a layer. Raises `NotOffered` if the recorder itself failed."""
    if recorder.tracer.failure:
        raise NotOffered(f"the recorder failed, the training did not: {recorder.tracer.failure}; please report it")
    recorder.tracer.paused += 1  # from now on, nothing is heard any more
    assembly = Assembly(recorder, training, seconds)
    return assembly.recording(), assembly.module


def describe() -> Mapping[str, str]:
    """The framework and its version."""
    keras = sys.modules.get("keras")
    return {"framework": f"tensorflow {tf.__version__}" + (f", keras {keras.__version__}" if keras else "")}
