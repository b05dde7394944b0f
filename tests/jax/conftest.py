"""Programs that run three times are compiled in haste: of the tests of JAX, compiling is nearly all of the time.

XLA reads its flags when the first program is compiled, so they are set before JAX is imported; a flag that a version
does not know would end the process, so those that are no public ones go to the version they were tried with alone.
"""

from __future__ import annotations

import importlib.metadata
import os

QUICK = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
TRIED = ("0.10.",)  # versions of jaxlib
EMITTERS = [
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_enable_concurrency_optimized_scheduler=false",
    "--xla_cpu_parallel_codegen_split_count=1",
]


def flags() -> list[str]:
    """What XLA is told, beside what the user's environment says."""
    try:
        known = importlib.metadata.version("jaxlib").startswith(TRIED)
    except importlib.metadata.PackageNotFoundError:
        return []
    return [*QUICK, *(EMITTERS if known else [])]


os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = " ".join([*flags(), os.environ.get("XLA_FLAGS", "")]).strip()
