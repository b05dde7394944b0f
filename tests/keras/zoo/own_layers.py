"""Layers of one's own and what Keras layers offer beside their output: regularizers, constraints, normalizations."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import smokestep


def classifier(*hidden, features=8, number=4, loss=None):
    model = keras.Sequential([keras.Input((features,)), *hidden, layers.Dense(number)])
    model.compile("adam", loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.randn(16, features).astype("float32"), np.arange(16) % number

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_linear_layer():
    """keras.io, "Making new layers and models via subclassing": weights added in `build`."""

    class Linear(keras.layers.Layer):
        def __init__(self, units=32):
            super().__init__()
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True)
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True)

        def call(self, inputs):
            return ops.matmul(inputs, self.w) + self.b

    return classifier(Linear(16), layers.ReLU(), Linear(16), layers.ReLU())


def training_compute_sum():
    """keras.io, the same guide: a layer with a weight that is not trained, and counts what it saw."""

    class Counted(keras.layers.Layer):
        def __init__(self, dim):
            super().__init__()
            self.total = self.add_weight(shape=(dim,), initializer="zeros", trainable=False)

        def call(self, inputs, training=False):
            if training:
                self.total.assign_add(ops.sum(inputs, axis=0))
            return inputs

    return classifier(Counted(8), layers.Dense(16, activation="relu"))


def training_weight_regularizers():
    """keras.io, "Layer weight regularizers": penalties that compile adds to the loss by itself."""
    return classifier(
        layers.Dense(
            32,
            activation="relu",
            kernel_regularizer=keras.regularizers.L1L2(l1=1e-5, l2=1e-4),
            bias_regularizer=keras.regularizers.L2(1e-4),
            activity_regularizer=keras.regularizers.L2(1e-5),
        )
    )


def training_regularizers_in_a_loop():
    """keras.io, "Writing a training loop from scratch": `model.losses` added to the loss."""
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, "relu", kernel_regularizer=keras.regularizers.L2(1e-3)), layers.Dense(4)]
    )
    optimizer = keras.optimizers.Adam()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True)) + tf.add_n(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, (tf.random.normal((16, 8)), tf.range(16) % 4))


def training_weight_constraints():
    """keras.io, "Layer weight constraints": kernels put back into a ball after every update."""
    return classifier(
        layers.Dense(32, activation="relu", kernel_constraint=keras.constraints.MaxNorm(0.5)),
        layers.Dense(16, activation="relu", kernel_constraint=keras.constraints.UnitNorm(axis=0)),
    )


def training_spectral_normalization():
    """keras.io, `SpectralNormalization`: kernels divided by their largest singular value."""
    return classifier(
        layers.SpectralNormalization(layers.Dense(32)),
        layers.LeakyReLU(),
        layers.SpectralNormalization(layers.Dense(16)),
        layers.LeakyReLU(),
    )


def training_prelu():
    """keras.io, `PReLU`: the slope is a weight."""
    return classifier(layers.Dense(32), layers.PReLU(), layers.Dense(16), layers.PReLU())


def training_normalizations():
    """keras.io, "Normalization layers": one of each kind on images."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = layers.GroupNormalization(groups=4)(x)
    x = layers.Activation("silu")(x)
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.LayerNormalization()(x)
    x = layers.Activation("gelu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(16, activation="relu")(layers.RMSNormalization()(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.UnitNormalization()(x)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.rand(6, 8, 8, 3).astype("float32"), np.arange(6) % 3

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (x, y), model=model)


def training_residual_network():
    """keras.io, "The Functional API": the toy ResNet."""
    inputs = keras.Input(shape=(12, 12, 3), name="img")
    x = layers.Conv2D(8, 3, activation="relu")(inputs)
    x = layers.Conv2D(16, 3, activation="relu")(x)
    block_1_output = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(16, 3, activation="relu", padding="same")(block_1_output)
    x = layers.Conv2D(16, 3, activation="relu", padding="same")(x)
    block_2_output = layers.add([x, block_1_output])
    x = layers.Conv2D(16, 3, activation="relu")(block_2_output)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(32, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    model = keras.Model(inputs, layers.Dense(4)(x), name="toy_resnet")
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["acc"],
    )
    x, y = np.random.rand(6, 12, 12, 3).astype("float32"), np.arange(6) % 4

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)[0]

    return smokestep.Training(step, (x, y), model=model)


def training_squeeze_and_excite():
    """keras.io, "EANet" and others: channels weighed by a small network of their means."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    weight = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weight = layers.Dense(4, activation="relu")(weight)
    weight = layers.Dense(8, activation="sigmoid")(weight)
    x = layers.Multiply()([x, weight])
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.rand(6, 8, 8, 3).astype("float32"), np.arange(6) % 3

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (x, y), model=model)


def training_vision_transformer():
    """keras.io, "Image classification with Vision Transformer": patches, learned positions, pre-norm blocks."""

    class PatchEncoder(layers.Layer):
        def __init__(self, num_patches, projection_dim):
            super().__init__()
            self.num_patches = num_patches
            self.projection = layers.Dense(units=projection_dim)
            self.position_embedding = layers.Embedding(input_dim=num_patches, output_dim=projection_dim)

        def call(self, patch):
            positions = ops.expand_dims(ops.arange(start=0, stop=self.num_patches, step=1), axis=0)
            return self.projection(patch) + self.position_embedding(positions)

    inputs = keras.Input(shape=(8, 8, 3))
    patches = layers.Reshape((16, 12))(layers.Lambda(lambda x: ops.image.extract_patches(x, 2))(inputs))
    encoded = PatchEncoder(16, 16)(patches)
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded)
        attention_output = layers.MultiHeadAttention(num_heads=2, key_dim=8, dropout=0.1)(x1, x1)
        x2 = layers.Add()([attention_output, encoded])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        x3 = layers.Dense(32, activation=keras.activations.gelu)(x3)
        x3 = layers.Dense(16, activation=keras.activations.gelu)(x3)
        encoded = layers.Add()([x3, x2])
    representation = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(encoded))
    model = keras.Model(inputs, layers.Dense(4)(layers.Dropout(0.5)(representation)))
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=1e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    x, y = np.random.rand(6, 8, 8, 3).astype("float32"), np.arange(6) % 4

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (x, y), model=model)


def training_mixture_of_experts():
    """keras.io, "Switch Transformer": every token through its best expert, weighed by the gate."""

    class Mixture(layers.Layer):
        def __init__(self, experts=3, units=8):
            super().__init__()
            self.gate = layers.Dense(experts)
            self.experts = [layers.Dense(units, activation="relu") for _ in range(experts)]

        def call(self, x):
            weights = ops.softmax(self.gate(x))
            outputs = ops.stack([expert(x) for expert in self.experts], axis=1)
            return ops.sum(weights[..., None] * outputs, axis=1)

    return classifier(Mixture(), Mixture())


def training_gated_residual():
    """keras.io, "Classification with Gated Residual and Variable Selection Networks"."""

    class GatedLinearUnit(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.linear = layers.Dense(units)
            self.sigmoid = layers.Dense(units, activation="sigmoid")

        def call(self, inputs):
            return self.linear(inputs) * self.sigmoid(inputs)

    class GatedResidualNetwork(layers.Layer):
        def __init__(self, units, dropout_rate):
            super().__init__()
            self.units = units
            self.elu_dense = layers.Dense(units, activation="elu")
            self.linear_dense = layers.Dense(units)
            self.dropout = layers.Dropout(dropout_rate)
            self.gated_linear_unit = GatedLinearUnit(units)
            self.layer_norm = layers.LayerNormalization()
            self.project = layers.Dense(units)

        def call(self, inputs):
            x = self.elu_dense(inputs)
            x = self.linear_dense(x)
            x = self.dropout(x)
            if inputs.shape[-1] != self.units:
                inputs = self.project(inputs)
            x = inputs + self.gated_linear_unit(x)
            return self.layer_norm(x)

    return classifier(GatedResidualNetwork(16, 0.1))


def training_gate_of_zero():
    """ReZero in Keras: a residual branch behind a trained weight that begins as zero."""

    class ReZero(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.dense = layers.Dense(units, activation="relu")
            self.alpha = self.add_weight(shape=(), initializer="zeros", name="alpha")

        def call(self, x):
            return x + self.alpha * self.dense(x)

    return classifier(layers.Dense(16, activation="relu"), ReZero(16), ReZero(16))


def training_low_rank_adapters():
    """keras.io, "Parameter-efficient fine-tuning with LoRA": `enable_lora` on a trained layer."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(32, activation="relu"), layers.Dense(4)])
    model.layers[0].enable_lora(rank=2)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.randn(16, 8).astype("float32"), np.arange(16) % 4

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (x, y), model=model)


def training_straight_through_binary():
    """keras.io, "Larq"-like: the sign is used, and its gradient is that of a clipped identity."""

    @tf.custom_gradient
    def binarise(x):
        return tf.where(x >= 0, 1.0, -1.0), lambda upstream: tf.where(tf.abs(x) <= 1, upstream, 0.0)

    class Binary(layers.Layer):
        def call(self, x):
            return binarise(x)

    return classifier(layers.Dense(32), Binary(), layers.BatchNormalization())


def training_graph_convolution():
    """keras.io, "Graph attention network (GAT) for node classification", in small: edges gathered and summed."""

    class GraphConv(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.own, self.others = layers.Dense(units), layers.Dense(units, use_bias=False)

        def call(self, inputs):
            nodes, edges = inputs
            sent = tf.gather(self.others(nodes), edges[:, 0])
            return tf.nn.relu(self.own(nodes) + tf.math.unsorted_segment_mean(sent, edges[:, 1], len(nodes)))

    first, second, head = GraphConv(16), GraphConv(16), layers.Dense(3)
    optimizer = keras.optimizers.Adam(1e-2)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        nodes, edges, labels = batch
        with tf.GradientTape() as tape:
            hidden = second((first((nodes, edges)), edges))
            loss = loss_fn(labels, head(hidden))
        variables = first.trainable_variables + second.trainable_variables + head.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    edges = np.stack([np.arange(24) % 12, np.random.randint(0, 12, 24)], axis=1)
    return smokestep.Training(step, (tf.random.normal((12, 6)), edges, tf.range(12) % 3), batch_dim=-1)
