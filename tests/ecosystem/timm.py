"""timm: one small model of nearly every module file, as an image classifier with its own head."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

os.environ["HF_HUB_OFFLINE"] = "1"

import timm
import torch

import smokestep

from .loops import classifier

SMALLEST = """
byobnet:test_byobnet convnext:test_convnext efficientnet:test_efficientnet mambaout:test_mambaout
maxxvit:test_coatnet nfnet:test_nfnet resnet:test_resnet vision_transformer:test_vit
vision_transformer_relpos:vit_relpos_small_patch16_224 beit:beit_base_patch16_224 byoanet:halonet_h1 cait:cait_xxs24_224
coat:coat_tiny convit:convit_tiny convmixer:convmixer_768_32 cpubone:cpubone_nano crossvit:crossvit_tiny_240
csatv2:csatv2 cspnet:cs3darknet_focus_s cspnext:cspnext_tiny davit:davit_tiny deit:deit_tiny_patch16_224
densenet:densenet121 dla:dla46_c dpn:dpn48b edgenext:edgenext_xx_small efficientformer:efficientformer_l1
efficientformer_v2:efficientformerv2_s0 efficientvim:efficientvim_m1 efficientvit_mit:efficientvit_b0
efficientvit_msra:efficientvit_m0 eva:vit_tiny_patch16_dinov3_qkvb fasternet:fasternet_t0 fastvit:fastvit_t8
focalnet:focalnet_tiny_srf gcvit:gcvit_xxtiny ghostnet:ghostnet_050 hardcorenas:hardcorenas_b hgnet:hgnetv2_b0
hiera:hiera_tiny_224 hrnet:hrnet_w18_small iformer:iformer_t inception_next:inception_next_atto
inception_v3:inception_v3 lcnetv2:lcnetv2_small levit:levit_128 lowformer:lowformer_b0 metaformer:poolformerv2_s12
mlp_mixer:gmlp_ti16_224 mobilenetv3:mobilenetv3_small_050 mobilevit:mobilevit_xxs mvitv2:mvitv2_tiny nest:nest_tiny
pit:pit_ti_224 pvt_v2:pvt_v2_b0
"""
LESS = {"depth": 2}  # where a model takes it
SIDES = {
    "crossvit_tiny_240": 240,
    "inception_v3": 96,
    "halonet_h1": 128,
    "nest_tiny": 224,
    "convit_tiny": 224,
    "pit_ti_224": 224,
    "levit_128": 224,
    "coat_tiny": 64,
}


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """Each model, by the module file it stands for."""
    for pair in SMALLEST.split():
        module, _, name = pair.partition(":")
        yield f"{module}/{name}", partial(training, name)


def training(name: str) -> smokestep.Training:
    """Cross entropy over ten classes, the model's own initialization and dropout."""
    model = built(name)
    side = SIDES.get(name) or (
        model.pretrained_cfg["input_size"][-1]
        if model.pretrained_cfg.get("fixed_input_size") and getattr(model, "img_size", None) != 64
        else 64
    )
    return classifier(model, torch.randn(4, 3, side, side), 10)


def built(name: str):
    """The model with two layers and small images, if it can be had so."""
    for less in ({"depth": 2, "img_size": 64}, {"depth": 2}, {"img_size": 64}, {}):
        if "img_size" in less and name in SIDES:
            continue
        try:
            model = timm.create_model(name, num_classes=10, **less)
        except (TypeError, AssertionError, RuntimeError, ValueError):
            continue
        if "img_size" in less:
            model.img_size = 64
        return model.train()
    raise ValueError(f"{name} cannot be built")
