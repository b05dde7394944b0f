"""Sketch: a traced program laid out flat: every operation in order, with what it reads and makes, by number.

Compiled calls of the user's own, checkpoints, short loops and the branches that are known to be taken are opened;
library functions with a name and functions with a derivative of their own stay one operation. A sketch holds no numbers
and can be run on any that take these branches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
from jax._src import core, source_info_util

from smokestep.backends.jax import frames, shards
from smokestep.backends.jax.branches import otherwise
from smokestep.backends.jax.equations import (
    CALLS,
    carrier,
    closed_library,
    file_of,
    function_of,
    inner_of,
    over_of,
    plain_of,
    size_of,
    units_of,
)
from smokestep.backends.jax.markers import APART, backward_p, forward_p, results_p
from smokestep.backends.jax.notes import Note, note_p
from smokestep.backends.jax.vocabulary import PRIMITIVES, of_jit

NORMALISES = frozenset({"softmax", "log_softmax", "logsumexp"})
BUDGET = 4000  # operations up to which loops are unrolled
_CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})

Read: TypeAlias = "int | Plain"
Key: TypeAlias = "tuple[int, ...]"  # where a `cond` stands in a program


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain number in a program."""

    value: Any


@dataclass(slots=True)
class Step:
    """One operation: `call` gives its results for its operands. `carries` tells of which results the gradient flows on,
    for which operands it comes in. `body`: of a marked forward, the differentiated function."""

    name: str
    primitive: str
    reads: tuple[Read, ...]
    makes: tuple[int, ...]
    call: Callable[..., Sequence[Any]]
    path: frames.Path
    module: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    carries: Callable[[list[bool]], list[bool]] | None = None
    outer: str = ""
    library: bool = False
    body: Sketch | None = None
    effect: bool = False
    opaque: bool = False
    apart: bool = False  # JAX's own work on a differentiated function
    unsure: bool = False  # another branch than the one taken has gradient where this has none
    loops: tuple[int, ...] = ()  # the unrolled loops that it is a turn of, outermost first

    @property
    def operands(self) -> tuple[int, ...]:
        """The values it reads."""
        return tuple(_values(self.reads))


MARKERS = (forward_p.name, backward_p.name, results_p.name)


@dataclass(frozen=True, slots=True)
class Noted:
    """A note in a program: the values it is about, and where it was taken."""

    note: Note
    reads: tuple[Read, ...]
    path: frames.Path


@dataclass(slots=True)
class Sketch:
    """A flat program. `avals[n]` is the type of value n; inputs come first, then `constants` with their arrays.
    `conds`: of every `cond` the value that says which branch is taken; `choices`: the branches that were opened."""

    steps: list[Step] = field(default_factory=list)
    avals: list[Any] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[Read] = field(default_factory=list)
    constants: dict[int, Any] = field(default_factory=dict)
    effects: bool = False
    notes: list[Noted] = field(default_factory=list)
    conds: dict[Key, int] = field(default_factory=dict)
    choices: Mapping[Key, int] = field(default_factory=dict)

    def new(self, aval: Any) -> int:
        """A further value."""
        self.avals.append(aval)
        return len(self.avals) - 1

    def run(self, given: Sequence[Any], taps: Callable[[int, Any], Any] | None = None) -> dict[int, Any]:
        """Every value, from those of the inputs; `taps` may change one as soon as it is made."""
        env: dict[int, Any] = dict(zip(self.inputs, given, strict=True)) | dict(self.constants)
        for step in self.steps:
            if step.body is not None or step.effect:
                continue
            operands = [each.value if isinstance(each, Plain) else env[each] for each in step.reads]
            for made, value in zip(step.makes, step.call(*operands), strict=True):
                env[made] = value if taps is None else taps(made, value)
        return env

    def results(self, env: dict[int, Any]) -> list[Any]:
        """The outputs, of all values."""
        return [each.value if isinstance(each, Plain) else env[each] for each in self.outputs]


def sketch(closed: Any, choices: Mapping[Key, int] | None = None, at: Key = (), mesh: Any = None) -> Sketch:
    """Lay a traced program out flat. `choices`: which branches of its conds are taken, where that is known; `at`: where
    in a larger program it stands; `mesh`: of the `shard_map` that it is in."""
    found = Sketch(choices=choices or {})
    jaxpr = closed.jaxpr
    found.inputs = [found.new(var.aval) for var in jaxpr.invars]
    env = dict(zip(jaxpr.invars, found.inputs, strict=True))
    for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
        env[var] = found.new(var.aval)
        found.constants[env[var]] = value
    _Layout(found, at, mesh).walk(jaxpr, env, (), "")
    found.outputs = [_read(env, each) for each in jaxpr.outvars]
    return found


def _read(env: dict[Any, Any], atom: Any) -> Read:
    return Plain(atom.val) if isinstance(atom, core.Literal) else env[atom]


class _Layout:
    def __init__(self, found: Sketch, at: Key, mesh: Any) -> None:
        self.sketch = found
        self.at = list(at)  # the equations, turns of loops and branches that led here
        self.far: set[int] = set()  # what JAX's own work made
        self.unsure = False
        self.mesh = mesh  # of the `shard_map` that is walked
        self.loops = 0

    def walk(self, jaxpr: Any, env: dict[Any, Any], outer: frames.Path, module: str, inside: str = "") -> None:
        for number, eqn in enumerate(jaxpr.eqns):
            self.at.append(number)
            path = (*frames.of_traceback(eqn.source_info.traceback), *outer)
            stack = str(eqn.source_info.name_stack)
            where = "/".join(each for each in (module, stack) if each)
            self.equation(eqn, env, path, where, inside)
            self.at.pop()

    def equation(self, eqn: Any, env: dict[Any, Any], path: frames.Path, module: str, inside: str) -> None:
        name, params = eqn.primitive.name, eqn.params
        reads = tuple(_read(env, each) for each in eqn.invars)
        if eqn.primitive is forward_p:
            self.marker(eqn, reads, path, module)
        elif eqn.primitive is backward_p:
            made = self.makes(eqn, env)
            call = _later(params["counted"])
            self.add(Step("backward", name, reads, made, call, path, module, dict(params)))
        elif eqn.primitive is note_p:
            if APART not in module:
                self.sketch.notes.append(Noted(params["note"], reads, path))
        elif eqn.primitive is results_p:
            made = self.makes(eqn, env)
            self.add(Step("results", name, reads, made, lambda *args: args, path, module, dict(params)))
        elif (
            name in CALLS
            and (inner := inner_of(params)) is not None
            and (name not in ("jit", "pjit") or not closed_library(eqn, inner))
        ):
            self.open(inner, eqn, env, reads, path, module, inside)
        elif name == "scan" and self.fits(params):
            self.unroll(eqn, env, reads, path, module)
        elif name == "cond" and self.own(reads, module):
            self.branch(eqn, env, reads, path, module, inside)
        elif name == "shard_map" and shards.alone(params) and self.own(reads, module):
            before, self.mesh = self.mesh, params["mesh"]
            self.open(params["jaxpr"], eqn, env, reads, path, module, inside)
            self.mesh = before
        elif (call := shards.collective(eqn)) is not None:
            made = self.makes(eqn, env)
            name = PRIMITIVES.get(name, name)
            self.add(Step(name, eqn.primitive.name, reads, made, call, path, module, plain_of(params)))
        else:
            self.atom(eqn, env, reads, path, module, inside)

    def makes(self, eqn: Any, env: dict[Any, Any]) -> tuple[int, ...]:
        made = []
        for var in eqn.outvars:
            number = self.sketch.new(var.aval)
            made.append(number)
            if not isinstance(var, core.DropVar):
                env[var] = number
        return tuple(made)

    def own(self, reads: tuple[Read, ...], module: str) -> bool:
        """Whether the user's own code asks for it, and not a derivative of it."""
        return APART not in module and self.far.isdisjoint(_values(reads))

    def add(self, step: Step) -> None:
        if step.primitive in MARKERS and APART in step.module:  # of a derivative within a marked function, run again
            step.primitive, step.body, step.effect = "identity", None, not step.makes
        if step.primitive not in MARKERS:
            step.apart = APART in step.module or not self.far.isdisjoint(step.operands)
            self.far.update(step.makes if step.apart else ())
        self.sketch.steps.append(step)

    def marker(self, eqn: Any, reads: tuple[Read, ...], path: frames.Path, module: str) -> None:
        body = sketch(eqn.params["jaxpr"], self.sketch.choices, tuple(self.at), self.mesh)
        body.effects = bool(eqn.params["jaxpr"].effects)
        params = {key: value for key, value in eqn.params.items() if key != "jaxpr"}
        self.add(Step("forward", eqn.primitive.name, reads, (), lambda *args: (), path, module, params, body=body))

    def open(
        self,
        inner: Any,
        eqn: Any,
        env: dict[Any, Any],
        reads: tuple[Read, ...],
        path: frames.Path,
        module: str,
        at: str,
    ) -> None:
        jaxpr, consts = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
        own: dict[Any, Any] = dict(zip(jaxpr.invars, reads, strict=True))
        for var, value in zip(jaxpr.constvars, consts, strict=True):
            own[var] = self.sketch.new(var.aval)
            self.sketch.constants[own[var]] = value
        self.walk(jaxpr, own, path, module, at)
        for var, atom in zip(eqn.outvars, jaxpr.outvars, strict=True):
            if not isinstance(var, core.DropVar):
                env[var] = _read(own, atom)

    def branch(
        self, eqn: Any, env: dict[Any, Any], reads: tuple[Read, ...], path: frames.Path, module: str, inside: str
    ) -> None:
        branches, index, operands = eqn.params["branches"], reads[0], reads[1:]
        if isinstance(index, Plain):
            chosen = int(index.value)
        else:
            self.sketch.conds[tuple(self.at)] = index
            found = self.sketch.choices.get(tuple(self.at))
            if found is None:
                return self.atom(eqn, env, reads, path, module, inside)
            chosen = found
        chosen = min(max(chosen, 0), len(branches) - 1)
        others, before = otherwise(branches, chosen), self.unsure
        self.at.append(chosen)
        self.unsure = before or (others.stopped and not isinstance(index, Plain))
        self.open(branches[chosen], eqn, env, operands, path, module, inside)
        self.unsure = before
        self.at.pop()
        if isinstance(index, Plain):
            return None
        for var, positions in zip(eqn.outvars, others.reads, strict=True):
            if not isinstance(var, core.DropVar):
                result = self.held(env[var], var.aval, path, module)
                made = env[var] = self.sketch.new(var.aval)
                more = (operands[each] for each in positions)
                self.add(
                    Step("lax.cond", "lax.cond", (result, index, *more), (made,), lambda x, *_: (x,), path, module)
                )
        return None

    def held(self, value: Read, aval: Any, path: frames.Path, module: str) -> int:
        """A value, if need be made of a plain number."""
        if not isinstance(value, Plain):
            return value
        made = self.sketch.new(aval)
        call = _constant(aval)
        self.add(Step("as_tensor", "constant", (value,), (made,), call, path, module))
        return made

    def atom(
        self, eqn: Any, env: dict[Any, Any], reads: tuple[Read, ...], path: frames.Path, module: str, inside: str
    ) -> None:
        primitive, params = eqn.primitive, eqn.params
        name, outer, closed = PRIMITIVES.get(primitive.name, primitive.name), "", False
        inner = inner_of(params)
        if primitive.name in ("jit", "pjit") and inner is not None:
            name, closed = of_jit(params.get("name", "jit"), frames.library(file_of(inner))), True
        elif primitive.name in _CUSTOM and inner is not None:
            file, function = file_of(inner), function_of(inner)
            closed = bool(frames.library(file))
            name = of_jit(function, frames.library(file))
            outer = "" if closed else function
        made = self.makes(eqn, env)
        bind = primitive.get_bind_params(params)
        context, trace, stack = eqn.ctx.manager, eqn.source_info.traceback, eqn.source_info.name_stack
        many = primitive.multiple_results

        def call(*operands: Any) -> Sequence[Any]:
            names = source_info_util.current_name_stack() + stack
            with source_info_util.user_context(trace, name_stack=names), context:
                result = primitive.bind(*operands, **bind)
            return result if many else (result,)

        plain = plain_of(params) | units_of(eqn) | (over_of(inner) if name in NORMALISES and inner is not None else {})
        if name == "scaled_dot_product_attention":
            plain["is_causal"] = "iota" in str(inner)  # from which its mask is made
        run = call if self.mesh is None else shards.within(self.mesh, call)
        step = Step(name, primitive.name, reads, made, run, path, module, plain, carrier(eqn), outer, closed)
        step.effect = not made and bool(eqn.effects)
        if self.unsure and step.name == "detach":
            step.name, step.unsure = "stop_gradient", True
        step.opaque = primitive.name in ("scan", "while", "cond", "shard_map", "custom_call", "ffi_call", "pallas_call")
        self.add(step)

    def fits(self, params: dict[str, Any]) -> bool:
        inner = params["jaxpr"].jaxpr
        return params["length"] * size_of(inner) + len(self.sketch.steps) <= BUDGET

    def unroll(self, eqn: Any, env: dict[Any, Any], reads: tuple[Read, ...], path: frames.Path, module: str) -> None:
        params = eqn.params
        fixed, carried, length = params["num_consts"], params["num_carry"], params["length"]
        closed = params["jaxpr"]
        carry, rows = list(reads[fixed : fixed + carried]), reads[fixed + carried :]
        stacked: list[list[Read]] = [[] for _ in closed.jaxpr.outvars[carried:]]
        order, first = range(length - 1, -1, -1) if params.get("reverse") else range(length), len(self.sketch.steps)
        self.loops = loop = self.loops + 1
        for index in order:
            self.at.append(index)
            picked = [
                self.pick(row, var.aval, index, path, module)
                for row, var in zip(rows, closed.jaxpr.invars[fixed + carried :], strict=True)
            ]
            own: dict[Any, Any] = dict(zip(closed.jaxpr.invars, [*reads[:fixed], *carry, *picked], strict=True))
            for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
                own[var] = self.sketch.new(var.aval)
                self.sketch.constants[own[var]] = value
            self.walk(closed.jaxpr, own, path, module)
            self.at.pop()
            outs = [_read(own, each) for each in closed.jaxpr.outvars]
            carry = outs[:carried]
            for column, value in zip(stacked, outs[carried:], strict=True):
                column.append(value)
        results: list[Read] = list(carry)
        for column, var in zip(stacked, eqn.outvars[carried:], strict=True):
            column = column[::-1] if params.get("reverse") else column
            results.append(self.stack(column, var.aval, path, module))
        for step in self.sketch.steps[first:]:
            step.loops = (loop, *step.loops)
        for var, value in zip(eqn.outvars, results, strict=True):
            if not isinstance(var, core.DropVar):
                env[var] = value

    def pick(self, row: Read, aval: Any, index: int, path: frames.Path, module: str) -> Read:
        if isinstance(row, Plain):
            return Plain(row.value[index])
        made = self.sketch.new(aval)
        self.add(Step("select", "select", (row,), (made,), lambda x: (x[index],), path, module))
        return made

    def stack(self, column: list[Read], aval: Any, path: frames.Path, module: str) -> Read:
        made = self.sketch.new(aval)
        self.add(Step("stack", "stack", tuple(column), (made,), lambda *xs: (jax.numpy.stack(xs),), path, module))
        return made


def _values(reads: Sequence[Read]) -> list[int]:
    return [each for each in reads if not isinstance(each, Plain)]


def _constant(aval: Any) -> Callable[..., Sequence[Any]]:
    return lambda value: (jax.numpy.broadcast_to(jax.numpy.asarray(value, aval.dtype), aval.shape),)


def _later(counted: int) -> Callable[..., Sequence[Any]]:
    return lambda *args: args[counted:]
