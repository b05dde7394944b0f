"""Decoding: a model decoded token by token with the cache that it takes and returns, beside the same without.

How it wants to be called is read from its signature and from what it returns; where that leaves a choice, it is not
called at all.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from smokestep import facts
from smokestep.backends.torch import frames
from smokestep.backends.torch.calls import flat
from smokestep.backends.torch.lab.capture import PLAIN, Given
from smokestep.backends.torch.lab.trail import Followed
from smokestep.evidence.caching import Decoding

Tensor = torch.Tensor
CACHES = "past_key_values past_key_value past_kv past_kvs past layer_past cache caches kv_cache kv_caches".split()
LABELS = frozenset("labels label targets target y".split())
PLACES = frozenset("position_ids positions position pos start_pos offset cache_position past_length step t".split())
COUNTING = re.compile(r"(^|_)(pos|offset|start|begin|step|past_len|past_length|cache_len|cur_len|index|idx)($|_)")
_Step: TypeAlias = tuple[list[tuple[int, ...]], Tensor, float]
TOKENS, SAMPLES = (
    6,
    2,
)  # every position costs two calls; two samples show what one cannot: a cache mixed up between them
PREFILL = 2  # tokens of the first call: decoding usually begins with several


@dataclass(slots=True)
class _Way:
    """How the model is called: the tokens' parameter, the cache's, and what else is handed over each time."""

    tokens: str
    cache: str
    others: dict[str, Any]
    switch: dict[str, Any]
    placed: bool

    def call(self, module: nn.Module, ids: Tensor, cache: Any = None, *, caching: bool) -> Any:
        given = {self.tokens: ids, **self.others}
        if caching:
            given |= self.switch | ({} if cache is None else {self.cache: cache})
        return module(**given)


def way(module: nn.Module, given: Given) -> _Way | str | None:
    """How a model with a cache is called, the reason why that is not sure, or None if it takes no cache."""
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return None
    caches = [name for name in CACHES if name in parameters]
    if len(caches) != 1 or parameters[caches[0]].default is not None:
        return None if not caches else "a call without a cache is not provided for"
    handed = dict(zip(given.names, given.args, strict=True)) | given.kwargs
    tensors = {name: each for name, each in handed.items() if isinstance(each, Tensor)}
    ids = [n for n, t in tensors.items() if t.dim() == 2 and not t.is_floating_point() and t.dtype != torch.bool]
    ids = [name for name in ids if name not in LABELS and not name.endswith("mask") and name not in PLACES]
    if len(ids) != 1:
        return "which argument holds the tokens could not be told"
    others: dict[str, Any] = {}
    for name, each in handed.items():
        if name == ids[0] or name == caches[0] or (name in parameters and name in LABELS | {"use_cache"}):
            continue
        if name not in parameters or not isinstance(each, PLAIN):
            if name in parameters and parameters[name].default is None:
                continue  # a mask, and the like: both ways go without
            return f"`{name}` would have to be cut with the tokens"
        others[name] = each
    missing = [n for n, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if set(missing) - {ids[0], *others}:
        return "it needs more than the tokens"
    switch = {"use_cache": True} if "use_cache" in parameters else {}
    placed = any(
        name in PLACES or COUNTING.search(name) or type(each.default) is int
        for name, each in parameters.items()
        if name not in (ids[0], caches[0])
    )
    return _Way(ids[0], caches[0], others, switch, placed)


def scores(output: Any, ids: Tensor) -> Tensor | None:
    """The first real output with a row for every token, or for the last one only."""
    for _, tensor in flat(output, ""):
        if tensor.is_floating_point() and tensor.dim() == 3 and tensor.shape[0] == ids.shape[0]:
            if tensor.shape[1] in (1, ids.shape[1]):
                return tensor
    return None


def cache_in(output: Any, name: str) -> Any:
    """The cache among what a model returned, None if it is not sure which that is."""
    if isinstance(output, Mapping) or hasattr(output, "__dataclass_fields__"):
        named = {**output} if isinstance(output, Mapping) else vars(output)
        return next((named[key] for key in dict.fromkeys([name, *CACHES]) if named.get(key) is not None), None)
    if not isinstance(output, tuple):
        return None
    found = [each for each in output if not isinstance(each, (*PLAIN, Tensor))]
    return found[0] if len(found) == 1 else None


def decoded(
    module: nn.Module, given: Given, known: Decoding, call: Callable[[Callable[[], Any], Any], Any]
) -> Decoding | None:
    """A model decoded in both ways. `call` runs a function in evaluation mode, and puts back what it changes."""
    how = way(module, given)
    if how is None:
        return None
    if isinstance(how, str):
        return _not(known, how)
    whole = next(tensor for name, tensor in given.tensors() if name == how.tokens)
    ids = whole[:SAMPLES, :TOKENS].detach().clone()
    if ids.shape[1] <= PREFILL + 1:
        return _not(known, "its input is too short")
    plain = [_tried(call, lambda n=n: how.call(module, ids[:, :n], caching=False)) for n in _lengths(ids)]
    wanted = [scores(each, ids[:, :n]) for each, n in zip(plain, _lengths(ids), strict=True)]
    if any(isinstance(each, Exception) for each in plain) or any(each is None for each in wanted):
        return _not(known, "it does not give scores for fewer tokens")
    if _looks_ahead([each for each in wanted if each is not None]):
        return _not(known, "without the cache, its scores change with later tokens")
    got = _tried(call, lambda: list(_steps(module, how, ids)))
    if isinstance(got, Exception):
        return _not(known, f"it could not be called with what it returned: {facts.told(got)}")
    if len(got) != len(wanted):
        return _not(known, "it does not return a cache")
    apart = _apart(got, wanted)
    if max(apart) > 1e-3:  # some take all tokens with their cache, and compute the last one only
        other = _tried(call, lambda: list(_steps(module, how, ids, whole=True)))
        if not isinstance(other, Exception) and len(other) == len(wanted) and other[-1][1].shape[1] == 1:
            of_all = _apart(other, wanted)
            got, apart = (other, of_all) if max(of_all) < max(apart) else (got, apart)
    if how.placed and max(apart) > 1e-3:
        return _not(known, "it takes positions from its caller")
    eps = max(torch.finfo(wanted[0].dtype).eps, given.eps()) if wanted[0] is not None else 0.0
    eps = max(eps, *(coarse for _, _, coarse in got))
    grows = all(_grown(one, other) for (one, *_), (other, *_) in zip(got, got[1:], strict=False))
    op, line = _first(module, how, ids, call) if max(apart) > 1e-3 else ("", None)
    return Decoding(
        known.model, "", how.cache, how.tokens, tuple(apart), eps, grows, op, line, known.definition, known.installed
    )


def _not(known: Decoding, why: str) -> Decoding:
    return Decoding(known.model, why, definition=known.definition, installed=known.installed)


def _lengths(ids: Tensor) -> range:
    return range(PREFILL, ids.shape[1] + 1)


def _apart(got: list[_Step], wanted: Sequence[Tensor | None]) -> list[float]:
    """By how much the last scores differ, relative to the largest, at every position."""
    apart = []
    for (_, mine, _), other in zip(got, wanted, strict=True):
        assert other is not None
        scale = float(other.abs().max()) or 1.0
        apart.append(float((mine[:, -1].double() - other[:, -1].double()).abs().max()) / scale)
    return apart


def _steps(module: nn.Module, how: _Way, ids: Tensor, *, whole: bool = False) -> Iterator[_Step]:
    """After every call with the cache, its shapes, the scores and its rounding; `whole`: it gets all tokens."""
    cache: Any = None
    for n in _lengths(ids):
        some = ids[:, :n] if cache is None or whole else ids[:, n - 1 : n]
        output = how.call(module, some, cache, caching=True)
        cache, made = cache_in(output, how.cache), scores(output, some)
        if cache is None or made is None:
            return
        kept = list(_tensors(cache))
        yield [tuple(tensor.shape) for tensor in kept], made, max(map(_rounding, kept), default=0.0)


def _rounding(kept: Tensor) -> float:
    """The relative rounding of what a cache holds: it may be kept in fewer bits."""
    if kept.is_floating_point():
        return torch.finfo(kept.dtype).eps
    return 1 / 128 if kept.dtype in (torch.int8, torch.uint8) else 0.0


def _tensors(cache: Any, depth: int = 0) -> Iterator[Tensor]:
    if isinstance(cache, Tensor):
        yield cache
    elif depth < 5 and isinstance(cache, Mapping):
        for each in cache.values():
            yield from _tensors(each, depth + 1)
    elif depth < 5 and isinstance(cache, (list, tuple)):
        for each in cache:
            yield from _tensors(each, depth + 1)
    elif depth < 5 and hasattr(cache, "__dict__"):
        yield from _tensors(vars(cache), depth + 1)


def _grown(one: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> bool:
    """Whether every tensor of a cache has one position more in one dimension, and is alike in the others."""
    pairs = list(zip(one, other, strict=False))
    return bool(pairs) and all(
        len(a) == len(b) and sorted(y - x for x, y in zip(a, b, strict=True))[-2:] in ([0, 1], [1]) for a, b in pairs
    )


def _looks_ahead(made: list[Tensor]) -> bool:
    longest = made[-1]
    if longest.shape[1] == 1:
        return False
    limit = 1e-3 * (float(longest.abs().max()) or 1.0)
    return any(float((each - longest[:, : each.shape[1]]).abs().max()) > limit for each in made)


def _tried(call: Callable[[Callable[[], Any], Any], Any], run: Callable[[], Any], inside: Any = None) -> Any:
    try:
        return call(run, inside or ExitStack())
    except Exception as error:
        return error


# ── where the two ways part ────────────────────────────────────────────────────────────────────────────────────────
def _first(module: nn.Module, how: _Way, ids: Tensor, call: Callable[[Callable[[], Any], Any], Any]) -> tuple[str, Any]:
    """The first operation that gives other values for the last token with the cache than without."""
    n, whole, one = PREFILL + 2, Followed(), Followed()
    _tried(call, lambda: how.call(module, ids[:, :n], caching=False), whole)

    def step() -> Any:
        cache = cache_in(how.call(module, ids[:, : n - 1], caching=True), how.cache)
        with one:
            return how.call(module, ids[:, n - 1 : n], cache, caching=True)

    _tried(call, step)
    counts: Counter[Any] = Counter()
    known: dict[Any, Any] = {}
    for op in whole.ops:
        known[op.name, op.line, counts[op.name, op.line]] = op.makes
        counts[op.name, op.line] += 1
    counts.clear()
    joined: list[tuple[str, list[Tensor], Any]] = []  # what only the way with the cache does
    for op in one.ops:
        key = (op.name, op.line, counts[op.name, op.line])
        counts[op.name, op.line] += 1
        if key not in known:
            joined.append((op.name, op.makes, op.stack))
        elif not all(_last_agree(a, b) for a, b in zip(op.makes, known[key], strict=False)):
            own = (op.name, op.makes, op.stack)
            name, _, stack = next((each for each in reversed(joined) if _among(each[1], op.reads)), own)
            return name, frames.line_of(stack[0] if stack else op.line)
    return "", None


def _last_agree(mine: Tensor, other: Tensor) -> bool:
    """Whether two results agree in the last positions, as many as the shorter has; True if not comparable."""
    if mine.dim() != other.dim() or not mine.numel() or mine.dtype != other.dtype:
        return True
    for dim, (short, long) in enumerate(zip(mine.shape, other.shape, strict=True)):
        if short > long:
            return True
        other = other.narrow(dim, long - short, short)
    first, second = mine.double(), other.double()
    apart = torch.where(first == second, 0.0, (first - second).abs())
    return bool(
        (apart <= 1e-4 * (1e-6 + second[second.isfinite()].abs().max() if second.isfinite().any() else 1)).all()
    )


def _among(makes: list[Tensor], reads: list[Tensor]) -> bool:
    """Whether something made is read, turned perhaps."""
    return any(
        a.numel() == b.numel() and torch.equal(a.flatten().sort()[0], b.flatten().sort()[0])
        for a in makes
        for b in reads
        if a.dtype == b.dtype
    )
