import keras
from keras import layers

import smokestep


def training():
    inputs = keras.Input((8,))
    start = keras.initializers.GlorotUniform(seed=0)  # gives the same numbers each time
    heads = [layers.Dense(1, kernel_initializer=start)(inputs) for _ in range(3)]
    model = keras.Model(inputs, heads)
    model.compile("adam", ["mse", "mse", "mse"])

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, [y, y, y])

    return smokestep.Training(step, (keras.random.normal((8, 8)), keras.random.normal((8, 1))))
