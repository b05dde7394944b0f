"""Autoencoders, GANs and diffusion, as keras.io and the TensorFlow tutorials write them."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import smokestep


def pictures(count=8, size=8):
    return np.random.rand(count, size, size, 1).astype("float32")


def training_denoising_autoencoder():
    """keras.io, "Convolutional autoencoder for image denoising"."""
    inputs = layers.Input(shape=(8, 8, 1))
    x = layers.Conv2D(8, (3, 3), activation="relu", padding="same")(inputs)
    x = layers.MaxPooling2D((2, 2), padding="same")(x)
    x = layers.Conv2DTranspose(8, (3, 3), strides=2, activation="relu", padding="same")(x)
    x = layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)
    autoencoder = keras.Model(inputs, x)
    autoencoder.compile(optimizer="adam", loss="binary_crossentropy")

    def step(clean):
        noisy = np.clip(clean + 0.4 * np.random.normal(size=clean.shape), 0.0, 1.0)
        return autoencoder.train_on_batch(noisy, clean)

    return smokestep.Training(step, pictures(), model=autoencoder)


class Sampling(layers.Layer):
    """z = mean + exp(log_var / 2) * noise."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


def training_variational_autoencoder():
    """keras.io, "Variational AutoEncoder": a train_step with two terms."""
    encoder_inputs = keras.Input(shape=(8, 8, 1))
    x = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(encoder_inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu")(x)
    z_mean = layers.Dense(2, name="z_mean")(x)
    z_log_var = layers.Dense(2, name="z_log_var")(x)
    encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])])
    latent_inputs = keras.Input(shape=(2,))
    x = layers.Dense(4 * 4 * 8, activation="relu")(latent_inputs)
    x = layers.Reshape((4, 4, 8))(x)
    x = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(x)
    decoder = keras.Model(latent_inputs, layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x))

    class VAE(keras.Model):
        def __init__(self, encoder, decoder, **kwargs):
            super().__init__(**kwargs)
            self.encoder = encoder
            self.decoder = decoder
            self.total_loss_tracker = keras.metrics.Mean(name="total_loss")

        @property
        def metrics(self):
            return [self.total_loss_tracker]

        def train_step(self, data):
            with tf.GradientTape() as tape:
                z_mean, z_log_var, z = self.encoder(data)
                reconstruction = self.decoder(z)
                reconstruction_loss = ops.mean(
                    ops.sum(keras.losses.binary_crossentropy(data, reconstruction), axis=(1, 2))
                )
                kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
                kl_loss = ops.mean(ops.sum(kl_loss, axis=1))
                total_loss = reconstruction_loss + kl_loss
            grads = tape.gradient(total_loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
            self.total_loss_tracker.update_state(total_loss)
            return {"loss": self.total_loss_tracker.result()}

    vae = VAE(encoder, decoder)
    vae.compile(optimizer=keras.optimizers.Adam())
    data = pictures(16)

    def step():
        vae.fit(data, epochs=1, batch_size=16, verbose=0)

    return smokestep.Training(step, model=vae)


def training_divergence_by_add_loss():
    """keras.io, "Making new layers and models via subclassing": the end-to-end VAE, its divergence by `add_loss`."""

    class Encoder(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense_proj = layers.Dense(16, activation="relu")
            self.dense_mean = layers.Dense(4)
            self.dense_log_var = layers.Dense(4)
            self.sampling = Sampling()

        def call(self, inputs):
            x = self.dense_proj(inputs)
            z_mean = self.dense_mean(x)
            z_log_var = self.dense_log_var(x)
            return z_mean, z_log_var, self.sampling((z_mean, z_log_var))

    class VariationalAutoEncoder(keras.Model):
        def __init__(self, original_dim):
            super().__init__()
            self.encoder = Encoder()
            self.decoder = keras.Sequential(
                [layers.Dense(16, activation="relu"), layers.Dense(original_dim, activation="sigmoid")]
            )

        def call(self, inputs):
            z_mean, z_log_var, z = self.encoder(inputs)
            reconstructed = self.decoder(z)
            kl_loss = -0.5 * ops.mean(z_log_var - ops.square(z_mean) - ops.exp(z_log_var) + 1)
            self.add_loss(kl_loss)
            return reconstructed

    vae = VariationalAutoEncoder(12)
    vae.compile(keras.optimizers.Adam(learning_rate=1e-3), loss=keras.losses.MeanSquaredError())

    def step(x):
        return vae.train_on_batch(x, x)

    return smokestep.Training(step, np.random.rand(16, 12).astype("float32"), model=vae)


def networks(noise=4, size=8):
    generator = keras.Sequential(
        [keras.Input((noise,)), layers.Dense(16), layers.LeakyReLU(0.2), layers.Dense(size, activation="tanh")]
    )
    discriminator = keras.Sequential([keras.Input((size,)), layers.Dense(16), layers.LeakyReLU(0.2), layers.Dense(1)])
    return generator, discriminator


def training_gan_in_train_step():
    """keras.io, "DCGAN to generate face images": fakes labelled 1, reals 0, and the generator's labels turned round."""

    class GAN(keras.Model):
        def __init__(self, discriminator, generator, latent_dim):
            super().__init__()
            self.discriminator = discriminator
            self.generator = generator
            self.latent_dim = latent_dim
            self.seed_generator = keras.random.SeedGenerator(1337)

        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer = d_optimizer
            self.g_optimizer = g_optimizer
            self.loss_fn = loss_fn

        def train_step(self, real_images):
            batch_size = ops.shape(real_images)[0]
            noise = keras.random.normal(shape=(batch_size, self.latent_dim), seed=self.seed_generator)
            generated_images = self.generator(noise)
            combined_images = ops.concatenate([generated_images, real_images], axis=0)
            labels = ops.concatenate([ops.ones((batch_size, 1)), ops.zeros((batch_size, 1))], axis=0)
            labels = 0.95 * labels + 0.05 * keras.random.uniform(ops.shape(labels), seed=self.seed_generator)
            with tf.GradientTape() as tape:
                predictions = self.discriminator(combined_images)
                d_loss = self.loss_fn(labels, predictions)
            grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))

            noise = keras.random.normal(shape=(batch_size, self.latent_dim), seed=self.seed_generator)
            misleading_labels = ops.zeros((batch_size, 1))
            with tf.GradientTape() as tape:
                predictions = self.discriminator(self.generator(noise))
                g_loss = self.loss_fn(misleading_labels, predictions)
            grads = tape.gradient(g_loss, self.generator.trainable_weights)
            self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))
            return {"d_loss": d_loss, "g_loss": g_loss}

    generator, discriminator = networks()
    gan = GAN(discriminator, generator, 4)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(1e-4),
        g_optimizer=keras.optimizers.Adam(1e-4),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    real = np.random.uniform(-0.9, 0.9, (16, 8)).astype("float32")

    def step():
        gan.fit(real, batch_size=16, epochs=1, verbose=0)

    return smokestep.Training(step, model=gan)


def training_gan_with_two_tapes():
    """TensorFlow, "Deep Convolutional Generative Adversarial Network": two tapes side by side."""
    generator, discriminator = networks()
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    generator_optimizer = keras.optimizers.Adam(1e-4)
    discriminator_optimizer = keras.optimizers.Adam(1e-4)

    def discriminator_loss(real_output, fake_output):
        real_loss = cross_entropy(tf.ones_like(real_output), real_output)
        fake_loss = cross_entropy(tf.zeros_like(fake_output), fake_output)
        return real_loss + fake_loss

    def generator_loss(fake_output):
        return cross_entropy(tf.ones_like(fake_output), fake_output)

    @tf.function
    def train_step(images):
        noise = tf.random.normal([8, 4])
        with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
            generated_images = generator(noise, training=True)
            real_output = discriminator(images, training=True)
            fake_output = discriminator(generated_images, training=True)
            gen_loss = generator_loss(fake_output)
            disc_loss = discriminator_loss(real_output, fake_output)
        gradients_of_generator = gen_tape.gradient(gen_loss, generator.trainable_variables)
        gradients_of_discriminator = disc_tape.gradient(disc_loss, discriminator.trainable_variables)
        generator_optimizer.apply_gradients(zip(gradients_of_generator, generator.trainable_variables))
        discriminator_optimizer.apply_gradients(zip(gradients_of_discriminator, discriminator.trainable_variables))

    real = tf.random.uniform((8, 8), -0.9, 0.9)
    return smokestep.Training(train_step, real, model={"generator": generator, "discriminator": discriminator})


def training_wgan_gp():
    """keras.io, "WGAN-GP overriding Model.train_step": several critic steps and a gradient penalty."""
    generator, critic = networks()
    d_optimizer = keras.optimizers.Adam(learning_rate=0.0002, beta_1=0.5, beta_2=0.9)
    g_optimizer = keras.optimizers.Adam(learning_rate=0.0002, beta_1=0.5, beta_2=0.9)

    def gradient_penalty(real, fake):
        alpha = tf.random.uniform([8, 1], 0.0, 1.0)
        interpolated = real + alpha * (fake - real)
        with tf.GradientTape() as gp_tape:
            gp_tape.watch(interpolated)
            pred = critic(interpolated, training=True)
        grads = gp_tape.gradient(pred, [interpolated])[0]
        norm = tf.sqrt(tf.reduce_sum(tf.square(grads), axis=[1]))
        return tf.reduce_mean((norm - 1.0) ** 2)

    def step(real):
        for _ in range(2):
            noise = tf.random.normal((8, 4))
            with tf.GradientTape() as tape:
                fake = generator(noise, training=True)
                d_cost = tf.reduce_mean(critic(fake, training=True)) - tf.reduce_mean(critic(real, training=True))
                d_loss = d_cost + 10.0 * gradient_penalty(real, fake)
            d_gradient = tape.gradient(d_loss, critic.trainable_variables)
            d_optimizer.apply_gradients(zip(d_gradient, critic.trainable_variables))
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(critic(generator(tf.random.normal((8, 4)), training=True), training=True))
        gen_gradient = tape.gradient(g_loss, generator.trainable_variables)
        g_optimizer.apply_gradients(zip(gen_gradient, generator.trainable_variables))

    real = tf.random.uniform((8, 8), -0.9, 0.9)
    return smokestep.Training(step, real, model={"generator": generator, "critic": critic})


def training_vector_quantized():
    """keras.io, "Vector-Quantized Variational Autoencoders": straight-through codes and their two losses by add_loss."""

    class VectorQuantizer(layers.Layer):
        def __init__(self, num_embeddings, embedding_dim, beta=0.25):
            super().__init__()
            self.embedding_dim, self.num_embeddings, self.beta = embedding_dim, num_embeddings, beta
            self.embeddings = self.add_weight(shape=(embedding_dim, num_embeddings), initializer="uniform")

        def call(self, x):
            similarity = ops.matmul(x, self.embeddings)
            distances = ops.sum(x**2, axis=1, keepdims=True) + ops.sum(self.embeddings**2, axis=0) - 2 * similarity
            encodings = ops.one_hot(ops.argmin(distances, axis=1), self.num_embeddings)
            quantized = ops.matmul(encodings, ops.transpose(self.embeddings))
            commitment_loss = ops.mean((ops.stop_gradient(quantized) - x) ** 2)
            codebook_loss = ops.mean((quantized - ops.stop_gradient(x)) ** 2)
            self.add_loss(self.beta * commitment_loss + codebook_loss)
            return x + ops.stop_gradient(quantized - x)

    model = keras.Sequential([keras.Input((8,)), layers.Dense(4), VectorQuantizer(6, 4), layers.Dense(8)])
    model.compile("adam", "mse")

    def step(x):
        return model.train_on_batch(x, x)

    return smokestep.Training(step, np.random.randn(16, 8).astype("float32"), model=model)


def training_diffusion():
    """keras.io, "Denoising Diffusion Implicit Models": the network learns the noise, and an average of it is kept."""
    network = keras.Sequential(
        [keras.Input((9,)), layers.Dense(32, activation="swish"), layers.Dense(32, activation="swish"), layers.Dense(8)]
    )
    ema_network = keras.models.clone_model(network)
    ema_network.set_weights(network.get_weights())
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=1e-4)

    def step(images):
        noises = tf.random.normal(images.shape)
        angles = tf.random.uniform((16, 1), 0.1, 1.4)
        noisy = tf.cos(angles) * images + tf.sin(angles) * noises
        with tf.GradientTape() as tape:
            predicted = network(tf.concat([noisy, tf.sin(angles) ** 2], axis=1), training=True)
            noise_loss = tf.reduce_mean(tf.abs(noises - predicted))
        gradients = tape.gradient(noise_loss, network.trainable_weights)
        optimizer.apply_gradients(zip(gradients, network.trainable_weights))
        for weight, ema_weight in zip(network.weights, ema_network.weights):
            ema_weight.assign(0.999 * ema_weight + 0.001 * weight)
        return noise_loss

    return smokestep.Training(step, tf.random.normal((16, 8)))
