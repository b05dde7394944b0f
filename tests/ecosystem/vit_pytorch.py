"""vit-pytorch: the image classifiers of most of its files, small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

import torch

import smokestep

from .loops import classifier, own_loss

COMMON = {"image_size": 32, "patch_size": 8, "num_classes": 5, "dim": 32, "depth": 2, "heads": 2, "mlp_dim": 64}
PLAIN = """
deepvit.DeepViT jumbo_vit.JumboViT normalized_vit.nViT parallel_vit.ViT rvt.RvT
simple_vit.SimpleViT simple_uvit.SimpleUViT simple_flash_attn_vit.SimpleViT simple_vit_with_qk_norm.SimpleViT
simple_vit_with_patch_dropout.SimpleViT simple_vit_with_register_tokens.SimpleViT
simple_vit_with_value_residual.SimpleViT vit.ViT vit_5.ViT vit_detpool.ViTDetPool vit_for_small_dataset.ViT
vit_with_patch_dropout.ViT vit_with_patch_merger.ViT vit_with_keel_post_ln.ViT
simple_vit_attn_residual.SimpleViTAttnResidual simple_vit_orthog_residual_update.SimpleViT
simple_vit_with_relative_proj_pos_bias.SimpleViT
"""
OTHERS: dict[str, dict[str, Any]] = {
    "cait.CaiT": {**COMMON, "cls_depth": 1},
    "xcit.XCiT": {**COMMON, "cls_depth": 1},
    "simple_vit_with_fft.SimpleViT": {**COMMON, "freq_patch_size": 8},
    "simple_vit_with_hyper_connections.SimpleViT": {**COMMON, "num_residual_streams": 2},
    "pit.PiT": {**COMMON, "depth": (1, 1)},
    "nest.NesT": {
        "image_size": 32,
        "patch_size": 4,
        "num_classes": 5,
        "dim": 16,
        "heads": 2,
        "num_hierarchies": 2,
        "block_repeats": (1, 1),
    },
    "cct.CCT": {
        "img_size": 32,
        "embedding_dim": 32,
        "num_layers": 2,
        "num_heads": 2,
        "mlp_ratio": 2.0,
        "num_classes": 5,
        "positional_embedding": "learnable",
    },
    "levit.LeViT": {
        "image_size": 64,
        "num_classes": 5,
        "stages": 2,
        "dim": (16, 32),
        "depth": 1,
        "heads": (2, 2),
        "mlp_mult": 2,
    },
    "max_vit.MaxViT": {
        "num_classes": 5,
        "dim": 32,
        "dim_head": 16,
        "depth": (1, 1),
        "window_size": 4,
        "dim_conv_stem": 16,
    },
    "mobile_vit.MobileViT": {
        "image_size": (64, 64),
        "dims": [16, 24, 32],
        "num_classes": 5,
        "channels": [8, 8, 16, 16, 24, 24, 32, 32, 40, 40, 64],
    },
    "scalable_vit.ScalableViT": {
        "num_classes": 5,
        "dim": 16,
        "depth": (1, 1),
        "heads": (2, 2),
        "reduction_factor": (2, 1),
        "window_size": (4, None),
    },
    "sep_vit.SepViT": {"num_classes": 5, "dim": 16, "depth": (1, 1), "heads": (2, 2), "window_size": 8},
    "cvt.CvT": {
        "num_classes": 5,
        "s1_emb_dim": 16,
        "s2_emb_dim": 24,
        "s3_emb_dim": 32,
        "s1_heads": 1,
        "s2_heads": 1,
        "s3_heads": 2,
        "s2_depth": 1,
        "s3_depth": 1,
    },
    "cross_vit.CrossViT": {
        "image_size": 48,
        "num_classes": 5,
        "depth": 1,
        "sm_dim": 16,
        "lg_dim": 32,
        "sm_patch_size": 8,
        "lg_patch_size": 16,
        "sm_enc_mlp_dim": 32,
        "lg_enc_mlp_dim": 64,
        "lg_enc_depth": 1,
    },
    "twins_svt.TwinsSVT": {
        "num_classes": 5,
        "s1_emb_dim": 16,
        "s2_emb_dim": 16,
        "s3_emb_dim": 32,
        "s4_emb_dim": 32,
        "s1_local_patch_size": 2,
        "s2_local_patch_size": 2,
        "s3_local_patch_size": 1,
        "s4_local_patch_size": 1,
        "s1_global_k": 2,
        "s2_global_k": 2,
        "s3_global_k": 1,
        "s4_global_k": 1,
        "s3_depth": 1,
    },
    "crossformer.CrossFormer": {
        "num_classes": 5,
        "dim": (32, 32, 64, 64),
        "depth": (1, 1, 1, 1),
        "global_window_size": (4, 2, 1, 1),
        "local_window_size": 2,
    },
    "regionvit.RegionViT": {"num_classes": 5, "dim": (16, 16, 32, 32), "depth": (1, 1, 1, 1), "window_size": 1},
}
SIDES = {
    "levit": 64,
    "mobile_vit": 64,
    "cross_vit": 48,
    "max_vit": 64,
    "scalable_vit": 64,
    "sep_vit": 64,
    "cvt": 64,
    "crossformer": 64,
    "regionvit": 64,
    "twins_svt": 64,
}


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """The classifiers, and an autoencoder."""
    for path in PLAIN.split():
        yield path.partition(".")[0], partial(training, path, COMMON)
    for path, options in OTHERS.items():
        yield path.partition(".")[0], partial(training, path, options)
    yield "mae", masked_autoencoder


def training(path: str, options: dict[str, Any]) -> smokestep.Training:
    """Cross entropy over five classes."""
    module, _, name = path.partition(".")
    side = SIDES.get(module, 32)
    return classifier(
        getattr(import_module(f"vit_pytorch.{module}"), name)(**options), torch.randn(4, 3, side, side), 5
    )


def masked_autoencoder() -> smokestep.Training:
    """Three quarters of the patches are drawn at random and reconstructed; the encoder's class head stays unused.

    With the default `pool="cls"` version 1.26.11 raises: the positions have lost a dimension that this still slices.
    """
    from vit_pytorch import MAE, ViT

    return own_loss(
        MAE(encoder=ViT(**COMMON, pool="mean"), masking_ratio=0.75, decoder_dim=16, decoder_heads=2),
        torch.randn(4, 3, 32, 32),
    )
