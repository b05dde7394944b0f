"""Vocabulary: what each TensorFlow operation is called in the words that the checks read, and its plain arguments.

Names are those of torch's functional calls where one does the same; an operation that has none keeps its own, in lower
case with underscores. The same table serves eager calls and the operations of a graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

NAMES: Mapping[str, str] = {
    # layers
    "BatchMatMul": "matmul",
    "BatchMatMulV2": "matmul",
    "BatchMatMulV3": "matmul",
    "BiasAdd": "add",
    "BiasAddV1": "add",
    "Conv2D": "conv2d",
    "Conv3D": "conv3d",
    "Conv2DBackpropInput": "conv_transpose2d",
    "Conv3DBackpropInputV2": "conv_transpose3d",
    "DepthwiseConv2dNative": "conv2d",
    "Einsum": "einsum",
    "FusedBatchNorm": "batch_norm",
    "FusedBatchNormV2": "batch_norm",
    "FusedBatchNormV3": "batch_norm",
    "MatMul": "matmul",
    "SparseMatMul": "matmul",
    "ResourceGather": "embedding",
    "AvgPool": "avg_pool2d",
    "AvgPool3D": "avg_pool3d",
    "MaxPool": "max_pool2d",
    "MaxPoolV2": "max_pool2d",
    "MaxPool3D": "max_pool3d",
    "LRN": "local_response_norm",
    "ResizeBilinear": "interpolate",
    "ResizeNearestNeighbor": "interpolate",
    # activations
    "Elu": "elu",
    "LeakyRelu": "leaky_relu",
    "LogSoftmax": "log_softmax",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
    # losses
    "SoftmaxCrossEntropyWithLogits": "cross_entropy",
    "SparseSoftmaxCrossEntropyWithLogits": "cross_entropy",
    "CTCLoss": "ctc_loss",
    "CTCLossV2": "ctc_loss",
    "L2Loss": "l2_loss",
    # arithmetic
    "Add": "add",
    "AddN": "add",
    "AddV2": "add",
    "Div": "div",
    "DivNoNan": "div",
    "RealDiv": "div",
    "FloorDiv": "floor_divide",
    "FloorMod": "remainder",
    "Mul": "mul",
    "MulNoNan": "mul",
    "Neg": "neg",
    "Sub": "sub",
    "SquaredDifference": "squared_difference",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Abs": "abs",
    "Cumsum": "cumsum",
    "Erf": "erf",
    "Exp": "exp",
    "Expm1": "expm1",
    "Log": "log",
    "Log1p": "log1p",
    "Pow": "pow",
    "Reciprocal": "reciprocal",
    "Rsqrt": "rsqrt",
    "Sign": "sign",
    "Sqrt": "sqrt",
    "Square": "square",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Rint": "round",
    "ClipByValue": "clamp",
    # reductions
    "All": "all",
    "Any": "any",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "EuclideanNorm": "norm",
    "Max": "amax",
    "Mean": "mean",
    "Min": "amin",
    "Prod": "prod",
    "Sum": "sum",
    "TopKV2": "topk",
    # shapes
    "BroadcastTo": "broadcast_to",
    "Cast": "to",
    "Bitcast": "to",
    "ConcatV2": "cat",
    "Concat": "cat",
    "ExpandDims": "unsqueeze",
    "GatherV2": "index_select",
    "Gather": "index_select",
    "GatherNd": "__getitem__",
    "Identity": "identity",
    "IdentityN": "identity",
    "MirrorPad": "pad",
    "Pack": "stack",
    "Pad": "pad",
    "PadV2": "pad",
    "Reshape": "reshape",
    "Reverse": "flip",
    "ReverseV2": "flip",
    "Slice": "narrow",
    "Split": "split",
    "SplitV": "split",
    "Squeeze": "squeeze",
    "StridedSlice": "__getitem__",
    "Tile": "tile",
    "Transpose": "permute",
    "Unpack": "unbind",
    "TensorScatterUpdate": "scatter",
    "TensorScatterAdd": "scatter_add",
    "ScatterNd": "scatter",
    "UnsortedSegmentSum": "segment_sum",
    "SegmentSum": "segment_sum",
    "SegmentMean": "segment_mean",
    # choices and comparisons
    "Equal": "eq",
    "Greater": "gt",
    "GreaterEqual": "ge",
    "Less": "lt",
    "LessEqual": "le",
    "LogicalAnd": "logical_and",
    "LogicalNot": "logical_not",
    "LogicalOr": "logical_or",
    "NotEqual": "ne",
    "OneHot": "one_hot",
    "Select": "where",
    "SelectV2": "where",
    "Where": "nonzero",
    # what has no gradient, or is drawn
    "StopGradient": "detach",
    "PreventGradient": "prevent_gradient",
    "Multinomial": "multinomial",
    "StatelessMultinomial": "multinomial",
    "RandomPoissonV2": "poisson",
    **dict.fromkeys(
        "RandomStandardNormal TruncatedNormal StatelessRandomNormal StatelessRandomNormalV2 "
        "StatelessTruncatedNormalV2".split(),
        "randn",
    ),
    **dict.fromkeys("RandomUniform StatelessRandomUniform StatelessRandomUniformV2".split(), "rand"),
    **dict.fromkeys("RandomUniformInt StatelessRandomUniformIntV2".split(), "randint"),
    "PyFunc": "py_function",
    "EagerPyFunc": "py_function",
    "PyFuncStateless": "numpy_function",
    "OnesLike": "ones_like",
    "ZerosLike": "zeros_like",
    # linear algebra
    "MatrixBandPart": "tril",
    "MatrixDiagV3": "diag",
    "Cholesky": "cholesky",
    "MatrixInverse": "inverse",
}
# What tells something of shapes, makes constants or draws: none of it depends on the entries of what it reads.
SHAPES = frozenset("Shape ShapeN Size Rank BroadcastArgs BroadcastGradientArgs TensorListElementShape".split())
FACTORIES = frozenset(
    "Const Fill Range LinSpace Empty Placeholder RandomUniform RandomStandardNormal TruncatedNormal RandomUniformInt "
    "RandomShuffle StatelessRandomNormalV2 StatelessRandomUniformV2 StatelessTruncatedNormalV2 StatelessRandomNormal "
    "StatelessRandomUniform StatelessRandomUniformIntV2 StatelessRandomGetKeyCounter StatelessRandomGetAlg "
    "StatelessRandomGetKeyCounterAlg".split()
)
# Reading and writing of variables: no computation, but places.
READS = frozenset({"ReadVariableOp"})
WRITES = frozenset(
    "AssignVariableOp AssignAddVariableOp AssignSubVariableOp ResourceScatterUpdate ResourceScatterAdd "
    "ResourceScatterSub ResourceScatterNdUpdate ResourceApplyGradientDescent ResourceApplyAdam ResourceApplyMomentum "
    "ResourceApplyKerasMomentum ResourceApplyRMSProp ResourceApplyAdagradV2 ResourceStridedSliceAssign".split()
)
# Bookkeeping that is neither a value of the training nor a cause of anything.
QUIET = frozenset(
    "VarHandleOp VarIsInitializedOp DestroyResourceOp NoOp Assert EnsureShape CheckNumerics CheckNumericsV2 "
    "IteratorGetNext IteratorGetNextSync OptionalHasValue OptionalGetValue OptionalFromValue PrintV2 StringFormat "
    "AnonymousIteratorV3 MakeIterator DeleteIterator IteratorV2 AnonymousSeedGenerator DummySeedGenerator".split()
)
AXES = frozenset("Mean Sum Max Min Prod All Any EuclideanNorm ArgMax ArgMin Cumsum ReverseV2".split())  # second input


# Inputs that say how (axes, shapes, sizes), not what; -1 is the last.
SETTINGS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys("Mean Sum Max Min Prod All Any EuclideanNorm ArgMax ArgMin Cumsum ReverseV2 Reshape".split(), (1,)),
    **dict.fromkeys("Transpose ExpandDims Tile Pad PadV2 MirrorPad BroadcastTo TopKV2 ResizeBilinear".split(), (1,)),
    **dict.fromkeys("ResizeNearestNeighbor ResizeBicubic RandomShuffle ImageProjectiveTransformV3".split(), (1,)),
    **dict.fromkeys("Fill RandomUniform RandomStandardNormal TruncatedNormal Split Conv2DBackpropInput".split(), (0,)),
    **dict.fromkeys(
        "StatelessRandomNormalV2 StatelessRandomUniformV2 StatelessTruncatedNormalV2".split(), (0, 1, 2, 3)
    ),
    "Conv3DBackpropInputV2": (0,),
    "ConcatV2": (-1,),
    "GatherV2": (2,),
    "LinSpace": (0, 1, 2),
    "OneHot": (1, 2, 3),
    "Range": (0, 1, 2),
    "ScatterNd": (2,),
    "Slice": (1, 2),
    "SplitV": (1, 2),
    "StridedSlice": (1, 2, 3),
    "UnsortedSegmentSum": (2,),
    "MatrixBandPart": (1, 2),
}


@cache
def name_of(op_type: str) -> str:
    """The bare name of an operation."""
    known = NAMES.get(op_type)
    return known if known is not None else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", op_type.removesuffix("V2")).lower()


def arguments(op_type: str, attributes: Mapping[str, Any], constants: Sequence[Any]) -> dict[str, Any]:
    """The plain arguments of an operation, named as in torch.

    `constants` has the value of each input that is a constant (a number, or a list of them), None for the others.
    """
    found: dict[str, Any] = {}
    if op_type in ("Softmax", "LogSoftmax"):
        found["dim"] = -1
    elif op_type in AXES and len(constants) > 1:
        found.update(_along("dim", constants[1]))
        if "keep_dims" in attributes:
            found["keepdim"] = bool(attributes["keep_dims"])
    elif op_type == "ExpandDims" and len(constants) > 1:
        found.update(_along("dim", constants[1]))
    elif op_type == "ConcatV2" and constants:
        found.update(_along("dim", constants[-1]))
    elif op_type == "GatherV2" and len(constants) > 2:
        found.update(_along("dim", constants[2]))
    elif op_type in ("Pack", "Unpack"):
        found["dim"] = int(attributes.get("axis", 0))
    elif op_type == "Transpose" and len(constants) > 1 and constants[1] is not None:
        found["dims"] = tuple(map(int, constants[1])) if isinstance(constants[1], (list, tuple)) else None
    elif op_type == "LeakyRelu":
        found["negative_slope"] = float(attributes.get("alpha", 0.2))
    elif op_type == "FusedBatchNormV3":
        found["training"] = bool(attributes.get("is_training", True))
    elif op_type == "Cast" and "DstT" in attributes:
        found["dtype"] = getattr(attributes["DstT"], "name", str(attributes["DstT"]))
    for index, value in enumerate(constants):
        if value is not None and not isinstance(value, (list, tuple)) and op_type not in AXES:
            found.setdefault(str(index), value)
    return found


def _along(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, (list, tuple)):
        return {key: int(value[0]) if len(value) == 1 else tuple(map(int, value))}
    return {} if value is None else {key: int(value)}


def units(kind: str, attributes: Mapping[str, Any]) -> int | None:
    """Of a layer: the dimension of its weight, the second input, that counts what it gives."""
    if kind in ("MatMul", "BatchMatMulV2"):
        return -2 if attributes.get("transpose_b") or attributes.get("adj_y") else -1
    return {"Conv2D": -1, "Conv3D": -1, "Conv2DBackpropInput": -2, "Conv3DBackpropInputV2": -2}.get(kind)
