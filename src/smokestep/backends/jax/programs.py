"""Programs: traced programs made ready to run, each once: probes of compiled calls, bodies of what runs eagerly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax._src import core

from smokestep.backends.jax import frames
from smokestep.backends.jax.markers import forward_p
from smokestep.backends.jax.probe import Body, Measured, Probe, Ran, body_of, felt, measured_of, measures, taken_of
from smokestep.backends.jax.quickly import quickly
from smokestep.backends.jax.sketch import Key, Sketch, Step
from smokestep.backends.jax.variants import Program

_programs: dict[int, tuple[Any, Program]] = {}  # by the identity of a traced program, which is kept
_bodies: dict[str, Program] = {}  # by the text of a differentiated function that runs eagerly
_evaluators: dict[str, Any] = {}
_libraries: dict[int, tuple[Any, Any]] = {}  # as `_programs`
_branches: dict[str, Any] = {}  # by the text of a cond that runs eagerly
MOST = 64  # of either kept
_felt: dict[tuple[int, int], Any] = {}


def program_of(closed: Any) -> Program:
    """A compiled call made ready to be probed, once: it answers with the probe that ran and what it brought back."""
    found = _programs.get(id(closed.jaxpr))
    if found is None:
        if len(_programs) >= MOST:
            _programs.pop(next(iter(_programs)))
        found = _programs[id(closed.jaxpr)] = closed.jaxpr, Program(closed, _probing)
    return found[1]


def _probing(found: Sketch) -> Callable[[Sequence[Any]], tuple[tuple[Probe, Ran], dict[Key, int]]]:
    probe = Probe(found)

    def run(given: Sequence[Any]) -> tuple[tuple[Probe, Ran], dict[Key, int]]:
        ran = probe(given)
        return (probe, ran), ran.taken

    return run


def branching(arguments: Sequence[Any], primitive: Any, params: dict[str, Any]) -> Any:
    """A program of one `cond` that runs eagerly; alike ones of several steps are one."""
    closed = jax.make_jaxpr(lambda *given: primitive.bind(*given, **primitive.get_bind_params(params)))(*arguments)
    text = "".join(_places(each) for each in core.jaxprs_in_params(params)) + f"{_places(closed.jaxpr)}{closed}"
    if text not in _branches:
        if len(_branches) >= MOST:
            _branches.pop(next(iter(_branches)))
        _branches[text] = closed
    return _branches[text]


def compiled(closed: Any) -> Any:
    """A traced program of the library's, compiled once."""
    found = _libraries.get(id(closed.jaxpr))
    if found is None:
        if len(_libraries) >= 16 * MOST:
            _libraries.pop(next(iter(_libraries)))
        found = _libraries[id(closed.jaxpr)] = closed.jaxpr, jax.jit(core.jaxpr_as_fun(closed))
    return found[1]


def evaluator(closed: Any) -> Any:
    """A compiled function of a traced program, for what runs eagerly; alike programs of several steps are one."""
    text = f"{_places(closed.jaxpr)}{closed}"
    if text not in _evaluators:
        if len(_evaluators) >= MOST:
            _evaluators.pop(next(iter(_evaluators)))
        _evaluators[text] = jax.jit(core.jaxpr_as_fun(closed))
    return _evaluators[text]


def eager_body(params: dict[str, Any], arguments: Sequence[Any]) -> tuple[Body, Measured]:
    """A differentiated function that runs eagerly, and what was measured of it; alike ones of several steps are made
    once."""
    closed = params["jaxpr"]
    text = f"{params['names']}{params['counted']}{params['roots']}{params['batched']}{_places(closed.jaxpr)}{closed}"
    if text not in _bodies:
        if len(_bodies) >= MOST:
            _bodies.pop(next(iter(_bodies)))
        _bodies[text] = Program(closed, lambda found: _measuring(found, closed, params))
    return _bodies[text](arguments)


def _measuring(
    inner: Sketch, closed: Any, params: dict[str, Any]
) -> Callable[[Sequence[Any]], tuple[tuple[Body, Measured], dict[Key, int]]]:
    inner.effects = bool(closed.effects)
    step = Step(
        "forward",
        forward_p.name,
        tuple(inner.inputs),
        (),
        lambda *args: (),
        (),
        "",
        {key: value for key, value in params.items() if key != "jaxpr"},
        body=inner,
    )
    body = body_of(step)

    def compute(*given: Any) -> Any:
        env = inner.run(given)
        taken = [env[value] for value in inner.conds.values()]
        return measures(env, body.measured, body.kept, body.drawn), taken

    compiled = jax.jit(compute, compiler_options=quickly(inner))

    def run(given: Sequence[Any]) -> tuple[tuple[Body, Measured], dict[Key, int]]:
        raw, taken = compiled(*given)
        return (body, measured_of(body.measured, body.kept, body.drawn, raw)), taken_of(inner, taken)

    return run


def felt_compiled(body: Body, batched: int) -> Any:
    """What gives the gradients of every value of a body."""
    where = (id(body), batched)
    if where not in _felt:
        _felt[where] = body, jax.jit(lambda o, c: felt(body, o, c, batched), compiler_options=quickly(body.sketch))
    return _felt[where][1]


def _places(jaxpr: Any) -> str:
    """The user's lines of a program, so that the same program from another place is another one."""
    found = []
    for eqn in jaxpr.eqns:
        calls, user = frames.calls(frames.of_traceback(eqn.source_info.traceback))
        found.append(f"{user.file}:{user.number}" if user else "")
    return "|".join(dict.fromkeys(found))
