"""Faults of Keras and TensorFlow trainings, each told by its check on its line; and what looks like one and is none."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import smokestep

pytestmark = pytest.mark.filterwarnings(
    "ignore:Gradients do not exist", "ignore:.*from_logits", "ignore:.*softmax over"
)


def found(factory):
    """The checks that fire, each with the text of its line."""
    report = smokestep.examine(factory)
    assert report.error is None
    assert not report.notes
    return {each.check: each.cause.code if each.cause else "" for each in report.findings}


def labels():
    return tf.constant([0, 1, 0, 1, 1, 0, 1, 0])


def loop(model, loss_fn, targets, *, inputs=None, training=True):
    """A plain custom loop."""
    optimizer = keras.optimizers.Adam(1e-2)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            output = model(x, training=True) if training else model(x)
            loss = loss_fn(y, output)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return smokestep.Training(step, (tf.random.normal((8, 3)) if inputs is None else inputs, targets))


def dense(*last, hidden=8):
    return keras.Sequential([layers.Input((3,)), layers.Dense(hidden, activation="relu"), *last])


def test_training_is_not_passed():
    def training():
        model = dense(layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(2))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return loop(model, loss, labels(), training=False)

    told = found(training)
    assert set(told) == {"inference-normalization"}
    assert "model(x)" in told["inference-normalization"]


def test_a_model_that_does_not_care_needs_no_mode():
    assert not found(lambda: loop(dense(layers.Dense(1)), keras.losses.MeanSquaredError(), tf.random.normal((8, 1)),
                                  training=False))  # fmt: skip


class Inside(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(1)

    def call(self, x):
        hidden = layers.Dense(6, activation="relu")(x)
        return self.out(hidden)


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


@pytest.mark.parametrize(("model", "code"), [(Inside, "layers.Dense(6"), (Untracked, "self.blocks = {")])
def test_layers_that_the_model_does_not_track(model, code):
    told = found(lambda: loop(model(), keras.losses.MeanSquaredError(), tf.random.normal((8, 1))))
    assert set(told) == {"unregistered-parameter"}
    assert code in told["unregistered-parameter"]


class Dead(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(3, 3, padding="same", activation="relu")
        self.second = layers.Conv2D(3, 3, padding="same", activation="relu")
        self.flatten, self.out = layers.Flatten(), layers.Dense(2)

    def call(self, image):
        hidden = self.first(image)
        hidden = self.second(image)
        return self.out(self.flatten(hidden))


def test_convolutions_that_are_all_fed_with_the_image():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    told = found(lambda: loop(Dead(), loss, labels(), inputs=tf.random.normal((8, 5, 5, 3))))
    assert told == {"dead-branch": "hidden = self.first(image)"}


def test_scores_where_probabilities_are_wanted():
    def training():
        model = dense(layers.Dense(2))
        model.compile("adam", "sparse_categorical_crossentropy")
        return smokestep.Training(lambda batch: model.train_on_batch(*batch), (tf.random.normal((8, 3)), labels()))

    told = found(training)
    assert told == {"missing-log-softmax": 'model.compile("adam", "sparse_categorical_crossentropy")'}


class Softmaxed(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(2)

    def call(self, x):
        return tf.nn.softmax(self.out(x))


def test_probabilities_where_scores_are_wanted():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    told = found(lambda: loop(Softmaxed(), loss, labels()))
    assert told == {"double-softmax": "return tf.nn.softmax(self.out(x))"}


def test_keras_goes_back_to_the_scores_behind_its_own_softmax():
    def training():
        model = dense(layers.Dense(2, activation="softmax"))
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return smokestep.Training(lambda batch: model.train_on_batch(*batch), (tf.random.normal((8, 3)), labels()))

    assert not found(training)


def test_a_softmax_over_one_unit():
    def training():
        model = dense(layers.Dense(1, activation="softmax"))
        model.compile("adam", "binary_crossentropy")
        targets = tf.cast(labels(), "float32")[:, None]
        return smokestep.Training(lambda b: model.fit(*b, verbose=0), (tf.random.normal((8, 3)), targets))

    assert set(found(training)) == {"single-logit"}


def two_parts(between):
    """A model and a head, of which the head alone may see the tape."""
    model, head = dense(layers.Dense(1)), keras.Sequential([layers.Input((1,)), layers.Dense(1)])
    optimizer = keras.optimizers.Adam()

    def step(batch):
        loss, tape = between(model, head, batch)
        variables = model.trainable_variables + head.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return smokestep.Training(step, (tf.random.normal((8, 3)), tf.random.normal((8, 1))))


def test_a_forward_pass_outside_of_the_tape():
    def between(model, head, batch):
        hidden = model(batch[0], training=True)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(head(hidden, training=True) - batch[1]))
        return loss, tape

    assert found(lambda: two_parts(between)) == {"gradient-cut": "hidden = model(batch[0], training=True)"}


def test_a_forward_pass_through_numpy():
    def between(model, head, batch):
        with tf.GradientTape() as tape:
            hidden = model(batch[0], training=True)
            hidden = tf.constant(np.clip(hidden.numpy(), -2, 2))
            loss = tf.reduce_mean(tf.square(head(hidden, training=True) - batch[1]))
        return loss, tape

    told = found(lambda: two_parts(between))
    assert set(told) == {"gradient-cut"}
    assert "numpy()" in told["gradient-cut"]


def test_an_optimizer_of_a_gan_that_moves_both_networks():
    def training():
        generator = keras.Sequential([layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
        critic = keras.Sequential([layers.Input((3,)), layers.Dense(8, activation="tanh"), layers.Dense(1)])
        loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
        for_generator, for_critic = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)

        def critic_step(real):
            fake = generator(tf.random.normal((8, 4)), training=True)
            with tf.GradientTape() as tape:
                on_real, on_fake = critic(real, training=True), critic(fake, training=True)
                loss = loss_fn(tf.ones_like(on_real), on_real) + loss_fn(tf.zeros_like(on_fake), on_fake)
            variables = critic.trainable_variables
            for_critic.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        def generator_step(real):
            with tf.GradientTape() as tape:
                on_fake = critic(generator(tf.random.normal((8, 4)), training=True), training=True)
                loss = loss_fn(tf.ones_like(on_fake), on_fake)
            variables = generator.trainable_variables + critic.trainable_variables
            for_generator.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        steps = {"critic": critic_step, "generator": generator_step}
        return smokestep.Training(steps, tf.random.normal((8, 3)), trains={"critic": critic, "generator": generator})

    assert set(found(training)) == {"foreign-update"}


def test_a_part_that_is_frozen_after_compile_stays_frozen():
    def training():
        base = dense()
        model = keras.Sequential([base, layers.Dense(1)])
        model.compile("adam", "mse")
        base.trainable = False
        batch = (tf.random.normal((8, 3)), tf.random.normal((8, 1)))
        return smokestep.Training(lambda pair: model.train_on_batch(*pair), batch)

    assert not found(training)


class Leaking(keras.Model):
    """Normalizes over the batch by hand."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = layers.Dense(6), layers.Dense(1)

    def call(self, x):
        hidden = self.hidden(x)
        hidden = hidden - tf.reduce_mean(hidden, axis=0)
        return self.out(hidden)


def test_a_sample_that_leaks_into_the_others():
    told = found(lambda: loop(Leaking(), keras.losses.MeanSquaredError(), tf.random.normal((8, 1))))
    assert told == {"batch-leak": "hidden = hidden - tf.reduce_mean(hidden, axis=0)"}


def test_plain_parts():
    model = dense(layers.Dense(1))
    model.compile("adam", "mse")
    batch = (tf.random.normal((8, 3)), tf.random.normal((8, 1)))
    before = [np.array(each) for each in model.get_weights()]
    assert not smokestep.verify(model=model, batch=batch).findings
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


class Stuck(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = layers.Dense(6, "relu"), layers.Dense(1)

    def call(self, x, training=False):
        return self.out(tf.nn.dropout(self.hidden(x), 0.5))


def test_a_dropout_that_no_mode_turns_off():
    told = found(lambda: loop(Stuck(), keras.losses.MeanSquaredError(), tf.random.normal((8, 1))))
    assert "stuck-dropout" in told
    assert "tf.nn.dropout" in told["stuck-dropout"]


def chained(image):
    hidden = layers.Conv2D(3, 3, padding="same", activation="relu")(image)
    return layers.Conv2D(3, 3, padding="same", activation="relu")(hidden)


def unchained(image):
    hidden = layers.Conv2D(3, 3, padding="same", activation="relu")(image)
    hidden = layers.Conv2D(3, 3, padding="same", activation="relu")(image)
    return hidden


def functional(middle):
    image = layers.Input((5, 5, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(middle(image))))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return loop(model, loss, labels(), inputs=tf.random.normal((8, 5, 5, 3)))


def test_a_layer_that_a_functional_model_leaves_out():
    assert not found(lambda: functional(chained))
    told = found(lambda: functional(unchained))
    assert told == {"dead-branch": 'hidden = layers.Conv2D(3, 3, padding="same", activation="relu")(image)'}


def test_a_variable_that_only_weighs_the_loss_is_no_parameter():
    def training():
        model, weight = dense(layers.Dense(1)), tf.Variable(0.5)
        return loop(model, lambda y, p: weight * tf.reduce_mean(tf.square(p - y)), tf.random.normal((8, 1)))

    assert not found(training)


def test_a_frozen_normalization_is_meant_to_stand_still():
    def training():
        frozen = layers.BatchNormalization()
        frozen.trainable = False
        return loop(dense(frozen, layers.Dense(1)), keras.losses.MeanSquaredError(), tf.random.normal((8, 1)))

    assert not found(training)
