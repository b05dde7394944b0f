"""transformers: every model of the tables behind its Auto classes, in a small configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
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
Batch = Callable[[nn.Module], Mapping[str, Any]]


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """Each head of each table, with the loss that the model itself gives for it."""
    for kind, (table, batch) in HEADS.items():
        for name, heads in getattr(auto, table).items():
            head = heads if isinstance(heads, str) else heads[0]
            yield f"{kind}/{name}", partial(training, name, head, batch)


def training(name: str, head: str, batch: Batch) -> smokestep.Training:
    """The model with AdamW, in the loop that its manual shows."""
    model = getattr(transformers, head)(configuration(name, head, batch)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, dict(batch(model)))


@cache
def configuration(name: str, head: str, batch: Batch) -> Any:
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
                model = getattr(transformers, head)(config)
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


HEADS: dict[str, tuple[str, Callable[[nn.Module], Mapping[str, Any]]]] = {
    "causal": ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", causal),
    "masked": ("MODEL_FOR_MASKED_LM_MAPPING_NAMES", masked),
    "seq2seq": ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES", sequence_to_sequence),
    "classification": ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES", classes),
    "token": ("MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES", token_classes),
    "question": ("MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES", answers),
    "choice": ("MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES", choices),
    "next": ("MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES", next_sentence),
    "image": ("MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES", image_classes),
}
