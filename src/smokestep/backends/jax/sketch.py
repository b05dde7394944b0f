"""Sketch: a traced program laid out flat: every operation in order, with what it reads and makes, by number.

Compiled calls of the user's own, checkpoints and short loops are opened; library functions with a name and functions
with a derivative of their own stay one operation. A sketch holds no numbers and can be run on any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
from jax._src import core, source_info_util

from smokestep.backends.jax import frames
from smokestep.backends.jax.markers import APART, backward_p, forward_p, results_p
from smokestep.backends.jax.vocabulary import PRIMITIVES, of_jit

NORMALISES = frozenset({"softmax", "log_softmax", "logsumexp"})
BUDGET = 4000  # operations up to which loops are unrolled
CALLS = frozenset(
    {"jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_lin", "remat_opt"}
)
_PLACE = re.compile(r" at (.*):\d+$")
_CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})

Read: TypeAlias = "int | Plain"


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
    loops: tuple[int, ...] = ()  # the unrolled loops that it is a turn of, outermost first

    @property
    def operands(self) -> tuple[int, ...]:
        """The values it reads."""
        return tuple(each for each in self.reads if not isinstance(each, Plain))


MARKERS = (forward_p.name, backward_p.name, results_p.name)


@dataclass(slots=True)
class Sketch:
    """A flat program. `avals[n]` is the type of value n; inputs come first, then `constants` with their arrays."""

    steps: list[Step] = field(default_factory=list)
    avals: list[Any] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[Read] = field(default_factory=list)
    constants: dict[int, Any] = field(default_factory=dict)
    effects: bool = False
    text: str = ""

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


def sketch(closed: Any) -> Sketch:
    """Lay a traced program out flat."""
    found = Sketch()
    jaxpr = closed.jaxpr
    found.inputs = [found.new(var.aval) for var in jaxpr.invars]
    env = dict(zip(jaxpr.invars, found.inputs, strict=True))
    for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
        env[var] = found.new(var.aval)
        found.constants[env[var]] = value
    _Layout(found).walk(jaxpr, env, (), "")
    found.outputs = [_read(env, each) for each in jaxpr.outvars]
    far: set[int] = set()
    for step in found.steps:
        if step.primitive in MARKERS and APART in step.module:  # of a derivative within a marked function, run again
            step.primitive, step.body, step.effect = "identity", None, not step.makes
        if step.primitive not in MARKERS:
            step.apart = APART in step.module or not far.isdisjoint(step.operands)
            far.update(step.makes if step.apart else ())
    return found


def _read(env: dict[Any, Any], atom: Any) -> Read:
    return Plain(atom.val) if isinstance(atom, core.Literal) else env[atom]


class _Layout:
    def __init__(self, found: Sketch) -> None:
        self.sketch, self.loops = found, 0

    def walk(self, jaxpr: Any, env: dict[Any, Any], outer: frames.Path, module: str, inside: str = "") -> None:
        for eqn in jaxpr.eqns:
            path = (*frames.of_traceback(eqn.source_info.traceback), *outer)
            stack = str(eqn.source_info.name_stack)
            where = "/".join(each for each in (module, stack) if each)
            self.equation(eqn, env, path, where, inside)

    def equation(self, eqn: Any, env: dict[Any, Any], path: frames.Path, module: str, inside: str) -> None:
        name, params = eqn.primitive.name, eqn.params
        reads = tuple(_read(env, each) for each in eqn.invars)
        if eqn.primitive is forward_p:
            self.marker(eqn, reads, path, module)
        elif eqn.primitive is backward_p:
            made = self.makes(eqn, env)
            call = _later(params["counted"])
            self.add(Step("backward", name, reads, made, call, path, module, dict(params)))
        elif eqn.primitive is results_p:
            made = self.makes(eqn, env)
            self.add(Step("results", name, reads, made, lambda *args: args, path, module, dict(params)))
        elif (
            name in CALLS
            and (inner := _inner(params)) is not None
            and (name not in ("jit", "pjit") or not _closed_library(eqn, inner))
        ):
            self.open(inner, eqn, env, reads, path, module, inside)
        elif name == "scan" and self.fits(params):
            self.unroll(eqn, env, reads, path, module)
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

    def add(self, step: Step) -> None:
        self.sketch.steps.append(step)

    def marker(self, eqn: Any, reads: tuple[Read, ...], path: frames.Path, module: str) -> None:
        body = sketch(eqn.params["jaxpr"])
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

    def atom(
        self, eqn: Any, env: dict[Any, Any], reads: tuple[Read, ...], path: frames.Path, module: str, inside: str
    ) -> None:
        primitive, params = eqn.primitive, eqn.params
        name, outer, closed = PRIMITIVES.get(primitive.name, primitive.name), "", False
        inner = _inner(params)
        if primitive.name in ("jit", "pjit") and inner is not None:
            name, closed = of_jit(params.get("name", "jit"), frames.library(_file(inner))), True
        elif primitive.name in _CUSTOM and inner is not None:
            file, function = _file(inner), _function(inner)
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

        plain = _plain(params) | _units(eqn) | (_over(inner) if name in NORMALISES and inner is not None else {})
        if name == "scaled_dot_product_attention":
            plain["is_causal"] = "iota" in str(inner)  # from which its mask is made
        step = Step(name, primitive.name, reads, made, call, path, module, plain, _carrier(eqn), outer, closed)
        step.effect = not made and bool(eqn.effects)
        step.opaque = primitive.name in ("scan", "while", "cond", "shard_map", "custom_call", "ffi_call", "pallas_call")
        self.add(step)

    def fits(self, params: dict[str, Any]) -> bool:
        inner = params["jaxpr"].jaxpr
        return params["length"] * _size(inner) + len(self.sketch.steps) <= BUDGET

    def unroll(self, eqn: Any, env: dict[Any, Any], reads: tuple[Read, ...], path: frames.Path, module: str) -> None:
        params = eqn.params
        fixed, carried, length = params["num_consts"], params["num_carry"], params["length"]
        closed = params["jaxpr"]
        carry, rows = list(reads[fixed : fixed + carried]), reads[fixed + carried :]
        stacked: list[list[Read]] = [[] for _ in closed.jaxpr.outvars[carried:]]
        order, first = range(length - 1, -1, -1) if params.get("reverse") else range(length), len(self.sketch.steps)
        self.loops = loop = self.loops + 1
        for index in order:
            picked = [
                self.pick(row, var.aval, index, path, module)
                for row, var in zip(rows, closed.jaxpr.invars[fixed + carried :], strict=True)
            ]
            own: dict[Any, Any] = dict(zip(closed.jaxpr.invars, [*reads[:fixed], *carry, *picked], strict=True))
            for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
                own[var] = self.sketch.new(var.aval)
                self.sketch.constants[own[var]] = value
            self.walk(closed.jaxpr, own, path, module)
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
        import jax.numpy as jnp

        self.add(Step("stack", "stack", tuple(column), (made,), lambda *xs: (jnp.stack(xs),), path, module))
        return made


def _later(counted: int) -> Callable[..., Sequence[Any]]:
    return lambda *args: args[counted:]


def _inner(params: dict[str, Any]) -> Any:
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if key in params and hasattr(params[key], "eqns" if not hasattr(params[key], "jaxpr") else "jaxpr"):
            return params[key]
    return None


def _jaxpr(inner: Any) -> Any:
    return inner.jaxpr if hasattr(inner, "jaxpr") else inner


def _source(inner: Any) -> str:
    return str(getattr(_jaxpr(inner).debug_info, "func_src_info", "") or "")


def _file(inner: Any) -> str:
    match = _PLACE.search(_source(inner))
    return match.group(1) if match else ""


def _function(inner: Any) -> str:
    return _source(inner).split(" ")[0]


def _closed_library(eqn: Any, inner: Any) -> bool:
    """Whether a compiled call is a function of the library's that is known by its name, and not one that runs ours."""
    place = frames.library(_file(inner))
    if not place.startswith(("jax/_src/", "optax/", "jax/numpy", "jax/nn")) or marked(_jaxpr(inner)):
        return False
    return place.startswith(
        ("jax/_src/numpy", "jax/_src/nn", "jax/_src/ops", "jax/_src/scipy", "jax/_src/random", "jax/_src/lax", "optax/")
    )


def marked(jaxpr: Any) -> bool:
    """Whether a program contains a marker."""
    for eqn in jaxpr.eqns:
        if eqn.primitive in (forward_p, backward_p, results_p):
            return True
        if any(marked(each) for each in core.jaxprs_in_params(eqn.params)):
            return True
    return False


def _size(jaxpr: Any) -> int:
    return sum(1 + sum(_size(each) for each in core.jaxprs_in_params(eqn.params)) for eqn in jaxpr.eqns)


def _units(eqn: Any) -> dict[str, int]:
    """Of a layer: the dimension of its weight, the second operand, that counts what it gives."""
    numbers = eqn.params.get("dimension_numbers")
    if eqn.primitive.name == "conv_general_dilated":
        return {"units": numbers.rhs_spec[0]}
    if eqn.primitive.name == "dot_general" and len(eqn.invars[1].aval.shape) == 2 and len(numbers[0][1]) == 1:
        return {"units": 1 - numbers[0][1][0]}
    return {}


def _over(inner: Any) -> dict[str, tuple[int, ...]]:
    """Of a function that normalises: the dimensions it does that over."""
    for eqn in _jaxpr(inner).eqns:
        if eqn.primitive.name in ("reduce_max", "reduce_sum"):
            return {"over": tuple(eqn.params["axes"])}
        for each in core.jaxprs_in_params(eqn.params):
            if found := _over(each):
                return found
    return {}


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if isinstance(value, (bool, int, float, str, tuple))}


def floating(aval: Any) -> bool:
    """Whether values of a type can have a gradient."""
    return hasattr(aval, "dtype") and (
        jax.dtypes.issubdtype(aval.dtype, jax.numpy.inexact)
        if not jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended)
        else False
    )


def _carrier(eqn: Any) -> Callable[[list[bool]], list[bool]]:
    return lambda given: carried(eqn, given)


def carried(eqn: Any, given: Sequence[bool]) -> list[bool]:
    """Of which results of an equation gradient flows back, when it does from these operands."""
    name = eqn.primitive.name
    if name == "stop_gradient" or not any(given):
        return [False] * len(eqn.outvars)
    inner = _inner(eqn.params)
    if inner is not None and (name in CALLS or name == "custom_jvp_call"):
        flags = dict(zip(_jaxpr(inner).invars, given, strict=False))
        for each in _jaxpr(inner).eqns:
            outs = carried(each, [_flag(flags, atom) for atom in each.invars])
            flags.update(zip(each.outvars, outs, strict=True))
        return [_flag(flags, atom) for atom in _jaxpr(inner).outvars]
    return [floating(var.aval) for var in eqn.outvars]


def _flag(flags: dict[Any, bool], atom: Any) -> bool:
    return False if isinstance(atom, core.Literal) else flags.get(atom, False)
