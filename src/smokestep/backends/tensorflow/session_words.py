"""What a finding on a session's graph is called in other words; what is not judged there is in `backends.gaps`."""

from __future__ import annotations

from collections.abc import Sequence

WORDS: Sequence[tuple[str, str]] = (
    ("with requires_grad_(False)", "with trainable=False"),
    ("call requires_grad_(True)", "create it with trainable=True"),
    ("does not require gradient", "is not trainable"),
    ("`detach` takes it out of the graph", "`tf.stop_gradient` takes it out of the graph"),
    ("remove `detach`", "remove `tf.stop_gradient`"),
    ("detach what that loss", "put `tf.stop_gradient` on what that loss"),
    ("`detach`", "`tf.stop_gradient`"),
    (
        "call model.train() before the training step, and again after each evaluation",
        "build or feed is_training=True in the training step, and run the update operations of the moving averages",
    ),
    (
        "look for code that restores the buffers, or that sets track_running_stats to False after building",
        "run the operations of tf.GraphKeys.UPDATE_OPS with the train op (tf.control_dependencies, or "
        "slim.learning.create_train_op)",
    ),
    ("give each network an optimizer of its own", "give minimize() a var_list for each network"),
    ("an optimizer each", "a train op with a var_list each"),
    ("hand it to the optimizer", "put it into var_list"),
    ("hand them to the optimizer", "put them into var_list"),
    ("call loss.backward() before optimizer.step()", "fetch the train op"),
    ("no backward was called", "no run computed a gradient"),
    ("use it in forward", "use it in the network"),
    ("binary_cross_entropy_with_logits", "tf.nn.sigmoid_cross_entropy_with_logits"),
    ("torch.where", "tf.where"),
)
