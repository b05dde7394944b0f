"""Probe: runs a sketch once, compiled as a whole, and brings back its results and what was measured on the way.

Of every value its largest entry, of every value that passes gradient the largest and the mean gradient; whole values
only of what a loss was given, and of what an activation made, where they are small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from smokestep.backends.jax import keys, operands, spreads
from smokestep.backends.jax.crossed import compared
from smokestep.backends.jax.equations import floating
from smokestep.backends.jax.groups import Group, grouped, mapped
from smokestep.backends.jax.quickly import quickly
from smokestep.backends.jax.sketch import MARKERS, Key, Plain, Sketch, Step

SMALL = 1 << 14  # entries up to which a value is brought back whole to be measured
KEPT = 1 << 18  # entries of a value that is brought back whole
NOTED = 1 << 22  # the same, of what a model is given and gives


@dataclass(slots=True)
class Body:
    """A marked forward within a sketch: its operations, and which of its values pass gradient."""

    step: Step
    sketch: Sketch
    groups: list[Group | Step]
    requires: list[bool]
    measured: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    drawn: list[keys.Drawn] = field(default_factory=list)
    felt: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Measured:
    """What one run brought back: peaks and whole values by number, of a sketch or of a body."""

    peaks: dict[int, float] = field(default_factory=dict)
    whole: dict[int, np.ndarray] = field(default_factory=dict)
    drawn: list[tuple[keys.Drawn, list[int]]] = field(default_factory=list)
    spreads: dict[int, spreads.Spread] = field(default_factory=dict)


@dataclass(slots=True)
class Ran:
    """One run of a probe: the results, the measures of the sketch, of each body and of each backward, the branches
    that conds took."""

    outputs: list[Any]
    own: Measured
    bodies: dict[int, Measured]
    backwards: dict[int, tuple[dict[int, tuple[float, float]], list[float]]]
    taken: dict[Key, int] = field(default_factory=dict)


def body_of(step: Step) -> Body:
    """The static facts of a marked forward."""
    assert step.body is not None
    inner = step.body
    if step.params.get("batched"):  # what is differentiated is itself mapped
        for each in inner.steps:
            each.module = each.module if mapped(each) else f"vmap()/{each.module}"
    requires = [False] * len(inner.avals)
    for number in inner.inputs[: step.params["counted"]]:
        requires[number] = floating(inner.avals[number])
    for each in inner.steps:
        given = [not isinstance(read, Plain) and requires[read] for read in each.reads]
        flags = each.carries(given) if each.carries else [any(given) and floating(inner.avals[m]) for m in each.makes]
        for made, flag in zip(each.makes, flags, strict=True):
            requires[made] = bool(flag) and floating(inner.avals[made])
    body = Body(step, inner, grouped(inner, inner=True), requires)
    operands.ordered(body.groups, inner, [n for n in inner.inputs[: step.params["counted"]] if requires[n]])
    values = {value for group in body.groups if isinstance(group, Group) for value in (*group.reads, *group.makes)}
    values |= {each for each in inner.outputs if not isinstance(each, Plain)} | set(inner.inputs)
    body.measured = [value for value in sorted(values) if measurable(inner.avals[value])]
    body.felt = [value for value in sorted(values) if requires[value]]
    keep: set[int] = set()
    for group in body.groups:
        if isinstance(group, Group) and (group.kind == "loss" or wanted(group)):
            keep.update(group.reads if group.kind == "loss" else group.makes)
            keep.update(group.makes)
    for group, _, scores in compared([each for each in body.groups if isinstance(each, Group)]):
        keep.update((*group.reads, *group.makes, *(() if scores is None else (scores,))))
    keep.update(each for each in inner.outputs if not isinstance(each, Plain))
    body.drawn = keys.uses(inner)
    body.kept = _kept(inner, keep, after(inner, body.groups, noted(inner) or plain(body)))
    return body


def _kept(found: Sketch, keep: set[int], beside: set[int]) -> list[int]:
    some = {value for value in keep if _size(found.avals[value]) <= KEPT}
    some |= {value for value in beside if _size(found.avals[value]) <= NOTED}
    return [value for value in sorted(some) if measurable(found.avals[value])]


def noted(found: Sketch) -> set[int]:
    """What models are given and give."""
    reads = (read for each in found.notes if each.note.side != "dropout" for read in each.reads)
    return {read for read in reads if not isinstance(read, Plain)}


def plain(body: Body) -> set[int]:
    """What a model that is no module is given and gives, as far as the program itself says."""
    from smokestep.backends.jax.frontier import frontier  # it reads bodies

    data = {n for n in body.sketch.inputs[body.step.params["counted"] :] if getattr(body.sketch.avals[n], "shape", ())}
    model = frontier(body, data)
    return {*model.inputs, *model.outputs} if model is not None else set()


def after(found: Sketch, groups: Sequence[Group | Step], values: set[int]) -> set[int]:
    """What models are given and give, and what each entry of it becomes then, one by one."""
    for group in groups:
        own = [read for read in group.reads if read in values] if isinstance(group, Group) else []
        if isinstance(group, Group) and group.kind != "loss" and len(own) == 1:
            before = found.avals[own[0]]
            values.update(m for m in group.makes if floating(found.avals[m]) and found.avals[m].shape == before.shape)
    return values


ACTIVATIONS = frozenset("relu sigmoid tanh relu6 hard_tanh hard_sigmoid".split())


def wanted(group: Group) -> bool:
    """Whether what an operation makes is brought back whole."""
    return group.name in ACTIVATIONS


def measurable(aval: Any) -> bool:
    """Whether the entries of a value are numbers, and there are some."""
    if not hasattr(aval, "dtype") or jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended):
        return False
    return _size(aval) > 0 and aval.dtype != jax.dtypes.float0


def _sloped(aval: Any) -> bool:
    return measurable(aval) and len(aval.shape) > 1 and floating(aval)


def _size(aval: Any) -> int:
    return int(np.prod(aval.shape)) if aval.shape else 1


def _peak(value: Any) -> Any:
    """What the largest entry is read from: the value itself if it is small (compiling a reduction takes longer)."""
    value = jnp.asarray(value)
    if value.size <= SMALL:
        return value
    value = value.astype(jnp.float32) if value.dtype == bool else value
    return jnp.max(jnp.abs(value)).astype(jnp.float32)


def most(value: Any) -> float:
    """The largest |entry|, NaN if one is NaN."""
    array = np.asarray(value)
    if array.dtype == bool:
        return float(array.any())
    array = np.abs(array.astype(np.float32) if array.dtype.kind not in "fciu" else array)
    return float(array.max()) if array.size else 0.0


def mean(value: Any) -> float:
    """The mean entry."""
    array = np.asarray(value)
    with np.errstate(invalid="ignore", over="ignore"):  # of infinities of both signs
        return float(np.real(array.astype(np.float32) if array.dtype.kind not in "fc" else array).mean())


class Probe:
    """A sketch, ready to be run and measured."""

    def __init__(self, found: Sketch) -> None:
        self.sketch = found
        self.groups = grouped(found)
        self.bodies = {number: body_of(step) for number, step in enumerate(found.steps) if step.body is not None}
        self.linked: dict[int, int] = {}
        last: dict[int, int] = {}
        for number, step in enumerate(found.steps):
            if step.body is not None:
                last[step.params["key"]] = number
            elif step.name == "backward" and step.params["key"] in last:
                self.linked[number] = last[step.params["key"]]
        values = {value for group in self.groups if isinstance(group, Group) for value in (*group.reads, *group.makes)}
        for step in found.steps:
            if step.name == "backward":
                values.update((*step.operands, *step.makes))
        values.update(found.inputs)
        far = {made for step in found.steps if step.apart for made in step.makes}
        values -= far
        gradients = [made for step in found.steps if step.name == "backward" for made in step.makes if made not in far]
        self.sloped = [made for made in gradients if _sloped(found.avals[made])]
        self.measured = [value for value in sorted(values) if measurable(found.avals[value])]
        keep = {
            value
            for group in self.groups
            if isinstance(group, Group) and group.kind == "loss"
            for value in (*group.reads, *group.makes)
        }
        self.kept = _kept(found, keep, noted(found))
        self.drawn = keys.uses(found)
        self.direct = self._direct()
        self._run = jax.jit(self._compute, compiler_options=quickly(self.sketch))

    def __call__(self, given: Sequence[Any]) -> Ran:
        """Run it on these inputs."""
        outs, own, bodies, backwards, taken, sloped = self._run(*given)
        ran = Ran(outs, _told(self.measured, self.kept, self.drawn, own), {}, {})
        ran.own.spreads = {value: spreads.told(each) for value, each in zip(self.sloped, sloped, strict=True)}
        for number, raw in zip(self.bodies, bodies, strict=True):
            body = self.bodies[number]
            ran.bodies[number] = _told(body.measured, body.kept, body.drawn, raw)
        for found, indices in zip((self.sketch, *(body.sketch for body in self.bodies.values())), taken, strict=True):
            ran.taken.update(taken_of(found, indices))
        for (number, at), (table, cts) in zip(self.linked.items(), backwards, strict=True):
            ran.backwards[number] = gradients_told(self.bodies[at], table), [most(c) for c in cts]
        return ran

    def _direct(self) -> bool:
        """Whether what JAX makes of the marked functions need not be run: our own derivative gives the same values."""
        found = self.sketch
        runs: dict[int, Body] = {}
        for number, step in enumerate(found.steps):
            if step.body is not None:
                runs[step.params["key"]] = self.bodies[number]
            elif step.name in ("results", "backward"):
                body = runs.get(step.params["key"])
                if body is None or body.sketch.effects or (step.name == "backward" and number not in self.linked):
                    return False
                inner = body.sketch
                sides = inner.outputs if step.name == "results" else inner.inputs
                if step.name == "backward" and step.params["batched"] != body.step.params["batched"]:
                    return False
                for place, made in zip(step.params["places"], step.makes, strict=True):
                    side = sides[place]
                    if isinstance(side, Plain) or inner.avals[side].shape != found.avals[made].shape:
                        return False
                    if step.name == "backward" and side not in body.felt:
                        return False
        return True

    def _compute(self, *given: Any) -> Any:
        found = self.sketch
        env: dict[int, Any] = dict(zip(found.inputs, given, strict=True)) | dict(found.constants)
        runs: dict[int, Run] = {}
        answered = set(self.linked.values())
        bodies, backwards, taken = [], [], []
        for number, step in enumerate(found.steps):
            if step.effect or (step.apart and self.direct):
                continue
            operands = [each.value if isinstance(each, Plain) else env.get(each) for each in step.reads]
            if step.body is not None:
                body = self.bodies[number]
                run = runs[number] = Run(body, operands, number in answered)
                bodies.append(measures(run.env, body.measured, body.kept, body.drawn))
                taken.append([run.env[value] for value in body.sketch.conds.values()])
                runs[-step.params["key"]] = run
            elif step.name == "results" and step.primitive in MARKERS and self.direct:
                inner = runs[-step.params["key"]]
                outs = inner.body.sketch.results(inner.env)
                env.update(zip(step.makes, (outs[place] for place in step.params["places"]), strict=True))
            elif number in self.linked:
                run = runs[self.linked[number]]
                counted = step.params["counted"]
                table, gradients = run.felt(operands[:counted], step.params["batched"])
                backwards.append((table, [_peak(each) for each in operands[:counted]]))
                made = operands[counted:]
                if self.direct:
                    made = [gradients[run.body.sketch.inputs[place]] for place in step.params["places"]]
                env.update(zip(step.makes, made, strict=True))
            else:
                env.update(zip(step.makes, step.call(*operands), strict=True))
        own = measures(env, self.measured, self.kept, self.drawn)
        taken = [[env[value] for value in found.conds.values()], *taken]
        sloped = [spreads.taken(env[value]) for value in self.sloped]
        return found.results(env), own, bodies, backwards, taken, sloped


class Run:
    """One run of a body within a program; `answered`: a backward pass follows."""

    def __init__(self, body: Body, operands: Sequence[Any], answered: bool) -> None:
        self.body, self.pull, sketch = body, None, body.sketch
        if not answered or not body.felt:
            self.env = sketch.run(operands)
            return
        inputs = set(sketch.inputs[: body.step.params["counted"]])
        places = {value: index for index, value in enumerate(sketch.inputs)}
        primals = {value: jnp.asarray(operands[places[value]]) for value in body.felt if value in inputs}
        taps = {value: _zeros(sketch.avals[value]) for value in body.felt if value not in inputs}
        roots = [
            each
            for each, root in zip(sketch.outputs, body.step.params["roots"], strict=True)
            if root and (isinstance(each, Plain) or floating(sketch.avals[each]))
        ]

        def forward(primals: dict[int, Any], taps: dict[int, Any]) -> Any:
            given = [primals.get(value, operand) for value, operand in zip(sketch.inputs, operands, strict=True)]
            env = sketch.run(given, lambda value, x: x + taps[value] if value in taps else x)
            return [jnp.asarray(each.value) if isinstance(each, Plain) else env[each] for each in roots], env

        self.outs, self.pull, self.env = jax.vjp(forward, primals, taps, has_aux=True)

    def felt(self, cts: Sequence[Any], batched: int) -> tuple[Any, dict[int, Any]]:
        """The largest and the mean gradient of every value, and the gradients of what is differentiated."""
        if self.pull is None:
            return [], {}
        pull: Any = self.pull
        cts = [jnp.asarray(ct, out.dtype) for ct, out in zip(cts, self.outs, strict=True)]
        for _ in range(max(batched - self.body.step.params["batched"], 0)):
            pull = jax.vmap(pull)
        primals, taps = pull(cts)
        both = {**primals, **taps}
        return [_slope(both[value]) for value in self.body.felt], primals


def measures(env: dict[int, Any], measured: list[int], kept: list[int], drawn: list[keys.Drawn]) -> Any:
    """What is brought back of the values of a run."""
    return (
        [_peak(env[value]) for value in measured],
        [env[value] for value in kept],
        [keys.bits(env[each.value]) for each in drawn],
    )


def _told(measured: list[int], kept: list[int], drawn: list[keys.Drawn], raw: Any) -> Measured:
    peaks, whole, bits = raw
    return Measured(
        dict(zip(measured, map(most, peaks), strict=True)),
        {value: np.asarray(each) for value, each in zip(kept, whole, strict=True)},
        [(use, keys.told(each)) for use, each in zip(drawn, bits, strict=True)],
    )


measured_of = _told


def taken_of(found: Sketch, indices: Sequence[Any]) -> dict[Key, int]:
    """Which branches the conds of a sketch took."""
    return {key: int(np.asarray(each)) for key, each in zip(found.conds, indices, strict=True)}


def gradients_told(body: Body, table: Any) -> dict[int, tuple[float, float]]:
    """The table of gradients by value."""
    return {value: (most(top), mean(middle)) for value, (top, middle) in zip(body.felt, table, strict=True)}


def felt(body: Body, operands: Sequence[Any], cts: Sequence[Any], batched: int) -> Any:
    """The largest and the mean gradient of every value of a body, for these gradients of its results."""
    return Run(body, operands, True).felt(cts, batched)[0]


def _slope(value: Any) -> tuple[Any, Any]:
    if not value.size:
        return 0.0, 0.0
    if value.size <= SMALL:
        return value, value
    return _peak(value), jnp.mean(jnp.real(value)).astype(jnp.float32)


def _zeros(aval: Any) -> Any:
    return jnp.zeros(aval.shape, aval.dtype)
