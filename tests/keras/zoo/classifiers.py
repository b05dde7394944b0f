"""Compiled classifiers, as the Keras guides write them."""

import keras
import numpy as np
from keras import layers

import smokestep


def images(count=16, size=12, classes=5, channels=1):
    x = np.random.rand(count, size, size, channels).astype("float32")
    return x, np.random.randint(0, classes, count)


def training_simple_convnet():
    """keras.io, "Simple MNIST convnet": one-hot targets, softmax, dropout."""
    model = keras.Sequential(
        [
            keras.Input(shape=(12, 12, 1)),
            layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    x, y = images()
    y = keras.utils.to_categorical(y, 5)

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_fit_subclass():
    """TensorFlow, "Quickstart for experts": a subclassed model; here by `fit`, an epoch a step."""

    class MyModel(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv1 = layers.Conv2D(8, 3, activation="relu")
            self.flatten = layers.Flatten()
            self.d1 = layers.Dense(16, activation="relu")
            self.d2 = layers.Dense(5)

        def call(self, x):
            x = self.conv1(x)
            x = self.flatten(x)
            x = self.d1(x)
            return self.d2(x)

    model = MyModel()
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["sparse_categorical_accuracy"],
    )
    x, y = images(32)

    def step():
        history = model.fit(x, y, batch_size=16, epochs=1, verbose=0)
        return history.history["loss"][0]

    return smokestep.Training(step, model=model)


def training_several_outputs():
    """keras.io, "The Functional API": several inputs and outputs, with loss weights."""
    title = keras.Input(shape=(7,), dtype="int32", name="title")
    body = keras.Input(shape=(11,), dtype="int32", name="body")
    tags = keras.Input(shape=(4,), name="tags")
    title_features = layers.LSTM(8)(layers.Embedding(30, 8)(title))
    body_features = layers.LSTM(6)(layers.Embedding(30, 8)(body))
    x = layers.concatenate([title_features, body_features, tags])
    priority = layers.Dense(1, name="priority")(x)
    department = layers.Dense(4, name="department")(x)
    model = keras.Model(inputs=[title, body, tags], outputs={"priority": priority, "department": department})
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-3),
        loss={
            "priority": keras.losses.BinaryCrossentropy(from_logits=True),
            "department": keras.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
    )
    inputs = {
        "title": np.random.randint(30, size=(8, 7)),
        "body": np.random.randint(30, size=(8, 11)),
        "tags": np.random.randint(2, size=(8, 4)).astype("float32"),
    }
    targets = {
        "priority": np.random.randint(2, size=(8, 1)).astype("float32"),
        "department": np.eye(4, dtype="float32")[np.arange(8) % 4],
    }

    def step(batch):
        inputs, targets = batch
        return model.train_on_batch(inputs, targets)

    return smokestep.Training(step, (inputs, targets), model=model)


def training_class_weights():
    """keras.io, "Imbalanced classification: credit card fraud detection"."""
    model = keras.Sequential(
        [
            keras.Input(shape=(10,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy", metrics=[keras.metrics.Recall()])
    x = np.random.randn(32, 10).astype("float32")
    y = (np.arange(32) % 8 == 0).astype("float32")[:, None]
    class_weight = {0: 1.0 / 28, 1: 1.0 / 4}

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y, class_weight=class_weight)[0]

    return smokestep.Training(step, (x, y), model=model)


def training_sample_weights():
    """keras.io, "Training & evaluation with the built-in methods": sample weights."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.randn(16, 6).astype("float32"), np.random.randint(0, 3, 16)
    sample_weight = np.ones(16, dtype="float32")
    sample_weight[y == 2] = 2.0

    def step(batch):
        x, y, weight = batch
        return model.train_on_batch(x, y, sample_weight=weight)

    return smokestep.Training(step, (x, y, sample_weight), model=model)


def training_label_smoothing():
    """keras.io, "CategoricalCrossentropy": label smoothing on logits."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, activation="gelu"), layers.Dense(4)])
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1))
    x, y = np.random.randn(16, 6).astype("float32"), np.eye(4, dtype="float32")[np.arange(16) % 4]

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_many_metrics():
    """keras.io, "Metrics": a compile with many metrics, one of them written by hand."""

    def mean_confidence(y_true, y_pred):
        return keras.ops.mean(keras.ops.max(y_pred, axis=-1))

    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2), mean_confidence],
    )
    x, y = np.random.randn(16, 6).astype("float32"), np.random.randint(0, 3, 16)

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y, return_dict=True)["loss"]

    return smokestep.Training(step, (x, y), model=model)


def training_multi_label():
    """keras.io, "Large-scale multi-label text classification": sigmoids and binary cross-entropy."""
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(32, activation="relu"), layers.Dense(6, activation="sigmoid")]
    )
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["binary_accuracy"])
    x = np.random.rand(16, 20).astype("float32")
    y = np.random.randint(0, 2, (16, 6)).astype("float32")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_focal_loss():
    """keras.io, "BinaryFocalCrossentropy"."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(1)])
    model.compile("adam", keras.losses.BinaryFocalCrossentropy(gamma=2, from_logits=True))
    x, y = np.random.randn(16, 8).astype("float32"), np.random.randint(0, 2, (16, 1)).astype("float32")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_logits_behind_a_softmax():
    """Keras itself takes the scores before a softmax, where a loss of logits meets one; it warns, and the loss is right."""
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.randn(16, 6).astype("float32"), np.random.randint(0, 3, 16)

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_segmentation():
    """keras.io, "Image segmentation with a U-Net-like architecture", in small: a class for each pixel."""
    inputs = keras.Input(shape=(8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    skip = layers.Activation("relu")(x)
    x = layers.MaxPooling2D(2)(skip)
    x = layers.SeparableConv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(layers.add([x, skip]))
    outputs = layers.Conv2D(3, 3, activation="softmax", padding="same")(x)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
    x, y = np.random.rand(4, 8, 8, 3).astype("float32"), np.random.randint(0, 3, (4, 8, 8, 1))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_wide_and_deep():
    """keras.io, "Structured data learning with Wide, Deep, and Cross networks"."""
    inputs = keras.Input((8,))
    wide = layers.BatchNormalization()(inputs)
    deep = inputs
    for units in (16, 16):
        deep = layers.Dense(units)(deep)
        deep = layers.BatchNormalization()(deep)
        deep = layers.ReLU()(deep)
        deep = layers.Dropout(0.1)(deep)
    cross = inputs
    for _ in range(2):
        cross = inputs * layers.Dense(8)(cross) + cross
    outputs = layers.Dense(4, activation="softmax")(layers.concatenate([wide, deep, cross]))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.random.randn(16, 8).astype("float32"), np.random.randint(0, 4, 16)

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_regression_of_flat_targets():
    """TensorFlow, "Basic regression": targets of shape (N,) against outputs (N, 1), which a Keras loss brings together."""
    normalizer = layers.Normalization(axis=-1)
    x = (50 + 10 * np.random.randn(32, 5)).astype("float32")
    normalizer.adapt(x)
    model = keras.Sequential(
        [normalizer, layers.Dense(16, activation="relu"), layers.Dense(16, activation="relu"), layers.Dense(1)]
    )
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.Adam(0.001))
    y = np.random.randn(32).astype("float32")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)
