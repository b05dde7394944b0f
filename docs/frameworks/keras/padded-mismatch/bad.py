import keras
import tensorflow as tf
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(20, 8)
        self.out = layers.Dense(2)

    def call(self, ids, mask):
        h = self.embed(ids) * mask[:, :, None]
        h = tf.reduce_mean(h, axis=1)
        return self.out(h)


def training():
    model = Net()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam()

    def step(batch):
        with tf.GradientTape() as tape:
            loss = loss_fn(batch["y"], model(batch["ids"], batch["attention_mask"]))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    mask = tf.sequence_mask([6, 3, 4, 5], 6, "float32")
    ids = keras.random.randint((4, 6), 1, 20) * tf.cast(mask, "int32")
    return smokestep.Training(step, {"ids": ids, "attention_mask": mask, "y": tf.constant([0, 1, 1, 0])})
