"""Evaluation: the layers of the libraries that work otherwise in training, put into evaluation for a block.

Dropout drops nothing and batch normalization uses its running statistics, whatever flag the user's code hands over;
living modules get the attributes that their `eval()` sets. The seed of every draw can be another one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

from smokestep.backends.jax.lab.rerun import Heard, groups

_context = (
    jax.make_user_context() if hasattr(jax, "make_user_context") else None
)  # traces of other modes are kept apart
PRNG = ("jax._src.random.prng", "jax._src.prng")  # where random bits are made, in this version and the one before
DROPOUTS = (
    ("flax.linen.stochastic", "Dropout"),
    ("flax.nnx.nn.stochastic", "Dropout"),
    ("equinox.nn._dropout", "Dropout"),
)


@contextmanager
def evaluating(*, normalization: bool, seed: int = 0) -> Iterator[None]:
    """Within the block dropout drops nothing, with `normalization` statistics are the running ones."""
    with ExitStack() as stack:
        if _context is not None:
            stack.enter_context(_context(("smokestep-lab", normalization, seed)))
        for module, name in DROPOUTS:
            _patch(stack, module, name, "__call__", lambda original: _identity)
        if normalization:
            _patch(stack, "flax.linen.normalization", "BatchNorm", "__call__", _linen)
            _patch(stack, "flax.nnx.nn.normalization", "BatchNorm", "__call__", _nnx)
            _patch(stack, "equinox.nn._batch_norm", "BatchNorm", "__call__", _equinox)
        prng = next((m for name in PRNG if (m := sys.modules.get(name)) and hasattr(m, "random_bits")), None)
        if seed and prng is not None:
            original = prng.random_bits
            stack.callback(setattr, prng, "random_bits", original)
            prng.random_bits = lambda keys, *args, **kwargs: original(prng.random_fold_in(keys, seed), *args, **kwargs)
        yield


def _patch(stack: ExitStack, module: str, name: str, method: str, make: Callable[[Any], Any]) -> None:
    kind = getattr(sys.modules.get(module), name, None)
    if kind is not None and method in vars(kind):
        original = vars(kind)[method]
        stack.callback(setattr, kind, method, original)
        setattr(kind, method, make(original))


def _identity(self: Any, inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    return kwargs.get("x", inputs) if inputs is None else inputs


def _linen(original: Any) -> Any:
    def call(self: Any, x: Any, use_running_average: Any = None, **kwargs: Any) -> Any:
        if self.use_running_average is None:
            return original(self, x, use_running_average=True, **kwargs)
        own = self.use_running_average
        object.__setattr__(self, "use_running_average", True)
        try:
            return original(self, x, **kwargs)
        finally:
            object.__setattr__(self, "use_running_average", own)

    return call


def _nnx(original: Any) -> Any:
    def call(self: Any, x: Any, use_running_average: Any = None, **kwargs: Any) -> Any:
        return original(self, x, use_running_average=True, **kwargs)

    return call


def _equinox(original: Any) -> Any:
    def call(self: Any, x: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, x, state, *args, **{**kwargs, "inference": True})

    return call


def normalizes(heard: Heard) -> bool:
    """Whether the model takes mean and spread over its samples by hand: statistics, of training perhaps."""
    rows = {heard.body.sketch.avals[n].shape[0] for n in heard.model.inputs if heard.body.sketch.avals[n].shape}
    means: set[int] = set()
    for _, group in groups(heard):
        shapes = [heard.body.sketch.avals[n].shape for n in group.reads]
        dims = group.args.get("dim")
        over = dims == 0 or (isinstance(dims, tuple) and 0 in dims)
        if group.name == "batch_norm":
            if "batch statistics" in group.args:
                return True
            continue
        if group.name in ("var", "std") and over and any(s and s[0] in rows for s in shapes):
            return True
        if group.name in ("mean", "sum") and over and any(s and s[0] in rows for s in shapes):
            means.update(group.makes)
        elif not means.isdisjoint(group.reads):
            if group.name in ("rsqrt", "sqrt"):
                return True
            means.update(m for m in group.makes)
    return False
