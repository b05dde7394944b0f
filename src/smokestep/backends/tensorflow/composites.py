"""Composites: functions of TensorFlow and Keras that are one operation for the user, though they do many.

Told by the code object on the stack, so that nothing of the framework is wrapped, and a name imported long ago is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import CodeType
from typing import Any

from smokestep.backends.tensorflow.alive import imported

LOSSES = {
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "mean_squared_error": "mse_loss",
    "mean_absolute_error": "l1_loss",
    "huber": "huber_loss",
    "poisson": "poisson_nll_loss",
    "kl_divergence": "kl_divergence",
    "hinge": "hinge_loss",
    "squared_hinge": "squared_hinge_loss",
    "categorical_hinge": "categorical_hinge_loss",
    "log_cosh": "log_cosh",
    "mean_absolute_percentage_error": "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error": "mean_squared_logarithmic_error",
    "cosine_similarity": "cosine_similarity_loss",
    "binary_focal_crossentropy": "sigmoid_focal_loss",
    "categorical_focal_crossentropy": "focal_loss",
    "ctc": "ctc_loss",
    "dice": "dice_loss",
    "tversky": "tversky_loss",
}
# module, function or method -> name
_TABLE: tuple[tuple[str, str, str], ...] = (
    *(("keras.src.losses.losses", function, name) for function, name in LOSSES.items()),
    ("keras.src.losses.loss", "Loss.__call__", "loss"),
    ("keras.src.layers.normalization.batch_normalization", "BatchNormalization.call", "batch_norm"),
    ("keras.src.layers.normalization.layer_normalization", "LayerNormalization.call", "layer_norm"),
    ("keras.src.layers.normalization.rms_normalization", "RMSNormalization.call", "rms_norm"),
    ("keras.src.layers.normalization.group_normalization", "GroupNormalization.call", "group_norm"),
    ("keras.src.layers.normalization.unit_normalization", "UnitNormalization.call", "normalize"),
    ("keras.src.layers.regularization.dropout", "Dropout.call", "dropout"),
    ("keras.src.layers.regularization.spatial_dropout", "BaseSpatialDropout.call", "dropout"),
    ("keras.src.layers.regularization.alpha_dropout", "AlphaDropout.call", "dropout"),
    ("keras.src.layers.regularization.gaussian_dropout", "GaussianDropout.call", "dropout"),
    ("keras.src.layers.core.embedding", "Embedding.call", "embedding"),
    ("keras.src.backend.tensorflow.nn", "gelu", "gelu"),
    ("keras.src.backend.tensorflow.nn", "silu", "silu"),
    ("keras.src.backend.tensorflow.nn", "hard_sigmoid", "hardsigmoid"),
    ("keras.src.backend.tensorflow.nn", "hard_silu", "hardswish"),
    ("keras.src.backend.tensorflow.nn", "log_sigmoid", "logsigmoid"),
    ("keras.src.backend.tensorflow.nn", "celu", "celu"),
    ("keras.src.backend.tensorflow.nn", "glu", "glu"),
    ("keras.src.backend.tensorflow.nn", "softmax", "softmax"),
    ("keras.src.backend.tensorflow.nn", "log_softmax", "log_softmax"),
    ("keras.src.backend.tensorflow.nn", "one_hot", "one_hot"),
    ("keras.src.activations.activations", "mish", "mish"),
    ("keras.src.activations.activations", "leaky_relu", "leaky_relu"),
    ("tensorflow.python.ops.nn_ops", "gelu", "gelu"),
    ("tensorflow.python.ops.nn_ops", "dropout_v2", "dropout"),
    ("tensorflow.python.ops.nn_ops", "dropout", "dropout"),
    ("tensorflow.python.ops.nn_ops", "stateless_dropout", "dropout"),
    ("tensorflow.python.ops.nn_ops", "leaky_relu", "leaky_relu"),
    ("tensorflow.python.ops.nn_ops", "softmax_v2", "softmax"),
    ("tensorflow.python.ops.nn_ops", "log_softmax_v2", "log_softmax"),
    ("tensorflow.python.ops.nn_ops", "softmax_cross_entropy_with_logits_v2", "tf_cross_entropy"),
    ("tensorflow.python.ops.nn_ops", "sparse_softmax_cross_entropy_with_logits_v2", "tf_sparse_cross_entropy"),
    ("tensorflow.python.ops.nn_ops", "sparse_softmax_cross_entropy_with_logits", "tf_sparse_cross_entropy"),
    ("tensorflow.python.ops.nn_impl", "sigmoid_cross_entropy_with_logits_v2", "tf_sigmoid_cross_entropy"),
    ("tensorflow.python.ops.nn_impl", "sigmoid_cross_entropy_with_logits", "tf_sigmoid_cross_entropy"),
    ("tensorflow.python.ops.nn_impl", "weighted_cross_entropy_with_logits_v2", "tf_sigmoid_cross_entropy"),
    ("tensorflow.python.ops.nn_impl", "l2_normalize", "normalize"),
    ("tensorflow.python.ops.nn_impl", "l2_normalize_v2", "normalize"),
    ("tensorflow.python.ops.nn_impl", "swish", "silu"),
    ("tensorflow.python.ops.nn_impl", "batch_normalization", "batch_norm"),
    ("tensorflow.python.ops.nn_impl", "fused_batch_norm", "batch_norm"),
    ("tensorflow.python.ops.embedding_ops", "embedding_lookup", "embedding"),
    ("tensorflow.python.ops.embedding_ops", "embedding_lookup_v2", "embedding"),
    ("tensorflow.python.ops.clip_ops", "clip_by_value", "clamp"),
    ("tensorflow.python.ops.clip_ops", "clip_by_global_norm", "clip_grad_norm_"),
    ("tensorflow.python.ops.clip_ops", "clip_by_norm", "clip_by_norm"),
    ("tensorflow.python.ops.random_ops", "random_normal", "randn"),
    ("tensorflow.python.ops.random_ops", "truncated_normal", "randn"),
    ("tensorflow.python.ops.random_ops", "random_uniform", "rand"),
    ("tensorflow.python.ops.stateless_random_ops", "stateless_random_normal", "randn"),
    ("tensorflow.python.ops.stateless_random_ops", "stateless_truncated_normal", "randn"),
    ("tensorflow.python.ops.stateless_random_ops", "stateless_random_uniform", "rand"),
    ("tensorflow.python.ops.linalg_ops", "norm", "norm"),
    ("tensorflow.python.ops.linalg_ops", "norm_v2", "norm"),
    ("tensorflow.python.ops.math_ops", "tensordot", "matmul"),
    ("tensorflow.python.ops.math_ops", "reduce_logsumexp", "logsumexp"),
    ("tensorflow.python.ops.math_ops", "reduce_std", "std"),
    ("tensorflow.python.ops.math_ops", "reduce_variance", "var"),
)
_codes: dict[CodeType, str] = {}
_loaded: set[str] = set()


def load() -> None:
    """Look the functions up in what is imported by now; a library of another version may lack some."""
    for module in dict.fromkeys(module for module, _, _ in _TABLE):
        if module in _loaded or not (imported(module) or module.startswith("tensorflow.")):
            continue
        _loaded.add(module)
        found = import_module(module)
        for _, path, name in (each for each in _TABLE if each[0] == module):
            function: Any = found
            for part in path.split("."):
                function = getattr(function, part, None)
            while hasattr(function, "__wrapped__") or hasattr(function, "_tf_decorator"):
                inner = getattr(function, "__wrapped__", None)
                if inner is None or inner is function:
                    break
                function = inner
            if code := getattr(function, "__code__", None):
                _codes[code] = name


def known(code: CodeType) -> bool:
    """Whether this is the code of such a function."""
    return code in _codes


def name_of(code: CodeType) -> str:
    """What it is called."""
    return _codes[code]


def settle(function: Callable[..., Any]) -> None:
    """Count a function as known under its own name; for wrappers that are looked through."""
    _codes.setdefault(function.__code__, function.__name__)
