"""Words: what findings say of PyTorch, and what is said to users of JAX instead.

The phrases are those of the checks and of the evidence, the longer before those they contain; a test holds that no
finding that JAX can get is left with a word that only PyTorch knows.
"""

from __future__ import annotations

from smokestep.backends.keras_words import MOMENTUM

WORDS: tuple[tuple[str, str], ...] = (
    # why no gradient passes
    (
        "move it out of `no_grad`, or leave the parameter out of the optimizer",
        "compute it inside of the function that is differentiated",
    ),
    ("gradient is turned off", "it is computed outside of the function that is differentiated"),
    ("`.data` takes it out of the graph", "it is taken out of what is differentiated"),
    ("use the tensor itself, not its `.data`", "use the array itself"),
    ("assign the parameter itself (", "use the parameter itself ("),
    (", not a copy or its `.data`", ", not a copy of it"),
    ("`.item()` makes it a Python number", "`.item()` makes it a plain number"),
    ("keep the tensor: arithmetic works on it", "keep the array: arithmetic works on it"),
    ("keep the tensor, and index it", "keep the array, and index it"),
    ("keep the tensor", "keep the array"),
    ("use the tensor, or `torch.stack` for a list", "use the array, or `jnp.stack` for a list"),
    ("use the tensor, or `.clone()`", "use the array itself"),
    ("`torch.tensor` copies", "`jnp.asarray` of numbers copies"),
    ("`torch.as_tensor` copies", "`jnp.asarray` of numbers copies"),
    ("use `torch.stack` for a list", "use `jnp.stack` for a list"),
    ("write the computation with torch functions", "write the computation with jax.numpy functions"),
    ("use `torch.where` on the results", "use `jnp.where` on the results"),
    ("use rsample(), or a loss on log_prob", "use a reparameterised sample, or a loss on its log-probability"),
    ("remove `detach_`", "remove `stop_gradient`"),
    ("remove `detach`", "remove `stop_gradient`"),
    ("`detach_` takes it out of the graph", "`stop_gradient` lets no gradient through"),
    ("`detach` takes it out of the graph", "`stop_gradient` lets no gradient through"),
    ("`to` gives ", "`astype` gives "),
    ("the custom Function `", "the function with a derivative of its own `"),
    ("return a gradient from its backward", "return a gradient from its `bwd`"),
    ("holds another tensor in its place", "holds another array in its place"),
    ("is no tensor, so", "is no array, so"),
    # what is stopped on purpose
    ("use a straight-through estimator: x + (", "use a straight-through estimator: x + stop_gradient("),
    ("z + (q - z).detach() has", "z + stop_gradient(q - z) has"),
    ("(x) - x).detach()", "(x) - x)"),
    ("weigh by advantage.detach()", "weigh by stop_gradient(advantage)"),
    (
        "detach the target, or compute it under torch.no_grad()",
        "put the target into `jax.lax.stop_gradient`",
    ),
    (
        "call backward on the loss itself; take `.item()` or `.detach()` only for logging",
        "differentiate the loss itself; take numbers from it only for logging",
    ),
    ("multiplies its output, which is not detached", "multiplies its output, which lets gradient through"),
    (
        "'s gradients before its own backward pass, or detach what that loss should not reach",
        "'s gradients apart from those of the other loss: differentiate each loss by its own parameters",
    ),
    ("a part of the loss is detached", "a part of the loss lets no gradient through"),
    # the loop
    ("no backward was called", "nothing was differentiated"),
    ("call loss.backward() before optimizer.step()", "differentiate the loss, and apply the updates"),
    (
        ".step() after the backward pass",
        ": apply its updates with `optax.apply_updates`, and return the new parameters",
    ),
    (".step() runs again with the gradients it has used", " is given the same gradients for a second update"),
    ("call requires_grad_(True), or take it out of `trains`", "differentiate by it too, or take it out of `trains`"),
    (" with requires_grad_(False)", " with `optax.set_to_zero`, or by not differentiating by it"),
    ("requires_grad_(True)", "`jax.grad` with it among the arguments that are differentiated"),
    ("does not require gradient", "is not differentiated"),
    ("with a learning rate that a scheduler holds low", "with a learning rate that a schedule holds low"),
    ("backward passes", "gradient computations"),
    ("backward pass", "gradient computation"),
    # losses written by hand
    ("`nll_loss`", "the cross-entropy"),
    # modes
    ("call eval() on the frozen part after every model.train()", "hand the frozen part `use_running_average=True`"),
    (
        "call model.train() before the training step, and again after each evaluation",
        "train with `deterministic=False` and `use_running_average=False`, and evaluate with a model of its own "
        "(`nnx.view`, or the flags as arguments)",
    ),
    ("the switch to eval() was not undone", "the switch to evaluation was not undone"),
    ("which torch refuses: no mean or variance", "of which no variance can be taken"),
    ("`training` is not passed, and is True then", "the flag that switches it off is written out as False"),
    (", after each train() of what holds it", ", again after each switch to training of what holds it"),
    (".eval()", " is to run in evaluation mode, with its dropout off: `deterministic=True`"),
    ("update it only `if self.training`", "update it only `if not self.deterministic`, or as your flag is called"),
    ("pass training=self.training, or use nn.Dropout", "leave `deterministic` to the module's own attribute"),
    *MOMENTUM,
    (
        "look for code that restores the buffers, or that sets track_running_stats to False after building",
        "keep the new ones: return them from the step, and hand them to the next one",
    ),
    (
        'try backend="eager", then "aot_eager", to see which part of the compiler does it',
        "hand over as arguments what the compiled function reads from outside: it is read once, when it is traced",
    ),
    # sequences
    (
        "invert the mask: in `key_padding_mask` and `src_key_padding_mask` True means padding",
        "invert the mask: where the `mask` of an attention is True, a position is read",
    ),
    (
        "give the attention its mask (`key_padding_mask`, or -inf before the softmax)",
        "give the attention its `mask`, True where a position is real, or put -inf before the softmax",
    ),
    (
        "pack the sequences (`pack_padded_sequence`), or take the output at `lengths - 1`",
        "give the recurrence its lengths (`seq_lengths`), or take the output at `lengths - 1`",
    ),
    (" of each sequence, or pack the sequences", " of each sequence"),
    ("leave padded positions out: `ignore_index`, or multiply", "leave padded positions out: multiply"),
    ("leave out bidirectional=True", "read the sequence in one direction only"),
    ("pad on the left only, by (kernel_size - 1) * dilation", 'pad on the left only (`padding="CAUSAL"`)'),
    ("`rnn_tanh`", "`scan`"),
    ("`scaled_dot_product_attention`", "`dot_product_attention`"),
    # layers and functions
    ("use it in forward", "use it in the model"),
    ("tensors it is given", "arrays it is given"),
    ("nn.init.kaiming_normal_", "jax.nn.initializers.he_normal"),
    ("nn.init.xavier_uniform_", "jax.nn.initializers.glorot_uniform"),
    ("squeeze the prediction, or unsqueeze the target", "`prediction.squeeze(-1)`, or `target[:, None]`"),
    ("torch.exp(0.5 * log_var)", "jnp.exp(0.5 * log_var)"),
    ("gradient.flatten(1).norm(2, dim=1)", "jnp.linalg.norm(gradient.reshape(len(gradient), -1), axis=1)"),
    (
        "similarity.fill_diagonal_(-torch.inf)",
        "jnp.fill_diagonal(similarity, -jnp.inf, inplace=False)",
    ),
    ("torch.tril(torch.ones(T, T))", "jnp.tril(jnp.ones((T, T)))"),
    ("scores.masked_fill(mask == 0, -torch.inf)", "jnp.where(mask == 0, -jnp.inf, scores)"),
    ("normalise over the keys: softmax(dim=", "normalise over the keys: softmax(axis="),
    ("normalise the scores over the keys, dim=-1", "normalise the scores over the keys, axis=-1"),
    ("` dim=", "` axis="),
    ("`torch.autograd.gradcheck` in double precision", "`jax.test_util.check_grads` in double precision"),
    ("the tensor picks nothing out", "the array picks nothing out"),
    ("the wrong tensor", "the wrong array"),
    ("add the tensor itself", "add the array itself"),
    ("no tensor of the batch", "no array of the batch"),
    ("takes no tensor with samples", "takes no array with samples"),
    ("a tensor of shape", "an array of shape"),
    ("was called with a tensor", "was called with an array"),
    ("`torch.where`", "`jnp.where`"),
    ("`torch.stack`", "`jnp.stack`"),
    ("torch functions", "jax.numpy functions"),
    ("`detach`", "`stop_gradient`"),
)
