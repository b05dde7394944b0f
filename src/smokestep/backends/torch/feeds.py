"""Feeds: what each data loader says of itself when it is iterated, and whether its labels lie in order."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, SequentialSampler, Subset, TensorDataset

from smokestep.backends.torch import frames
from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.quiet import quiet
from smokestep.evidence.feeds import Feed, Feeds

KEPT = 32  # iterations: a program that makes a loader for each batch makes them all alike
LABELS = ("targets", "labels", "y", "_labels")  # where data sets keep them: torchvision's and the usual ones
MOST = 2_000_000  # labels that are looked at


class FeedLog:
    """The iterations of loaders in one recording; what they say is written down at once, so that none is kept."""

    def __init__(self) -> None:
        self._lines: dict[int, Raw | None] = {}
        self._told: list[Feed] = []

    def made(self, loader: DataLoader[Any], line: Raw | None) -> None:
        """A loader was constructed on this line."""
        self._lines[id(loader)] = line

    def begun(self, loader: DataLoader[Any], index: int) -> None:
        """A loader is iterated anew."""
        if len(self._told) < KEPT:
            with quiet():
                self._told.append(_feed(loader, index, self._lines.get(id(loader))))

    def evidence(self) -> Feeds:
        """All of them."""
        return Feeds(tuple(self._told))


def _feed(loader: DataLoader[Any], index: int, line: Raw | None) -> Feed:
    try:
        batches: int | None = len(loader)
    except (TypeError, NotImplementedError):  # an iterable data set has no length
        batches = None
    sequential = (
        isinstance(loader.sampler, SequentialSampler)
        and getattr(loader.batch_sampler, "sampler", loader.sampler) is loader.sampler
    )
    classes, alike = _order(loader.dataset) if sequential else (None, 0)
    return Feed(
        index,
        type(loader.dataset).__name__,
        batches,
        loader.batch_size,
        sequential,
        classes,
        alike,
        frames.line_of(line),
    )


def _order(dataset: Any) -> tuple[int | None, int]:
    """How many classes the labels of a data set have if they ascend, and how many of its first samples are of one."""
    labels = _labels(dataset)
    if labels is None or labels.numel() < 2 or bool((labels[1:] < labels[:-1]).any()):
        return None, 0
    return int(labels.unique().numel()), int((labels == labels[0]).sum())


def _labels(dataset: Any) -> torch.Tensor | None:
    if isinstance(dataset, Subset):
        labels = _labels(dataset.dataset)
        return (
            None if labels is None else labels[torch.as_tensor(dataset.indices, dtype=torch.long, device=labels.device)]
        )
    if isinstance(dataset, TensorDataset):
        found: Any = dataset.tensors[-1] if len(dataset.tensors) > 1 else None
    else:
        own = getattr(dataset, "__dict__", {})
        found = next((own[name] for name in LABELS if name in own), None)
    try:
        if found is None or not 0 < len(found) <= MOST or len(found) != len(dataset):
            return None
        labels = torch.as_tensor(found, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        return None
    whole = not labels.is_floating_point() and not labels.is_complex() and labels.dim() == 1
    return labels.cpu() if whole else None
