"""Programs: traced programs made ready to run, each once: probes of compiled calls, bodies of what runs eagerly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax._src import core

from smokestep.backends.jax import frames
from smokestep.backends.jax.markers import forward_p
from smokestep.backends.jax.probe import Body, Measured, Probe, body_of, felt, measured_of, measures, quickly
from smokestep.backends.jax.sketch import Step, sketch

_probes: dict[int, tuple[Any, Probe]] = {}  # by the identity of a traced program, which is kept
_bodies: dict[str, tuple[Body, Any]] = {}  # by the text of a differentiated function that runs eagerly
_evaluators: dict[str, Any] = {}
_libraries: dict[int, tuple[Any, Any]] = {}  # as `_probes`
MOST = 64  # of either kept
_felt: dict[tuple[int, int], Any] = {}


def probe_of(closed: Any) -> Probe:
    """The probe of a traced program, made once."""
    found = _probes.get(id(closed.jaxpr))
    if found is None:
        if len(_probes) >= MOST:
            _probes.pop(next(iter(_probes)))
        found = _probes[id(closed.jaxpr)] = closed.jaxpr, Probe(sketch(closed))
    return found[1]


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


def eager_body(params: dict[str, Any]) -> tuple[Body, Any]:
    """A differentiated function that runs eagerly, and what measures it; alike ones of several steps are made once."""
    closed = params["jaxpr"]
    text = f"{params['names']}{params['counted']}{params['roots']}{params['batched']}{_places(closed.jaxpr)}{closed}"
    if text not in _bodies:
        inner = sketch(closed)
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
        compiled = jax.jit(
            lambda *given: measures(inner.run(given), body.measured, body.kept, body.drawn),
            compiler_options=quickly(),
        )

        def run(given: Sequence[Any]) -> Measured:
            return measured_of(body.measured, body.kept, body.drawn, compiled(*given))

        if len(_bodies) >= MOST:
            _bodies.pop(next(iter(_bodies)))
        _bodies[text] = body, run
    return _bodies[text]


def felt_compiled(body: Body, batched: int) -> Any:
    """What gives the gradients of every value of a body."""
    where = (id(body), batched)
    if where not in _felt:
        _felt[where] = body, jax.jit(lambda o, c: felt(body, o, c, batched), compiler_options=quickly())
    return _felt[where][1]


def _places(jaxpr: Any) -> str:
    """The user's lines of a program, so that the same program from another place is another one."""
    found = []
    for eqn in jaxpr.eqns:
        calls, user = frames.calls(frames.of_traceback(eqn.source_info.traceback))
        found.append(f"{user.file}:{user.number}" if user else "")
    return "|".join(dict.fromkeys(found))
