"""`trainable = False` between two phases, without a new `compile`: the compiled step goes on training the body."""

import keras
from keras import layers

import smokestep


def training(again):
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu")], name="body")
    model = keras.Sequential([keras.Input((8,)), body, layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)
    model.train_on_batch(x, y)
    body.trainable = False
    if again:
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)  # BUG: foreign-update *body.*

    return smokestep.Training(step, (x, y), model=model, untouched=body)


def buggy():
    return training(False)


def fixed():
    return training(True)
