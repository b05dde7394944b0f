"""Asking: the calls that ask the system for a seed, heard while a training is built and run."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from smokestep.backends.jax import frames
from smokestep.findings import Line


@contextmanager
def asking() -> Iterator[dict[str, Line | None]]:
    """Hears, with the user's line, the calls that seed a generator from the system."""
    heard: dict[str, Line | None] = {}

    def listen(stack: ExitStack, owner: Any, name: str, shown: str, always: bool = False) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if always or not [each for each in (*args, *kwargs.values()) if each is not None]:
                own = frames.lines(frames.of_stack(1))[1]
                if own:
                    heard.setdefault(shown, own[0])
            return original(*args, **kwargs)

        stack.callback(setattr, owner, name, original)
        setattr(owner, name, call)

    with ExitStack() as stack:
        listen(stack, random, "seed", "random.seed()")
        listen(stack, os, "urandom", "os.urandom", always=True)
        listen(stack, np.random, "default_rng", "np.random.default_rng()")
        listen(stack, np.random, "seed", "np.random.seed()")
        yield heard
