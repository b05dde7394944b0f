"""State: the process-wide settings of TensorFlow and Keras, seeded, taken and put back.

Keras is asked only if the user's code has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from smokestep.backends.tensorflow.graph_default import own_default_graph

apart = own_default_graph  # where a function that builds a training can be called without a trace


def seed(value: int) -> None:
    """Seed TensorFlow's generators and, where it is loaded, the one from which Keras draws its seeds."""
    tf.random.set_seed(value)
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(value % 2**32)


def global_state() -> dict[str, tuple[Any, Callable[[Any], object]]]:
    """The global settings that a training can change: by name, the value and what sets it."""
    state: dict[str, tuple[Any, Callable[[Any], object]]] = {
        "functions run eagerly": (tf.config.functions_run_eagerly(), tf.config.run_functions_eagerly),
        "deterministic operations": (_deterministic(), _determine),
        "soft device placement": (tf.config.get_soft_device_placement(), tf.config.set_soft_device_placement),
        "eager context RNG": (_context_generator(), _set_context_generator),
    }
    generator = _default_generator()
    if generator is not None:
        state["TensorFlow RNG"] = (np.array(generator.state.numpy()), lambda value: generator.state.assign(value))
    if keras := sys.modules.get("keras"):
        state["keras floatx"] = (keras.config.floatx(), keras.config.set_floatx)
        state["keras dtype policy"] = (keras.config.dtype_policy(), keras.config.set_dtype_policy)
        state["keras image data format"] = (
            keras.config.image_data_format(),
            keras.config.set_image_data_format,
        )
        if (held := _keras_seeds()) is not None:
            state["Keras RNG"] = held
    return state


def restore_global(before: Mapping[str, tuple[Any, Callable[[Any], object]]]) -> tuple[str, ...]:
    """Put the settings back; gives the names of those that had changed."""
    now = global_state()
    changed = [name for name, (value, _) in before.items() if name in now and not _equal(now[name][0], value)]
    for name in changed:
        value, put = before[name]
        put(value)
    return tuple(changed)


def _deterministic() -> bool:
    from tensorflow.python.framework import config

    return bool(config.is_op_determinism_enabled())


def _determine(value: bool) -> None:
    if value:
        tf.config.experimental.enable_op_determinism()
    else:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


def _context_generator() -> tuple[Any, Any]:
    """The seed from which operations draw theirs, and how far that drawing has come."""
    found = context.context()
    generator = getattr(found, "_rng", None)
    return found._seed, None if generator is None else generator.getstate()


def _set_context_generator(value: tuple[Any, Any]) -> None:
    found = context.context()
    found._seed = value[0]
    if value[1] is None:
        found._rng = None
    elif getattr(found, "_rng", None) is not None:
        found._rng.setstate(value[1])


def _default_generator() -> Any:
    from tensorflow.python.ops import stateful_random_ops

    return stateful_random_ops.global_generator


def _keras_seeds() -> tuple[Any, Callable[[Any], object]] | None:
    """The generator that Keras keeps for layers that were given no seed, and the seed for the next ones."""
    try:
        from keras.src.backend.common import global_state as kept
        from keras.src.random import seed_generator as seeds
    except ImportError:
        return None
    generator = kept.get_global_attribute(seeds.GLOBAL_SEED_GENERATOR)
    chosen = kept.get_global_attribute("global_random_seed")
    state = None if generator is None else np.array(generator.state)

    def put(value: tuple[Any, Any]) -> None:
        kept.set_global_attribute("global_random_seed", value[0])
        now = kept.get_global_attribute(seeds.GLOBAL_SEED_GENERATOR)
        if value[1] is None:
            kept.set_global_attribute(seeds.GLOBAL_SEED_GENERATOR, None)
        elif now is not None:
            now.state.assign(value[1])

    return (chosen, state), put


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is not None and other is not None and np.array_equal(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def reset() -> None:
    """Forget the names that Keras has counted, and its graph."""
    if keras := sys.modules.get("keras"):
        keras.utils.clear_session(free_memory=False)
