"""The table of checks: one line a check, sorted. A test compares it with the folders."""

from __future__ import annotations

from importlib import import_module

from smokestep.check import Check

TABLE: tuple[str, ...] = (
    "data.repeated_augmentation",
    "independence.batch_leak",
    "independence.batch_order",
    "independence.batch_size",
    "independence.lone_sample",
    "loop.cleared_gradients",
    "loop.closure_without_backward",
    "loop.early_scheduler",
    "loop.misplaced_clip",
    "loop.no_step",
    "loop.repeated_randomness",
    "loop.repeated_update",
    "loop.stale_gradients",
    "loop.step_before_backward",
    "loop.zero_learning_rate",
    "loss.broadcast_loss",
    "loss.constant_loss",
    "loss.detached_loss",
    "loss.double_softmax",
    "loss.ignored_target",
    "loss.invalid_target",
    "loss.missing_log_softmax",
    "loss.negative_cross_entropy",
    "loss.single_logit",
    "loss.target_gradient",
    "loss.wrong_softmax_dim",
    "mode.drifting_statistics",
    "mode.frozen_statistics",
    "mode.inference_normalization",
    "mode.single_sample_normalization",
    "mode.stuck_dropout",
    "mode.trained_in_eval",
    "numerics.not_finite",
    "numerics.out_of_range",
    "numerics.unreachable_target",
    "roles.foreign_parameters",
    "roles.foreign_update",
    "sequence.inverted_mask",
    "sequence.padded_loss",
    "sequence.padded_mismatch",
    "sequence.padding_leak",
    "wiring.constant_output",
    "wiring.dead_branch",
    "wiring.frozen_parameter",
    "wiring.gradient_cut",
    "wiring.ignored_input",
    "wiring.lost_update",
    "wiring.nothing_trains",
    "wiring.stale_optimizer",
    "wiring.unoptimized_parameter",
    "wiring.unregistered_parameter",
    "wiring.unused_layer",
    "wiring.zero_gradient",
)


def load() -> tuple[Check, ...]:
    """Every built-in check, in table order. A file holds the one check that its name says."""
    return tuple(getattr(import_module(f"smokestep.checks.{entry}"), entry.rpartition(".")[2]) for entry in TABLE)
