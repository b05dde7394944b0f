"""Models of text whose targets are their own tokens, and in which it is right what each position sees."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.training.train_state import TrainState

import smokestep

VOCABULARY, MASK = 20, 19


def tokens(seed, *shape):
    return jax.random.randint(jax.random.key(seed), shape, 1, VOCABULARY - 1)


class Encoder(nn.Module):
    """Attends in both directions, unless it is given a mask."""

    layers: int = 1

    @nn.compact
    def __call__(self, ids, mask=None):
        x = nn.Embed(VOCABULARY, 16)(ids) + nn.Embed(32, 16)(jnp.arange(ids.shape[1]))
        for _ in range(self.layers):
            h = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(num_heads=2)(h, h, mask=mask)
            x = x + nn.Dense(16)(nn.gelu(nn.Dense(32)(nn.LayerNorm()(x))))
        return nn.Dense(VOCABULARY)(nn.LayerNorm()(x))


def fit(model, inputs, loss_fn, batch, **kwargs):
    params = model.init(jax.random.key(0), *inputs, **kwargs)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adamw(1e-3))

    @jax.jit
    def step(state, batch):
        loss, grads = jax.value_and_grad(lambda params: loss_fn({"params": params}, batch, state.step))(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(step, batch, state=state)


def weighed(logits, labels, weights):
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return (losses * weights).sum() / weights.sum()


def training_masked_language_model():
    """BERT: some tokens are masked by the pipeline, and predicted from both sides (Flax's examples)."""
    model, ids = Encoder(), tokens(1, 4, 12)
    weights = (jnp.arange(48) % 6 == 2).reshape(4, 12)
    batch = {"input_ids": jnp.where(weights, MASK, ids), "labels": ids, "weights": weights.astype(jnp.float32)}

    def loss_fn(variables, batch, count):
        return weighed(model.apply(variables, batch["input_ids"]), batch["labels"], batch["weights"])

    return fit(model, (ids,), loss_fn, batch)


def training_masked_in_the_step():
    """The same, masked anew in each step by a key that is folded from the step's number."""
    model, ids = Encoder(), tokens(2, 4, 12)

    def loss_fn(variables, ids, count):
        hidden = jax.random.bernoulli(jax.random.fold_in(jax.random.key(7), count), 0.2, ids.shape)
        logits = model.apply(variables, jnp.where(hidden, MASK, ids))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, ids)
        return jnp.where(hidden, losses, 0.0).sum() / jnp.maximum(hidden.sum(), 1)

    return fit(model, (ids,), loss_fn, ids)


def training_prefix_language_model():
    """A prefix is read in both directions, and what follows from left to right; only that is predicted."""
    model, ids, prefix = Encoder(), tokens(3, 4, 11), 5

    def loss_fn(variables, ids, count):
        inputs, targets = ids[:, :-1], ids[:, 1:]
        places = jnp.arange(inputs.shape[1])
        mask = (places[:, None] >= places) | (places < prefix)
        weights = jnp.broadcast_to(places >= prefix - 1, targets.shape).astype(jnp.float32)
        return weighed(model.apply(variables, inputs, mask[None, None]), targets, weights)

    return fit(model, (ids,), loss_fn, ids)


def training_packed_sequences():
    """Several texts in a row, told apart by segment ids, each attending to itself alone."""
    model = Encoder()
    segments = jnp.array([[1] * 5 + [2] * 7, [1] * 8 + [2] * 3 + [0], [1] * 3 + [2] * 4 + [3] * 5, [1] * 12])
    batch = {"tokens": tokens(4, 4, 12) * (segments > 0), "segments": segments}

    def loss_fn(variables, batch, count):
        segments = batch["segments"]
        same = nn.make_attention_mask(segments, segments, jnp.equal)
        logits = model.apply(variables, batch["tokens"], nn.combine_masks(same, nn.make_causal_mask(segments)))
        within = (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] > 0)
        return weighed(logits[:, :-1], batch["tokens"][:, 1:], within.astype(jnp.float32))

    return fit(model, (batch["tokens"],), loss_fn, batch)


def training_padded_language_model():
    """A causal model of padded texts, one-hot targets with label smoothing, padding left out of the loss."""
    model, lengths = Encoder(), jnp.array([10, 6, 8, 4])
    real = jnp.arange(11) < lengths[:, None] + 1
    batch = {"ids": tokens(5, 4, 11) * real, "attention_mask": real.astype(jnp.int32)}

    def loss_fn(variables, batch, count):
        real = batch["attention_mask"][:, :-1]
        mask = nn.combine_masks(nn.make_causal_mask(real), nn.make_attention_mask(real, real))
        logits = model.apply(variables, batch["ids"][:, :-1], mask)
        soft = optax.smooth_labels(jax.nn.one_hot(batch["ids"][:, 1:], VOCABULARY), 0.1)
        weights = batch["attention_mask"][:, 1:]
        return (optax.softmax_cross_entropy(logits, soft) * weights).sum() / weights.sum()

    return fit(model, (batch["ids"],), loss_fn, batch)


class Translator(nn.Module):
    @nn.compact
    def __call__(self, source, target):
        embed, place = nn.Embed(VOCABULARY, 16), nn.Embed(32, 16)
        real = source > 0
        x = embed(source) + place(jnp.arange(source.shape[1]))
        x = x + nn.MultiHeadDotProductAttention(num_heads=2)(x, x, mask=nn.make_attention_mask(real, real))
        y = embed(target) + place(jnp.arange(target.shape[1]))
        y = y + nn.MultiHeadDotProductAttention(num_heads=2)(y, y, mask=nn.make_causal_mask(target))
        across = nn.make_attention_mask(jnp.ones_like(target, bool), real)
        y = y + nn.MultiHeadDotProductAttention(num_heads=2)(y, x, mask=across)
        return nn.Dense(VOCABULARY)(nn.LayerNorm()(y))


def training_encoder_decoder():
    """Translation with teacher forcing: the source is read as a whole, the target from left to right."""
    model, lengths = Translator(), jnp.array([9, 5, 7, 4])
    batch = (tokens(6, 4, 9) * (jnp.arange(9) < lengths[:, None]), tokens(7, 4, 8))

    def loss_fn(variables, batch, count):
        source, target = batch
        logits = model.apply(variables, source, target[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, target[:, 1:]).mean()

    return fit(model, batch, loss_fn, batch)


def training_shifted_inside():
    """A decoder that is given the text it predicts, and shifts it to the right itself (the lm1b example)."""
    model, ids = Encoder(), tokens(8, 4, 10)

    def loss_fn(variables, ids, count):
        inputs = jnp.pad(ids, ((0, 0), (1, 0)))[:, :-1]
        logits = model.apply(variables, inputs, nn.make_causal_mask(inputs))
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids).mean()

    return fit(model, (ids,), loss_fn, ids)


class Squeezed(nnx.Module):
    """An autoencoder of short texts, through a few numbers."""

    def __init__(self, rngs):
        self.embed, self.inside = nnx.Embed(VOCABULARY, 8, rngs=rngs), nnx.Linear(64, 12, rngs=rngs)
        self.outside, self.head = nnx.Linear(12, 64, rngs=rngs), nnx.Linear(8, VOCABULARY, rngs=rngs)

    def __call__(self, ids):
        x = self.embed(ids).reshape(len(ids), -1)
        x = nnx.relu(self.outside(jnp.tanh(self.inside(x))))
        return self.head(x.reshape(len(ids), -1, 8))


def training_text_autoencoder():
    """What is read is what is told again; between them lie a few numbers."""
    model = Squeezed(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, ids):
        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(ids), ids).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, tokens(9, 5, 8), state=(model, optimizer))


def training_recurrent_autoencoder():
    """An encoder's last state starts a decoder that is taught with the text itself, one token behind."""
    keys = jax.random.split(jax.random.key(10), 5)
    params = {
        "embed": jax.random.normal(keys[0], (VOCABULARY, 12)) * 0.5,
        "encoder": {"x": jax.random.normal(keys[1], (12, 16)) * 0.3, "h": jnp.eye(16) * 0.5},
        "decoder": {"x": jax.random.normal(keys[2], (12, 16)) * 0.3, "h": jnp.eye(16) * 0.5},
        "head": jax.random.normal(keys[3], (16, VOCABULARY)) * 0.3,
    }

    def run(p, start, x):
        def cell(h, x_t):
            h = jnp.tanh(x_t @ p["x"] + h @ p["h"])
            return h, h

        return jax.lax.scan(cell, start, x.swapaxes(0, 1))

    def loss_fn(params, ids):
        x = params["embed"][ids]
        last, _ = run(params["encoder"], jnp.zeros((len(ids), 16)), x)
        _, hidden = run(params["decoder"], last, x[:, :-1])
        logits = hidden.swapaxes(0, 1) @ params["head"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

    tx = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, ids):
        loss, grads = jax.value_and_grad(loss_fn)(params, ids)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, tokens(11, 4, 8), state=(params, tx.init(params)))


def training_linear_attention():
    """Sums from the left instead of a mask (Katharopoulos and others), in half precision, output layer from zero."""
    keys = jax.random.split(jax.random.key(12), 4)
    params = {
        "embed": jax.random.normal(keys[0], (VOCABULARY, 16)) * 0.5,
        "place": jax.random.normal(keys[1], (16, 16)) * 0.1,
        "qkv": jax.random.normal(keys[2], (16, 48)) * 0.2,
        "head": jnp.zeros((16, VOCABULARY)),
    }

    def forward(params, ids):
        x = jnp.take(params["embed"], ids, axis=0) + params["place"][: ids.shape[1]]
        x = x.astype(jnp.bfloat16)
        q, k, v = jnp.split(x @ params["qkv"].astype(jnp.bfloat16), 3, axis=-1)
        q, k = jax.nn.elu(q) + 1, jax.nn.elu(k) + 1
        sums = jnp.cumsum(k[..., None] * v[..., None, :], axis=1)
        scale = jnp.einsum("btd,btd->bt", q, jnp.cumsum(k, axis=1))[..., None]
        y = jnp.einsum("btd,btde->bte", q, sums) / scale
        return ((x + y) @ params["head"].astype(jnp.bfloat16)).astype(jnp.float32)

    def loss_fn(params, batch):
        return optax.softmax_cross_entropy_with_integer_labels(forward(params, batch["x"]), batch["y"]).mean()

    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    text = tokens(13, 4, 11)
    return smokestep.Training(step, {"x": text[:, :-1], "y": text[:, 1:]}, state=(params, tx.init(params)))


def training_state_space():
    """A diagonal state space computed by an associative scan, mapped over the batch in the loss."""
    keys = jax.random.split(jax.random.key(14), 4)
    params = {
        "embed": jax.random.normal(keys[0], (VOCABULARY, 12)) * 0.5,
        "decay": jnp.linspace(-1.0, 1.0, 12),
        "mix": jax.random.normal(keys[1], (12, 12)) * 0.3,
        "head": jax.random.normal(keys[2], (12, VOCABULARY)) * 0.3,
    }

    def logits_of(params, ids):
        x = params["embed"][ids]
        decay = jnp.broadcast_to(jax.nn.sigmoid(params["decay"]), x.shape)
        _, states = jax.lax.associative_scan(lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (decay, x))
        return (x + jax.nn.silu(states @ params["mix"])) @ params["head"]

    @jax.value_and_grad
    def loss_fn(params, texts):
        def one(ids):
            losses = optax.softmax_cross_entropy_with_integer_labels(logits_of(params, ids[:-1]), ids[1:])
            return losses.mean()

        return jax.vmap(one)(texts).mean()

    tx = optax.adamw(3e-3)

    @jax.jit
    def step(params, opt_state, texts):
        loss, grads = loss_fn(params, texts)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, tokens(15, 4, 10), state=(params, tx.init(params)))
