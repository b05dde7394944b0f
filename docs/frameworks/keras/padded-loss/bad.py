import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(20, 8, mask_zero=True)
        self.rnn = layers.GRU(8, return_sequences=True)
        self.out = layers.Dense(20)

    def call(self, ids):
        return self.out(self.rnn(self.embed(ids)))


def training():
    model = Net()
    optimizer = keras.optimizers.Adam()

    def step(ids):
        with tf.GradientTape() as tape:
            logits = model(ids[:, :-1], training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    ids = keras.random.randint((4, 9), 1, 20) * tf.sequence_mask([9, 3, 4, 5], 9, "int32")
    return smokestep.Training(step, ids)
