"""Hooks: the places in JAX that every differentiation, compiled call and eager operation passes, while recording.

Everything is put back when the block ends. What differentiates is traced once, cleanly, and marked; what JAX makes of
it is as ever. A version of JAX without these places is refused with the reason.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
from jax._src import api, core, pjit
from jax._src.interpreters import ad

from smokestep.backends.jax.markers import APART, backward_p, forward_p, results_p
from smokestep.backends.jax.wrapping import wrapped
from smokestep.findings import Line
from smokestep.world import NotOffered

VERSIONS = "0.10.2"
_keys = itertools.count(1)
_context = jax.make_user_context() if hasattr(jax, "make_user_context") else None  # a key of the caches of traces
# What a clean trace of a function that runs eagerly may raise, where the eager run would not.
UNTRACEABLE = (jax.errors.JAXTypeError, jax.errors.JAXIndexError)


@dataclass(slots=True)
class Hooks:
    """What a recorder wants to be told. `busy`: the recorder itself is computing, so nothing is its concern.

    `jit(jaxpr, arguments, name)` gives the results of a compiled call, None to let JAX run it. `eager(primitive,
    arguments, params, run)` runs one eager operation. `switch(class, training, line)`: a module's mode was set.
    """

    jit: Callable[[Any, list[Any], str], list[Any] | None]
    eager: Callable[[Any, tuple[Any, ...], dict[str, Any], Callable[[], Any]], Any]
    opaque: Callable[[str], None]
    evaluate: Callable[[Any], Callable[..., list[Any]]]
    switch: Callable[[str, bool, Line | None], None] = lambda label, training, line: None
    busy: int = 0
    clean: int = 0  # within the tracing of a differentiated function
    keys: dict[int, int] = field(default_factory=dict)  # id of the linear program -> key of its marker
    kept: list[Any] = field(default_factory=list)
    ahead: bool = False  # a program that was compiled ahead of time ran: nobody can look into it

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within the block nothing is recorded."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1


def _check() -> None:
    places = (
        (ad, "linearize", "traceable primals_ft has_aux is_vjp"),
        (api, "_vjp3_bwd", "in_tree out_tree out_known jaxpr out_primal_avals residuals maybe_accums out_ct"),
        (pjit, "_run_python_pjit", "p args_flat fun args kwargs"),
        (pjit, "_get_fastpath_data", ""),
        (getattr(core, "EvalTrace", None), "process_primitive", "self primitive args params"),
    )
    other = [name for holder, name, names in places if not _takes(getattr(holder, name, None), names)]
    if other or _context is None:
        raise NotOffered(
            f"jax {jax.__version__} is built otherwise than the versions that smokestep can watch ({VERSIONS}): "
            f"{', '.join(other) or 'make_user_context'} is not there, or takes other arguments"
        )


def _takes(function: Any, names: str) -> bool:
    """Whether it is there, and takes these: what is put in its place stands in for them."""
    return callable(function) and (not names or [*inspect.signature(function).parameters] == names.split())


@contextmanager
def hooked(hooks: Hooks) -> Iterator[None]:
    """Install the hooks for the block."""
    _check()
    linearize, bwd, run = ad.linearize, api._vjp3_bwd, pjit._run_python_pjit
    eager = core.EvalTrace.process_primitive

    def _linearize(fun: Any, primals: Any, has_aux: bool = False, is_vjp: bool = False) -> Any:
        if hooks.busy or not is_vjp:
            return linearize(fun, primals, has_aux=has_aux, is_vjp=is_vjp)
        traced = _traced(hooks, fun, primals, has_aux)
        if traced is None:
            return linearize(fun, primals, has_aux=has_aux, is_vjp=is_vjp)
        key, again = traced
        result = linearize(again, primals, has_aux=has_aux, is_vjp=is_vjp)
        hooks.keys[id(result[2])] = key
        hooks.kept.append(result[2])
        return _marked_results(key, result)

    def _bwd(in_tree: Any, out_tree: Any, known: Any, jaxpr: Any, avals: Any, *rest: Any) -> Any:
        key = hooks.keys.get(id(jaxpr))
        if hooks.busy or key is None:
            return bwd(in_tree, out_tree, known, jaxpr, avals, *rest)
        with hooks.apart():
            result = bwd(in_tree, out_tree, known, jaxpr, avals, *rest)
        return _marked_gradients(key, rest[-1], avals, result)

    def _run(p: Any, args_flat: Any, fun: Any, args: Any, kwargs: Any) -> Any:
        if hooks.busy or not core.trace_state_clean():
            return run(p, args_flat, fun, args, kwargs)
        outs = hooks.jit(p.params["jaxpr"], list(args_flat), p.params.get("name", ""))
        if outs is None:
            with hooks.apart():
                return (*run(p, args_flat, fun, args, kwargs)[:5], None, None, [])
        return jax.tree_util.tree_unflatten(p.out_tree, outs), outs, p.out_tree, args_flat, p.params["jaxpr"], *_NONE

    def _eager(self: Any, primitive: Any, args: Any, params: Any, /) -> Any:
        if hooks.busy:
            return eager(self, primitive, args, params)

        def go() -> Any:
            with hooks.apart():
                return eager(self, primitive, args, params)

        return hooks.eager(primitive, tuple(args), params, go)

    def _ahead(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not hooks.busy:
            hooks.ahead = True
            hooks.opaque("a program compiled ahead of time")
        return ahead(self, *args, **kwargs)

    fast, ahead = pjit._get_fastpath_data, jax.stages.Compiled.__call__
    ad.linearize, api._vjp3_bwd, pjit._run_python_pjit = _linearize, _bwd, _run
    pjit._get_fastpath_data = lambda *args, **kwargs: None if not hooks.busy else fast(*args, **kwargs)
    core.EvalTrace.process_primitive = _eager
    jax.stages.Compiled.__call__ = _ahead
    try:
        with _context("smokestep"), wrapped(hooks):
            yield
    finally:
        ad.linearize, api._vjp3_bwd, pjit._run_python_pjit = linearize, bwd, run
        pjit._get_fastpath_data = fast
        core.EvalTrace.process_primitive = eager
        jax.stages.Compiled.__call__ = ahead


_NONE = (None, None, [])


def _traced(hooks: Hooks, fun: Any, primals: Any, has_aux: bool) -> tuple[int, Callable[..., Any]] | None:
    """Trace a function that is about to be differentiated, and mark it; None if it can only run on numbers."""
    shape: dict[str, Any] = {}

    def flat(*leaves: Any) -> Any:
        answer = fun(*primals.update(leaves).unflatten())
        if has_aux:
            if not isinstance(answer, (list, tuple)) or len(answer) != 2:
                raise TypeError(
                    "expected function with aux output to return a two-element tuple, "
                    f"but got type {type(answer)} with value {answer!r}"
                )
            answer, aux = answer
        else:
            aux = ()
        outs, shape["out"] = jax.tree_util.tree_flatten(answer)
        extra, shape["aux"] = jax.tree_util.tree_flatten(aux)
        shape["plain"] = [None if isinstance(each, core.Tracer) else (each,) for each in extra]
        shape["count"] = len(outs)
        return [*outs, *(each for each in extra if isinstance(each, core.Tracer))]

    leaves = list(primals)
    eager = core.trace_state_clean()
    hooks.clean += 1
    try:
        closed = jax.make_jaxpr(flat)(*leaves)
    except UNTRACEABLE:
        if not eager:
            raise
        hooks.opaque(getattr(fun, "__name__", "the differentiated function"))
        return None
    finally:
        hooks.clean -= 1
    consts = list(closed.consts)
    jaxpr = core.ClosedJaxpr(_without_constants(closed.jaxpr), [])
    # invars: the constants first, then the leaves; the marker takes the leaves first.
    jaxpr = _reordered(jaxpr, len(consts))
    key = next(_keys)
    count = shape["count"]
    evaluate = hooks.evaluate(jaxpr) if eager else None
    forward_p.bind(
        *leaves,
        *consts,
        jaxpr=jaxpr,
        key=key,
        names=names_of(primals),
        counted=len(leaves),
        roots=tuple(index < count for index in range(len(jaxpr.out_avals))),
        batched=0,
    )

    def again(*args: Any) -> Any:
        given = [*jax.tree_util.tree_leaves(args), *consts]
        with hooks.apart(), jax.named_scope(APART):
            outs = evaluate(*given) if evaluate else core.eval_jaxpr(jaxpr.jaxpr, (), *given)
        answer = jax.tree_util.tree_unflatten(shape["out"], outs[:count])
        if not has_aux:
            return answer
        more = iter(outs[count:])
        extra = [next(more) if plain is None else plain[0] for plain in shape["plain"]]
        return answer, jax.tree_util.tree_unflatten(shape["aux"], extra)

    return key, again


def _without_constants(jaxpr: Any) -> Any:
    from jax._src.interpreters import partial_eval as pe

    return pe.convert_constvars_jaxpr(jaxpr)


def _reordered(closed: Any, constants: int) -> Any:
    jaxpr = closed.jaxpr
    invars = [*jaxpr.invars[constants:], *jaxpr.invars[:constants]]
    debug = jaxpr.debug_info._replace(arg_names=None)
    return core.ClosedJaxpr(jaxpr.replace(invars=invars, debug_info=debug), [])


def _marked_results(key: int, result: Any) -> Any:
    """What a linearization gives, its results (and what stands beside them) handed through a marker."""
    outs, known, jaxpr, consts, *aux = result
    beside, tree = jax.tree_util.tree_flatten(aux)
    leaves = [*outs, *beside]
    real = [i for i, each in enumerate(leaves) if isinstance(each, (core.Tracer, jax.Array))]
    marked = results_p.bind(*(leaves[i] for i in real), key=key, places=tuple(real))
    for index, out in zip(real, marked, strict=True):
        leaves[index] = out
    count = len(outs)
    return outs.update(leaves[:count]), known, jaxpr, consts, *jax.tree_util.tree_unflatten(tree, leaves[count:])


def _marked_gradients(key: int, given: Any, avals: Any, result: Any) -> Any:
    """The gradients, handed through the marker that tells what they are."""
    cts = [
        ad.instantiate_zeros(each) if isinstance(each, ad.Zero) else each
        for each in jax.tree_util.tree_leaves(given, is_leaf=lambda x: isinstance(x, ad.Zero))
    ]
    cts = [each for each in cts if getattr(each, "dtype", None) != jax.dtypes.float0]
    leaves, tree = jax.tree_util.tree_flatten(result)
    real = [i for i, each in enumerate(leaves) if hasattr(each, "dtype") and each.dtype != jax.dtypes.float0]
    outs = backward_p.bind(*cts, *(leaves[i] for i in real), key=key, counted=len(cts), batched=0, places=tuple(real))
    for index, out in zip(real, outs, strict=True):
        leaves[index] = out
    return jax.tree_util.tree_unflatten(tree, leaves)


def names_of(primals: Any) -> tuple[str, ...]:
    """The path of every leaf of what is differentiated, within its argument."""
    tree = primals.unflatten()
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    return tuple(path_name(path[1:]) for path, _ in pairs)


def path_name(path: Any) -> str:
    """A tree path as users read it: "Dense_0.kernel", "layers.0.w"."""
    found = []
    for key in path:
        for field_name in ("key", "idx", "name"):
            if hasattr(key, field_name):
                found.append(str(getattr(key, field_name)))
                break
    return ".".join(found)
