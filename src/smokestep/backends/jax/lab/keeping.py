"""Keeping: everything that a step of a training may change, read, written, and put back after a block.

Arrays are never changed in place, so what is kept is which array lies where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax

from smokestep.backends.jax import trees
from smokestep.training import Training


class Kept:
    """The state of one training, wherever it lies: handed over, in objects changed in place, in variables."""

    def __init__(self, training: Training, state: Any) -> None:
        self.training, self.state = training, state
        self.holders = trees.holders(list(training.steps.values()))

    def roots(self) -> list[Any]:
        """Every tree of it."""
        found = [self.state] if self.training.has_state else []
        found += [*self.training.model.values(), *self.training.optimizer.values()]
        return [*found, *(holder.read() for holder in self.holders)]

    def arrays(self) -> dict[tuple[str, ...], trees.Leaf]:
        """Its arrays by path, each once."""
        found: dict[tuple[str, ...], trees.Leaf] = {}
        seen: set[int] = set()
        for number, root in enumerate(self.roots()):
            for leaf in trees.leaves(root, (str(number),)):
                if id(leaf.value) not in seen:
                    seen.add(id(leaf.value))
                    found[leaf.path] = leaf
        return found

    def put(self, new: Mapping[int, Any]) -> None:
        """Give arrays another value, by the identity of what they are now."""

        def other(value: Any) -> Any:
            return new.get(id(value), value)

        for variable in self.variables():
            value = variable.get_raw_value()
            if id(value) in new:
                variable.set_raw_value(new[id(value)])
        living = {id(each) for each in self.living()}
        if self.training.has_state:
            self.state = _replaced(self.state, other, living)
        for holder in self.holders:
            value = holder.read()
            if id(value) not in living:
                holder.write(_replaced(value, other, living))

    def living(self) -> list[Any]:
        """The objects among them that are changed in place."""
        found: list[Any] = []
        for root in self.roots():
            found += _living(root)
        return found

    def variables(self) -> list[Any]:
        """The variables of the living objects."""
        from_nnx = [node for node in _nodes(self.living()) if hasattr(node, "set_raw_value")]
        return list({id(each): each for each in from_nnx}.values())

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Put everything back at the end of the block."""
        state = self.state
        values = [(holder, holder.read()) for holder in self.holders]
        containers = [(each, each.copy()) for root in self.roots() for each in _containers(root)]
        nodes = list({id(each): each for each in _nodes(self.living())}.values())
        variables = [(each, each.get_raw_value()) for each in nodes if hasattr(each, "set_raw_value")]
        attributes = [(each, dict(vars(each))) for each in nodes if trees.is_living(each) and hasattr(each, "__dict__")]
        try:
            yield
        finally:
            self.state = state
            for each, before in attributes:
                vars(each).clear()
                vars(each).update(before)
            for each, value in variables:
                each.set_raw_value(value)
            for each, before in containers:
                if isinstance(each, dict):
                    each.clear()
                    each.update(before)
                else:
                    each[:] = before
            for holder, value in values:
                holder.write(value)


def _replaced(tree: Any, other: Any, living: set[int]) -> Any:
    if id(tree) in living:
        return tree
    try:
        return jax.tree_util.tree_map(
            lambda value: value if id(value) in living else other(value), tree, is_leaf=lambda value: id(value) in living
        )
    except (TypeError, ValueError):
        return tree


def _living(tree: Any) -> list[Any]:
    if trees.is_living(tree):
        return [tree]
    try:
        leaves = jax.tree_util.tree_leaves(tree, is_leaf=trees.is_living)
    except (TypeError, ValueError):
        return []
    return [each for each in leaves if trees.is_living(each)]


def _nodes(living: list[Any]) -> list[Any]:
    if not living:
        return []
    from flax import nnx

    return [node for each in living for _, node in nnx.iter_graph(each) if not isinstance(node, type)]


def _containers(tree: Any, depth: int = 0) -> Iterator[Any]:
    if depth > 6 or not isinstance(tree, (dict, list, tuple)):
        return
    if isinstance(tree, (dict, list)):
        yield tree
    for each in tree.values() if isinstance(tree, dict) else tree:
        yield from _containers(each, depth + 1)
