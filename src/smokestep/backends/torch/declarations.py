"""Declarations: what the user promised in `Training`, turned into full names."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from smokestep.config import ConfigError
from smokestep.evidence.declared import Declared
from smokestep.evidence.steps import Movement

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Declarations:
    """The declarations of one training (None: nothing is declared); `known` names every parameter and buffer by id."""

    def __init__(self, training: Any, known: Mapping[int, str], order: Sequence[str]) -> None:
        self.training, self.known, self.order = training, known, order

    def everywhere(self, word: str) -> frozenset[str]:
        """The names that `trains` or `untouched` declares for any step."""
        declared = getattr(self.training, word, None) or {}
        return frozenset(name for things in declared.values() for name in self.resolve(things, word))

    def resolve(self, things: Iterable[Any], word: str) -> frozenset[str]:
        """The full names that these names, patterns, parameters, modules or optimizers stand for."""
        known = self.known
        everything = set(known.values())
        found: set[str] = set()
        for thing in things:
            if isinstance(thing, str):
                hit = {
                    n for n in everything if n == thing or n.startswith(thing + ".") or fnmatch.fnmatchcase(n, thing)
                }
                if not hit:
                    raise ConfigError(
                        f"{word}: {thing!r} matches no parameter or buffer; "
                        f"there are: {', '.join(sorted(everything)[:20])}"
                    )
                found |= hit
            elif isinstance(thing, nn.Module):
                found |= {known[id(t)] for t in (*thing.parameters(), *thing.buffers()) if id(t) in known}
            elif isinstance(thing, Optimizer):
                found |= {known[id(t)] for group in thing.param_groups for t in group["params"] if id(t) in known}
            elif isinstance(thing, torch.Tensor) and id(thing) in known:
                found.add(known[id(thing)])
            else:
                raise ConfigError(
                    f"{word}: expected a name, pattern, parameter, module or optimizer of this training, "
                    f"got {type(thing).__name__}"
                )
        return frozenset(found)

    def declared(self, movements: Sequence[Movement]) -> Declared:
        """The declarations beside what each step really changed."""
        if self.training is None:
            return Declared()
        order = tuple(self.order)
        changed: dict[str, set[str]] = {name: set() for name in order}
        statistics: dict[str, set[str]] = {name: set() for name in order}
        for move in movements:
            if move.update != 0.0 and move.step < len(order):
                kept = statistics if move.parameter.rpartition(".")[2] in STATISTICS else changed
                kept[order[move.step]].add(move.parameter)
        return Declared(
            trains={step: self.resolve(things, "trains") for step, things in self.training.trains.items()},
            untouched={step: self.resolve(things, "untouched") for step, things in self.training.untouched.items()},
            changed={name: frozenset(each) for name, each in changed.items()},
            changed_statistics={name: frozenset(each) for name, each in statistics.items()},
            order=order,
            task=self.training.task,
            causal=self.training.causal,
            batch_dim=self.training.batch_dim,
        )


def batch_names(value: Any, name: str = "batch", depth: int = 0) -> Iterable[tuple[torch.Tensor, str]]:
    """The tensors of a batch, each with its path in it."""
    if isinstance(value, torch.Tensor):
        yield value, name
    elif depth < 4 and isinstance(value, Mapping):
        for key, each in value.items():
            yield from batch_names(each, f"{name}[{key!r}]", depth + 1)
    elif depth < 4 and isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, each in zip(value._fields, value, strict=True):
            yield from batch_names(each, f"{name}.{key}", depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from batch_names(each, f"{name}[{index}]", depth + 1)
    elif depth < 4 and hasattr(value, "__dataclass_fields__"):
        for key in value.__dataclass_fields__:
            yield from batch_names(getattr(value, key, None), f"{name}.{key}", depth + 1)
