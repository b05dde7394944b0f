"""What a training's step trains: found by walking the step's closure, without smokestep's own recorder.

The zoo's tests use it to see that an entry really trains; an independent witness, so it must stay this simple.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def trained_tensors(root: Any) -> dict[str, torch.Tensor]:
    """Every floating tensor that `root` (a step, or a mapping of steps) holds on to, with the path that leads there."""
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()

    def walk(thing: Any, path: str) -> None:
        if id(thing) in seen or len(path) > 400:
            return
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            if (thing.is_floating_point() or thing.is_complex()) and not thing.is_meta:
                found[path] = thing
        elif isinstance(thing, nn.Module):
            for name, parameter in thing.named_parameters():
                walk(parameter, f"{path}.{name}")
        elif isinstance(thing, torch.optim.Optimizer):
            for i, group in enumerate(thing.param_groups):
                walk(group["params"], f"{path}.{i}")
        else:
            for name, inner in children(thing):
                walk(inner, f"{path}.{name}")

    walk(root, "")
    return found


def children(thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, dict):
        yield from ((str(key), value) for key, value in thing.items())
    elif isinstance(thing, (list, tuple)):
        yield from ((str(i), value) for i, value in enumerate(thing))
    elif closure := getattr(thing, "__closure__", None):
        for name, cell in zip(thing.__code__.co_freevars, closure):
            yield name, cell.cell_contents
    elif (owner := getattr(thing, "__self__", None)) is not None and hasattr(owner, "__dict__"):
        yield from vars(owner).items()


def snapshot(root: Any) -> dict[str, torch.Tensor]:
    """A copy of every tensor the step holds, by path."""
    return {path: tensor.detach().clone() for path, tensor in trained_tensors(root).items()}


def moved(before: dict[str, torch.Tensor], root: Any) -> list[str]:
    """The paths whose tensor is no longer what it was."""
    return [
        path
        for path, tensor in trained_tensors(root).items()
        if path not in before or not torch.equal(before[path], tensor.detach())
    ]
