"""Rerun: the user's step called again, listened to: for the model in one differentiated function, or for its losses.

A compiled call is run by a program of its own, so that nothing the user holds is given away; whoever wants the model
alone ends the step there.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax._src import core

from smokestep import facts
from smokestep.backends.jax import frames, keys, running, trees
from smokestep.backends.jax.equations import marked
from smokestep.backends.jax.frontier import Frontier, frontier
from smokestep.backends.jax.hooks import Hooks, hooked
from smokestep.backends.jax.lab import answers
from smokestep.backends.jax.lab import noise as noises
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.backends.jax.markers import backward_p, forward_p, results_p
from smokestep.backends.jax.probe import Body, body_of
from smokestep.backends.jax.quickly import quickly
from smokestep.backends.jax.recorder import evaluator
from smokestep.backends.jax.sketch import Plain, Sketch, Step, sketch
from smokestep.evidence.trials import Stepped
from smokestep.findings import Line

MOST = 48  # compiled programs that are kept
_programs: dict[Any, tuple[Any, Any]] = {}


class Caught(BaseException):
    """Ends a step whose model was heard; no handler of the user's may take it for an error."""


@dataclass(slots=True)
class Heard:
    """One differentiated function as it ran: its values by number, and the model in it."""

    body: Body
    model: Frontier
    values: dict[int, Any]
    path: frames.Path
    drew: bool
    noised: bool = False  # the data it was given had been worked on with what was drawn, or noise stood beside it
    felt: dict[int, Any] = field(default_factory=dict)  # the gradients of what the losses were given


@dataclass(slots=True)
class Listener:
    """Listens to one run of a step. `want`: the position of the differentiated function whose model is wanted, None for
    the losses of all. `given`: the arrays of the batch. `watch`: what is kept besides what the model gives, which is
    "everything", what "losses" were given, or the "gradients" of that as well. `answer`: gives what the wanted model
    answers instead, by shape and type; its loss is then told."""

    given: Sequence[Any]
    own: frozenset[int]  # identities of the arrays of the state
    want: int | None = None
    watch: str = ""
    answer: Callable[[Any], Any] | None = None
    drew: bool = False
    heard: Heard | None = None
    count: int = 0
    losses: list[float] = field(default_factory=list)
    waiting: dict[int, float] = field(default_factory=dict)
    moved: dict[int, Any] = field(default_factory=dict)  # arrays computed from the batch, kept alive
    drawn: dict[int, Any] = field(default_factory=dict)  # arrays that were drawn, or computed from such
    noise: dict[int, Any] = field(default_factory=dict)  # those of them that no state has a part in
    hooks: Hooks = field(init=False)

    def __post_init__(self) -> None:
        self.moved = {id(each): each for each in self.given}
        self.hooks = Hooks(self.jit, self.eager, lambda name: None, evaluator)

    def data(self, arrays: Sequence[Any]) -> list[bool]:
        """Which of these come from the batch; where none is known to, which are no part of the state."""
        known = [id(each) in self.moved for each in arrays]
        if any(known):
            return known
        return [
            bool(getattr(each, "shape", ())) and not trees.is_key(each) and id(each) not in self.own for each in arrays
        ]

    def jit(self, closed: Any, arguments: list[Any], name: str) -> list[Any]:
        """A compiled call."""
        with self.hooks.apart():
            data = self.data(arguments)
            if not marked(closed.jaxpr):
                outs = list(_kept((id(closed.jaxpr), "plain"), closed, lambda: evaluator(closed))(*arguments))
                self.follow(arguments, outs, "random_bits" in str(closed.jaxpr))
                return outs
            found = _kept((id(closed.jaxpr), "sketch"), closed, lambda: sketch(closed))
            places = [number for number, step in enumerate(found.steps) if step.body is not None]
            if self.want is not None and self.count <= self.want < self.count + len(places):
                at = places[self.want - self.count]
                self.model(found, at, arguments, data, closed)
            self.count += len(places)
            self.drew = self.drew or _draws(closed.jaxpr)
            outs, losses = self.whole(found, closed)(*arguments)
            self.losses += [float(np.real(np.asarray(each).reshape(()))) for each in losses]
            return list(outs)

    def whole(self, found: Sketch, closed: Any) -> Any:
        """A program for a compiled call and the losses in it."""
        bodies = [step for step in found.steps if step.body is not None and self.want is None]

        def compute(*given: Any) -> Any:
            env = found.run(given)
            losses: list[Any] = []
            for step in bodies:
                assert step.body is not None
                inner = step.body.run(_operands(step, env))
                losses += [each for each in _roots(step.body, inner, step.params["roots"]) if each.size == 1]
            return found.results(env), losses

        key = (id(closed.jaxpr), "whole", self.want is None)
        return _kept(key, closed, lambda: jax.jit(compute, compiler_options=quickly(found)))

    def model(self, found: Sketch, at: int, arguments: list[Any], data: list[bool], closed: Any) -> None:
        """Run the model of one differentiated function within a compiled call, and end the step."""
        step = found.steps[at]
        moved = {number for number, flag in zip(found.inputs, data, strict=True) if flag}
        for each in found.steps[:at]:
            if not moved.isdisjoint(each.operands):
                moved.update(each.makes)
        noise = {number for number, each in zip(found.inputs, arguments, strict=True) if id(each) in self.drawn}
        draws = {each.step for each in keys.uses(found) if each.kind == "draw"}
        for place, each in enumerate(found.steps[:at]):
            if place in draws or not noise.isdisjoint(each.operands):
                noise.update(each.makes)
        body = _kept((id(closed.jaxpr), "body", at), closed, lambda: body_of(step))
        assert step.body is not None
        inputs = {n for n, read in zip(step.body.inputs, step.reads, strict=True) if read in moved}
        model = frontier(body, inputs)
        if model is None:
            raise Caught
        if self.answer is not None:
            replied = _replied(body, model)

            def reply(answer: Any, *given: Any) -> list[Any]:
                return replied(answer, *_operands(step, found.run(given)))

            key: Any = (id(closed.jaxpr), "reply", at)
            self.told(
                _kept(key, closed, lambda: jax.jit(reply, compiler_options=quickly(found))), body, model, arguments
            )
            raise Caught
        watched = _watched(body, model, self.watch)

        def compute(*given: Any) -> Any:
            return watched(_operands(step, found.run(given)))

        key = (id(closed.jaxpr), "model", at, self.watch, frozenset(inputs))
        run = _kept(key, closed, lambda: jax.jit(compute, compiler_options=quickly(found)))
        values, felt = run(*arguments)
        pure = {number for number, each in zip(found.inputs, arguments, strict=True) if id(each) in self.noise}
        pure = noises.in_sketch(found, at, draws, moved, pure).intersection(step.operands)
        avals = step.body.avals
        inside = [avals[n] for n, read in zip(step.body.inputs, step.reads, strict=True) if read in pure]
        noised = not noise.isdisjoint(moved.intersection(step.operands)) or noises.by_row(
            inside, [avals[n] for n in inputs]
        )
        self.heard = Heard(body, model, values, step.path, _draws(closed.jaxpr), noised, felt)
        raise Caught

    def eager(self, primitive: Any, arguments: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]) -> Any:
        """An eager operation."""
        if primitive is forward_p:
            with self.hooks.apart():
                self.forward(arguments, params)
            self.count += 1
            return []
        if primitive is backward_p:
            loss = self.waiting.pop(params["key"], None)
            if loss is not None:
                self.losses.append(loss)
            return list(arguments[params["counted"] :])
        if primitive is results_p:
            return list(arguments)
        result = run()
        self.follow(arguments, result if primitive.multiple_results else [result], primitive.name in keys.DRAWS)
        return result

    def follow(self, arguments: Sequence[Any], outs: Sequence[Any], draws: bool) -> None:
        """What is computed from the batch, or from what was drawn, is remembered."""
        for known, begins in ((self.moved, False), (self.drawn, draws)):
            if begins or any(id(each) in known for each in arguments):
                known.update({id(out): out for out in outs})
        if noises.in_arrays(draws, arguments, self.noise, self.moved):
            self.noise.update({id(out): out for out in outs})

    def forward(self, arguments: Sequence[Any], params: dict[str, Any]) -> None:
        """A function that is differentiated eagerly."""
        closed = params["jaxpr"]
        if self.want is not None and self.count != self.want:
            return
        text = f"{params['counted']}{params['roots']}{closed}"
        self.drew = self.drew or "random_bits" in text or "threefry" in text
        body = _kept((text, "body"), None, lambda: _body(closed, params))
        if self.want is None:
            roots = _kept(
                (text, "roots"),
                None,
                lambda: jax.jit(
                    lambda *given: _roots(body.sketch, body.sketch.run(given), params["roots"]),
                    compiler_options=quickly(body.sketch),
                ),
            )(*arguments)
            for each in roots:
                if each.size == 1:
                    self.waiting[params["key"]] = float(np.real(np.asarray(each).reshape(())))
            return
        flags = self.data(arguments)
        inputs = {n for n, flag in zip(body.sketch.inputs, flags, strict=True) if flag}
        model = frontier(body, inputs)
        if model is not None and self.answer is not None:
            run = _kept(
                (text, "reply"), None, lambda: jax.jit(_replied(body, model), compiler_options=quickly(body.sketch))
            )
            self.told(run, body, model, arguments)
        elif model is not None:
            watched = _watched(body, model, self.watch)

            def compute(*given: Any) -> Any:
                return watched(given)

            key = (text, "model", self.watch, frozenset(inputs))
            run = _kept(key, None, lambda: jax.jit(compute, compiler_options=quickly(body.sketch)))
            values, felt = run(*arguments)
            drew = "random_bits" in text or "threefry" in text
            noised = any(flag and id(each) in self.drawn for each, flag in zip(arguments, flags, strict=True))
            pure = [each for each in arguments if id(each) in self.noise]
            data = [each for each, flag in zip(arguments, flags, strict=True) if flag]
            noised = noised or noises.by_row(pure, data)
            self.heard = Heard(body, model, values, frames.of_stack(3), drew, noised, felt)
        raise Caught

    def told(self, run: Any, body: Body, model: Frontier, arguments: Sequence[Any]) -> None:
        """The losses for another answer of the model."""
        if len(model.outputs) != 1 or self.answer is None:
            return
        losses = run(self.answer(body.sketch.avals[model.outputs[0]]), *arguments)
        self.losses += [float(np.real(np.asarray(each).reshape(()))) for each in losses if each.size == 1]


def _replied(body: Body, model: Frontier) -> Callable[..., list[Any]]:
    """The results of a differentiated function for another answer of the model in it."""

    def compute(answer: Any, *given: Any) -> list[Any]:
        env = body.sketch.run(given, lambda number, value: answer if number == model.outputs[0] else value)
        return _roots(body.sketch, env, body.step.params["roots"])

    return compute


def _body(closed: Any, params: dict[str, Any]) -> Body:
    inner = sketch(closed)
    plain = {key: value for key, value in params.items() if key != "jaxpr"}
    return body_of(
        Step("forward", forward_p.name, tuple(inner.inputs), (), lambda *args: (), (), "", plain, body=inner)
    )


def _watched(body: Body, model: Frontier, watch: str) -> Callable[[Sequence[Any]], Any]:
    """A differentiated function that gives what is watched, by number, and the gradients of what losses were given."""
    numbers = set(range(len(body.sketch.avals)) if watch == "everything" else model.outputs)
    losses = watch in ("losses", "gradients")
    numbers |= set(answers.numbers(body, targets=watch == "gradients")) if losses else set()
    made = _made(body.sketch)
    wanted = [n for n in sorted(numbers) if n in made and hasattr(body.sketch.avals[n], "shape")]

    def compute(given: Sequence[Any]) -> Any:
        inner = body.sketch.run(given)
        roots = body.step.params["roots"]
        felt = answers.felt(body, given, lambda env: _roots(body.sketch, env, roots)) if watch == "gradients" else {}
        return {number: inner[number] for number in wanted}, felt

    return compute


def _made(found: Sketch) -> set[int]:
    made = {m for step in found.steps if step.body is None and not step.effect for m in step.makes}
    return made | set(found.inputs) | set(found.constants)


def _operands(step: Step, env: dict[int, Any]) -> list[Any]:
    return [each.value if isinstance(each, Plain) else env[each] for each in step.reads]


def _roots(found: Sketch, env: dict[int, Any], flags: Sequence[bool]) -> list[Any]:
    kept = [each for each, root in zip(found.outputs, flags, strict=True) if root]
    return [jax.numpy.asarray(each.value) if isinstance(each, Plain) else env[each] for each in kept]


def _draws(jaxpr: Any) -> bool:
    """Whether a differentiated function in a program draws random numbers."""
    for eqn in jaxpr.eqns:
        if eqn.primitive is forward_p:
            text = str(eqn.params["jaxpr"])
            if "random_bits" in text or "threefry" in text:
                return True
        elif any(_draws(each) for each in core.jaxprs_in_params(eqn.params)):
            return True
    return False


def _kept(key: Any, alive: Any, make: Callable[[], Any]) -> Any:
    """What was made for a program, made once; `alive` keeps the program, whose identity is a part of the key."""
    if key not in _programs:
        if len(_programs) >= MOST:
            _programs.pop(next(iter(_programs)))
        _programs[key] = alive, make()
    return _programs[key][1]


def rerun(kept: Kept, name: str, batch: Any, listener: Listener) -> tuple[Any, BaseException | None, Line | None]:
    """Call a step on a batch, listened to: what it returned, or what it raised and on which line. `kept` then has the
    new state; whoever does not want it preserves the old one."""
    training = kept.training
    step = training.steps[name] if name in training.steps else next(iter(training.steps.values()))
    given = training.arguments(step, kept.state if training.has_state else None)
    arguments = (*given[:-1], batch) if training.has_batch else given
    returned, error, line = None, None, None
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            with hooked(listener.hooks):
                returned = running.call(step, arguments)
        except Caught:
            pass
        except Exception as raised:
            error, line = raised, frames.of_exception(raised)
    return returned, error, line


def stepped(kept: Kept, name: str, batch: Any, listener: Listener) -> Stepped:
    """Run a step for real, for its losses and what it returned."""
    returned, error, line = rerun(kept, name, batch, listener)
    rest = [returned]
    if error is None and kept.training.has_state:
        kept.state, rest = running.matched(kept.state, returned)
    return Stepped(
        losses=tuple(listener.losses),
        returned=running.scalar(rest) if error is None else None,
        error=facts.told(error) if error is not None else "",
        error_line=line,
        drew=listener.drew,
    )
