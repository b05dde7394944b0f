import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(20, 16)
        self.rnn = layers.GRU(16, return_sequences=True)
        self.head = layers.Dense(20)
        self.loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def call(self, ids, labels):
        logits = self.head(self.rnn(self.embed(ids)))
        return self.loss_fn(labels[:, 1:], logits[:, :-1])


def training():
    model = Net()
    optimizer = keras.optimizers.Adam()

    def step(ids):
        with tf.GradientTape() as tape:
            loss = model(ids[:, :-1], ids[:, 1:])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, keras.random.randint((4, 10), 0, 20))
