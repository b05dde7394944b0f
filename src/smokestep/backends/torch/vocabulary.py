"""Vocabulary: which public torch calls are worth recording, and under which bare name.

The names are the ones users write: `F.relu`, `torch.relu` and `Tensor.relu` are all "relu".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import resolve_name

Tensor = torch.Tensor

# Attribute reads and queries that make no value: recording them would cost time and say nothing.
QUIET = frozenset(
    """
    _RecordFunction __deepcopy__ __dir__ __format__ __hash__ __len__ __reduce_ex__ __repr__ __setstate__ __str__
    _backward_hooks _base _has_compatible_shallow_copy_type _is_view _post_accumulate_grad_hooks
    _record_function_enter_new _version broadcast_shapes can_cast data_ptr dense_dim device dim dtype
    element_size get_default_dtype get_device grad_fn has_names is_autocast_enabled is_coalesced is_complex
    is_conj is_contiguous is_cpu is_cuda is_distributed is_floating_point is_grad_enabled is_inference is_ipu
    is_leaf is_maia is_meta is_mkldnn is_mps is_mtia is_neg is_nested is_nonzero is_pinned is_quantized
    is_same_size is_shared is_signed is_sparse is_storage is_tensor is_vulkan is_xla is_xpu itemsize layout name
    names nbytes ndim nelement numel output_nr pin_memory promote_types register_hook
    register_post_accumulate_grad_hook requires_grad result_type retain_grad retains_grad shape share_memory_
    size sparse_dim storage storage_offset stride type typename untyped_storage volatile
    """.split()
)
ESCAPES = frozenset("item tolist numpy __array__ __float__ __int__ __bool__ __index__ __complex__ __contains__".split())
FACTORIES = frozenset("tensor as_tensor asarray from_numpy".split())
OPENS = frozenset("relu relu_ relu6 sigmoid tanh hardtanh hardsigmoid".split())


def bare_name(func: Any) -> str:
    """The bare name of a public call; "" for one not worth recording."""
    full = resolve_name(func) or getattr(func, "__qualname__", "") or getattr(func, "__name__", "")
    parts = full.split(".")
    if parts[-1] in ("__get__", "__set__", "__delete__") and len(parts) > 1:
        if parts[-2] == "grad" and parts[-1] == "__delete__":
            return "grad="
        if parts[-2] == "grad" and parts[-1] == "__get__":
            return ".grad"
        if parts[-2] in ("data", "T", "mT", "H", "mH", "real", "imag") and parts[-1] == "__get__":
            return parts[-2]
        return f"{parts[-2]}=" if parts[-2] in ("grad", "data", "requires_grad") and parts[-1] == "__set__" else ""
    if parts[-1] in QUIET or (len(parts) > 1 and parts[-2] in ("_RecordFunction",)):
        return ""
    if len(parts) > 1 and parts[-1] in (
        "default",
        "Tensor",
        "Scalar",
        "out",
        "int",
        "dim",
    ):  # torch.ops.aten.add.Tensor
        return parts[-2]
    return {"__add__": "add", "__mul__": "mul", "__sub__": "sub", "__truediv__": "div"}.get(parts[-1], parts[-1])


def tensors_in(tree: Any, depth: int = 0) -> Iterator[Tensor]:
    """Every tensor in nested arguments or results, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif depth < 6:
        if isinstance(tree, (list, tuple)):
            for each in tree:
                yield from tensors_in(each, depth + 1)
        elif isinstance(tree, dict):
            for each in tree.values():
                yield from tensors_in(each, depth + 1)
        elif hasattr(tree, "__dataclass_fields__"):
            for each in tree.__dataclass_fields__:
                yield from tensors_in(getattr(tree, each, None), depth + 1)
        elif depth < 3 and hasattr(tree, "data") and hasattr(tree, "batch_sizes"):
            yield tree.data  # a packed sequence
