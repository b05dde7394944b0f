"""Words: what findings call otherwise where the model is of Keras, whatever it runs on; the first that fits is said."""

from __future__ import annotations

# Keras, and the libraries of JAX, call the weight of the past momentum, where PyTorch calls that of the new batch so.
MOMENTUM: tuple[tuple[str, str], ...] = (
    (": momentum ", ": a momentum that leaves "),
    (" is the weight of the new batch, so ", " to the new batch, so "),
    (" was taken over from Keras or TensorFlow, write momentum=", " was to be the weight of the past, write it as "
     "momentum, which is now "),
    (": their momentum is 0", ": their momentum, the weight of the past, is 1"),
    ("give momentum the weight of a new batch (0.1 is the default)", "give a momentum below 1 (0.99 is the default)"),
    (" (track_running_stats=True)", ""),
)  # fmt: skip
WORDS: tuple[tuple[str, str], ...] = (
    *MOMENTUM,
    ("restores the buffers, or that sets track_running_stats to False after building", "puts back the variables that "
     "hold them"),
    ("`nll_loss` wants log-probabilities (none above 0), and is given scores", "the cross-entropy wants probabilities "
     "(`from_logits=False`), and is given scores"),
    ("put log_softmax before it, or give the plain scores to cross_entropy", "say `from_logits=True`, or end the model "
     "with a softmax"),
    ("keep one and use binary_cross_entropy_with_logits", "keep one with a sigmoid and the binary cross-entropy"),
    ("keeps them in a plain place that `parameters()` does not see", "keeps them where `trainable_variables` does not "
     "see them"),
    ("that `parameters()` does not see", "that `trainable_variables` does not see"),
    ("use nn.ModuleDict or nn.ParameterDict, and", "keep it in an attribute of the model, made in `__init__`, and"),
    ("use nn.ModuleList or nn.ParameterList, and", "keep it in an attribute of the model, made in `__init__`, and"),
    ("use nn.Parameter, and", "keep it in an attribute of the model, made in `__init__`, and"),
    ("freeze them with requires_grad_(False)", "freeze them with `trainable = False`"),
    ("freeze it with requires_grad_(False)", "freeze it with `trainable = False`"),
    ("call model.train() before the training step, and again after each evaluation", "call the model with "
     "`training=True` in the training step"),
    ("pass training=self.training, or use nn.Dropout", "ask `training` before it, or use `layers.Dropout`"),
    ("update it only `if self.training`", "update it only `if training:` (the argument of `call`)"),
    ("`nll_loss`", "the cross-entropy of probabilities"),
    ("`cross_entropy`", "the cross-entropy of logits"),
    ("nn.ModuleList", "a list that is an attribute of the model"),
)  # fmt: skip
