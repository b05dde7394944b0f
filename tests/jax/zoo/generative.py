"""Autoencoders, adversaries, flows and denoisers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import nnx

import smokestep


def data(count=16, features=10):
    return jax.random.normal(jax.random.key(41), (count, features))


class VAE(nn.Module):
    """flax/examples/vae: encoder, reparametrization, decoder."""

    latents: int = 3

    @nn.compact
    def __call__(self, x, z_rng):
        h = nn.relu(nn.Dense(16, name="fc1")(x))
        mean, logvar = nn.Dense(self.latents, name="fc2_mean")(h), nn.Dense(self.latents, name="fc2_logvar")(h)
        std = jnp.exp(0.5 * logvar)
        z = mean + jax.random.normal(z_rng, logvar.shape) * std
        h = nn.relu(nn.Dense(16, name="fc3")(z))
        return nn.Dense(x.shape[-1], name="fc4")(h), mean, logvar


@jax.vmap
def kl_divergence(mean, logvar):
    return -0.5 * jnp.sum(1 + logvar - jnp.square(mean) - jnp.exp(logvar))


@jax.vmap
def binary_cross_entropy_with_logits(logits, labels):
    logits = nn.log_sigmoid(logits)
    return -jnp.sum(labels * logits + (1.0 - labels) * jnp.log(-jnp.expm1(logits)))


def training_vae():
    """flax/examples/vae/train.py: the losses are written for one sample and vmapped."""
    x = (data() > 0).astype(jnp.float32)
    key, init_key, z_key = jax.random.split(jax.random.key(0), 3)
    params = VAE().init(init_key, x, z_key)["params"]
    tx = optax.adam(1e-3)

    @jax.jit
    def train_step(params, opt_state, key, x):
        key, z_key = jax.random.split(key)

        def loss_fn(params):
            recon_x, mean, logvar = VAE().apply({"params": params}, x, z_key)
            bce_loss = binary_cross_entropy_with_logits(recon_x, x).mean()
            kld_loss = kl_divergence(mean, logvar).mean()
            return bce_loss + kld_loss

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(train_step, x, state=(params, tx.init(params), key))


def dense(key, sizes):
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(k, (m, n)) / jnp.sqrt(m), "b": jnp.zeros(n)} for k, m, n in zip(keys, sizes, sizes[1:])
    ]


def forward(params, x):
    for layer in params[:-1]:
        x = jax.nn.leaky_relu(x @ layer["w"] + layer["b"], 0.2)
    return x @ params[-1]["w"] + params[-1]["b"]


def training_gan():
    """Two networks, two optimizers, one step: each loss is differentiated for its own network."""
    g_params, d_params = dense(jax.random.key(1), [4, 16, 10]), dense(jax.random.key(2), [10, 16, 1])
    g_tx, d_tx = optax.adam(2e-4, b1=0.5), optax.adam(2e-4, b1=0.5)
    bce = optax.sigmoid_binary_cross_entropy

    def d_loss_fn(d_params, g_params, z, real):
        fake = forward(g_params, z)
        real_logits, fake_logits = forward(d_params, real), forward(d_params, fake)
        real_loss = bce(real_logits, jnp.ones_like(real_logits)).mean()
        return real_loss + bce(fake_logits, jnp.zeros_like(fake_logits)).mean()

    def g_loss_fn(g_params, d_params, z):
        logits = forward(d_params, forward(g_params, z))
        return bce(logits, jnp.ones_like(logits)).mean()

    @jax.jit
    def step(state, real):
        key, d_key, g_key = jax.random.split(state["key"], 3)
        z = jax.random.normal(d_key, (len(real), 4))
        d_loss, d_grads = jax.value_and_grad(d_loss_fn)(state["d"], state["g"], z, real)
        updates, d_opt = d_tx.update(d_grads, state["d_opt"])
        d = optax.apply_updates(state["d"], updates)

        z = jax.random.normal(g_key, (len(real), 4))
        g_loss, g_grads = jax.value_and_grad(g_loss_fn)(state["g"], d, z)
        updates, g_opt = g_tx.update(g_grads, state["g_opt"])
        g = optax.apply_updates(state["g"], updates)
        new = {"g": g, "d": d, "g_opt": g_opt, "d_opt": d_opt, "key": key}
        return new, {"g_loss": g_loss, "d_loss": d_loss}

    state = {"g": g_params, "d": d_params, "g_opt": g_tx.init(g_params), "d_opt": d_tx.init(d_params)}
    return smokestep.Training(step, data(), state={**state, "key": jax.random.key(3)})


class Critic(nnx.Module):
    def __init__(self, *, rngs):
        self.hidden = nnx.Linear(10, 16, rngs=rngs)
        self.out = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x)))[..., 0]


class Generator(nnx.Module):
    def __init__(self, *, rngs):
        self.hidden = nnx.Linear(4, 16, rngs=rngs)
        self.out = nnx.Linear(16, 10, rngs=rngs)
        self.rngs = rngs

    def __call__(self, count):
        return self.out(nnx.relu(self.hidden(jax.random.normal(self.rngs.noise(), (count, 4)))))


def training_wasserstein_with_penalty():
    """WGAN-GP in NNX: the penalty differentiates the critic by its input, one gradient for each sample."""
    generator, critic = Generator(rngs=nnx.Rngs(params=4, noise=5)), Critic(rngs=nnx.Rngs(6))
    g_optimizer = nnx.Optimizer(generator, optax.adam(1e-4), wrt=nnx.Param)
    c_optimizer = nnx.Optimizer(critic, optax.adam(1e-4), wrt=nnx.Param)

    def critic_loss(critic, real, fake, epsilon):
        mixed = epsilon * real + (1 - epsilon) * fake
        slopes = jax.vmap(jax.grad(lambda x: critic(x)))(mixed)
        penalty = jnp.mean((jnp.linalg.norm(slopes, axis=-1) - 1) ** 2)
        return critic(fake).mean() - critic(real).mean() + 10 * penalty

    @nnx.jit
    def critic_step(critic, optimizer, generator, real):
        fake = jax.lax.stop_gradient(generator(len(real)))
        epsilon = jax.random.uniform(generator.rngs.noise(), (len(real), 1))
        loss, grads = nnx.value_and_grad(critic_loss)(critic, real, fake, epsilon)
        optimizer.update(critic, grads)
        return loss

    @nnx.jit
    def generator_step(generator, optimizer, critic):
        loss, grads = nnx.value_and_grad(lambda g: -critic(g(16)).mean())(generator)
        optimizer.update(generator, grads)
        return loss

    return smokestep.Training(
        {
            "critic": lambda real: critic_step(critic, c_optimizer, generator, real),
            "generator": lambda real: generator_step(generator, g_optimizer, critic),
        },
        data(),
        model={"generator": generator, "critic": critic},
        trains={"critic": "critic.*", "generator": "generator.*"},
    )


def training_denoising_diffusion():
    """DDPM for vectors: noise is added by a schedule, and predicted with the time step embedded."""
    betas = jnp.linspace(1e-4, 0.02, 20)
    alphas = jnp.cumprod(1 - betas)
    params = {
        "net": dense(jax.random.key(7), [18, 32, 10]),
        "time": 0.1 * jax.random.normal(jax.random.key(8), (20, 8)),
    }
    tx = optax.adam(1e-3)

    def loss_fn(params, key, x):
        t_key, noise_key = jax.random.split(key)
        t = jax.random.randint(t_key, (len(x),), 0, 20)
        noise = jax.random.normal(noise_key, x.shape)
        scale = alphas[t][:, None]
        noisy = jnp.sqrt(scale) * x + jnp.sqrt(1 - scale) * noise
        predicted = forward(params["net"], jnp.concatenate([noisy, params["time"][t]], axis=-1))
        return jnp.mean((predicted - noise) ** 2)

    @jax.jit
    def step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, x)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(step, data(), state=(params, tx.init(params), jax.random.key(9)))


def training_coupling_flow():
    """RealNVP: two affine couplings, the exact log-likelihood under a standard normal."""
    params = [dense(jax.random.key(10), [5, 16, 10]), dense(jax.random.key(11), [5, 16, 10])]
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    def log_prob(params, x):
        logdet = 0.0
        for net in params:
            a, b = jnp.split(x, 2, axis=-1)
            scale, shift = jnp.split(forward(net, a), 2, axis=-1)
            scale = jnp.tanh(scale)
            b = b * jnp.exp(scale) + shift
            logdet = logdet + scale.sum(-1)
            x = jnp.concatenate([b, a], axis=-1)
        return jax.scipy.stats.norm.logpdf(x).sum(-1) + logdet

    @jax.jit
    def step(params, opt_state, x):
        loss, grads = jax.value_and_grad(lambda p: -log_prob(p, x).mean())(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, 2 * data() + 1, state=(params, tx.init(params)))


def training_denoising_autoencoder():
    """Inputs are masked at random, and the whole is to come out."""
    params = {"encoder": dense(jax.random.key(12), [10, 6]), "decoder": dense(jax.random.key(13), [6, 10])}
    tx = optax.adam(1e-2)

    def loss_fn(params, key, x):
        seen = jnp.where(jax.random.bernoulli(key, 0.75, x.shape), x, 0.0)
        code = jnp.tanh(forward(params["encoder"], seen))
        return jnp.mean(optax.l2_loss(forward(params["decoder"], code), x))

    @jax.jit
    def step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, x)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(step, data(), state=(params, tx.init(params), jax.random.key(14)))


def training_quantised_autoencoder():
    """VQ-VAE: straight-through by stop_gradient, codebook and commitment losses."""
    params = {
        "encoder": dense(jax.random.key(15), [10, 4]),
        "codes": 0.5 * jax.random.normal(jax.random.key(16), (6, 4)),
        "decoder": dense(jax.random.key(17), [4, 10]),
    }
    tx = optax.adam(1e-2)

    def loss_fn(params, x):
        z = forward(params["encoder"], x)
        distances = jnp.sum((z[:, None] - params["codes"]) ** 2, axis=-1)
        q = params["codes"][jnp.argmin(distances, axis=-1)]
        codebook = jnp.mean((q - jax.lax.stop_gradient(z)) ** 2)
        commitment = jnp.mean((z - jax.lax.stop_gradient(q)) ** 2)
        decoded = forward(params["decoder"], z + jax.lax.stop_gradient(q - z))
        return jnp.mean((decoded - x) ** 2) + codebook + 0.25 * commitment

    @jax.jit
    def step(params, opt_state, x):
        loss, grads = jax.value_and_grad(loss_fn)(params, x)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, data(), state=(params, tx.init(params)))


def reparametrized(params, x, noise):
    mean, log_var = jnp.split(x @ params["encoder"], 2, axis=1)
    code = mean + noise * jnp.exp(0.5 * log_var)
    divergence = -0.5 * (1 + log_var - mean**2 - jnp.exp(log_var)).sum(1).mean()
    return ((jnp.tanh(code) @ params["decoder"] - x) ** 2).sum(1).mean() + divergence


def halves():
    init = jax.nn.initializers.lecun_normal()
    return {"encoder": init(jax.random.key(17), (10, 8)), "decoder": init(jax.random.key(18), (4, 10))}


def training_vae_that_is_handed_its_noise():
    """The noise is drawn by the step, a row for each sample, so that the loss is a pure function."""
    params = halves()
    tx = optax.adam(1e-3)

    @jax.jit
    def train_step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        noise = 0.9 * jax.random.normal(now, (len(x), 4)).astype(x.dtype)
        loss, grads = jax.value_and_grad(reparametrized)(params, x, noise)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(train_step, data(), state=(params, tx.init(params), jax.random.key(19)))


def training_vae_that_is_handed_its_noise_eagerly():
    """The same, and nothing of the step is compiled."""
    params = halves()
    tx = optax.adam(1e-3)

    def train_step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        noise = 0.9 * jax.random.normal(now, (len(x), 4))
        loss, grads = jax.value_and_grad(reparametrized)(params, x, noise)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(train_step, data(), state=(params, tx.init(params), jax.random.key(19)))
