"""Words: what findings call otherwise where the framework is TensorFlow or Keras."""

from __future__ import annotations

WORDS: tuple[tuple[str, str], ...] = (
    ("`detach` takes it out of the graph", "`stop_gradient` takes it out of the graph"),
    ("remove `detach`", "remove `stop_gradient`"),
    ("`detach`", "`tf.stop_gradient`"),
    ("gradient is turned off", "no tape records it"),
)
