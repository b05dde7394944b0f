"""A causal model whose targets are its inputs, at the same places."""

import keras
from keras import layers

import smokestep


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed, self.attention = layers.Embedding(20, 16), layers.MultiHeadAttention(2, 8)
        self.out = layers.Dense(20)

    def call(self, ids):
        x = self.embed(ids)
        return self.out(x + self.attention(x, x, use_causal_mask=True))


def training(split):
    model = Net()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))  # BUG: unshifted-target

    def step(ids):
        inputs, targets = split(ids)
        return model.train_on_batch(inputs, targets)

    return smokestep.Training(step, keras.random.randint((4, 10), 0, 20))


def buggy():
    return training(lambda ids: (ids, ids))


def fixed():
    return training(lambda ids: (ids[:, :-1], ids[:, 1:]))
