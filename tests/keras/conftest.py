"""Where TensorFlow or Keras is missing, nothing in this folder is collected."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("tensorflow") and find_spec("keras") else ["*"]
