"""A model wholly in bfloat16, with a learning rate below what it can resolve."""

import keras
from keras import layers

import smokestep


def training(dtype):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "tanh", use_bias=False, dtype=dtype, name="only"),
            layers.Dense(3, dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.SGD(1e-5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)  # BUG: lost-update *only.kernel

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training("bfloat16")


def fixed():
    return training("mixed_bfloat16")
