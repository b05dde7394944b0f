"""MONAI: networks for volumes and images, with its own Dice loss or the usual one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from monai import losses
from monai.networks import nets

import smokestep

from .loops import classifier, regression

CLASSIFIERS: dict[str, dict[str, Any]] = {
    "DenseNet": {
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 3,
        "init_features": 16,
        "growth_rate": 8,
        "block_config": (2, 2),
    },
    "SEResNet50": {"spatial_dims": 2, "in_channels": 1, "num_classes": 3},
    "EfficientNetBN": {
        "model_name": "efficientnet-b0",
        "spatial_dims": 2,
        "in_channels": 1,
        "num_classes": 3,
        "pretrained": False,
    },
    "ViT": {
        "in_channels": 1,
        "img_size": 32,
        "patch_size": 8,
        "hidden_size": 32,
        "mlp_dim": 64,
        "num_layers": 2,
        "num_heads": 2,
        "classification": True,
        "num_classes": 3,
        "spatial_dims": 2,
        "post_activation": None,
    },
}
SEGMENTERS: dict[str, dict[str, Any]] = {
    "UNet": {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": (8, 16), "strides": (2,)},
    "BasicUNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "features": (8, 8, 16, 16, 16, 8)},
    "AttentionUnet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": (8, 16), "strides": (2,)},
    "DynUNet": {
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 2,
        "kernel_size": [3, 3, 3],
        "strides": [1, 2, 2],
        "upsample_kernel_size": [2, 2],
        "filters": [8, 16, 16],
    },
    "SegResNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "init_filters": 8},
    "VNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2},
    "UNETR": {
        "in_channels": 1,
        "out_channels": 2,
        "img_size": 32,
        "feature_size": 8,
        "hidden_size": 48,
        "mlp_dim": 64,
        "num_heads": 4,
        "spatial_dims": 2,
    },
    "SwinUNETR": {"in_channels": 1, "out_channels": 2, "feature_size": 12, "spatial_dims": 2, "depths": (1, 1, 1, 1)},
    "HighResNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2},
    "FlexibleUNet": {"in_channels": 1, "out_channels": 2, "backbone": "efficientnet-b0", "spatial_dims": 2},
}


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """The classifiers and the segmenters, and a variational autoencoder."""
    for name in CLASSIFIERS:
        yield f"classification/{name}", partial(classification, name)
    for name in SEGMENTERS:
        yield f"segmentation/{name}", partial(segmentation, name)
    yield "autoencoder/AutoEncoder", autoencoder


class _First(torch.nn.Module):
    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        out = self.net(x)
        return out[0] if isinstance(out, tuple) else out


def classification(name: str) -> smokestep.Training:
    return classifier(_First(getattr(nets, name)(**CLASSIFIERS[name])), torch.randn(4, 1, 32, 32), 3)


def segmentation(name: str) -> smokestep.Training:
    options = SEGMENTERS[name]
    side = 64 if name in ("SwinUNETR",) else 32
    shape = (side,) * options["spatial_dims"]
    if options["spatial_dims"] == 3:
        shape = (16, 16, 16)
    model = getattr(nets, name)(**options)
    masks = torch.randint(0, 2, (2, 1, *shape))
    return regression(model, torch.randn(2, 1, *shape), masks, losses.DiceCELoss(to_onehot_y=True, softmax=True))


def autoencoder() -> smokestep.Training:
    images = torch.rand(4, 1, 32, 32)
    net = nets.AutoEncoder(spatial_dims=2, in_channels=1, out_channels=1, channels=(8, 16), strides=(2, 2))
    return regression(net, images, images.clone())
