"""transformers: every model of the tables behind its Auto classes, in a small configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from torch import nn
from transformers.models.auto import modeling_auto as auto

import smokestep

from .shrinking import FIRST_TEXT, SIDE, VOCABULARY, small
from .sizes import CHANGES, INNER, RECIPES

transformers.logging.set_verbosity_error()
DECODERS = set(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())  # an encoder's model is one only if it is told so
LARGEST = 4_000_000  # parameters: a larger model was not made small
BATCH, LENGTH, LABELS = 4, 12, 3
CLASSIFIERS = tuple(f"For{each}Classification" for each in ("Sequence", "Token", "Image", "Audio", "Video"))
CLASSIFIERS += ("ForSemanticSegmentation", "ForObjectDetection")
Batch = Callable[[nn.Module], Mapping[str, Any]]
Around = Callable[[nn.Module], nn.Module]


def bare(model: nn.Module) -> nn.Module:
    """A model that computes its own loss needs nothing around it."""
    return model


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """Each head of each table, with the loss that the model itself gives for it."""
    for kind, (table, batch) in HEADS.items():
        for name, heads in getattr(auto, table).items():
            yield f"{kind}/{name}", partial(training, name, _first(heads), batch)
    for name in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        if body := auto.MODEL_MAPPING_NAMES.get(name):
            yield f"features/{name}", partial(training, name, _first(body), classes, Probe)


def _first(heads: str | tuple[str, ...]) -> str:
    return heads if isinstance(heads, str) else heads[0]


def training(name: str, head: str, batch: Batch, around: Around = bare) -> smokestep.Training:
    """The model with AdamW, in the loop that its manual shows."""
    model = around(getattr(transformers, head)(configuration(name, head, batch, around))).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, dict(batch(model)))


@cache
def configuration(name: str, head: str, batch: Batch, around: Around) -> Any:
    """The first of the recipes that gives a small model that computes its loss."""
    troubles: list[Exception] = []
    for recipe in RECIPES:
        try:
            config = small(
                getattr(transformers, head).config_class, {**recipe, **CHANGES.get(name, {})}, INNER.get(name, {})
            )
            if head.endswith(CLASSIFIERS):
                config.num_labels = LABELS
            if head in DECODERS and hasattr(config, "is_decoder"):
                config.is_decoder = True
            with torch.device("meta"):
                count = sum(each.numel() for each in getattr(transformers, head)(config).parameters())
            if count > LARGEST:
                raise ValueError(f"{count:,} parameters: not made small")
            with torch.random.fork_rng():
                model = around(getattr(transformers, head)(config))
                model(**batch(model)).loss.backward()
        except Exception as error:
            troubles.append(error)
        else:
            return config
    raise troubles[-1]


def tokens(*shape: int) -> torch.Tensor:
    """Random text, free of special tokens."""
    return torch.randint(FIRST_TEXT, VOCABULARY, shape)


def padded(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random text of which two samples end early, and its mask."""
    words, mask = tokens(*shape), torch.ones(shape, dtype=torch.long)
    mask[1, ..., -3:] = mask[2, ..., -1:] = 0
    return words.masked_fill(mask == 0, 0), mask


def causal(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, LENGTH)
    return {"input_ids": words, "attention_mask": mask, "labels": words.masked_fill(mask == 0, -100)}


def masked(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, LENGTH)
    hidden = (torch.rand(BATCH, LENGTH) < 0.3) & (mask == 1)
    hidden[:, 1] = True
    return {
        "input_ids": words.masked_fill(hidden, 4),
        "attention_mask": mask,
        "labels": words.masked_fill(~hidden, -100),
    }


def sequence_to_sequence(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, LENGTH)
    return {"input_ids": words, "attention_mask": mask, "labels": tokens(BATCH, 8)}


def classes(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, LENGTH)
    words[torch.arange(BATCH), mask.sum(1) - 1] = 2  # the end of the text, which some classifiers read
    return {"input_ids": words, "attention_mask": mask, "labels": torch.randint(0, LABELS, (BATCH,))}


def token_classes(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, LENGTH)
    labels = torch.randint(0, LABELS, (BATCH, LENGTH)).masked_fill(mask == 0, -100)
    return {"input_ids": words, "attention_mask": mask, "labels": labels}


def answers(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, LENGTH)
    start = torch.randint(0, LENGTH // 2, (BATCH,))
    return {"input_ids": words, "attention_mask": mask, "start_positions": start, "end_positions": start + 2}


def choices(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, 2, LENGTH)
    return {"input_ids": words, "attention_mask": mask, "labels": torch.randint(0, 2, (BATCH,))}


def next_sentence(model: nn.Module) -> Mapping[str, Any]:
    words, mask = padded(BATCH, LENGTH)
    return {"input_ids": words, "attention_mask": mask, "labels": torch.randint(0, 2, (BATCH,))}


def images(model: nn.Module) -> torch.Tensor:
    side = getattr(model.config, "image_size", None) or SIDE
    height, width = side if isinstance(side, (list, tuple)) else (side, side)
    return torch.randn(BATCH, getattr(model.config, "num_channels", 3), height, width)


def image_classes(model: nn.Module) -> Mapping[str, Any]:
    return {"pixel_values": images(model), "labels": torch.randint(0, LABELS, (BATCH,))}


def sound(model: nn.Module) -> Mapping[str, Any]:
    """A fifth of a second of noise, or as many frames of a spectrogram."""
    name, config = model.main_input_name, model.config
    if name == "input_values" and not hasattr(config, "num_mel_bins"):
        return {name: torch.randn(BATCH, 3200)}
    bins = getattr(config, "num_mel_bins", None) or getattr(config, "feature_projection_input_dim", 16)
    length = getattr(config, "max_length", None) or 2 * getattr(config, "max_source_positions", 24)
    frames = torch.randn(BATCH, bins, length) if "whisper" in config.model_type else torch.randn(BATCH, length, bins)
    return {name: frames}


def sound_classes(model: nn.Module) -> Mapping[str, Any]:
    return {**sound(model), "labels": torch.randint(0, LABELS, (BATCH,))}


def transcripts(model: nn.Module) -> Mapping[str, Any]:
    return {**sound(model), "labels": torch.randint(5, 30, (BATCH, 3))}


def pixel_classes(model: nn.Module) -> Mapping[str, Any]:
    pixels = images(model)
    return {"pixel_values": pixels, "labels": torch.randint(0, LABELS, (BATCH, *pixels.shape[-2:]))}


def boxes(model: nn.Module) -> Mapping[str, Any]:
    """Two objects in each picture."""
    corners = torch.rand(BATCH, 2, 4) * 0.3 + 0.3
    classes = torch.randint(0, LABELS, (BATCH, 2))
    side = 2 * SIDE if getattr(model.config, "backbone_config", None) else None
    pixels = torch.randn(BATCH, 3, side, side) if side else images(model)
    return {
        "pixel_values": pixels,
        "labels": [{"class_labels": each, "boxes": box} for each, box in zip(classes, corners, strict=True)],
    }


class Probe(nn.Module):
    """What people build on a model without a head: a layer of their own on its first position."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.config = body, body.config
        self.head = nn.Linear(body.config.hidden_size, LABELS)

    def forward(self, labels: torch.Tensor, **inputs: Any) -> Any:
        logits = self.head(self.body(**inputs).last_hidden_state[:, 0])
        return SimpleNamespace(loss=nn.functional.cross_entropy(logits, labels))


HEADS: dict[str, tuple[str, Callable[[nn.Module], Mapping[str, Any]]]] = {
    "causal": ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", causal),
    "masked": ("MODEL_FOR_MASKED_LM_MAPPING_NAMES", masked),
    "seq2seq": ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES", sequence_to_sequence),
    "classification": ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES", classes),
    "token": ("MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES", token_classes),
    "question": ("MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES", answers),
    "choice": ("MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES", choices),
    "next": ("MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES", next_sentence),
    "sound": ("MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES", sound_classes),
    "transcript": ("MODEL_FOR_CTC_MAPPING_NAMES", transcripts),
    "detection": ("MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES", boxes),
    "pixels": ("MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES", pixel_classes),
    "image": ("MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES", image_classes),
}
