"""segmentation-models-pytorch: each architecture with a small encoder, and each of its losses with a U-Net."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import segmentation_models_pytorch as smp
import torch

import smokestep

from .loops import regression

ARCHITECTURES = (
    "Unet",
    "UnetPlusPlus",
    "MAnet",
    "Linknet",
    "FPN",
    "PSPNet",
    "DeepLabV3",
    "DeepLabV3Plus",
    "UPerNet",
    "Segformer",
    "DPT",
)
LOSSES = ("DiceLoss", "JaccardLoss", "TverskyLoss", "FocalLoss", "LovaszLoss", "SoftBCEWithLogitsLoss", "MCCLoss")


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """The architectures with the Dice loss, the losses with a U-Net."""
    for name in ARCHITECTURES:
        yield f"net/{name}", partial(training, name, "DiceLoss")
    for name in LOSSES:
        yield f"loss/{name}", partial(training, "Unet", name)


def training(architecture: str, loss: str) -> smokestep.Training:
    """Binary masks on 64 pixels."""
    encoder = "tu-vit_tiny_patch16_224" if architecture == "DPT" else "resnet18"
    options = {"dynamic_img_size": True} if architecture == "DPT" else {}
    model = getattr(smp, architecture)(encoder, encoder_weights=None, classes=1, **options).train()
    criterion = getattr(smp.losses, loss)(
        **({} if loss in ("SoftBCEWithLogitsLoss", "MCCLoss") else {"mode": "binary"})
    )
    images, masks = torch.randn(4, 3, 64, 64), (torch.rand(4, 1, 64, 64) > 0.5).float()
    return regression(model, images, masks, criterion)
