import keras
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    best = {"loss": float("inf"), "weights": None}

    def step(batch):
        x, y = batch
        loss = model.train_on_batch(x, y)
        if loss < best["loss"]:
            best["loss"], best["weights"] = loss, model.get_weights()

    return smokestep.Training(step, (keras.random.normal((8, 6)), keras.random.randint((8,), 0, 3)))
