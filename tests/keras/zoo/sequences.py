"""Text and time series: recurrent layers, masks, causal attention, tied embeddings."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import smokestep


def texts(count=6, length=9, words=30, shortest=4):
    ids = np.random.randint(1, words, (count, length))
    lengths = np.linspace(shortest, length, count).astype(int)
    return (ids * (np.arange(length) < lengths[:, None])).astype("int32")


def training_bidirectional_lstm():
    """keras.io, "Bidirectional LSTM on IMDB"."""
    inputs = keras.Input(shape=(None,), dtype="int32")
    x = layers.Embedding(30, 16)(inputs)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(8))(x)
    outputs = layers.Dense(1, activation="sigmoid")(x)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    ids, y = np.random.randint(1, 30, (6, 9)), np.random.randint(0, 2, (6, 1))

    def step(batch):
        ids, y = batch
        return model.train_on_batch(ids, y)

    return smokestep.Training(step, (ids, y), model=model)


def training_masked_gru():
    """keras.io, "Understanding masking & padding": `mask_zero` reaches the recurrent layer."""
    model = keras.Sequential(
        [layers.Embedding(30, 8, mask_zero=True), layers.GRU(8), layers.Dense(8, activation="relu"), layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch):
        ids, y = batch
        return model.train_on_batch(ids, y)

    return smokestep.Training(step, (texts(), np.arange(6) % 3), model=model)


def training_tagger_with_ignored_class():
    """keras.io, "Named entity recognition using Transformers": padded tags do not count."""
    inputs = keras.Input(shape=(9,), dtype="int32")
    x = layers.Embedding(30, 16, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.GRU(8, return_sequences=True))(x)
    x = layers.TimeDistributed(layers.Dense(5))(x)
    model = keras.Model(inputs, x)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0))
    ids = texts()
    tags = np.random.randint(1, 5, ids.shape) * (ids > 0)

    def step(batch):
        ids, tags = batch
        return model.train_on_batch(ids, tags)

    return smokestep.Training(step, (ids, tags), model=model)


class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1, causal=False):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim // num_heads)
        self.ffn = keras.Sequential([layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)])
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)
        self.causal = causal

    def call(self, inputs):
        attention_output = self.att(inputs, inputs, use_causal_mask=self.causal)
        attention_output = self.dropout1(attention_output)
        out1 = self.layernorm1(inputs + attention_output)
        ffn_output = self.ffn(out1)
        ffn_output = self.dropout2(ffn_output)
        return self.layernorm2(out1 + ffn_output)


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim):
        super().__init__()
        self.token_emb = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        maxlen = ops.shape(x)[-1]
        positions = ops.arange(start=0, stop=maxlen, step=1)
        return self.token_emb(x) + self.pos_emb(positions)


def training_text_transformer():
    """keras.io, "Text classification with Transformer"."""
    inputs = layers.Input(shape=(9,))
    x = TokenAndPositionEmbedding(9, 30, 16)(inputs)
    x = TransformerBlock(16, 2, 16)(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dropout(0.1)(x)
    x = layers.Dense(20, activation="relu")(x)
    outputs = layers.Dense(2, activation="softmax")(layers.Dropout(0.1)(x))
    model = keras.Model(inputs=inputs, outputs=outputs)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def step(batch):
        ids, y = batch
        return model.train_on_batch(ids, y)

    return smokestep.Training(step, (np.random.randint(1, 30, (6, 9)), np.arange(6) % 2), model=model)


def training_miniature_gpt():
    """keras.io, "Text generation with a miniature GPT": next-token prediction with a causal mask."""
    inputs = layers.Input(shape=(10,), dtype="int32")
    x = TokenAndPositionEmbedding(10, 30, 16)(inputs)
    x = TransformerBlock(16, 2, 16, causal=True)(x)
    model = keras.Model(inputs=inputs, outputs=layers.Dense(30)(x))
    model.compile("adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(ids):
        return model.train_on_batch(ids[:, :-1], ids[:, 1:])

    return smokestep.Training(step, np.random.randint(1, 30, (4, 11)), model=model)


def training_tied_embeddings():
    """keras.io, `ReversibleEmbedding`: one table for the input and for the output."""

    class Bigram(keras.Model):
        def __init__(self):
            super().__init__()
            self.embed = layers.ReversibleEmbedding(30, 16)
            self.mix = layers.Dense(16, activation="tanh")

        def call(self, ids):
            return self.embed(self.mix(self.embed(ids)), reverse=True)

    model = Bigram()
    optimizer = keras.optimizers.Adam(1e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(ids):
        with tf.GradientTape() as tape:
            loss = loss_fn(ids[:, 1:], model(ids[:, :-1], training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return smokestep.Training(step, np.random.randint(1, 30, (4, 10)))


def training_addition_seq2seq():
    """keras.io, "Sequence to sequence learning for performing number addition"."""
    model = keras.Sequential()
    model.add(layers.Input((7, 12)))
    model.add(layers.LSTM(16))
    model.add(layers.RepeatVector(4))
    model.add(layers.LSTM(16, return_sequences=True))
    model.add(layers.Dense(12, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    x = np.eye(12, dtype="float32")[np.random.randint(0, 12, (8, 7))]
    y = np.eye(12, dtype="float32")[np.random.randint(0, 12, (8, 4))]

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x, y), model=model)


def training_teacher_forced_decoder():
    """keras.io, "Character-level recurrent sequence-to-sequence model": the decoder gets the target, one step back."""
    encoder_inputs = keras.Input(shape=(None, 10))
    _, state_h, state_c = layers.LSTM(16, return_state=True)(encoder_inputs)
    decoder_inputs = keras.Input(shape=(None, 8))
    decoder_lstm = layers.LSTM(16, return_sequences=True, return_state=True)
    decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=[state_h, state_c])
    decoder_outputs = layers.Dense(8, activation="softmax")(decoder_outputs)
    model = keras.Model([encoder_inputs, decoder_inputs], decoder_outputs)
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    source = np.eye(10, dtype="float32")[np.random.randint(0, 10, (6, 7))]
    target = np.eye(8, dtype="float32")[np.random.randint(0, 8, (6, 6))]

    def step(batch):
        source, target = batch
        return model.train_on_batch([source, target[:, :-1]], target[:, 1:])

    return smokestep.Training(step, (source, target), model=model)


def training_weather_forecast():
    """keras.io, "Timeseries forecasting for weather prediction": windows from `timeseries_dataset_from_array`."""
    series = np.random.randn(80, 3).astype("float32").cumsum(axis=0) / 5
    dataset = keras.utils.timeseries_dataset_from_array(
        series[:-12], series[12:, 0], sequence_length=12, sampling_rate=1, batch_size=16
    )
    inputs = keras.Input(shape=(12, 3))
    x = layers.LSTM(16)(inputs)
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    batches = iter(dataset.repeat())

    def step():
        x, y = next(batches)
        return model.train_on_batch(x, y)

    return smokestep.Training(step, model=model)


def training_masking_layer():
    """keras.io, `Masking`: padded steps of a series are skipped."""
    model = keras.Sequential(
        [keras.Input((8, 3)), layers.Masking(mask_value=0.0), layers.LSTM(8), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    x = np.random.randn(6, 8, 3).astype("float32")
    x *= (np.arange(8) < np.array([8, 5, 6, 4, 7, 3])[:, None])[..., None]
    y = np.random.randn(6, 1).astype("float32")

    def step(batch):
        x, y = batch
        return model.train_on_batch(x, y)

    return smokestep.Training(step, (x.astype("float32"), y), model=model)


def training_translation_transformer():
    """keras.io, "English-to-Spanish translation with a sequence-to-sequence Transformer": padding mask and causal mask."""

    class Translator(keras.Model):
        def __init__(self):
            super().__init__()
            self.source = layers.Embedding(30, 16)
            self.target = layers.Embedding(30, 16)
            self.place = layers.Embedding(16, 16)
            self.encode = layers.MultiHeadAttention(2, 8)
            self.decode = layers.MultiHeadAttention(2, 8)
            self.cross = layers.MultiHeadAttention(2, 8)
            self.norm1, self.norm2 = layers.LayerNormalization(), layers.LayerNormalization()
            self.norm3 = layers.LayerNormalization()
            self.out = layers.Dense(30)

        def call(self, inputs):
            source, target = inputs
            real = ops.not_equal(source, 0)[:, None, :]
            x = self.source(source) + self.place(ops.arange(source.shape[1]))
            x = self.norm1(x + self.encode(x, x, attention_mask=real))
            y = self.target(target) + self.place(ops.arange(target.shape[1]))
            y = self.norm2(y + self.decode(y, y, use_causal_mask=True))
            y = self.norm3(y + self.cross(y, x, attention_mask=real))
            return self.out(y)

    model = Translator()
    model.compile("rmsprop", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0))
    source, target = texts(4, 9), texts(4, 8)

    def step(batch):
        source, target = batch
        return model.train_on_batch((source, target[:, :-1]), target[:, 1:])

    return smokestep.Training(step, (source, target), model=model)


def training_dilated_causal_convolutions():
    """keras.io, `Conv1D`: `padding="causal"`, as in WaveNet."""
    inputs = keras.Input((16, 1))
    x = inputs
    for rate in (1, 2, 4):
        x = layers.Conv1D(8, 2, padding="causal", dilation_rate=rate, activation="relu")(x)
    model = keras.Model(inputs, layers.Conv1D(1, 1)(x))
    model.compile("adam", "mse")
    series = np.sin(np.linspace(0, 9, 17) + np.random.rand(6, 1))[..., None].astype("float32")

    def step(series):
        return model.train_on_batch(series[:, :-1], series[:, 1:])

    return smokestep.Training(step, series, model=model)
