"""What the table of sizes does not know: configurations whose parts must fit together in their own way.

`RECIPES` are tried in turn for every model; `CHANGES` and `INNER` are for one model type, the latter for its parts.
"""

from __future__ import annotations

from typing import Any

RECIPES: tuple[dict[str, Any], ...] = ({}, {"num_key_value_heads": 4}, {"num_hidden_layers": 4})
WAVES = {"conv_dim": (16, 16, 16), "conv_kernel": (10, 8, 4), "conv_stride": (10, 8, 4), "num_feat_extract_layers": 3}
CHANGES: dict[str, dict[str, Any]] = {
    "deepseek_v2": {"num_experts_per_tok": 2, "num_key_value_heads": 4},
    "wav2vec2": WAVES,
    "hubert": WAVES,
    "sew": {**WAVES, "squeeze_factor": 1},
    "wavlm": WAVES,
    "unispeech": WAVES,
    "unispeech-sat": WAVES,
    "data2vec-audio": WAVES,
    "wav2vec2-conformer": WAVES,
    "whisper": {"max_source_positions": 24},
    "audio-spectrogram-transformer": {
        "max_length": 24,
        "num_mel_bins": 16,
        "patch_size": 8,
        "frequency_stride": 8,
        "time_stride": 8,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "ministral": {"head_dim": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8, "hidden_size": 32, "n_groups": 1},
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "local"]},
    "mpnet": {"relative_attention_num_buckets": 32},  # its code does not read the field
    "swin": {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "patch_size": 4},
    "swinv2": {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "patch_size": 4},
    "resnet": {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1]},
    "regnet": {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "groups_width": 8},
    "bit": {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "num_groups": 4},
    "convnext": {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    "convnextv2": {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    "poolformer": {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    "lilt": {"hidden_size": 24},
    "xmod": {"default_language": "en_XX"},
    "luke": {"entity_vocab_size": 20, "entity_emb_size": 16},
    "esm": {"vocab_size": 128, "pad_token_id": 1, "mask_token_id": 4},
}
INNER: dict[str, dict[str, dict[str, Any]]] = {}
