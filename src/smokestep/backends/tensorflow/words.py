"""Words: what findings call otherwise where the framework is TensorFlow or Keras; the first that fits is said."""

from __future__ import annotations

from smokestep.backends import keras_words

WORDS: tuple[tuple[str, str], ...] = (
    *keras_words.WORDS,
    ("write the computation with torch functions", "write the computation with TensorFlow functions"),
    ("`.numpy()` takes it out of the graph", "`.numpy()` takes it off the tape"),
    ("`detach` takes it out of the graph", "`tf.stop_gradient` takes it off the tape"),
    ("`detach`", "`tf.stop_gradient`"),
    ("torch.where", "tf.where"),
)
