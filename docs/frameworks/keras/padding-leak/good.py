import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(20, 8)
        self.rnn = layers.GRU(8, return_sequences=True)
        self.out = layers.Dense(2)

    def call(self, ids, lengths):
        hidden = self.rnn(self.embed(ids))
        last = tf.gather(hidden, lengths - 1, batch_dims=1)
        return self.out(last)


def training():
    model = Net()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam()

    def step(batch):
        ids, lengths, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(ids, lengths))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    lengths = tf.constant([6, 3, 4, 5])
    ids = keras.random.randint((4, 6), 1, 20) * tf.sequence_mask(lengths, 6, "int32")
    return smokestep.Training(step, (ids, lengths, tf.constant([0, 1, 1, 0])))
