"""Dropouts that are off, or on, for a good reason, in the libraries of layers for JAX."""

from __future__ import annotations

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.training import train_state

import smokestep


def points(classes=3, features=6, count=16):
    x_key, y_key = jax.random.split(jax.random.key(51))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


def entropy(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


class Linen(nn.Module):
    rate: float = 0.3

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.Dense(16)(x))
        x = nn.Dropout(self.rate, deterministic=not train)(x)
        return nn.Dense(3)(x)


class Net(nnx.Module):
    def __init__(self, rngs, rate=0.3, features=6, out=3):
        self.first = nnx.Linear(features, 16, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.last = nnx.Linear(16, out, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.first(x))))


class Eqx(eqx.Module):
    first: eqx.nn.Linear
    drop: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self, key, features=6, out=3):
        a, b = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(features, 16, key=a), eqx.nn.Linear(16, out, key=b)
        self.drop = eqx.nn.Dropout(0.3)

    def __call__(self, x, key=None):
        return self.last(self.drop(jax.nn.relu(self.first(x)), key=key))


def linen(rate=0.3, after=None, loss_of=None):
    """A Linen classifier with a key for its dropout, and what is done with it after its update."""
    model = Linen(rate)
    x, y = points()
    params = model.init(jax.random.key(0), x, train=False)["params"]
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-2))

    @jax.jit
    def train_step(state, key, batch):
        x, y = batch
        key, now, beside = jax.random.split(key, 3)

        def loss_fn(params):
            return entropy(state.apply_fn({"params": params}, x, train=True, rngs={"dropout": now}), y)

        wanted = loss_of(state, now, beside, x, y) if loss_of else loss_fn
        loss, grads = jax.value_and_grad(wanted)(state.params)
        state = state.apply_gradients(grads=grads)
        return state, key, {"loss": loss, "more": after(state, beside, x, y) if after else 0.0}

    return smokestep.Training(train_step, (x, y), state=(state, jax.random.key(1)))


def training_linen_monte_carlo():
    """Monte Carlo dropout: the variance of several draws beside the training (Gal and Ghahramani, 2016)."""

    def after(state, key, x, y):
        def draw(key):
            return state.apply_fn({"params": state.params}, x, train=True, rngs={"dropout": key})

        return jax.vmap(draw)(jax.random.split(key, 4)).var(axis=0).mean()

    return linen(after=after)


def training_linen_scored_in_step():
    """The accuracy of the new parameters, without dropout, in the training step."""

    def after(state, key, x, y):
        return (state.apply_fn({"params": state.params}, x, train=False).argmax(-1) == y).mean()

    return linen(after=after)


def training_linen_rate_zero():
    """A configuration that wants no dropout: its rate is 0."""
    return linen(rate=0.0)


def training_linen_clean_and_noisy():
    """A consistency loss between a pass with dropout and one without (Laine and Aila, 2017)."""

    def loss_of(state, now, beside, x, y):
        def loss_fn(params):
            noisy = state.apply_fn({"params": params}, x, train=True, rngs={"dropout": now})
            clean = state.apply_fn({"params": params}, x, train=False)
            return entropy(noisy, y) + 0.1 * jnp.mean((nn.softmax(noisy) - nn.softmax(clean)) ** 2)

        return loss_fn

    return linen(loss_of=loss_of)


def training_linen_r_drop():
    """R-Drop (Wu et al., 2021): two draws of dropout that are to agree."""

    def loss_of(state, now, beside, x, y):
        def loss_fn(params):
            one = state.apply_fn({"params": params}, x, train=True, rngs={"dropout": now})
            two = state.apply_fn({"params": params}, x, train=True, rngs={"dropout": beside})
            away = optax.kl_divergence(nn.log_softmax(one), nn.softmax(two)).mean()
            return entropy(one, y) + entropy(two, y) + 0.1 * away

        return loss_fn

    return linen(loss_of=loss_of)


def training_linen_adversarial():
    """The attack is made without dropout, the training on it with (Madry et al., 2018)."""

    def loss_of(state, now, beside, x, y):
        def attacked(x):
            return entropy(state.apply_fn({"params": state.params}, x, train=False), y)

        x = x + 0.1 * jnp.sign(jax.grad(attacked)(x))

        def loss_fn(params):
            return entropy(state.apply_fn({"params": params}, x, train=True, rngs={"dropout": now}), y)

        return loss_fn

    return linen(loss_of=loss_of)


class Backbone(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Dropout(0.2, deterministic=not train)(nn.relu(nn.Dense(16)(x)))
        return nn.Dropout(0.2, deterministic=not train)(nn.relu(nn.Dense(16)(x)))


def training_linen_linear_probe():
    """A frozen backbone in evaluation mode under a linear head (flax's transfer learning guide)."""
    backbone, head = Backbone(), nn.Dense(3)
    x, y = points()
    frozen = backbone.init(jax.random.key(0), x, train=False)["params"]
    params = head.init(jax.random.key(1), jnp.zeros((1, 16)))["params"]
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, frozen, batch):
        x, y = batch

        def loss_fn(params):
            features = backbone.apply({"params": frozen}, x, train=False)
            return entropy(head.apply({"params": params}, features), y)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, frozen, loss

    return smokestep.Training(step, (x, y), state=(params, optimizer.init(params), frozen))


def training_linen_prompt_tuning():
    """A frozen network in evaluation mode behind a trained prompt (Lester et al., 2021)."""
    model = Linen()
    x, y = points()
    frozen = model.init(jax.random.key(0), x, train=False)["params"]
    prompt = jnp.zeros(6)
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(prompt, opt_state, frozen, batch):
        x, y = batch

        def loss_fn(prompt):
            return entropy(model.apply({"params": frozen}, x + prompt, train=False), y)

        loss, grads = jax.value_and_grad(loss_fn)(prompt)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(prompt, updates), opt_state, frozen, loss

    return smokestep.Training(step, (x, y), state=(prompt, optimizer.init(prompt), frozen))


def training_linen_remat_stack():
    """nn.remat around blocks with dropout."""

    class Block(nn.Module):
        train: bool

        @nn.compact
        def __call__(self, x):
            h = nn.Dense(6)(nn.relu(nn.LayerNorm()(x)))
            return x + nn.Dropout(0.1, deterministic=not self.train)(h)

    class Stack(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            for _ in range(2):
                x = nn.remat(Block)(train)(x)
            return nn.Dense(3)(x)

    model = Stack()
    x, y = points()
    params = model.init(jax.random.key(0), x, False)["params"]
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, key, batch):
        x, y = batch
        key, now = jax.random.split(key)

        def loss_fn(params):
            return entropy(model.apply({"params": params}, x, True, rngs={"dropout": now}), y)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(step, (x, y), state=(params, optimizer.init(params), jax.random.key(1)))


def nnx_loss(model, batch):
    x, y = batch
    return entropy(model(x), y)


def training_nnx_mode_switched_back():
    """train() before the training, eval() before the evaluation, in every step."""
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(nnx_loss)(model, batch)
        optimizer.update(model, grads)
        return loss

    @nnx.jit
    def accuracy(model, batch):
        return (model(batch[0]).argmax(-1) == batch[1]).mean()

    def step(model, optimizer, batch):
        model.train()
        loss = train_step(model, optimizer, batch)
        model.eval()
        return {"loss": loss, "accuracy": accuracy(model, batch)}

    return smokestep.Training(step, points(), state=(model, optimizer))


def training_nnx_rate_zero():
    """nnx.Dropout with a rate of 0, in evaluation mode."""
    model = Net(nnx.Rngs(0), rate=0.0)
    model.eval()
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(nnx_loss)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, points(), state=(model, optimizer))


def training_nnx_mean_teacher():
    """Mean Teacher (Tarvainen and Valpola, 2017): the teacher is an average, and runs in evaluation mode."""
    student, teacher = Net(nnx.Rngs(0)), Net(nnx.Rngs(0))
    teacher.eval()
    optimizer = nnx.Optimizer(student, optax.adam(1e-2), wrt=nnx.Param)

    def loss_fn(student, teacher, batch):
        x, y = batch
        logits = student(x)
        wanted = jax.lax.stop_gradient(nnx.softmax(teacher(x)))
        return entropy(logits, y) + jnp.mean((nnx.softmax(logits) - wanted) ** 2)

    @nnx.jit
    def step(student, teacher, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(student, teacher, batch)
        optimizer.update(student, grads)
        new, old = nnx.state(student, nnx.Param), nnx.state(teacher, nnx.Param)
        nnx.update(teacher, jax.tree.map(lambda t, s: 0.99 * t + 0.01 * s, old, new))
        return loss

    return smokestep.Training(step, points(), state=(student, teacher, optimizer))


def training_nnx_frozen_backbone():
    """A backbone in evaluation mode, and a head with dropout of its own that is trained."""

    class Classifier(nnx.Module):
        def __init__(self, rngs):
            self.backbone = Net(rngs, out=8)
            self.drop = nnx.Dropout(0.2, rngs=rngs)
            self.head = nnx.Linear(8, 3, rngs=rngs)

        def __call__(self, x):
            return self.head(self.drop(jax.lax.stop_gradient(self.backbone(x))))

    model = Classifier(nnx.Rngs(0))
    model.train()
    model.backbone.eval()
    mine = nnx.All(nnx.Param, nnx.PathContains("head"))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=mine)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(nnx_loss, argnums=nnx.DiffState(0, mine))(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, points(), state=(model, optimizer))


def training_nnx_lora_in_eval():
    """Low-rank adapters in a frozen network that stays in evaluation mode."""

    class Adapted(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.LoRALinear(6, 16, lora_rank=2, rngs=rngs)
            self.drop = nnx.Dropout(0.2, rngs=rngs)
            self.last = nnx.LoRALinear(16, 3, lora_rank=2, rngs=rngs)

        def __call__(self, x):
            return self.last(self.drop(nnx.relu(self.first(x))))

    model = Adapted(nnx.Rngs(0))
    model.eval()
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.LoRAParam)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(nnx_loss, argnums=nnx.DiffState(0, nnx.LoRAParam))(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, points(), state=(model, optimizer))


def training_nnx_merged():
    """The functional way: split once, merged in a jitted step, the mode set on what was merged."""
    model = Net(nnx.Rngs(0))
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(params, rest, opt_state, batch):
        model = nnx.merge(graphdef, params, rest)
        model.train()
        loss, grads = nnx.value_and_grad(nnx_loss)(model, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), nnx.state(model, nnx.Not(nnx.Param)), opt_state, loss

    return smokestep.Training(step, points(), state=(params, rest, optimizer.init(params)))


def training_nnx_policy_rollout():
    """A policy that acts without dropout, and is trained with it on what it saw."""
    policy = Net(nnx.Rngs(0), out=2)
    optimizer = nnx.Optimizer(policy, optax.adam(1e-3), wrt=nnx.Param)

    def loss_fn(policy, states, actions, returns):
        chosen = jnp.take_along_axis(nnx.log_softmax(policy(states)), actions[:, None], 1)[:, 0]
        return -jnp.mean(chosen * returns)

    def step(policy, optimizer, states):
        policy.eval()
        actions = policy(states).argmax(-1)
        returns = jnp.where(actions == (states[:, 0] > 0), 1.0, -1.0)
        policy.train()
        loss, grads = nnx.value_and_grad(loss_fn)(policy, states, actions, returns)
        optimizer.update(policy, grads)
        return loss

    return smokestep.Training(step, points()[0], state=(policy, optimizer))


def training_nnx_own_flag():
    """The flag of the mode is an argument of the model's."""

    class Flagged(nnx.Module):
        def __init__(self, rngs):
            self.first, self.last = nnx.Linear(6, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)
            self.drop = nnx.Dropout(0.3, rngs=rngs)

        def __call__(self, x, *, train: bool):
            return self.last(self.drop(nnx.relu(self.first(x)), deterministic=not train))

    model = Flagged(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return entropy(model(x, train=True), y)

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return {"loss": loss, "accuracy": (model(x, train=False).argmax(-1) == y).mean()}

    return smokestep.Training(step, points(), state=(model, optimizer))


def training_nnx_ensemble():
    """Several networks with dropout at once, by nnx.vmap."""

    @nnx.split_rngs(splits=3)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def create(rngs):
        return Net(rngs)

    models = create(nnx.Rngs(0))
    optimizer = nnx.Optimizer(models, optax.adam(1e-2), wrt=nnx.Param)

    def loss_fn(models, batch):
        x, y = batch
        logits = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))(models, x)
        return jax.vmap(entropy, in_axes=(0, None))(logits, y).sum()

    @nnx.jit
    def step(models, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(models, batch)
        optimizer.update(models, grads)
        return loss

    return smokestep.Training(step, points(), state=(models, optimizer))


def eqx_training(model, compute_loss, more=()):
    """A step of Equinox with a key, as its examples have it."""
    optim = optax.adam(1e-2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def make_step(model, opt_state, key, batch):
        key, now = jax.random.split(key)
        loss, grads = eqx.filter_value_and_grad(compute_loss)(model, now, *batch, *more)
        updates, opt_state = optim.update(grads, opt_state, model)
        return eqx.apply_updates(model, updates), opt_state, key, loss

    return smokestep.Training(make_step, points(), state=(model, opt_state, jax.random.key(2)))


def training_eqx_dropout():
    """A key for each sample."""

    def compute_loss(model, key, x, y):
        return entropy(jax.vmap(model)(x, jax.random.split(key, len(x))), y)

    return eqx_training(Eqx(jax.random.key(0)), compute_loss)


def training_eqx_inference_backbone():
    """eqx.nn.inference_mode on a backbone that is not trained."""
    backbone = eqx.nn.inference_mode(Eqx(jax.random.key(0), out=8))

    def compute_loss(head, key, x, y):
        return entropy(jax.vmap(head)(jax.lax.stop_gradient(jax.vmap(backbone)(x))), y)

    return eqx_training(eqx.nn.Linear(8, 3, key=jax.random.key(1)), compute_loss)


def training_eqx_scored_in_inference():
    """The model of the moment in inference mode, for a score beside the loss."""
    optim = optax.adam(1e-2)
    model = Eqx(jax.random.key(0))
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def make_step(model, opt_state, key, batch):
        x, y = batch
        key, now = jax.random.split(key)

        @eqx.filter_value_and_grad
        def compute_loss(model):
            return entropy(jax.vmap(model)(x, jax.random.split(now, len(x))), y)

        loss, grads = compute_loss(model)
        updates, opt_state = optim.update(grads, opt_state, model)
        model = eqx.apply_updates(model, updates)
        still = eqx.nn.inference_mode(model)
        return model, opt_state, key, {"loss": loss, "accuracy": (jax.vmap(still)(x).argmax(-1) == y).mean()}

    return smokestep.Training(make_step, points(), state=(model, opt_state, jax.random.key(2)))


def training_eqx_ensemble():
    """An ensemble made by eqx.filter_vmap, run by one."""
    models = eqx.filter_vmap(Eqx)(jax.random.split(jax.random.key(0), 3))

    def compute_loss(models, key, x, y):
        keys = jax.random.split(key, (3, len(x)))
        logits = eqx.filter_vmap(lambda model, keys: jax.vmap(model)(x, keys))(models, keys)
        return jax.vmap(entropy, in_axes=(0, None))(logits, y).sum()

    return eqx_training(models, compute_loss)
