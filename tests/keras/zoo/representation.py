"""Siamese, contrastive and self-distilled training, and a student with a teacher."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import smokestep


def encoder(features=8, width=16):
    return keras.Sequential([keras.Input((features,)), layers.Dense(32, activation="relu"), layers.Dense(width)])


def training_siamese_triplets():
    """keras.io, "Image similarity estimation using a Siamese Network with a triplet loss"."""

    class DistanceLayer(layers.Layer):
        def call(self, anchor, positive, negative):
            ap_distance = ops.sum(tf.square(anchor - positive), -1)
            an_distance = ops.sum(tf.square(anchor - negative), -1)
            return (ap_distance, an_distance)

    embedding = encoder()
    anchor_input, positive_input, negative_input = (layers.Input(name=n, shape=(8,)) for n in ("a", "p", "n"))
    distances = DistanceLayer()(embedding(anchor_input), embedding(positive_input), embedding(negative_input))
    siamese_network = keras.Model(inputs=[anchor_input, positive_input, negative_input], outputs=distances)

    class SiameseModel(keras.Model):
        def __init__(self, siamese_network, margin=0.5):
            super().__init__()
            self.siamese_network = siamese_network
            self.margin = margin
            self.loss_tracker = keras.metrics.Mean(name="loss")

        def call(self, inputs):
            return self.siamese_network(inputs)

        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = self._compute_loss(data)
            gradients = tape.gradient(loss, self.siamese_network.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.siamese_network.trainable_weights))
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

        def _compute_loss(self, data):
            ap_distance, an_distance = self.siamese_network(data)
            loss = ap_distance - an_distance
            return tf.maximum(loss + self.margin, 0.0)

        @property
        def metrics(self):
            return [self.loss_tracker]

    model = SiameseModel(siamese_network)
    model.compile(optimizer=keras.optimizers.Adam(0.0001))
    anchors = np.random.randn(12, 8).astype("float32")
    data = (anchors, anchors + 0.5, np.random.randn(12, 8).astype("float32"))
    dataset = tf.data.Dataset.from_tensors(data)

    def step():
        model.fit(dataset, epochs=1, verbose=0)

    return smokestep.Training(step, model=model)


def training_siamese_contrastive():
    """keras.io, "Image similarity estimation using a Siamese Network with a contrastive loss"."""

    def euclidean_distance(vects):
        x, y = vects
        sum_square = ops.sum(ops.square(x - y), axis=1, keepdims=True)
        return ops.sqrt(ops.maximum(sum_square, keras.backend.epsilon()))

    def contrastive_loss(y_true, y_pred, margin=1):
        square_pred = ops.square(y_pred)
        margin_square = ops.square(ops.maximum(margin - y_pred, 0))
        return ops.mean((1 - y_true) * square_pred + y_true * margin_square)

    embedding = encoder(width=4)
    input_1, input_2 = layers.Input((8,)), layers.Input((8,))
    merge_layer = layers.Lambda(euclidean_distance, output_shape=(1,))([embedding(input_1), embedding(input_2)])
    normal_layer = layers.BatchNormalization()(merge_layer)
    output_layer = layers.Dense(1, activation="sigmoid")(normal_layer)
    siamese = keras.Model(inputs=[input_1, input_2], outputs=output_layer)
    siamese.compile(loss=contrastive_loss, optimizer="RMSprop", metrics=["accuracy"])
    x1, x2 = np.random.randn(12, 8).astype("float32"), np.random.randn(12, 8).astype("float32")
    y = (np.arange(12) % 2).astype("float32")[:, None]

    def step(batch):
        pair, y = batch
        return siamese.train_on_batch(list(pair), y)[0]

    return smokestep.Training(step, ((x1, x2), y), model=siamese)


def training_simclr():
    """keras.io, "Semi-supervised image classification using contrastive pretraining with SimCLR"."""
    body = encoder(width=16)
    projection_head = keras.Sequential([keras.Input((16,)), layers.Dense(16, activation="relu"), layers.Dense(16)])
    augmenter = keras.Sequential([keras.Input((8,)), layers.GaussianNoise(0.3)])
    optimizer = keras.optimizers.Adam()
    variables = body.trainable_weights + projection_head.trainable_weights

    def contrastive_loss(projections_1, projections_2, temperature=0.1):
        projections_1 = ops.normalize(projections_1, axis=1)
        projections_2 = ops.normalize(projections_2, axis=1)
        similarities = ops.matmul(projections_1, ops.transpose(projections_2)) / temperature
        contrastive_labels = ops.arange(ops.shape(projections_1)[0])
        loss_1_2 = keras.losses.sparse_categorical_crossentropy(contrastive_labels, similarities, from_logits=True)
        loss_2_1 = keras.losses.sparse_categorical_crossentropy(
            contrastive_labels, ops.transpose(similarities), from_logits=True
        )
        return ops.mean(loss_1_2 + loss_2_1) / 2

    def step(images):
        augmented_1 = augmenter(images, training=True)
        augmented_2 = augmenter(images, training=True)
        with tf.GradientTape() as tape:
            projections_1 = projection_head(body(augmented_1, training=True), training=True)
            projections_2 = projection_head(body(augmented_2, training=True), training=True)
            loss = contrastive_loss(projections_1, projections_2)
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables))
        return loss

    return smokestep.Training(step, tf.random.normal((12, 8)))


def training_simsiam():
    """keras.io, "Self-supervised contrastive learning with SimSiam": `stop_gradient` on one side of each pair."""
    body = keras.Sequential([keras.Input((8,)), layers.Dense(16), layers.BatchNormalization(), layers.ReLU()])
    body.add(layers.Dense(16))
    predictor = keras.Sequential([keras.Input((16,)), layers.Dense(8, activation="relu"), layers.Dense(16)])
    optimizer = keras.optimizers.SGD(0.03, momentum=0.6)
    variables = body.trainable_variables + predictor.trainable_variables

    def compute_loss(p, z):
        z = tf.stop_gradient(z)
        p = tf.math.l2_normalize(p, axis=1)
        z = tf.math.l2_normalize(z, axis=1)
        return -tf.reduce_mean(tf.reduce_sum((p * z), axis=1))

    def step(batch):
        ds_one, ds_two = batch
        with tf.GradientTape() as tape:
            z1, z2 = body(ds_one, training=True), body(ds_two, training=True)
            p1, p2 = predictor(z1, training=True), predictor(z2, training=True)
            loss = compute_loss(p1, z2) / 2 + compute_loss(p2, z1) / 2
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables))
        return loss

    x = tf.random.normal((16, 8))
    return smokestep.Training(step, (x + 0.1 * tf.random.normal((16, 8)), x + 0.1 * tf.random.normal((16, 8))))


def training_momentum_target():
    """BYOL in Keras: the target network is a moving average of the online one, and gets no gradient."""
    online, target = encoder(), encoder()
    target.trainable = False
    target.set_weights(online.get_weights())
    predictor = keras.Sequential([keras.Input((16,)), layers.Dense(16, activation="relu"), layers.Dense(16)])
    optimizer = keras.optimizers.Adam(1e-3)

    def step(batch):
        one, two = batch
        wanted = tf.math.l2_normalize(target(two, training=False), axis=1)
        variables = online.trainable_variables + predictor.trainable_variables
        with tf.GradientTape() as tape:
            predicted = tf.math.l2_normalize(predictor(online(one, training=True), training=True), axis=1)
            loss = tf.reduce_mean(2 - 2 * tf.reduce_sum(predicted * wanted, axis=1))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        for mine, other in zip(online.weights, target.weights):
            other.assign(0.99 * other + 0.01 * mine)
        return loss

    x = tf.random.normal((16, 8))
    return smokestep.Training(step, (x + 0.1 * tf.random.normal((16, 8)), x + 0.1 * tf.random.normal((16, 8))))


def training_barlow_twins():
    """keras.io, "Barlow Twins for Contrastive SSL": the cross-correlation of two views."""
    network = encoder()
    optimizer = keras.optimizers.Adam(1e-3)

    def step(batch):
        one, two = batch
        with tf.GradientTape() as tape:
            z_a, z_b = network(one, training=True), network(two, training=True)
            z_a = (z_a - tf.reduce_mean(z_a, axis=0)) / tf.math.reduce_std(z_a, axis=0)
            z_b = (z_b - tf.reduce_mean(z_b, axis=0)) / tf.math.reduce_std(z_b, axis=0)
            c = tf.matmul(z_a, z_b, transpose_a=True) / 32.0
            on_diagonal = tf.reduce_sum(tf.square(tf.linalg.diag_part(c) - 1))
            off_diagonal = tf.reduce_sum(tf.square(c - tf.linalg.diag(tf.linalg.diag_part(c))))
            loss = on_diagonal + 5e-3 * off_diagonal
        optimizer.apply_gradients(zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables))
        return loss

    x = tf.random.normal((32, 8))
    return smokestep.Training(step, (x + 0.1 * tf.random.normal((32, 8)), x + 0.1 * tf.random.normal((32, 8))))


def training_distillation():
    """keras.io, "Knowledge Distillation": the teacher in inference mode, two terms, a temperature."""

    class Distiller(keras.Model):
        def __init__(self, student, teacher):
            super().__init__()
            self.teacher = teacher
            self.student = student

        def compile(self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha=0.1, temperature=3):
            super().compile(optimizer=optimizer, metrics=metrics)
            self.student_loss_fn = student_loss_fn
            self.distillation_loss_fn = distillation_loss_fn
            self.alpha = alpha
            self.temperature = temperature

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False):
            teacher_pred = self.teacher(x, training=False)
            student_loss = self.student_loss_fn(y, y_pred)
            distillation_loss = self.distillation_loss_fn(
                ops.softmax(teacher_pred / self.temperature, axis=1), ops.softmax(y_pred / self.temperature, axis=1)
            ) * (self.temperature**2)
            return self.alpha * student_loss + (1 - self.alpha) * distillation_loss

        def call(self, x):
            return self.student(x)

    teacher = keras.Sequential([keras.Input((8,)), layers.Dense(32, activation="relu"), layers.Dropout(0.5)])
    teacher.add(layers.Dense(4))
    teacher.trainable = False
    student = keras.Sequential([keras.Input((8,)), layers.Dense(8, activation="relu"), layers.Dense(4)])
    distiller = Distiller(student=student, teacher=teacher)
    distiller.compile(
        optimizer=keras.optimizers.Adam(),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
        student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        distillation_loss_fn=keras.losses.KLDivergence(),
    )
    x, y = np.random.randn(16, 8).astype("float32"), np.arange(16) % 4

    def step(batch):
        x, y = batch
        return distiller.train_on_batch(x, y)[0]

    return smokestep.Training(step, (x, y), model=distiller)


def training_two_towers():
    """TensorFlow Recommenders, "Basic retrieval": users against movies, the other movies of the batch as negatives."""
    users = keras.Sequential([layers.Embedding(40, 8)])
    movies = keras.Sequential([layers.Embedding(50, 8)])
    optimizer = keras.optimizers.Adagrad(0.5)
    loss_fn = keras.losses.CategoricalCrossentropy(from_logits=True, reduction="sum")

    def step(batch):
        user, movie = batch
        with tf.GradientTape() as tape:
            scores = tf.matmul(users(user), movies(movie), transpose_b=True)
            loss = loss_fn(tf.eye(len(user)), scores)
        variables = users.trainable_variables + movies.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return smokestep.Training(step, (tf.range(12), 2 * tf.range(12)))
