"""The faults of the issue, and healthy trainings that look like them, on any backend of Keras.

`fitted` trains by the model's own functions; `looped` by a loop as the guides of each backend write it.
"""

from __future__ import annotations

import json
import sys

import keras
import numpy as np
from keras import layers, ops

import smokestep

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(16, 6)).astype("float32")
IMAGES = RANDOM.normal(size=(8, 8, 8, 3)).astype("float32")
VALUES = RANDOM.normal(size=(16, 1)).astype("float32")
LABELS = (np.arange(16) % 3).astype("int32")
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
ONES = (np.arange(16) % 2).astype("float32")[:, None]
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
BINARY = keras.losses.BinaryCrossentropy(from_logits=True)


def dense(*last):
    return keras.Sequential([layers.Input((6,)), layers.Dense(16, activation="relu"), *last])


def fitted(model, loss, *batch):
    model.compile(keras.optimizers.Adam(1e-3), loss)
    return smokestep.Training(lambda pair: model.train_on_batch(*pair), batch)


def looped(model, loss_fn, *batch, training=True):
    """A loop of one's own; without `training`, it does not say that it trains."""
    said = {"training": True} if training else {}
    optimizer = keras.optimizers.Adam(1e-3)
    if keras.backend.backend() == "tensorflow":
        return _tape(model, loss_fn, batch, said, optimizer)
    return (_torch if keras.backend.backend() == "torch" else _jax)(model, loss_fn, batch, said, optimizer)


def _tape(model, loss_fn, batch, said, optimizer):
    import tensorflow as tf

    def step(pair):
        x, y = pair
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, **said))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return smokestep.Training(step, tuple(map(tf.constant, batch)))


def _torch(model, loss_fn, batch, said, optimizer):
    import torch

    def step(pair):
        x, y = pair
        model.zero_grad()
        loss = loss_fn(y, model(x, **said))
        loss.backward()
        weights = list(model.trainable_weights)
        with torch.no_grad():
            optimizer.apply([each.value.grad for each in weights], weights)
        return loss

    return smokestep.Training(step, tuple(map(torch.tensor, batch)))


def _jax(model, loss_fn, batch, said, optimizer):
    import jax

    model(batch[0][:1])
    optimizer.build(model.trainable_variables)

    def compute(trainable, rest, x, y):
        output, rest = model.stateless_call(trainable, rest, x, **said)
        return loss_fn(y, output), rest

    @jax.jit
    def step(state, pair):
        trainable, rest, kept = state
        (loss, rest), gradients = jax.value_and_grad(compute, has_aux=True)(trainable, rest, *pair)
        trainable, kept = optimizer.stateless_apply(kept, gradients, trainable)
        return loss, (trainable, rest, kept)

    state = [[each.value for each in some]
             for some in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)]  # fmt: skip
    return smokestep.Training(step, tuple(map(jax.numpy.asarray, batch)), state=tuple(state), model=model)


# ── healthy ────────────────────────────────────────────────────────────────────────────────────────────────────────
def convolutional():
    parts = [layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(), layers.Flatten()]
    return keras.Sequential([layers.Input((8, 8, 3)), *parts, layers.Dropout(0.3), layers.Dense(3)])


def fit_convolutional():
    return fitted(convolutional(), SPARSE, IMAGES, LABELS[:8])


def loop_convolutional():
    return looped(convolutional(), SPARSE, IMAGES, LABELS[:8])


def fit_softmax():
    return fitted(dense(layers.Dropout(0.3), layers.Dense(3, activation="softmax")), "sparse_categorical_crossentropy",
                  INPUTS, LABELS)  # fmt: skip


def fit_one_hot():
    return fitted(dense(layers.Dense(3, activation="softmax")), "categorical_crossentropy", INPUTS, ONE_HOT)


def fit_sigmoid():
    return fitted(dense(layers.Dense(1, activation="sigmoid")), "binary_crossentropy", INPUTS, ONES)


def fit_logit():
    return fitted(dense(layers.Dense(1)), BINARY, INPUTS, ONES)


def loop_sigmoid():
    return looped(dense(layers.Dense(1, activation="sigmoid")), keras.losses.BinaryCrossentropy(), INPUTS, ONES)


def fit_two_heads():
    inputs = keras.Input((6,))
    hidden = layers.LayerNormalization()(layers.Dense(16, activation="gelu")(inputs))
    heads = {"value": layers.Dense(1, name="value")(hidden), "kind": layers.Dense(3, name="kind")(hidden)}
    model = keras.Model(inputs, heads)
    model.compile("adam", {"value": "mse", "kind": SPARSE})
    targets = {"value": VALUES, "kind": LABELS}
    return smokestep.Training(lambda pair: model.train_on_batch(*pair), (INPUTS, targets))


def transferred():
    base = keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU()])
    base.trainable = False
    inputs = keras.Input((8, 8, 3))
    hidden = layers.GlobalAveragePooling2D()(base(inputs, training=False))
    return keras.Model(inputs, layers.Dense(3)(layers.Dropout(0.2)(hidden)))


def fit_transferred():
    return fitted(transferred(), SPARSE, IMAGES, LABELS[:8])


def loop_transferred():
    return looped(transferred(), SPARSE, IMAGES, LABELS[:8])


def loop_plain():
    """A model that does the same in either mode needs not be told which it is."""
    return looped(dense(layers.Dense(1)), keras.losses.MeanSquaredError(), INPUTS, VALUES, training=False)


def fit_recurrent():
    parts = [layers.Input((5,), dtype="int32"), layers.Embedding(20, 8), layers.LSTM(8), layers.Dense(1)]
    tokens = RANDOM.integers(0, 20, (16, 5)).astype("int32")
    return fitted(keras.Sequential(parts), BINARY, tokens, ONES)


def fit_regularized():
    body = layers.Dense(16, activation="relu", kernel_regularizer="l2")
    return fitted(keras.Sequential([layers.Input((6,)), body, layers.Dense(1)]), "huber", INPUTS, VALUES)


def fit_autoencoder():
    return fitted(dense(layers.Dense(6, activation="tanh")), "mse", INPUTS, np.tanh(INPUTS))


def players():
    generator = keras.Sequential([layers.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(6)], name="gen")
    critic = keras.Sequential([layers.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(1)], name="critic")
    return generator, critic


def game(both):
    """A game of two networks; with `both`, the generator's step moves the critic, too."""
    generator, critic = players()
    makes, judges = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)
    noise = RANDOM.normal(size=(16, 4)).astype("float32")
    mine = [*generator.trainable_variables, *(critic.trainable_variables if both else [])]
    makes.build(mine)
    judges.build(critic.trainable_variables)

    def judged(real):
        fakes = generator(noise, training=True)
        on_real, on_fake = critic(real, training=True), critic(fakes, training=True)
        return BINARY(ops.ones_like(on_real), on_real) + BINARY(ops.zeros_like(on_fake), on_fake)

    def made(_):
        on_fake = critic(generator(noise, training=True), training=True)
        return BINARY(ops.ones_like(on_fake), on_fake)

    steps = {"critic": _move(judged, critic.trainable_variables, judges), "generator": _move(made, mine, makes)}
    models = {"generator": generator, "critic": critic}
    trains = {"critic": critic, "generator": generator}
    return smokestep.Training(steps, ops.convert_to_tensor(INPUTS), model=models, trains=trains)


def _move(compute, variables, optimizer):
    """One step that moves these variables by the gradient of what is computed."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        def step(real):
            with tf.GradientTape() as tape:
                loss = compute(real)
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

    elif backend == "torch":
        import torch

        def step(real):
            for each in variables:
                each.value.grad = None
            loss = compute(real)
            loss.backward()
            with torch.no_grad():
                optimizer.apply([each.value.grad for each in variables], variables)
            return loss

    else:
        import jax

        def step(real):
            def loss_of(values):
                with keras.StatelessScope(list(zip(variables, values, strict=True))):
                    return compute(real)

            loss, gradients = jax.value_and_grad(loss_of)([each.value for each in variables])
            optimizer.apply(gradients, variables)
            return loss

    return step


def loop_game():
    return game(both=False)


# ── faults ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def mode_normalization():
    return looped(dense(layers.BatchNormalization(), layers.Dense(3)), SPARSE, INPUTS, LABELS, training=False)


def mode_dropout():
    return looped(dense(layers.Dropout(0.5), layers.Dense(3)), SPARSE, INPUTS, LABELS, training=False)


class Inside(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(1)

    def call(self, x):
        return self.out(layers.Dense(6, activation="relu")(x))  # made anew in each call


class Holder:
    def __init__(self):
        self.blocks = {"a": layers.Dense(4, activation="relu"), "b": layers.Dense(4, activation="relu")}


class Untracked(keras.Model):
    def __init__(self):
        super().__init__()
        self.holder = Holder()
        self.out = layers.Dense(1)

    def call(self, x):
        for block in self.holder.blocks.values():
            x = block(x)
        return self.out(x)


def layer_made_in_call():
    return fitted(Inside(), "mse", INPUTS, VALUES)


def untracked_layers():
    return fitted(Untracked(), "mse", INPUTS, VALUES)


def scores_for_probabilities():
    return fitted(dense(layers.Dense(3)), "sparse_categorical_crossentropy", INPUTS, LABELS)


def scores_for_probabilities_in_a_loop():
    return looped(dense(layers.Dense(3)), keras.losses.SparseCategoricalCrossentropy(), INPUTS, LABELS)


class Softmaxed(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(3)

    def call(self, x, training=False):
        return ops.softmax(self.out(x))


def probabilities_for_scores():
    return looped(Softmaxed(), SPARSE, INPUTS, LABELS)


def sigmoid_for_scores():
    return looped(dense(layers.Dense(1, activation="sigmoid")), BINARY, INPUTS, ONES)


def one_unit_softmax():
    return fitted(dense(layers.Dense(1, activation="softmax")), "binary_crossentropy", INPUTS, ONES)


def class_numbers_for_one_hot():
    return fitted(dense(layers.Dense(3, activation="softmax")), "categorical_crossentropy", INPUTS, LABELS[:, None])


def dead():
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, activation="relu")(inputs)
    hidden = layers.Dense(8, activation="relu")(inputs)
    return fitted(keras.Model(inputs, layers.Dense(1)(hidden)), "mse", INPUTS, VALUES)


def stopped():
    inputs = keras.Input((6,))
    hidden = ops.stop_gradient(layers.Dense(8, activation="relu")(inputs))
    return fitted(keras.Model(inputs, layers.Dense(1)(hidden)), "mse", INPUTS, VALUES)


def generator_moves_the_critic():
    return game(both=True)


def examined(name):
    report = smokestep.examine(globals()[name])
    return {
        "error": str(report.error) if report.error else None,
        "notes": report.notes,
        "verdicts": {check: outcome.verdict.value for check, outcome in report.checks.items()},
        "found": {
            each.check: [each.severity.value, each.where.path or "", each.cause.code if each.cause else ""]
            for each in report.findings
        },
    }


if __name__ == "__main__":
    for program in sys.argv[1:]:
        keras.utils.clear_session()
        print(json.dumps({program: examined(program)}), flush=True)
