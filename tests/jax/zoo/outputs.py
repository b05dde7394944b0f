"""What models are given and what they give, where something is unread, alike or out of bounds for a good reason."""

from __future__ import annotations

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def points(classes=3, features=6, count=16):
    x_key, y_key = jax.random.split(jax.random.key(61))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


def entropy(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def nnx_training(model, loss_fn, batch, **declared):
    """A step of NNX as its guide has it."""
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, batch, state=(model, optimizer), **declared)


def optax_training(params, loss_fn, batch, **declared):
    """A step of Optax on a tree of parameters."""
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, batch, state=(params, optimizer.init(params)), **declared)


class Autoencoder(nnx.Module):
    def __init__(self, rngs):
        self.down, self.up = nnx.Linear(8, 3, rngs=rngs), nnx.Linear(3, 8, rngs=rngs)

    def encode(self, x):
        return nnx.tanh(self.down(x))

    def decode(self, z):
        return self.up(z)


def images(count=16):
    return jax.random.uniform(jax.random.key(62), (count, 8))


def training_nnx_methods_and_a_sigmoid_outside():
    """An autoencoder with methods, whose pixels are squashed by the loss function."""

    def loss_fn(model, x):
        return jnp.mean((nnx.sigmoid(model.decode(model.encode(x))) - x) ** 2)

    return nnx_training(Autoencoder(nnx.Rngs(0)), loss_fn, images(), output_range=(0, 1))


def training_nnx_sequential_and_a_sigmoid_outside():
    """The probabilities that are promised are made of what the layers give."""
    rngs = nnx.Rngs(0)
    hidden, out = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)
    model = nnx.Sequential(hidden, nnx.relu, out)

    def loss_fn(model, x):
        return jnp.mean((nnx.sigmoid(model(x)) - x) ** 2)

    return nnx_training(model, loss_fn, images(), output_range=(0, 1))


def training_plain_rescaled_tanh():
    """Pixels by a tanh that is moved into [0, 1]."""
    lecun = jax.nn.initializers.lecun_normal()
    params = {"w1": lecun(jax.random.key(0), (8, 16)), "w2": lecun(jax.random.key(1), (16, 8))}

    def predict(params, x):
        return (jnp.tanh(jax.nn.relu(x @ params["w1"]) @ params["w2"]) + 1) / 2

    def loss_fn(params, x):
        return jnp.mean((predict(params, x) - x) ** 2)

    return optax_training(params, loss_fn, images(), output_range=(0, 1))


def training_plain_actions_within_bounds():
    """A policy's tanh, stretched to the bounds of each action, which are arrays."""
    lecun = jax.nn.initializers.lecun_normal()
    params = {"w1": lecun(jax.random.key(0), (8, 16)), "w2": lecun(jax.random.key(1), (16, 2))}
    low, high = jnp.array([0.0, 0.2]), jnp.array([1.0, 0.8])

    def policy(params, x):
        squashed = jnp.tanh(jax.nn.relu(x @ params["w1"]) @ params["w2"])
        return low + (high - low) * (squashed + 1.0) / 2.0

    def loss_fn(params, x):
        hidden = jax.nn.relu(x @ params["w1"])
        return jnp.mean((policy(params, x) - x[:, :2]) ** 2) + 1e-3 * jnp.mean(jnp.abs(hidden))

    return optax_training(params, loss_fn, images(), output_range=(0, 1))


def training_nnx_variational_autoencoder():
    """A model that gives its code beside the pixels, which alone are promised to lie in [0, 1]."""

    class Vae(nnx.Module):
        def __init__(self, rngs):
            self.down, self.up, self.rngs = nnx.Linear(8, 6, rngs=rngs), nnx.Linear(3, 8, rngs=rngs), rngs

        def __call__(self, x):
            mean, log_var = jnp.split(self.down(x), 2, axis=-1)
            z = mean + jnp.exp(log_var / 2) * jax.random.normal(self.rngs.noise(), mean.shape)
            return nnx.sigmoid(self.up(z)), mean, log_var

    def loss_fn(model, x):
        made, mean, log_var = model(x)
        divergence = -0.5 * (1 + log_var - mean**2 - jnp.exp(log_var)).sum(-1).mean()
        return ((made - x) ** 2).sum(-1).mean() + divergence

    return nnx_training(Vae(nnx.Rngs(0)), loss_fn, images(), output_range=(0, 1))


def training_linen_actor_and_critic():
    """The actions are bounded, and the values of the critic are not."""

    class Actor(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.tanh(nn.Dense(2)(nn.relu(nn.Dense(16)(x))))

    class Critic(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(nn.relu(nn.Dense(16)(x)))[..., 0]

    actor, critic, x = Actor(), Critic(), points()[0]
    params = {"actor": actor.init(jax.random.key(0), x), "critic": critic.init(jax.random.key(1), x)}
    wanted, returns = jax.random.uniform(jax.random.key(2), (16, 2)), 5 + jax.random.normal(jax.random.key(3), (16,))

    def loss_fn(params, batch):
        x, wanted, returns = batch
        values = critic.apply(params["critic"], x)
        return jnp.mean((actor.apply(params["actor"], x) - wanted) ** 2) + jnp.mean((values - returns) ** 2)

    return optax_training(params, loss_fn, (x, wanted, returns), output_range=(-1, 1))


def training_linen_standardised_by_the_loss():
    """The outputs keep their promise, and the loss compares them in other units."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.sigmoid(nn.Dense(8)(nn.relu(nn.Dense(16)(x))))

    model, x = Net(), images()
    params = model.init(jax.random.key(0), x)

    def loss_fn(params, x):
        return jnp.mean(((model.apply(params, x) - 0.5) / 0.1 - (x - 0.5) / 0.1) ** 2)

    return optax_training(params, loss_fn, x, output_range=(0, 1))


def training_eqx_positions_by_shape():
    """Embeddings of positions are asked for the length of the sequence alone."""

    class Positions(eqx.Module):
        table: jax.Array

        def __call__(self, tokens):
            return self.table[: tokens.shape[0]]

    class Tokens(eqx.Module):
        table: jax.Array

        def __call__(self, tokens):
            return self.table[tokens]

    a, b, c = jax.random.split(jax.random.key(0), 3)
    model = {
        "tokens": Tokens(0.1 * jax.random.normal(a, (7, 8))),
        "positions": Positions(0.1 * jax.random.normal(b, (5, 8))),
        "out": eqx.nn.Linear(8, 3, key=c),
    }
    optim = optax.adam(1e-2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    def predict(model, tokens):
        h = model["tokens"](tokens) + model["positions"](tokens)
        return model["out"](jnp.tanh(h).reshape(5, 8).max(axis=0))

    @eqx.filter_value_and_grad
    def compute_loss(model, tokens, y):
        return entropy(jax.vmap(predict, in_axes=(None, 0))(model, tokens), y)

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state, model)
        return eqx.apply_updates(model, updates), opt_state, loss

    tokens = jax.random.randint(jax.random.key(1), (16, 5), 0, 7)
    return smokestep.Training(step, (tokens, points()[1]), state=(model, opt_state))


def training_nnx_policy_with_a_free_spread():
    """A Gaussian policy whose spread is a parameter, the same for every state."""

    class Policy(nnx.Module):
        def __init__(self, rngs):
            self.hidden, self.mean = nnx.Linear(6, 16, rngs=rngs), nnx.Linear(16, 2, rngs=rngs)
            self.log_std = nnx.Param(jnp.zeros(2))

        def __call__(self, x):
            mean = self.mean(nnx.tanh(self.hidden(x)))
            return mean, jnp.broadcast_to(self.log_std[...], mean.shape)

    def loss_fn(model, batch):
        states, actions = batch
        mean, log_std = model(states)
        return jnp.mean(0.5 * jnp.square((actions - mean) / jnp.exp(log_std)) + log_std)

    batch = points()[0], jax.random.normal(jax.random.key(1), (16, 2))
    return nnx_training(Policy(nnx.Rngs(0)), loss_fn, batch)


def training_linen_head_of_zeros():
    """A head that begins with zeros gives one answer for all, once."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Dense(16)(x))
            return nn.Dense(3, kernel_init=nn.initializers.zeros)(x)

    model = Net()
    x, y = points()
    params = model.init(jax.random.key(0), x)
    return optax_training(params, lambda params, batch: entropy(model.apply(params, batch[0]), batch[1]), (x, y))


def training_linen_optional_inputs():
    """An interface with a mask and a time that this training does not need."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, mask=None, t=None):
            x = nn.relu(nn.Dense(16)(x))
            return nn.Dense(3)(x if mask is None else x * mask)

    model = Net()
    x, y = points()
    params = model.init(jax.random.key(0), x)
    return optax_training(params, lambda params, batch: entropy(model.apply(params, batch[0]), batch[1]), (x, y))


def training_nnx_guided_diffusion():
    """Noise is predicted from the noisy sample, its time and a label that is dropped now and then."""

    class Denoiser(nnx.Module):
        def __init__(self, rngs):
            self.label = nnx.Embed(4, 6, rngs=rngs)
            self.first, self.last = nnx.Linear(13, 32, rngs=rngs), nnx.Linear(32, 6, rngs=rngs)

        def __call__(self, x, t, label):
            h = jnp.concatenate([x, t[:, None], self.label(label)], axis=-1)
            return self.last(nnx.silu(self.first(h)))

    def loss_fn(model, rngs, batch):
        x, label = batch
        t = jax.random.uniform(rngs.time(), (len(x),))
        noise = jax.random.normal(rngs.noise(), x.shape)
        label = jnp.where(jax.random.bernoulli(rngs.drop(), 0.1, label.shape), 3, label)
        alpha = jnp.cos(t * jnp.pi / 2)[:, None]
        noisy = alpha * x + jnp.sqrt(1 - alpha**2) * noise
        return jnp.mean((model(noisy, t, label) - noise) ** 2)

    model, rngs = Denoiser(nnx.Rngs(0)), nnx.Rngs(1)
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, rngs, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, rngs, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, points(), state=(model, optimizer, rngs))


def training_linen_energy_and_forces():
    """A network of positions whose derivative is trained as well, as in molecular dynamics."""

    class Energy(nn.Module):
        @nn.compact
        def __call__(self, r):
            return nn.Dense(1)(nn.tanh(nn.Dense(16)(r)))[..., 0]

    model = Energy()
    r, e, f = (jax.random.normal(jax.random.key(i), s) for i, s in enumerate([(16, 3), (16,), (16, 3)]))
    params = model.init(jax.random.key(3), r)

    def loss_fn(params, batch):
        r, e, f = batch

        def energy(r):
            return model.apply(params, r)

        value, slope = jax.vmap(jax.value_and_grad(energy))(r)
        return jnp.mean((value - e) ** 2) + jnp.mean((slope + f) ** 2)

    return optax_training(params, loss_fn, (r, e, f))


def training_plain_with_unread_columns():
    """A batch as it comes from a store, with a number for each sample that nothing needs."""
    lecun = jax.nn.initializers.lecun_normal()
    params = {"w1": lecun(jax.random.key(0), (6, 16)), "w2": lecun(jax.random.key(1), (16, 3))}

    def loss_fn(params, batch):
        return entropy(jax.nn.relu(batch["x"] @ params["w1"]) @ params["w2"], batch["y"])

    x, y = points()
    return optax_training(params, loss_fn, {"x": x, "y": y, "id": jnp.arange(16)})


def training_plain_fit_of_a_distribution():
    """A Gaussian that is fitted to samples has nothing to be given."""

    def loss_fn(params, x):
        return jnp.mean(0.5 * ((x - params["mean"]) / jnp.exp(params["log_std"])) ** 2 + params["log_std"])

    return optax_training({"mean": jnp.zeros(6), "log_std": jnp.zeros(6)}, loss_fn, 2 + points()[0])


def training_plain_bandit_without_context():
    """All samples are one by nature: what is learned is the mean reward of each arm."""
    params = {"w": 0.1 * jax.random.normal(jax.random.key(0), (1, 3))}

    def loss_fn(params, batch):
        arms, rewards = batch
        values = jnp.ones((len(arms), 1)) @ params["w"]
        return jnp.mean((jnp.take_along_axis(values, arms[:, None], 1)[:, 0] - rewards) ** 2)

    return optax_training(params, loss_fn, (points()[1], jax.random.normal(jax.random.key(1), (16,))))


def training_eqx_stateful_with_a_key():
    """BatchNorm with its state, and a key that a model without dropout does not need."""

    class Net(eqx.Module):
        first: eqx.nn.Linear
        norm: eqx.nn.BatchNorm
        last: eqx.nn.Linear

        def __init__(self, key):
            a, b = jax.random.split(key)
            self.first, self.last = eqx.nn.Linear(6, 16, key=a), eqx.nn.Linear(16, 3, key=b)
            self.norm = eqx.nn.BatchNorm(16, axis_name="batch", mode="batch")

        def __call__(self, x, state, key=None):
            h, state = self.norm(self.first(x), state)
            return self.last(jax.nn.relu(h)), state

    model, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
    optim = optax.adam(1e-2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, state, opt_state, batch):
        x, y = batch

        def compute_loss(model, state):
            batched = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
            logits, state = batched(x, state)
            return entropy(logits, y), state

        (loss, state), grads = eqx.filter_value_and_grad(compute_loss, has_aux=True)(model, state)
        updates, opt_state = optim.update(grads, opt_state, model)
        return eqx.apply_updates(model, updates), state, opt_state, loss

    return smokestep.Training(step, points(), state=(model, state, opt_state))


def training_linen_scanned_cell():
    """nn.RNN over a sequence, the last output for the loss."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(nn.RNN(nn.GRUCell(8))(x)[:, -1])

    model = Net()
    x = jax.random.normal(jax.random.key(0), (8, 5, 4))
    params = model.init(jax.random.key(1), x)
    y = points(count=8)[1]
    return optax_training(params, lambda params, batch: entropy(model.apply(params, batch[0]), batch[1]), (x, y))
