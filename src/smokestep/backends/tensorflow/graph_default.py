"""The default graph: one of its own for whatever is built within a block, and the old one put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensorflow.python.eager import context
from tensorflow.python.framework import func_graph, ops, stack


@contextmanager
def own_default_graph(seed: int | None = None) -> Iterator[None]:
    """An empty default graph within the block, and none of the sessions around; each graph made there is seeded.

    Eager execution, which a program may turn off, is put back too.
    """
    graphs, sessions = ops._default_graph_stack, stack._default_session_stack
    before = list(graphs.stack), graphs._global_default_graph, list(sessions.stack), sessions._enforce_nesting
    mode, local = context.default_execution_mode, context.context()._thread_local_data
    eager = local.is_eager
    construct = ops.Graph.__init__

    def seeded(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        if not isinstance(self, func_graph.FuncGraph):
            self._seed = seed

    ops.Graph.__init__ = seeded
    graphs.stack[:], graphs._global_default_graph, sessions.stack[:] = [], None, []
    try:
        yield
    finally:
        ops.Graph.__init__ = construct
        graphs.stack[:], graphs._global_default_graph = before[0], before[1]
        sessions.stack[:], sessions._enforce_nesting = before[2], before[3]
        context.default_execution_mode, local.is_eager = mode, eager
