"""x-transformers: the variants of its decoder and encoder, each switched on by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from x_transformers import (
    AutoregressiveWrapper,
    ContinuousAutoregressiveWrapper,
    ContinuousTransformerWrapper,
    Decoder,
    Encoder,
    NonAutoregressiveWrapper,
    TransformerWrapper,
    ViTransformerWrapper,
    XTransformer,
)

import smokestep

from .loops import classifier, own_loss

SWITCHES: tuple[dict[str, Any], ...] = (
    {},
    {"rotary_pos_emb": True},
    {"alibi_pos_bias": True},
    {"rel_pos_bias": True},
    {"dynamic_pos_bias": True},
    {"use_rmsnorm": True},
    {"use_scalenorm": True},
    {"use_simple_rmsnorm": True},
    {"ff_glu": True, "ff_swish": True},
    {"ff_relu_squared": True},
    {"ff_no_bias": True},
    {"attn_num_mem_kv": 4},
    {"attn_one_kv_head": True},
    {"attn_kv_heads": 2},
    {"attn_qk_norm": True},
    {"attn_qk_norm": True, "attn_qk_norm_dim_scale": True},
    {"attn_pre_talking_heads": True},
    {"attn_sparse_topk": 4},
    {"attn_gate_values": True},
    {"attn_on_attn": True},
    {"attn_flash": True},
    {"attn_dropout": 0.1, "ff_dropout": 0.1, "layer_dropout": 0.1},
    {"macaron": True},
    {"sandwich_coef": 1},
    {"residual_attn": True},
    {"gate_residual": True},
    {"scale_residual": True},
    {"shift_tokens": 1},
    {"pre_norm": False},
    {"sandwich_norm": True},
    {"weight_tie_layers": True},
    {"attn_laser": True},
    {"add_value_residual": True, "learned_value_residual_mix": True},
    {"attn_hybrid_learned_mix": False},
    {"num_residual_streams": 2},
    {"attn_data_dependent_alibi": True},
    {"attn_head_scale": True},
    {"zero_init_branch_output": True},
    {"attn_softclamp_logits": True},
    {"use_layerscale": True},
)


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """Language models with one switch each, then the other wrappers."""
    for switches in SWITCHES:
        yield "causal/" + ("+".join(switches) or "plain"), partial(causal, switches)
    yield "masked", masked
    yield "encoder-decoder", encoder_decoder
    yield "image", image
    yield "continuous", continuous


def causal(switches: dict[str, Any]) -> smokestep.Training:
    """A language model that shifts its targets itself."""
    layers = Decoder(dim=32, depth=2, heads=4, attn_dim_head=8, **switches)
    model = AutoregressiveWrapper(TransformerWrapper(num_tokens=64, max_seq_len=16, attn_layers=layers))
    return own_loss(model, torch.randint(0, 64, (4, 13)))


def masked() -> smokestep.Training:
    """Tokens are masked at random and predicted in both directions."""
    layers = Encoder(dim=32, depth=2, heads=4, attn_dim_head=8)
    net = TransformerWrapper(num_tokens=65, max_seq_len=16, attn_layers=layers)
    return own_loss(_First(NonAutoregressiveWrapper(net, mask_id=64)), torch.randint(0, 64, (4, 16)))


class _First(torch.nn.Module):
    """The loss of a wrapper that returns more than that."""

    def __init__(self, wrapper: torch.nn.Module) -> None:
        super().__init__()
        self.wrapper = wrapper

    def forward(self, x):
        return self.wrapper(x)[0]


def encoder_decoder() -> smokestep.Training:
    """Both halves, the decoder teacher-forced."""
    model = XTransformer(
        dim=32,
        enc_num_tokens=64,
        enc_depth=1,
        enc_heads=2,
        enc_max_seq_len=16,
        dec_num_tokens=64,
        dec_depth=1,
        dec_heads=2,
        dec_max_seq_len=16,
    )
    return own_loss(model, torch.randint(0, 64, (4, 12)), torch.randint(0, 64, (4, 10)))


def image() -> smokestep.Training:
    """Patches, classified."""
    model = ViTransformerWrapper(
        image_size=32, patch_size=8, num_classes=5, attn_layers=Encoder(dim=32, depth=2, heads=4, attn_dim_head=8)
    )
    return classifier(model, torch.randn(4, 3, 32, 32), 5)


def continuous() -> smokestep.Training:
    """The next vector of a sequence."""
    net = ContinuousTransformerWrapper(
        dim_in=8, dim_out=8, max_seq_len=16, attn_layers=Decoder(dim=32, depth=2, heads=4, attn_dim_head=8)
    )
    return own_loss(ContinuousAutoregressiveWrapper(net), torch.randn(4, 13, 8))
