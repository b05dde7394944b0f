"""What Keras optimizers can do: schedules, clipping, accumulation, averages, lower precision."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import smokestep


def compiled(optimizer, dtype=None, **choices):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(32, activation="relu", dtype=dtype),
            layers.Dense(32, activation="relu", dtype=dtype),
            layers.Dense(4, dtype="float32"),
        ]
    )
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **choices)
    x, y = np.random.randn(16, 8).astype("float32"), np.arange(16) % 4

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_cosine_decay_with_warmup():
    """keras.io, `CosineDecay`: the rate begins at 0 and grows."""
    rate = keras.optimizers.schedules.CosineDecay(0.0, 1000, warmup_target=1e-3, warmup_steps=20)
    return compiled(keras.optimizers.Adam(rate))


def training_own_schedule():
    """TensorFlow, "Neural machine translation with a Transformer": the schedule of the paper."""

    class CustomSchedule(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self, d_model, warmup_steps=4000):
            super().__init__()
            self.d_model = tf.cast(d_model, tf.float32)
            self.warmup_steps = warmup_steps

        def __call__(self, step):
            step = tf.cast(step, dtype=tf.float32)
            arg1 = tf.math.rsqrt(step)
            arg2 = step * (self.warmup_steps**-1.5)
            return tf.math.rsqrt(self.d_model) * tf.math.minimum(arg1, arg2)

    return compiled(keras.optimizers.Adam(CustomSchedule(128), beta_1=0.9, beta_2=0.98, epsilon=1e-9))


def training_clipnorm():
    """keras.io, "Optimizers": `clipnorm`."""
    return compiled(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=1.0))


def training_global_clipnorm():
    """keras.io, "Optimizers": `global_clipnorm`."""
    return compiled(keras.optimizers.RMSprop(1e-3, global_clipnorm=0.5))


def training_clipvalue():
    """keras.io, "Optimizers": `clipvalue`."""
    return compiled(keras.optimizers.Adamax(1e-3, clipvalue=0.5))


def training_gradient_accumulation_steps():
    """keras.io, "Optimizers": weights move only with every second batch."""
    return compiled(keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2))


def training_use_ema():
    """keras.io, "Optimizers": `use_ema` keeps averages beside the weights."""
    return compiled(keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.99))


def training_decoupled_decay():
    """keras.io, `AdamW`: biases and normalizations left out of the decay."""
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.004)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return compiled(optimizer)


def training_lion():
    """keras.io, `Lion`."""
    return compiled(keras.optimizers.Lion(1e-4))


def training_adafactor():
    """keras.io, `Adafactor`."""
    return compiled(keras.optimizers.Adafactor(1e-3))


def training_ftrl():
    """keras.io, `Ftrl`."""
    return compiled(keras.optimizers.Ftrl(1e-2))


def training_bfloat16_policy():
    """keras.io, "Mixed precision": float32 variables, bfloat16 computation, float32 outputs."""
    return compiled(keras.optimizers.Adam(1e-3), dtype=keras.DTypePolicy("mixed_bfloat16"))


def training_float16_with_loss_scale():
    """TensorFlow, "Mixed precision": a loop of one's own with `LossScaleOptimizer`."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu", dtype="mixed_float16"),
            layers.Dense(4, dtype="float32"),
        ]
    )
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.RMSprop(1e-3), initial_scale=1024.0)
    loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            predictions = model(x, training=True)
            loss = loss_object(y, predictions)
            scaled_loss = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    x, y = tf.random.normal((16, 8)), tf.range(16) % 4
    return smokestep.Training(lambda batch: train_step(*batch), (x, y), model=model)


def training_rate_changed_by_callback():
    """keras.io, `LearningRateScheduler`: a callback sets the rate before every epoch of `fit`."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x, y = np.random.randn(16, 8).astype("float32"), np.random.randn(16, 1).astype("float32")

    def scheduler(epoch, lr):
        return lr if epoch < 1 else lr * 0.9

    def step():
        callbacks = [keras.callbacks.LearningRateScheduler(scheduler)]
        return model.fit(x, y, epochs=2, batch_size=16, callbacks=callbacks, verbose=0).history["loss"][-1]

    return smokestep.Training(step, model=model)


def training_two_rates():
    """keras.io, `MultiOptimizer` questions: two optimizers, each with its own variables, from one tape."""
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu")])
    head = keras.Sequential([keras.Input((16,)), layers.Dense(4)])
    slow, fast = keras.optimizers.Adam(1e-5), keras.optimizers.Adam(1e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = loss_fn(y, head(body(x)))
        of_body, of_head = tape.gradient(loss, [body.trainable_variables, head.trainable_variables])
        slow.apply_gradients(zip(of_body, body.trainable_variables))
        fast.apply_gradients(zip(of_head, head.trainable_variables))
        return loss

    x, y = np.random.randn(16, 8).astype("float32"), np.arange(16) % 4
    return smokestep.Training(step, (x, y), model={"body": body, "head": head})
