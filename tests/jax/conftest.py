"""Programs that run three times are compiled in haste: of the tests of JAX, compiling is nearly all of the time.

XLA reads its flags when the first program is compiled, so they are set before JAX is imported; a flag that a version
does not know would end the process, so those that are no public ones go to the version they were tried with alone.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

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


HERE = Path(__file__).parent
FORMS = ("optax", "nnx", "equinox")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Compiling takes a second a training: `make test` examines a part of the programs, `make test-jax` all of them.

    The part is every fault of the article in one of its three forms, and every fortieth healthy training.
    """
    if os.environ.get("JAX_PROGRAMS") == "all":
        return
    left = [item for item in items if HERE in item.path.parents and not _taken(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def _taken(item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if item.path.name == "test_scripts.py":
        return False
    if item.path.name == "test_pages.py":
        return not parameters
    if item.path.name == "test_zoo.py" and parameters:
        return _number(str(parameters["name"])) % 40 == 0 and not item.name.startswith("test_entry_really_trains")
    if item.path.name == "test_corpus.py" and "case" in parameters:
        family, _, name = str(parameters["case"]).partition("/")
        fault, _, form = name.rpartition("__")
        return family == "article" and form == FORMS[_number(fault) % 3]
    return True


def _number(name: str) -> int:
    """A number of a name, the same in every process."""
    return zlib.crc32(name.encode())


@pytest.fixture(scope="module", autouse=True)
def left_out_afterwards() -> Iterator[None]:
    """What JAX keeps of the programs of a module is left out of later walks over the living objects, as imports are."""
    yield
    gc.collect()
    gc.freeze()
