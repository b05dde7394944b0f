import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed, self.attention = layers.Embedding(20, 8), layers.MultiHeadAttention(2, 4)
        self.out = layers.Dense(20)

    def call(self, ids, mask):
        x = self.embed(ids)
        mixed = self.attention(x, x, attention_mask=(mask == 1)[:, None])
        return self.out(x + mixed)


def training():
    model = Net()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    optimizer = keras.optimizers.Adam()

    def step(batch):
        ids, mask = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(ids, model(ids, mask))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    mask = tf.sequence_mask([5, 3, 4, 5], 6, "int32")
    ids = keras.random.randint((4, 6), 1, 20) * mask
    return smokestep.Training(step, (ids, mask))
