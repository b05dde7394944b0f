"""diffusers: its denoisers with the usual loss on the noise, and its autoencoders on reconstruction."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import diffusers
import torch
import torch.nn.functional as F

import smokestep

BATCH = 2
BLOCKS = {"block_out_channels": (16, 32), "norm_num_groups": 8, "layers_per_block": 1}
HEADS = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1}


def words(width: int, length: int = 6) -> torch.Tensor:
    return torch.randn(BATCH, length, width)


def latents(channels: int = 4, side: int = 16) -> torch.Tensor:
    return torch.randn(BATCH, channels, side, side)


# name: (options of the model, its clean data, what else its call is given)
DENOISERS: dict[str, tuple[dict[str, Any], Callable[[], torch.Tensor], Callable[[], dict[str, Any]]]] = {
    "UNet2DModel": (
        {
            "sample_size": 16,
            **BLOCKS,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
            "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        },
        partial(latents, 3),
        dict,
    ),
    "UNet2DConditionModel": (
        {
            "sample_size": 16,
            **BLOCKS,
            "cross_attention_dim": 16,
            "attention_head_dim": 4,
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        },
        latents,
        lambda: {"encoder_hidden_states": words(16)},
    ),
    "UNet3DConditionModel": (
        {
            "sample_size": 8,
            **BLOCKS,
            "cross_attention_dim": 16,
            "attention_head_dim": 4,
            "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
            "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
        },
        lambda: torch.randn(BATCH, 4, 3, 8, 8),
        lambda: {"encoder_hidden_states": words(16)},
    ),
    "DiTTransformer2DModel": (
        {**HEADS, "in_channels": 4, "sample_size": 16, "num_embeds_ada_norm": 1000, "norm_num_groups": 4},
        latents,
        lambda: {"class_labels": torch.tensor([1, 2])},
    ),
    "PixArtTransformer2DModel": (
        {
            **HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "sample_size": 16,
            "cross_attention_dim": 16,
            "caption_channels": 8,
            "norm_num_groups": 4,
            "use_additional_conditions": False,
        },
        latents,
        lambda: {"encoder_hidden_states": words(8), "added_cond_kwargs": {"resolution": None, "aspect_ratio": None}},
    ),
    "SD3Transformer2DModel": (
        {
            **HEADS,
            "sample_size": 16,
            "in_channels": 4,
            "out_channels": 4,
            "joint_attention_dim": 16,
            "caption_projection_dim": 16,
            "pooled_projection_dim": 8,
            "num_layers": 2,
            "pos_embed_max_size": 16,
        },
        latents,
        lambda: {"encoder_hidden_states": words(16), "pooled_projections": torch.randn(BATCH, 8)},
    ),
    "FluxTransformer2DModel": (
        {
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "num_layers": 1,
            "num_single_layers": 1,
            "in_channels": 4,
            "joint_attention_dim": 16,
            "pooled_projection_dim": 8,
            "axes_dims_rope": (4, 4, 8),
        },
        lambda: torch.randn(BATCH, 16, 4),
        lambda: {
            "encoder_hidden_states": words(16),
            "pooled_projections": torch.randn(BATCH, 8),
            "img_ids": torch.randint(0, 4, (16, 3)),
            "txt_ids": torch.zeros(6, 3),
        },
    ),
    "AuraFlowTransformer2DModel": (
        {
            "sample_size": 16,
            "in_channels": 4,
            "out_channels": 4,
            "num_mmdit_layers": 1,
            "num_single_dit_layers": 1,
            "attention_head_dim": 8,
            "num_attention_heads": 2,
            "joint_attention_dim": 16,
            "caption_projection_dim": 16,
            "pos_embed_max_size": 64,
        },
        latents,
        lambda: {"encoder_hidden_states": words(16)},
    ),
    "SanaTransformer2DModel": (
        {
            **HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "num_cross_attention_heads": 2,
            "cross_attention_head_dim": 8,
            "cross_attention_dim": 16,
            "caption_channels": 8,
            "sample_size": 16,
        },
        latents,
        lambda: {"encoder_hidden_states": words(8)},
    ),
    "WanTransformer3DModel": (
        {
            "num_attention_heads": 2,
            "attention_head_dim": 12,
            "in_channels": 4,
            "out_channels": 4,
            "text_dim": 8,
            "freq_dim": 16,
            "ffn_dim": 32,
            "num_layers": 1,
            "rope_max_seq_len": 32,
        },
        lambda: torch.randn(BATCH, 4, 2, 8, 8),
        lambda: {"encoder_hidden_states": words(8)},
    ),
    "Lumina2Transformer2DModel": (
        {
            "sample_size": 16,
            "in_channels": 4,
            "hidden_size": 24,
            "num_layers": 1,
            "num_refiner_layers": 1,
            "num_attention_heads": 3,
            "num_kv_heads": 1,
            "multiple_of": 16,
            "axes_dim_rope": (4, 2, 2),
            "axes_lens": (64, 64, 64),
            "cap_feat_dim": 8,
        },
        latents,
        lambda: {"encoder_hidden_states": words(8), "encoder_attention_mask": torch.ones(BATCH, 6, dtype=torch.bool)},
    ),
    "PriorTransformer": (
        {
            "num_attention_heads": 2,
            "attention_head_dim": 4,
            "num_layers": 2,
            "embedding_dim": 8,
            "num_embeddings": 7,
            "additional_embeddings": 4,
        },
        lambda: torch.randn(BATCH, 8),
        lambda: {"proj_embedding": torch.randn(BATCH, 8), "encoder_hidden_states": words(8, 7)},
    ),
    "UNet1DModel": (
        {
            "block_out_channels": (16, 32),
            "in_channels": 2,
            "out_channels": 2,
            "norm_num_groups": 8,
            "extra_in_channels": 32,
            "down_block_types": ("DownBlock1DNoSkip", "DownBlock1D"),
            "up_block_types": ("UpBlock1D", "UpBlock1DNoSkip"),
            "sample_size": 32,
        },
        lambda: torch.randn(BATCH, 2, 32),
        dict,
    ),
}
AUTOENCODERS: dict[str, dict[str, Any]] = {
    "AutoencoderKL": {
        "block_out_channels": (16, 32),
        "norm_num_groups": 8,
        "latent_channels": 4,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
    },
    "VQModel": {
        "block_out_channels": (16, 32),
        "norm_num_groups": 8,
        "latent_channels": 3,
        "num_vq_embeddings": 16,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
    },
    "AutoencoderTiny": {
        "encoder_block_out_channels": (16, 16),
        "decoder_block_out_channels": (16, 16),
        "num_encoder_blocks": (1, 1),
        "num_decoder_blocks": (1, 1),
    },
}


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """The denoisers and the autoencoders."""
    for name in DENOISERS:
        yield f"noise/{name}", partial(denoiser, name)
    for name in AUTOENCODERS:
        yield f"autoencoder/{name}", partial(autoencoder, name)


def denoiser(name: str) -> smokestep.Training:
    """Noise is added for random times, and predicted: the loop of the library's own training scripts."""
    options, clean, others = DENOISERS[name]
    model = getattr(diffusers, name)(**options).train()
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    given = others()

    def step(batch):
        noise = torch.randn_like(batch)
        timesteps = torch.randint(0, 1000, (len(batch),))
        noisy = scheduler.add_noise(batch, noise, timesteps)
        prediction = model(noisy, timestep=timesteps, return_dict=False, **given)[0]
        loss = F.mse_loss(prediction, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return smokestep.Training(step, clean())


def autoencoder(name: str) -> smokestep.Training:
    """The reconstruction, and what the model itself adds to it."""
    model = getattr(diffusers, name)(**AUTOENCODERS[name]).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step(images):
        optimizer.zero_grad()
        if name == "AutoencoderKL":
            posterior = model.encode(images).latent_dist
            loss = F.mse_loss(model.decode(posterior.sample()).sample, images) + 1e-6 * posterior.kl().mean()
        else:
            output = model(images)
            loss = F.mse_loss(output.sample, images)
            if getattr(output, "commit_loss", None) is not None:
                loss = loss + output.commit_loss.mean()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.rand(BATCH, 3, 32, 32) * 2 - 1)
