"""Training loops of one's own: `GradientTape`, `tf.function`, `train_step`, variables without Keras."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import smokestep


def classes(count=16, features=8, number=4):
    return np.random.randn(count, features).astype("float32"), np.random.randint(0, number, count)


def mlp(features=8, number=4):
    inputs = keras.Input(shape=(features,), name="features")
    x = layers.Dense(32, activation="relu")(inputs)
    x = layers.Dense(32, activation="relu")(x)
    return keras.Model(inputs=inputs, outputs=layers.Dense(number)(x))


def training_from_scratch():
    """keras.io, "Writing a training loop from scratch in TensorFlow"."""
    model = mlp()
    optimizer = keras.optimizers.Adam(learning_rate=1e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_acc_metric = keras.metrics.SparseCategoricalAccuracy()

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss_value = loss_fn(y, logits)
        grads = tape.gradient(loss_value, model.trainable_weights)
        optimizer.apply(grads, model.trainable_weights)
        train_acc_metric.update_state(y, logits)
        return float(loss_value)

    return smokestep.Training(step, classes())


def training_as_a_graph():
    """keras.io, "Writing a training loop from scratch in TensorFlow": sped up with `tf.function`."""
    model = mlp()
    optimizer = keras.optimizers.SGD(learning_rate=1e-2)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_acc_metric = keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss_value = loss_fn(y, logits)
            loss_value += sum(model.losses)
        grads = tape.gradient(loss_value, model.trainable_weights)
        optimizer.apply_gradients(zip(grads, model.trainable_weights))
        train_acc_metric.update_state(y, logits)
        return loss_value

    def step(batch):
        x, y = batch
        return train_step(tf.convert_to_tensor(x), tf.convert_to_tensor(y))

    return smokestep.Training(step, classes())


def training_own_train_step():
    """keras.io, "Customizing what happens in `fit()` with TensorFlow"."""

    class CustomModel(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            trainable_vars = self.trainable_variables
            gradients = tape.gradient(loss, trainable_vars)
            self.optimizer.apply(gradients, trainable_vars)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    inputs = keras.Input(shape=(8,))
    hidden = layers.Dense(16, activation="relu")(inputs)
    model = CustomModel(inputs, layers.Dense(1)(hidden))
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    x, y = np.random.random((32, 8)), np.random.random((32, 1))

    def step():
        model.fit(x, y, epochs=1, batch_size=16, verbose=0)

    return smokestep.Training(step, model=model)


def training_lower_level_train_step():
    """keras.io, "Customizing what happens in `fit()`": going lower-level, with metrics of one's own."""

    class CustomModel(keras.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.loss_tracker = keras.metrics.Mean(name="loss")
            self.mae_metric = keras.metrics.MeanAbsoluteError(name="mae")
            self.loss_fn = keras.losses.MeanSquaredError()

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.loss_fn(y, y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            self.loss_tracker.update_state(loss)
            self.mae_metric.update_state(y, y_pred)
            return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

        @property
        def metrics(self):
            return [self.loss_tracker, self.mae_metric]

    inputs = keras.Input(shape=(8,))
    model = CustomModel(inputs, layers.Dense(1)(layers.Dense(16, activation="tanh")(inputs)))
    model.compile(optimizer="adam")
    x, y = np.random.random((32, 8)), np.random.random((32, 1))

    def step():
        return model.fit(x, y, epochs=1, batch_size=32, verbose=0).history["loss"][0]

    return smokestep.Training(step, model=model)


def training_batch_norm_and_dropout():
    """TensorFlow, "Quickstart for experts": `training=True` passed in a loop of one's own."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(8, 3, padding="same", use_bias=False)
            self.norm = layers.BatchNormalization()
            self.pool = layers.GlobalAveragePooling2D()
            self.drop = layers.Dropout(0.2)
            self.out = layers.Dense(3)

        def call(self, x, training=False):
            x = tf.nn.relu(self.norm(self.conv(x), training=training))
            return self.out(self.drop(self.pool(x), training=training))

    model = Net()
    loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam()
    train_loss = keras.metrics.Mean(name="train_loss")

    @tf.function
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            predictions = model(images, training=True)
            loss = loss_object(labels, predictions)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        train_loss(loss)
        return loss

    x, y = np.random.rand(8, 8, 8, 3).astype("float32"), np.random.randint(0, 3, 8)
    return smokestep.Training(lambda batch: train_step(*batch), (x, y))


def training_line_by_hand():
    """TensorFlow, "Basic training loops": two variables, and the update written out."""

    class MyModel(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(5.0)
            self.b = tf.Variable(0.0)

        def __call__(self, x):
            return self.w * x + self.b

    def loss(target_y, predicted_y):
        return tf.reduce_mean(tf.square(target_y - predicted_y))

    model = MyModel()
    x = tf.linspace(-2.0, 2.0, 64)
    y = 3.0 * x + 2.0 + tf.random.normal([64])

    def train(x, y, learning_rate=0.1):
        with tf.GradientTape() as t:
            current_loss = loss(y, model(x))
        dw, db = t.gradient(current_loss, [model.w, model.b])
        model.w.assign_sub(learning_rate * dw)
        model.b.assign_sub(learning_rate * db)
        return current_loss

    return smokestep.Training(lambda batch: train(*batch), (x, y))


def training_core_mlp():
    """TensorFlow, "Multilayer perceptrons for digit recognition with Core APIs": layers and Adam written by hand."""

    class DenseLayer(tf.Module):
        def __init__(self, out_dim, activation=tf.identity):
            super().__init__()
            self.out_dim, self.activation, self.built = out_dim, activation, False

        def __call__(self, x):
            if not self.built:
                limit = (6.0 / (x.shape[-1] + self.out_dim)) ** 0.5
                self.w = tf.Variable(tf.random.uniform((x.shape[-1], self.out_dim), -limit, limit))
                self.b = tf.Variable(tf.zeros(self.out_dim))
                self.built = True
            return self.activation(tf.add(tf.matmul(x, self.w), self.b))

    class MLP(tf.Module):
        def __init__(self, layers):
            super().__init__()
            self.layers = layers

        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    class Adam:
        def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, ep=1e-7):
            self.learning_rate, self.beta_1, self.beta_2, self.ep = learning_rate, beta_1, beta_2, ep
            self.t, self.v_dvar, self.s_dvar, self.built = 1.0, [], [], False

        def apply_gradients(self, grads, vars):
            if not self.built:
                for var in vars:
                    self.v_dvar.append(tf.Variable(tf.zeros(shape=var.shape)))
                    self.s_dvar.append(tf.Variable(tf.zeros(shape=var.shape)))
                self.built = True
            for i, (d_var, var) in enumerate(zip(grads, vars)):
                self.v_dvar[i].assign(self.beta_1 * self.v_dvar[i] + (1 - self.beta_1) * d_var)
                self.s_dvar[i].assign(self.beta_2 * self.s_dvar[i] + (1 - self.beta_2) * tf.square(d_var))
                v_hat = self.v_dvar[i] / (1 - (self.beta_1**self.t))
                s_hat = self.s_dvar[i] / (1 - (self.beta_2**self.t))
                var.assign_sub(self.learning_rate * (v_hat / (tf.sqrt(s_hat) + self.ep)))
            self.t += 1.0

    model = MLP([DenseLayer(16, activation=tf.nn.relu), DenseLayer(16, activation=tf.nn.relu), DenseLayer(4)])
    optimizer = Adam()

    def cross_entropy_loss(y_pred, y):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=y_pred))

    def train_step(batch):
        x_batch, y_batch = batch
        with tf.GradientTape() as tape:
            y_pred = model(x_batch)
            batch_loss = cross_entropy_loss(y_pred, y_batch)
        grads = tape.gradient(batch_loss, model.variables)
        optimizer.apply_gradients(grads, model.variables)
        return batch_loss

    x, y = classes()
    return smokestep.Training(train_step, (tf.constant(x), tf.constant(y)))


def training_accumulated_by_hand():
    """A common answer to "gradient accumulation in TensorFlow": sums kept in variables, applied every second batch."""
    model = mlp()
    optimizer = keras.optimizers.Adam(1e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accumulated = [tf.Variable(tf.zeros_like(v), trainable=False) for v in model.trainable_variables]
    micro_batches = 2

    def step(batch):
        x, y = batch
        for variable in accumulated:
            variable.assign(tf.zeros_like(variable))
        for x_part, y_part in zip(np.split(x, micro_batches), np.split(y, micro_batches)):
            with tf.GradientTape() as tape:
                loss = loss_fn(y_part, model(x_part, training=True)) / micro_batches
            for variable, gradient in zip(accumulated, tape.gradient(loss, model.trainable_variables)):
                variable.assign_add(gradient)
        optimizer.apply_gradients(zip(accumulated, model.trainable_variables))

    return smokestep.Training(step, classes())


def training_clipped_by_hand():
    """TensorFlow, `tf.clip_by_global_norm`: the usual use in a loop of one's own."""
    model = mlp()
    optimizer = keras.optimizers.RMSprop(1e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        gradients, norm = tf.clip_by_global_norm(gradients, 1.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return {"loss": loss, "norm": norm}["loss"]

    return smokestep.Training(step, classes())


def training_hand_written_loss():
    """keras.io, "Losses": a loss function of one's own, given to compile."""

    def huber_like(y_true, y_pred):
        error = y_true - y_pred
        small = keras.ops.abs(error) <= 1.0
        return keras.ops.where(small, 0.5 * keras.ops.square(error), keras.ops.abs(error) - 0.5)

    model = keras.Sequential([keras.Input((5,)), layers.Dense(16, activation="relu"), layers.Dense(2)])
    model.compile("adam", huber_like)
    x, y = np.random.randn(16, 5).astype("float32"), np.random.randn(16, 2).astype("float32")

    def step(batch):
        return model.train_on_batch(*batch)

    return smokestep.Training(step, (x, y), model=model)


def training_physics_informed():
    """TensorFlow, "Advanced automatic differentiation": a residual of derivatives by nested tapes in the loss."""
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dense(16, activation="tanh"), layers.Dense(16, activation="tanh"), layers.Dense(1)]
    )
    optimizer = keras.optimizers.Adam(1e-3)

    def step(x):
        with tf.GradientTape() as tape:
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = model(x)
            slope = inner.gradient(u, x)
            start = model(tf.zeros((1, 1)))
            loss = tf.reduce_mean(tf.square(slope + u)) + tf.reduce_mean(tf.square(start - 1.0))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, tf.random.uniform((16, 1)))
