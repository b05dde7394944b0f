"""Words of a graph: which library functions count as one operation, and which operations are no computation.

The operations that one call of such a function made are told by the function's frame in their tracebacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.python.framework import tensor_util

from smokestep.backends.tensorflow import vocabulary

# (file, function) -> the operation's name in the words of the checks, and the name scope that the function opens
FUNCTIONS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("losses_impl.py", "softmax_cross_entropy"): ("cross_entropy", "softmax_cross_entropy_loss"),
    ("losses_impl.py", "sparse_softmax_cross_entropy"): ("cross_entropy", "sparse_softmax_cross_entropy_loss"),
    ("losses_impl.py", "sigmoid_cross_entropy"): ("binary_cross_entropy_with_logits", "sigmoid_cross_entropy_loss"),
    ("losses_impl.py", "mean_squared_error"): ("mse_loss", "mean_squared_error"),
    ("losses_impl.py", "absolute_difference"): ("l1_loss", "absolute_difference"),
    ("losses_impl.py", "huber_loss"): ("huber_loss", "huber_loss"),
    ("losses_impl.py", "log_loss"): ("binary_cross_entropy", "log_loss"),
    ("loss_ops.py", "softmax_cross_entropy"): ("cross_entropy", "softmax_cross_entropy_loss"),
    ("loss_ops.py", "sparse_softmax_cross_entropy"): ("cross_entropy", "sparse_softmax_cross_entropy_loss"),
    ("loss_ops.py", "sigmoid_cross_entropy"): ("binary_cross_entropy_with_logits", "sigmoid_cross_entropy_loss"),
    ("loss_ops.py", "mean_squared_error"): ("mse_loss", "mean_squared_error"),
    ("loss_ops.py", "absolute_difference"): ("l1_loss", "absolute_difference"),
    ("loss_ops.py", "log_loss"): ("binary_cross_entropy", "log_loss"),
    ("nn_ops.py", "softmax_cross_entropy_with_logits"): ("cross_entropy", ""),
    ("nn_ops.py", "softmax_cross_entropy_with_logits_v2"): ("cross_entropy", ""),
    ("nn_ops.py", "softmax_cross_entropy_with_logits_v2_helper"): ("cross_entropy", ""),
    ("nn_ops.py", "sparse_softmax_cross_entropy_with_logits"): ("cross_entropy", ""),
    ("nn_ops.py", "sparse_softmax_cross_entropy_with_logits_v2"): ("cross_entropy", ""),
    ("nn_impl.py", "sigmoid_cross_entropy_with_logits"): ("binary_cross_entropy_with_logits", "logistic_loss"),
    ("nn_impl.py", "sigmoid_cross_entropy_with_logits_v2"): ("binary_cross_entropy_with_logits", "logistic_loss"),
    ("nn_impl.py", "weighted_cross_entropy_with_logits"): ("binary_cross_entropy_with_logits", "logistic_loss"),
    ("nn_impl.py", "weighted_cross_entropy_with_logits_v2"): ("binary_cross_entropy_with_logits", "logistic_loss"),
    ("nn_ops.py", "softmax"): ("softmax", ""),
    ("nn_ops.py", "softmax_v2"): ("softmax", ""),
    ("nn_ops.py", "log_softmax"): ("log_softmax", ""),
    ("nn_ops.py", "log_softmax_v2"): ("log_softmax", ""),
    ("layers.py", "softmax"): ("softmax", ""),
    ("nn_ops.py", "dropout"): ("dropout", "dropout"),
    ("nn_ops.py", "dropout_v2"): ("dropout", "dropout"),
    ("layers.py", "dropout"): ("dropout", "Dropout"),
    ("layers.py", "batch_norm"): ("batch_norm", "BatchNorm"),
    ("layers.py", "layer_norm"): ("layer_norm", "LayerNorm"),
    ("layers.py", "flatten"): ("flatten", "Flatten"),
    ("core.py", "flatten"): ("flatten", "flatten"),
    ("nn_impl.py", "batch_normalization"): ("batch_norm", "batchnorm"),
    ("nn_impl.py", "l2_normalize"): ("normalize", "l2_normalize"),
    ("nn_ops.py", "leaky_relu"): ("leaky_relu", "LeakyRelu"),
    ("clip_ops.py", "clip_by_value"): ("clamp", "clip_by_value"),
    ("embedding_ops.py", "embedding_lookup"): ("embedding", "embedding_lookup"),
    ("embedding_ops.py", "embedding_lookup_v2"): ("embedding", "embedding_lookup"),
}
LOSSES = frozenset(
    "cross_entropy binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss huber_loss".split()
)
# Functions that already take the mean over the entries (and whose weight of each entry is 1 unless said otherwise).
MEANS = frozenset({"losses_impl.py", "loss_ops.py"})
NORMALIZATION_CLASSES = frozenset({"BatchNormalization", "BatchNormalizationBase"})

WRITES = vocabulary.WRITES | frozenset(
    "Assign AssignAdd AssignSub ScatterUpdate ScatterAdd ScatterSub ResourceScatterMul".split()
)
VARIABLES = frozenset("VarHandleOp VariableV2 Variable".split())
# What feeds a graph, checks it, keeps it or draws its curves: nothing that a loss could be computed from.
NO_COMPUTATION = (
    vocabulary.QUIET
    | VARIABLES
    | vocabulary.READS
    | WRITES
    | frozenset(
        "Placeholder PlaceholderWithDefault Const NoOp SaveV2 RestoreV2 MergeV2Checkpoints ShardedFilename "
        "MergeSummary ScalarSummary HistogramSummary ImageSummary AudioSummary TensorSummary TensorSummaryV2 "
        "IsVariableInitialized Print StringJoin WriteFile Timestamp RefIdentity".split()
    )
)
DRAWS: Mapping[str, str] = {
    "RandomStandardNormal": "randn",
    "RandomUniform": "rand",
    "RandomUniformInt": "randint",
    "TruncatedNormal": "rand_truncated",
    "StatelessRandomNormalV2": "randn",
    "StatelessRandomUniformV2": "rand",
}
NAMES: Mapping[str, str] = {
    **DRAWS,
    "StopGradient": "detach",
    "Shape": "shape",
    "ShapeN": "shape",
    "Size": "numel",
    "Rank": "dim",
    "Identity": "alias",
    "Fill": "new_full",
    "Range": "arange",
}
# Inputs that say a shape or an axis: position from which on they are no operand.
SHAPED: Mapping[str, int] = {
    **dict.fromkeys(vocabulary.AXES, 1),
    **dict.fromkeys("Reshape Transpose ExpandDims Tile BroadcastTo Slice StridedSlice Pad PadV2 MirrorPad".split(), 1),
    **dict.fromkeys("Fill RandomStandardNormal RandomUniform RandomUniformInt TruncatedNormal".split(), 0),
    **dict.fromkeys("ResizeBilinear ResizeNearestNeighbor".split(), 1),
}
# Types whose result passes no gradient on: TensorFlow registers None for what they read.
CUTS = frozenset(
    "StopGradient ArgMax ArgMin Floor Ceil Round Rint FloorDiv OneHot Equal NotEqual Greater GreaterEqual Less "
    "LessEqual LogicalAnd LogicalOr LogicalNot Shape ShapeN Size Rank ZerosLike OnesLike PyFunc "
    "PyFuncStateless InTopK InTopKV2 Multinomial Where NonMaxSuppressionV3".split()
)
FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")


def name_of(op_type: str) -> str:
    """What an operation of a graph is called."""
    return NAMES.get(op_type) or vocabulary.name_of(op_type)


def constant(tensor: Any) -> Any:
    """The value of a small constant, as a number or a list; None for anything else."""
    if tensor.op.type != "Const":
        return None
    value = tensor_util.constant_value(tensor)
    if value is None or np.size(value) > 16 or value.dtype.kind not in "fiub":
        return None
    return value.tolist()


def arguments(op: Any) -> dict[str, Any]:
    """The plain arguments of one operation."""
    attributes: dict[str, Any] = {}
    for key in ("keep_dims", "axis", "alpha", "is_training", "DstT"):
        try:
            attributes[key] = op.get_attr(key)
        except ValueError:
            continue
    constants = [constant(each) for each in op.inputs]
    try:
        return vocabulary.arguments(op.type, attributes, constants)
    except (TypeError, ValueError, IndexError):
        return {}
