"""Keeping: everything that a step of a training may change, read, written, and put back after a block.

Arrays are never changed in place, so what is kept is which array lies where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax

from smokestep.backends.jax import trees
from smokestep.backends.jax.snapshot import preserved
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
        roots = [self.state, *self.training.model.values(), *self.training.optimizer.values()]
        try:
            with preserved(roots, self.holders):
                yield
        finally:
            self.state = state


def _replaced(tree: Any, other: Any, living: set[int]) -> Any:
    if id(tree) in living:
        return tree
    try:
        return jax.tree_util.tree_map(
            lambda value: value if id(value) in living else other(value),
            tree,
            is_leaf=lambda value: id(value) in living,
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
