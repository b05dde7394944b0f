"""Vocabulary: which public torch calls are worth recording, and under which bare name.

The names are the ones users write: `F.relu`, `torch.relu` and `Tensor.relu` are all "relu".
"""

from __future__ import annotations

from typing import Any

from torch.overrides import resolve_name

# Attribute reads and queries that make no value: recording them would cost time and say nothing.
QUIET = frozenset(
    """shape dtype device requires_grad is_cuda is_leaf grad_fn ndim layout is_sparse is_complex is_floating_point dim size
    numel nelement stride storage_offset is_contiguous is_same_size data_ptr element_size _version __len__ __repr__ __str__
    __format__ __hash__ is_quantized is_meta is_mkldnn is_nested is_xla is_mps is_cpu names name itemsize nbytes
    output_nr is_inference is_pinned register_hook register_post_accumulate_grad_hook retain_grad retains_grad
    is_shared share_memory_ is_tensor is_storage is_nonzero type get_device untyped_storage storage typename __dir__
    _is_view is_conj is_neg is_signed _base volatile _backward_hooks _post_accumulate_grad_hooks is_grad_enabled
    is_autocast_enabled get_default_dtype result_type promote_types can_cast is_same_size _has_compatible_shallow_copy_type
    _record_function_enter_new _RecordFunction __reduce_ex__ __deepcopy__ __setstate__ pin_memory can_cast broadcast_shapes
    has_names is_coalesced sparse_dim dense_dim is_distributed is_ipu is_maia is_mtia is_vulkan is_xpu""".split()
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
