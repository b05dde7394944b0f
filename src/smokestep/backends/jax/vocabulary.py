"""Vocabulary: what an operation is called: the function the user called, in the words of torch's functional interface.

An equation that a library function made is told by that function; its first frame below the user's line says which.
"""

from __future__ import annotations

from smokestep.backends.jax.frames import Frame, Path, library

PRIMITIVES = {
    "abs": "abs",
    "add": "add",
    "add_any": "add",
    "and": "logical_and",
    "argmax": "argmax",
    "argmin": "argmin",
    "broadcast_in_dim": "expand",
    "clamp": "clamp",
    "concatenate": "cat",
    "convert_element_type": "to",
    "copy": "clone",
    "copy_p": "clone",
    "cumsum": "cumsum",
    "div": "div",
    "dot_general": "matmul",
    "dynamic_slice": "narrow",
    "dynamic_update_slice": "__setitem__",
    "exp": "exp",
    "gather": "__getitem__",
    "integer_pow": "pow",
    "iota": "arange",
    "is_finite": "isfinite",
    "logistic": "sigmoid",
    "max": "maximum",
    "min": "minimum",
    "mul": "mul",
    "name": "identity",
    "neg": "neg",
    "not": "logical_not",
    "or": "logical_or",
    "optimization_barrier": "identity",
    "pad": "pad",
    "pcast": "identity",
    "pjit_sharding_constraint": "identity",
    "psum": "all_reduce",
    "psum_invariant": "all_reduce",
    "pvary": "identity",
    "random_bits": "random_",
    "random_fold_in": "fold_in",
    "random_split": "split_key",
    "random_unwrap": "key_data",
    "random_wrap": "wrap_key",
    "reduce_max": "amax",
    "reduce_min": "amin",
    "reduce_prod": "prod",
    "reduce_sum": "sum",
    "rem": "remainder",
    "reshape": "reshape",
    "rev": "flip",
    "scatter": "__setitem__",
    "scatter-add": "index_add",
    "scatter_add": "index_add",
    "select_n": "where",
    "sharding_constraint": "identity",
    "slice": "narrow",
    "split": "split",
    "squeeze": "squeeze",
    "stop_gradient": "detach",
    "sub": "sub",
    "transpose": "permute",
}
# Functions of jax.numpy, jax.nn, jax.random and their kin whose name differs from torch's.
FUNCTIONS = {
    "absolute": "abs",
    "array": "as_tensor",
    "asarray": "as_tensor",
    "astype": "to",
    "average": "mean",
    "broadcast_to": "expand",
    "clip": "clamp",
    "concatenate": "cat",
    "divide": "div",
    "dot": "matmul",
    "expand_dims": "unsqueeze",
    "expit": "sigmoid",
    "floor_divide": "floor_divide",
    "logsumexp": "logsumexp",
    "max": "amax",
    "min": "amin",
    "multiply": "mul",
    "negative": "neg",
    "power": "pow",
    "rewriting_take": "__getitem__",
    "sigmoid": "sigmoid",
    "subtract": "sub",
    "take": "__getitem__",
    "take_along_axis": "gather",
    "tensordot": "matmul",
    "transpose": "permute",
    "true_divide": "div",
    "vdot": "matmul",
    "inner": "matmul",
    "normal": "randn",
    "uniform": "rand",
    "truncated_normal": "randn",
    "bernoulli": "bernoulli_mask",
    "swish": "silu",
    "standardize": "layer_norm",
    "dot_product_attention": "scaled_dot_product_attention",
    "dot_product_attention_xla": "scaled_dot_product_attention",
    "index_update": "__setitem__",
}
# Layers of the libraries, by the method that runs them.
LAYERS = {
    "Dense": "linear",
    "DenseGeneral": "linear",
    "Linear": "linear",
    "LinearGeneral": "linear",
    "LoRALinear": "linear",
    "Conv": "conv",
    "_Conv": "conv",
    "ConvLocal": "conv",
    "ConvTranspose": "conv_transpose",
    "Einsum": "einsum",
    "Embed": "embedding",
    "Embedding": "embedding",
    "BatchNorm": "batch_norm",
    "LayerNorm": "layer_norm",
    "RMSNorm": "rms_norm",
    "GroupNorm": "group_norm",
    "InstanceNorm": "instance_norm",
    "Dropout": "dropout",
    "AlphaDropout": "alpha_dropout",
    "PReLU": "prelu",
}
LOSSES = {
    "softmax_cross_entropy_with_integer_labels": "cross_entropy",
    "softmax_cross_entropy": "cross_entropy",
    "safe_softmax_cross_entropy": "cross_entropy",
    "sigmoid_binary_cross_entropy": "binary_cross_entropy_with_logits",
    "squared_error": "mse_loss",
    "l2_loss": "mse_loss",
    "huber_loss": "huber_loss",
    "kl_divergence": "kl_div",
    "kl_divergence_with_log_targets": "kl_div",
    "ctc_loss": "ctc_loss_with_logits",  # torch's is given log-probabilities
    "triplet_margin_loss": "triplet_margin_loss",
}
# Of Keras: layers by the method that runs them, and the losses that its backend computes by one function each.
KERAS_LAYERS = {
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "RMSNormalization": "rms_norm",
    "GroupNormalization": "group_norm",
}
KERAS_LOSSES = {
    "categorical_crossentropy": "nll_loss",
    "sparse_categorical_crossentropy": "nll_loss",
    "binary_crossentropy": "binary_cross_entropy",
}
OF_SCORES = {"nll_loss": "cross_entropy", "binary_cross_entropy": "binary_cross_entropy_with_logits"}
POOLS = {"max_pool": "max_pool2d", "avg_pool": "avg_pool2d", "min_pool": "max_pool2d"}
INNER = frozenset("deferring_binary_op meth op reducer wrapper array_methods".split())


def named(calls: Path) -> tuple[str, str, Frame | None]:
    """What the framework's frames below the user's line make of an operation: (name, kind, the frame that says so).

    `calls` begins at the user's line. `kind`: "layer", "loss", "function", or "" if no frame says anything.
    """
    for number, frame in enumerate(calls):
        place = library(frame.file)
        name = frame.function.replace("<locals>.", "")
        parts = name.split(".")
        if place.startswith(("flax/linen/", "flax/nnx/nn/", "equinox/nn/", "haiku/")):
            if len(parts) == 2 and parts[1] == "__call__" and parts[0] in LAYERS:
                return LAYERS[parts[0]], "layer", frame
            if parts[0] in POOLS and "pool" in place:
                return POOLS[parts[0]], "layer", frame
            if "attention" in place and parts[0] == "dot_product_attention":
                continue
        elif place == "keras/src/layers/core/dense.py":
            inner = calls[number + 1] if number + 1 < len(calls) else frame  # its activation is another operation
            if name == "Dense.call" and inner.function in ("matmul", "add"):
                return "linear", "layer", frame
        elif place.startswith("keras/src/layers/normalization/"):
            if len(parts) == 2 and parts[1] == "call" and parts[0] in KERAS_LAYERS:
                return KERAS_LAYERS[parts[0]], "layer", frame
        elif place == "keras/src/backend/jax/nn.py":
            if parts[0] in KERAS_LOSSES:
                return KERAS_LOSSES[parts[0]], "loss", frame
        elif place.startswith("optax/losses/"):
            if parts[0] in LOSSES:
                return LOSSES[parts[0]], "loss", frame
        elif place.startswith(
            ("jax/_src/numpy/", "jax/_src/nn/", "jax/_src/ops/", "jax/_src/scipy/", "jax/_src/random")
        ):
            if "array_methods" in place or "array_creation" in place or parts[-1].startswith("__"):
                if parts[-1] in ("__getitem__", "_getitem"):
                    return "__getitem__", "function", frame
                continue
            if place.endswith("nn/initializers.py"):
                return "", "", None
            plain = parts[0].lstrip("_")
            if plain in INNER or not plain:
                continue
            if plain == "dot_product_attention":
                continue
            return FUNCTIONS.get(plain, plain), "function", frame
    return "", "", None


def of_jit(name: str, place: str) -> str:
    """What a compiled function of the library is called."""
    plain = name.lstrip("_")
    if "optax/losses/" in place and plain in LOSSES:
        return LOSSES[plain]
    return FUNCTIONS.get(plain, plain)
