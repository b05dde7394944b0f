"""Markers: where a differentiation begins and where its gradients come out, as primitives that leave no trace in a run.

A marker stands in the traced program beside what JAX does itself, so that whoever reads the program finds the function
that was differentiated, untouched by the differentiation. The markers are read, and never compiled.
"""

from __future__ import annotations

from typing import Any

from jax._src import core
from jax._src.interpreters import ad, batching, mlir

# In: what is differentiated, then the constants of `jaxpr`. Params: `jaxpr`, `key`, `names`, `counted` (how many are
# differentiated), `roots` (for each output of `jaxpr` whether it is differentiated), `batched`.
forward_p = core.Primitive("smokestep_forward")
forward_p.multiple_results = True
# In: the gradients of the results, then the gradients that come out; gives the latter on. Params: `key`, `counted`
# (how many are gradients of results), `batched`: how often a `vmap` went over it that did not go over the forward.
backward_p = core.Primitive("smokestep_backward")
backward_p.multiple_results = True
# In: what a differentiated function gave, with and beside its results; gives it on. Params: `key`.
results_p = core.Primitive("smokestep_results")
results_p.multiple_results = True
APART = "smokestep-apart"  # in the name stack of what JAX makes of a marked function


def _forward_abstract(*avals: Any, **params: Any) -> list[Any]:
    return []


def _backward_abstract(*avals: Any, counted: int, **params: Any) -> list[Any]:
    return list(avals[counted:])


forward_p.def_abstract_eval(_forward_abstract)
forward_p.def_impl(lambda *args, **params: [])
backward_p.def_abstract_eval(_backward_abstract)
backward_p.def_impl(lambda *args, counted, **params: list(args[counted:]))
mlir.register_lowering(forward_p, mlir.lower_fun(lambda *args, **params: [], multiple_results=True))
mlir.register_lowering(
    backward_p, mlir.lower_fun(lambda *args, counted, **params: list(args[counted:]), multiple_results=True)
)


results_p.def_abstract_eval(lambda *avals, **params: list(avals))
results_p.def_impl(lambda *args, **params: list(args))
mlir.register_lowering(results_p, mlir.lower_fun(lambda *args, **params: list(args), multiple_results=True))


def _results_jvp(primals: Any, tangents: Any, **params: Any) -> tuple[list[Any], list[Any]]:
    return results_p.bind(*primals, **params), list(tangents)


def _results_batch(axis_data: Any, args: Any, dims: Any, **params: Any) -> tuple[list[Any], list[Any]]:
    size = axis_data.size
    moved = [x if dim is None else batching.bdim_at_front(x, dim, size) for x, dim in zip(args, dims, strict=True)]
    return results_p.bind(*moved, **params), [None if dim is None else 0 for dim in dims]


ad.primitive_jvps[results_p] = _results_jvp
batching.fancy_primitive_batchers[results_p] = _results_batch


def _forward_jvp(primals: Any, tangents: Any, **params: Any) -> tuple[list[Any], list[Any]]:
    forward_p.bind(*primals, **params)
    return [], []


def _backward_jvp(primals: Any, tangents: Any, *, counted: int, **params: Any) -> tuple[list[Any], list[Any]]:
    out = backward_p.bind(*primals, counted=counted, **params)
    return out, list(tangents[counted:])


ad.primitive_jvps[forward_p] = _forward_jvp
ad.primitive_jvps[backward_p] = _backward_jvp


def _forward_batch(axis_data: Any, args: Any, dims: Any, **params: Any) -> tuple[list[Any], list[Any]]:
    flags = [dim is not None for dim in dims]
    size = axis_data.size
    moved = [batching.bdim_at_front(x, dim, size) if dim is not None else x for x, dim in zip(args, dims, strict=True)]
    outs = len(params["jaxpr"].out_avals)
    jaxpr, _ = batching.batch_jaxpr(params["jaxpr"], axis_data, flags, [True] * outs)
    forward_p.bind(*moved, **{**params, "jaxpr": jaxpr, "batched": params["batched"] + 1})
    return [], []


def _backward_batch(axis_data: Any, args: Any, dims: Any, **params: Any) -> tuple[list[Any], list[Any]]:
    size = axis_data.size
    moved = [
        batching.bdim_at_front(x, dim, size) if index < params["counted"] or dim is not None else x
        for index, (x, dim) in enumerate(zip(args, dims, strict=True))
    ]
    out = backward_p.bind(*moved, **{**params, "batched": params["batched"] + 1})
    return out, [None if dim is None else 0 for dim in dims[params["counted"] :]]


batching.fancy_primitive_batchers[forward_p] = _forward_batch
batching.fancy_primitive_batchers[backward_p] = _backward_batch
