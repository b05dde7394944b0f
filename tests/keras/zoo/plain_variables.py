"""Plain variables under a tape, several of which begin with the same entries; a normalization of one's own."""

import keras
import tensorflow as tf

import smokestep


def training_twin_biases():
    """TensorFlow's guide to basic training loops: modules of plain variables, biases that begin with zeros."""
    weights = [tf.Variable(tf.random.normal(size, stddev=0.3)) for size in ((8, 16), (16, 16), (16, 3))]
    biases = [tf.Variable(tf.zeros(size)) for size in (16, 16, 3)]
    optimizer = keras.optimizers.SGD(0.1)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, weights[0]), biases[0]))
            hidden = tf.nn.relu(tf.add(tf.matmul(hidden, weights[1]), biases[1]))
            scores = tf.matmul(hidden, weights[2]) + biases[2]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores))
        variables = [*weights, *biases]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 3))


def training_weighted_tasks():
    """Kendall et al. 2018: the losses of two tasks weighted by uncertainties that are learned, and begin alike."""
    body = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu")])
    depth, label = keras.layers.Dense(1), keras.layers.Dense(3)
    first, second = tf.Variable(0.0), tf.Variable(0.0)
    optimizer = keras.optimizers.Adam(1e-2)

    def step(batch):
        x, far, kind = batch
        with tf.GradientTape() as tape:
            hidden = body(x, training=True)
            distance = tf.reduce_mean(tf.square(depth(hidden) - far))
            entropy = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(kind, label(hidden)))
            loss = tf.exp(-first) * distance + first + tf.exp(-second) * entropy + second
        variables = [*body.trainable_variables, *depth.trainable_variables, *label.trainable_variables, first, second]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.random.normal((16, 1)), tf.range(16) % 3))


def training_twin_gains():
    """Residual blocks with gains of ones and shifts of zeros, as in many reimplementations of normalizers."""

    class Block(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.random.normal((16, 16), stddev=0.2))
            self.gain, self.shift = tf.Variable(tf.ones(16)), tf.Variable(tf.zeros(16))

        def __call__(self, x):
            mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
            normal = tf.nn.batch_normalization(x, mean, variance, self.shift, self.gain, 1e-5)
            return x + tf.nn.tanh(tf.matmul(normal, self.weight))

    blocks, last = [Block(), Block()], tf.Variable(tf.random.normal((16, 1), stddev=0.3))
    optimizer = keras.optimizers.Adam(1e-2)

    @tf.function
    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            for block in blocks:
                x = block(x)
            loss = tf.reduce_mean(tf.square(tf.matmul(x, last) - y))
        variables = [each for block in blocks for each in block.trainable_variables] + [last]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 16)), tf.random.normal((16, 1))))


def training_running_observations():
    """Agents of OpenAI Baselines normalise what they see by running statistics, that every batch brings up to date."""
    mean, variance = tf.Variable(tf.zeros(8), trainable=False), tf.Variable(tf.ones(8), trainable=False)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(1e-3)

    def step(batch):
        seen, value = batch
        now, spread = tf.nn.moments(seen, axes=[0])
        mean.assign(0.99 * mean + 0.01 * now)
        variance.assign(0.99 * variance + 0.01 * spread)
        with tf.GradientTape() as tape:
            normal = tf.nn.batch_normalization(seen, mean, variance, None, None, 1e-6)
            loss = tf.reduce_mean(tf.square(model(normal, training=True) - value))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (3 * tf.random.normal((16, 8)) + 1, tf.random.normal((16, 1))))


def training_frozen_normalization():
    """Detection models keep the normalization of their backbone as it was trained: statistics, gains and shifts."""

    class Frozen(keras.layers.Layer):
        def build(self, shape):
            self.held = [self.add_weight(shape=shape[-1:], initializer=each, trainable=False) for each in
                         (keras.initializers.RandomNormal(), "ones", "zeros", "ones")]  # fmt: skip

        def call(self, x):
            return tf.nn.batch_normalization(x, *self.held, 1e-3)

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(8, 3),
            Frozen(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batch = (keras.random.normal((8, 8, 8, 3)), keras.random.randint((8,), 0, 3))
    return smokestep.Training(lambda pair: model.train_on_batch(*pair), batch)
