"""Frozen and fine-tuned bodies, and batches from `tf.data`, generators and preprocessing layers."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import smokestep


def trained_body():
    """A stand-in for `keras.applications`: its statistics are those of data that it has seen."""
    body = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ],
        name="body",
    )
    body(np.random.rand(16, 8, 8, 3).astype("float32"), training=True)
    return body


def batch():
    return np.random.rand(8, 8, 8, 3).astype("float32"), np.random.randint(0, 2, (8, 1)).astype("float32")


def training_frozen_base():
    """keras.io, "Transfer learning & fine-tuning": the base frozen before compile, and called with training=False."""
    base_model = trained_body()
    base_model.trainable = False
    inputs = keras.Input(shape=(8, 8, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = base_model(x, training=False)
    x = layers.Dropout(0.2)(x)
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy()],
    )

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)[0]

    return smokestep.Training(step, batch(), model=model)


def training_fine_tuned_base():
    """keras.io, the same guide: unfrozen and compiled anew with a small rate, the base still in inference mode."""
    base_model = trained_body()
    base_model.trainable = False
    inputs = keras.Input(shape=(8, 8, 3))
    model = keras.Model(inputs, layers.Dense(1)(base_model(inputs, training=False)))
    base_model.trainable = True
    model.compile(optimizer=keras.optimizers.Adam(1e-5), loss=keras.losses.BinaryCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, batch(), model=model)


def training_some_layers_frozen():
    """TensorFlow, "Transfer learning and fine-tuning": all layers before the last few are frozen."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(3),
        ]
    )
    for layer in model.layers[:2]:
        layer.trainable = False
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.randn(16, 8).astype("float32"), np.arange(16) % 3

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (x, y), model=model)


def training_frozen_base_in_a_loop():
    """keras.io, the same guide: a loop of one's own over the head's weights."""
    base_model = trained_body()
    base_model.trainable = False
    head = keras.Sequential([keras.Input((8,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def train_step(x, y):
        features = base_model(x, training=False)
        with tf.GradientTape() as tape:
            loss_value = loss_fn(y, head(features, training=True))
        gradients = tape.gradient(loss_value, head.trainable_weights)
        optimizer.apply_gradients(zip(gradients, head.trainable_weights))
        return loss_value

    return smokestep.Training(lambda batch: train_step(*batch), batch(), model={"body": base_model, "head": head})


def training_features_once():
    """Deep Learning with Python: features of a frozen base computed beforehand, and a classifier on them."""
    x, y = batch()
    features = trained_body().predict(x, verbose=0)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(1, "sigmoid")])
    model.compile("rmsprop", "binary_crossentropy")

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (features, y), model=model)


def training_from_a_dataset():
    """TensorFlow, "Load and preprocess images": shuffled, batched and prefetched, one batch a step."""
    x, y = np.random.rand(64, 8, 8, 1).astype("float32"), np.arange(64) % 4
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(64).batch(8).repeat().prefetch(2)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(4)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = iter(dataset)

    def step():
        images, labels = next(batches)
        return model.train_on_batch(images, labels)

    return smokestep.Training(step, model=model)


def training_fit_on_a_dataset():
    """keras.io, "Training & evaluation with the built-in methods": `fit` on a dataset, a few batches an epoch."""
    x, y = np.random.randn(64, 8).astype("float32"), np.random.randn(64, 1).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64).batch(16)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(1)])
    model.compile("sgd", "mse")

    def step():
        return model.fit(dataset, epochs=1, steps_per_epoch=2, verbose=0).history["loss"][0]

    return smokestep.Training(step, model=model)


def training_from_a_py_dataset():
    """keras.io, `PyDataset`: batches made by a class, in the main process."""

    class Pictures(keras.utils.PyDataset):
        def __init__(self, x, y, **kwargs):
            super().__init__(**kwargs)
            self.x, self.y = x, y

        def __len__(self):
            return 4

        def __getitem__(self, index):
            chosen = slice(8 * index, 8 * index + 8)
            return self.x[chosen], self.y[chosen]

    data = Pictures(np.random.rand(32, 8).astype("float32"), np.arange(32) % 3)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step():
        model.fit(data, epochs=1, verbose=0)

    return smokestep.Training(step, model=model)


def training_from_a_generator():
    """A Python generator of NumPy batches, as older Keras code has it."""

    def batches():
        while True:
            x = np.random.randn(16, 6).astype("float32")
            yield x, (x.sum(axis=1, keepdims=True) > 0).astype("float32")

    generator = batches()
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")

    def step():
        return model.train_on_batch(*next(generator))

    return smokestep.Training(step, model=model)


def training_augmentation_layers():
    """keras.io, "Working with preprocessing layers": augmentation and rescaling inside the model."""
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(0.1, 0.1),
            layers.Rescaling(1.0 / 255),
            layers.Conv2D(8, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.randint(0, 256, (8, 12, 12, 3)).astype("float32"), np.arange(8) % 3

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (x, y), model=model)


def training_categories_and_numbers():
    """keras.io, "Structured data classification from scratch": dictionary of columns, each with its own encoding."""
    age, kind = keras.Input((1,), name="age"), keras.Input((1,), dtype="int32", name="kind")
    normalised = layers.Normalization(mean=40.0, variance=100.0)(age)
    one_hot = layers.CategoryEncoding(num_tokens=5, output_mode="one_hot")(kind)
    x = layers.Dense(16, activation="relu")(layers.concatenate([normalised, one_hot]))
    model = keras.Model({"age": age, "kind": kind}, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.5)(x)))
    model.compile("adam", loss="binary_crossentropy", metrics=["accuracy"])
    columns = {
        "age": np.random.normal(40, 10, (16, 1)).astype("float32"),
        "kind": np.random.randint(0, 5, (16, 1)),
    }
    y = np.random.randint(0, 2, (16, 1)).astype("float32")

    def step(batch):
        columns, y = batch
        return model.train_on_batch(columns, y)[0]

    return smokestep.Training(step, (columns, y), model=model)
