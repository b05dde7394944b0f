"""Small configurations of transformers' models: each field whose name tells a size is given a small one.

A field without a size in its name keeps its default; what a configuration computes from others, it computes anew.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

VOCABULARY = 128
SIDE = 32  # pixels
SIZES: tuple[tuple[str, Any], ...] = (
    (r"vocab_size|n_vocab|char_vocab_size", VOCABULARY),
    (r"type_vocab_size", 2),
    (
        r"(max_position_embeddings|n_positions|max_seq(uence)?_len(gth)?|n_ctx|max_source_positions|max_target_positions|"
        r"text_max_position.*|seq_length|context_length|max_2d_position_embeddings)",
        256,
    ),
    (r"(.*_)?(moe|expert|shared_expert|shared)_intermediate_size|expert_ffn_hidden_size|intermediate_size_mlp", 32),
    (
        r"(.*_)?(intermediate_size|ffn_dim|ffn_hidden_size|ffn_size|mlp_dim|d_ff|d_inner|n_inner|inner_dim|"
        r"dim_feedforward|intermediate_dim|mlp_hidden_size|mlp_channels)",
        64,
    ),
    (
        r"(num|n)_(.*_)?(experts_per_tok|experts_per_token|experts_topk)|moe_topk|moe_k|top_k_experts|num_selected_experts",
        2,
    ),
    (r"n_group|topk_group|num_expert_groups?|moe_num_shared_experts|n_shared_experts|num_shared_experts", 1),
    (r"(n_routed|num|num_local|moe_num|n)_experts|num_zero_experts|zero_expert_num", 4),
    (r"first_k_dense_replace|moe_layer_start_index|num_dense_layers|moe_layer_freq", 1),
    (r"(.*_)?(num_key_value_heads|n_head_kv|num_kv_heads|num_query_groups|encoder_key_value_heads)", 2),
    (r"(.*_)?(num_attention_heads|attention_heads|n_heads?|num_heads|n_head)", 4),
    (r"index_n_heads|index_topk", 4),
    (r"(.*_)?(head_dim|attention_head_size|d_kv|dim_head|kv_channels|attention_key_dim|rotary_dim)", 8),
    (r"qk_(rope|nope)_head_dim|v_head_dim|head_size", 8),
    (r"(q|kv|o)_lora_rank|(.*_)?lora_rank", 16),
    (r"linear_num_(key|value)_heads", 2),
    (r"mamba_(n_heads|num_heads)", 4),
    (r"mamba_n_groups|n_groups|mamba_chunk_size|chunk_size", None),
    (r"(.*_)?(d_state|state_size|ssm_state_size)", 8),
    (r"time_step_rank", 4),
    (
        r"(.*_)?(num_hidden_layers|n_layers?|num_layers|encoder_layers|decoder_layers|num_decoder_layers|depth|"
        r"num_encoder_layers|num_stacked_layers|num_blocks|encoder_depth|max_window_layers)",
        2,
    ),
    (
        r"(.*_)?(hidden_size|d_model|n_embd|embed_dim|emb_dim|hidden_dim|embedding_size|word_embed_proj_dim|dim|"
        r"output_dim|d_embed|projection_dim|out_hidden_size|embedding_dim|model_dim|encoder_hidden_dim|"
        r"projection_size|channels|hidden_channels|n_embed|width)",
        32,
    ),
    (r"(.*_)?(hidden_sizes|embed_dims|widths|encoder_hidden_sizes|embedding_dims)", 32),
    (r"(.*_)?depths", 1),
    (r"num_mel_bins|n_mels|feature_size", 16),
    (r"image_size|img_size|input_size|pretrain_image_size", SIDE),
    (r"patch_size", 8),
    (r"sliding_window|attention_window|local_window_size|window_size|sliding_window_size|local_attention", 8),
    (r"relative_attention_num_buckets|rel_pos_bins|rel_2d_pos_bins", 8),
    (r"hidden_size_per_layer_input|vocab_size_per_layer_input", None),
    (r"num_queries|num_query_tokens|num_latents|num_denoising|encoder_seq_length", 8),
    (r"conv_dim", 32),
    (r"num_conv_pos_embeddings", 8),
    (r"num_conv_pos_embedding_groups", 2),
    (r"tdnn_dim|xvector_output_dim|classifier_proj_size|codevector_dim|proj_codevector_dim", 16),
    (r"num_codevectors_per_group", 8),
    (r"num_negatives", 4),
    (r"max_relative_positions?", 16),
)
COMPILED = tuple((re.compile(pattern), size) for pattern, size in SIZES)
TOKENS = re.compile(r".*(token_id|token_index|_idx)")
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "unk_token_id": 3}
FIRST_TEXT = 60  # tokens from here on are plain text; the special ones lie below
Changes = Mapping[str, Any]
NONE: Changes = MappingProxyType({})


def size(name: str, value: Any) -> Any:
    """The small value for a field, or None to leave it alone."""
    for pattern, small in COMPILED:
        if pattern.fullmatch(name):
            if small is None or value is None or isinstance(value, (bool, float, str)):
                return None
            if isinstance(value, int):
                return min(small, value) if value > 0 else None
            if isinstance(value, (list, tuple)) and value and all(type(each) is int for each in value):
                return type(value)(max(1, min(small, each)) for each in value)
            return None
    return None


def fields(config: type) -> dict[str, Any]:
    """The fields of a configuration class, with their defaults."""
    if dataclasses.is_dataclass(config):
        return {
            each.name: each.default if each.default is not dataclasses.MISSING else each.default_factory()
            for each in dataclasses.fields(config)
            if each.init
            and (each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING)
        }
    parameters = inspect.signature(config.__init__).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def small(
    config: type, changes: Changes = NONE, inner: Mapping[str, Changes] = NONE, tokens: dict[str, int] | None = None
) -> Any:
    """A small configuration of this class: the table's sizes, then `changes`; `inner`: changes of its own parts."""
    tokens = dict(SPECIAL) if tokens is None else tokens
    given: dict[str, Any] = {}
    known = fields(config)
    for name, value in known.items():
        if name in SPECIAL:
            given[name] = SPECIAL[name]
        elif TOKENS.fullmatch(name) and type(value) is int:
            given[name] = tokens.setdefault(re.sub("_index|_id|_idx", "", name), len(tokens) + 3)
        elif TOKENS.fullmatch(name) and isinstance(value, (list, tuple)):
            given[name] = [SPECIAL.get(name, 2)]
        elif (less := size(name, value)) is not None:
            given[name] = less
    layers = next((given[each] for each in ("num_hidden_layers", "n_layer", "num_layers") if each in given), None)
    if "use_cache" in known:
        given["use_cache"] = False
    parts = getattr(config, "sub_configs", None) or {}
    usual = config() if any(part.__name__ == "AutoConfig" for part in parts.values()) else None
    for name, part in parts.items():
        if part.__name__ == "AutoConfig":
            part = type(getattr(usual, name, None))
        if hasattr(part, "model_type"):
            given[name] = small(part, inner.get(name, NONE), NONE, tokens)
    given |= dict(changes)
    for name, value in known.items():  # a list with one entry a layer is as long as there are layers
        if name not in changes and isinstance(value, (list, tuple)) and layers and len(value) > layers:
            if "layer" in name or "types" in name:
                given[name] = type(value)(spread(value, given.get("num_hidden_layers", layers)))
    made = config(**given)
    for name, value in SPECIAL.items():  # some models read one that their configuration does not declare
        if not hasattr(made, name):
            setattr(made, name, value)
    return made


def spread(values: Any, count: int) -> list[Any]:
    """`count` of the values, evenly chosen, so that every kind of layer has its chance."""
    different = list(dict.fromkeys(map(str, values)))
    if len(different) >= count:
        return [next(each for each in values if str(each) == one) for one in different[:count]]
    return [values[i * len(values) // count] for i in range(count)]
