"""Leaves this folder out where TensorFlow is not installed; the default environment has none."""

from __future__ import annotations

import importlib.util
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

collect_ignore_glob = [] if importlib.util.find_spec("tensorflow") else ["*"]
