"""Six convolutions and three poolings, every convolution fed the input image: copied lines whose argument was not changed. Here in plain TensorFlow."""

import keras
import tensorflow as tf

import smokestep

SHAPES = {
    "conv1": (11, 11, 3, 8),
    "conv2": (5, 5, 3, 8),
    "conv3": (5, 5, 3, 16),
    "conv4": (3, 3, 3, 16),
    "conv5": (3, 3, 3, 16),
    "conv6": (1, 1, 3, 32),
    "fc": (32, 4),
}
CHAINED = {
    "conv1": (11, 11, 3, 8),
    "conv2": (5, 5, 8, 8),
    "conv3": (5, 5, 8, 16),
    "conv4": (3, 3, 16, 16),
    "conv5": (3, 3, 16, 16),
    "conv6": (1, 1, 16, 32),
    "fc": (32, 4),
}


class Weights(tf.Module):
    def __init__(self, shapes):
        super().__init__()
        start = keras.initializers.HeNormal
        self.w = {name: tf.Variable(start()(shape), name=name) for name, shape in shapes.items()}


def conv(x, kernel):
    return tf.nn.relu(tf.nn.conv2d(x, kernel, strides=1, padding="SAME"))


def pool(x):
    return tf.nn.max_pool2d(x, 2, 2, padding="SAME")


def copied(w, image):
    net = conv(image, w["conv1"])  # BUG: dead-branch *conv1*
    net = conv(image, w["conv2"])
    net = pool(net)  # BUG: dead-branch *conv2*
    net = conv(image, w["conv3"])  # BUG: dead-branch *conv3*
    net = conv(image, w["conv4"])
    net = pool(net)  # BUG: dead-branch *conv4*
    net = conv(image, w["conv5"])
    net = pool(net)  # BUG: dead-branch *conv5*
    net = conv(image, w["conv6"])
    return tf.matmul(tf.reduce_mean(net, axis=(1, 2)), w["fc"])


def chained(w, image):
    net = conv(image, w["conv1"])
    net = conv(net, w["conv2"])
    net = pool(net)
    net = conv(net, w["conv3"])
    net = conv(net, w["conv4"])
    net = pool(net)
    net = conv(net, w["conv5"])
    net = pool(net)
    net = conv(net, w["conv6"])
    return tf.matmul(tf.reduce_mean(net, axis=(1, 2)), w["fc"])


def training(forward, shapes):
    weights = Weights(shapes)
    optimizer = keras.optimizers.Adam(1e-3)

    def step(batch):
        images, labels = batch
        with tf.GradientTape() as tape:
            logits = forward(weights.w, images)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        variables = weights.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((8, 16, 16, 3)), tf.range(8) % 4))


def buggy():
    return training(copied, SHAPES)


def fixed():
    return training(chained, CHAINED)
