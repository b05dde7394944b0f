"""The best weights are kept as the list of the variables themselves."""

import keras
from keras import layers

import smokestep


def training(keep):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    best = {"loss": float("inf"), "weights": None}

    def step(batch):
        x, y = batch
        loss = model.train_on_batch(x, y)
        if loss < best["loss"]:
            best["loss"] = loss
            best["weights"] = keep(model)  # BUG?: aliased-checkpoint
        return loss

    return smokestep.Training(step, (keras.random.normal((16, 8)), keras.random.randint((16,), 0, 3)))


def buggy():
    return training(lambda model: model.weights)


def fixed():
    return training(lambda model: model.get_weights())
