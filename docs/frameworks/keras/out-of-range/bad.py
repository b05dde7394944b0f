import keras
from keras import layers

import smokestep


def training():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(8)])
    model.compile("adam", "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(
        step, (keras.random.normal((8, 4)), keras.random.uniform((8, 8))), model=model, output_range=(0, 1)
    )
