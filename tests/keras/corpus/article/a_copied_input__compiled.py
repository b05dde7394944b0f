"""Six convolutions and three poolings, every convolution fed the input image: copied lines whose argument was not changed."""

import keras
import tensorflow as tf
from keras import layers

import smokestep


class ConvNet(keras.Model):
    def __init__(self, classes=4):
        super().__init__()
        self.conv1 = layers.Conv2D(8, 11, padding="same", name="conv1")
        self.conv2 = layers.Conv2D(8, 5, padding="same", name="conv2")
        self.conv3 = layers.Conv2D(16, 5, padding="same", name="conv3")
        self.conv4 = layers.Conv2D(16, 3, padding="same", name="conv4")
        self.conv5 = layers.Conv2D(16, 3, padding="same", name="conv5")
        self.conv6 = layers.Conv2D(32, 1, name="conv6")
        self.pool = layers.MaxPooling2D()
        self.fc = layers.Dense(classes)

    def call(self, image):
        net = tf.nn.relu(self.conv1(image))  # BUG: dead-branch *conv1.kernel, *conv1.bias
        net = tf.nn.relu(self.conv2(image))
        net = self.pool(net)  # BUG: dead-branch *conv2.kernel, *conv2.bias
        net = tf.nn.relu(self.conv3(image))  # BUG: dead-branch *conv3.kernel, *conv3.bias
        net = tf.nn.relu(self.conv4(image))
        net = self.pool(net)  # BUG: dead-branch *conv4.kernel, *conv4.bias
        net = tf.nn.relu(self.conv5(image))
        net = self.pool(net)  # BUG: dead-branch *conv5.kernel, *conv5.bias
        net = tf.nn.relu(self.conv6(image))
        return self.fc(tf.reduce_mean(net, axis=(1, 2)))


class ChainedConvNet(ConvNet):
    def call(self, image):
        net = tf.nn.relu(self.conv1(image))
        net = tf.nn.relu(self.conv2(net))
        net = self.pool(net)
        net = tf.nn.relu(self.conv3(net))
        net = tf.nn.relu(self.conv4(net))
        net = self.pool(net)
        net = tf.nn.relu(self.conv5(net))
        net = self.pool(net)
        net = tf.nn.relu(self.conv6(net))
        return self.fc(tf.reduce_mean(net, axis=(1, 2)))


def training(model):
    model = model()
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (keras.random.normal((8, 16, 16, 3)), keras.random.randint((8,), 0, 4)))


def buggy():
    return training(ConvNet)


def fixed():
    return training(ChainedConvNet)
