"""The models of each library, by name: "library/kind/model" and a function that builds one training.

One file a library; a file whose library is not installed offers nothing, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

import torch

import smokestep

Factory = Callable[[], smokestep.Training]
LIBRARIES = (
    "transformers",
    "timm",
    "diffusers",
    "vit_pytorch",
    "x_transformers",
    "segmentation",
    "torch_geometric",
    "monai",
    "others",
)


def catalogue(library: str) -> Mapping[str, Factory]:
    """Every model of one library: its file's `models()` yields (name, factory)."""
    without_torchvision_operators()
    return dict(import_module(f"{__package__}.{library}").models())


def names(libraries: tuple[str, ...] = LIBRARIES) -> Iterator[str]:
    """The names of all models, library by library."""
    for library in libraries:
        for name in catalogue(library):
            yield f"{library}/{name}"


def factory(name: str) -> Factory:
    """The function that builds the training called `name`; `KeyError` if there is none."""
    library, _, rest = name.partition("/")
    return catalogue(library)[rest]


_DECLARED: list[torch.library.Library] = []


def without_torchvision_operators() -> None:
    """Let torchvision be imported beside a torch that its compiled operators do not fit: their names are enough."""
    if _DECLARED or hasattr(torch.ops.torchvision, "nms"):
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        import sys

        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
        for module in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
    except ImportError:
        pass
