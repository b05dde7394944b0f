import keras
from keras import layers

import smokestep


def training():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(64, "relu", bias_initializer=keras.initializers.RandomNormal(-12.0, 8.0)),
            layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((32, 8)), keras.random.randint((32,), 0, 3)))
