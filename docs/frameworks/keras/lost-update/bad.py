import keras
from keras import layers

import smokestep


def training():
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, "relu", dtype="bfloat16"), layers.Dense(2, dtype="bfloat16")]
    )
    model.compile(keras.optimizers.SGD(1e-6), "mse")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 8)), keras.random.normal((8, 2))))
