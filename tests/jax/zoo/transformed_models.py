"""Modules under the transformations of JAX and of their libraries, compiled before and called in unusual ways."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

import smokestep


def points(classes=3, features=6, count=16):
    x_key, y_key = jax.random.split(jax.random.key(71))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


def entropy(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x, train=True):
        x = nn.relu(nn.Dense(16)(x))
        x = nn.Dropout(0.2, deterministic=not train)(x)
        return nn.Dense(3)(x)


class Net(nnx.Module):
    def __init__(self, rngs, rate=0.2):
        self.first, self.last = nnx.Linear(6, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.first(x))))


def optax_training(params, loss_fn, batch, jit=jax.jit, **declared):
    """A step of Optax on a tree of parameters, with a key for each step."""
    optimizer = optax.adam(1e-2)

    def step(params, opt_state, key, batch):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    state = (params, optimizer.init(params), jax.random.key(9))
    return smokestep.Training(jit(step), batch, state=state, **declared)


def nnx_training(model, loss_fn, batch, jit=nnx.jit, **declared):
    """A step of NNX as its guide has it."""
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, batch, state=(model, optimizer), **declared)


def training_linen_compiled_before():
    """The model's function was compiled and called before anyone looks."""
    model, (x, y) = Linen(), points()
    params = model.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, x)["params"]
    apply = jax.jit(model.apply, static_argnames="train")
    apply({"params": params}, x, train=True, rngs={"dropout": jax.random.key(2)})

    def loss_fn(params, key, batch):
        x, y = batch
        return entropy(apply({"params": params}, x, train=True, rngs={"dropout": key}), y)

    return optax_training(params, loss_fn, (x, y))


def training_linen_not_compiled():
    """No jit anywhere, and the batch of NumPy arrays in the closure of the loss."""
    model, (x, y) = Linen(), points()
    params = model.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, x)["params"]
    x, y = np.asarray(x), np.asarray(y)

    def loss_fn(params, key, batch):
        return entropy(model.apply({"params": params}, x, rngs={"dropout": key}), y)

    return optax_training(params, loss_fn, None, jit=lambda step: step)


def training_nnx_warmed_up():
    """nnx.jit has its trace from an evaluation that ran before."""
    model = Net(nnx.Rngs(0))

    @nnx.jit
    def predict(model, x):
        return model(x)

    predict(model, points()[0])
    return nnx_training(model, lambda model, batch: entropy(predict(model, batch[0]), batch[1]), points())


def training_linen_physics():
    """A network of time whose second derivative is trained (physics-informed)."""

    class Field(nn.Module):
        @nn.compact
        def __call__(self, t):
            return nn.Dense(1)(nn.tanh(nn.Dense(16)(t[None])))[0]

    model, t = Field(), jnp.linspace(0.0, 1.0, 16)
    params = model.init(jax.random.key(0), t[0])

    def loss_fn(params, key, t):
        def u(t):
            return model.apply(params, t)

        residual = jax.vmap(jax.grad(jax.grad(u)))(t) + jax.vmap(u)(t)
        return jnp.mean(residual**2) + (u(jnp.array(0.0)) - 1.0) ** 2

    return optax_training(params, loss_fn, t)


def training_nnx_directional():
    """jax.jvp through a module, and a Hessian of it, as penalties."""
    model = Net(nnx.Rngs(0), rate=0.0)

    def loss_fn(model, batch):
        x, y = batch
        graphdef, state = nnx.split(model)

        def f(x):
            return nnx.merge(graphdef, state)(x)

        logits, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        return entropy(logits, y) + 0.01 * jnp.mean(slope**2)

    return nnx_training(model, loss_fn, points())


def training_nnx_scanned_layers():
    """One module of many layers, run by nnx.scan under nnx.remat."""

    class Block(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(6, 6, rngs=rngs)
            self.drop = nnx.Dropout(0.1, rngs=rngs)

        def __call__(self, x):
            return x + self.drop(nnx.tanh(self.linear(x)))

    class Deep(nnx.Module):
        def __init__(self, rngs):
            @nnx.split_rngs(splits=3)
            @nnx.vmap(in_axes=(0,), out_axes=0)
            def create(rngs):
                return Block(rngs)

            self.blocks = create(rngs)
            self.head = nnx.Linear(6, 3, rngs=rngs)

        def __call__(self, x):
            @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
            def run(block, x):
                return nnx.remat(lambda block, x: block(x))(block, x)

            return self.head(run(self.blocks, x))

    return nnx_training(Deep(nnx.Rngs(0)), lambda model, batch: entropy(model(batch[0]), batch[1]), points())


def training_linen_lifted():
    """nn.vmap over heads and nn.jit of a block, with dropout in it."""

    class Head(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dropout(0.1, deterministic=False)(nn.Dense(4)(x))

    class Heads(nn.Module):
        @nn.compact
        def __call__(self, x):
            split = {"params": True, "dropout": True}
            heads = nn.vmap(nn.jit(Head), variable_axes={"params": 0}, split_rngs=split, in_axes=None, axis_size=2)
            return nn.Dense(3)(jnp.concatenate(list(heads()(nn.relu(x))), axis=-1))

    model, (x, y) = Heads(), points()
    params = model.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, x)["params"]

    def loss_fn(params, key, batch):
        return entropy(model.apply({"params": params}, batch[0], rngs={"dropout": key}), batch[1])

    return optax_training(params, loss_fn, (x, y))


def training_linen_sharded():
    """The loss of each device's part by shard_map, on however many devices there are."""
    model, (x, y) = Linen(), points()
    params = model.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, x)["params"]
    mesh = Mesh(np.array(jax.devices()[:1]), ("data",))
    everywhere, split = PartitionSpec(), PartitionSpec("data")

    def loss_fn(params, key, batch):
        def part(params, key, x, y):
            logits = model.apply({"params": params}, x, rngs={"dropout": key})
            return jax.lax.pmean(entropy(logits, y), "data")

        specs = (everywhere, everywhere, split, split)
        return jax.shard_map(part, mesh=mesh, in_specs=specs, out_specs=everywhere)(params, key, *batch)

    return optax_training(params, loss_fn, (x, y))


def training_eqx_checkpointed_branches():
    """filter_checkpoint around a part, and lax.cond between two."""

    class Branches(eqx.Module):
        one: eqx.nn.Linear
        two: eqx.nn.MLP

        def __init__(self, key):
            a, b = jax.random.split(key)
            self.one, self.two = eqx.nn.Linear(6, 3, key=a), eqx.nn.MLP(6, 3, 8, 1, key=b)

        def __call__(self, x, deep):
            deeper = eqx.filter_checkpoint(self.two)
            return self.one(x) + jax.lax.cond(deep, lambda x: deeper(x), lambda x: jnp.zeros(3), x)

    model = Branches(jax.random.key(0))
    optim = optax.adam(1e-2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, opt_state, batch):
        x, y = batch

        @eqx.filter_value_and_grad
        def compute_loss(model):
            return entropy(jax.vmap(model, in_axes=(0, None))(x, jnp.array(True)), y)

        loss, grads = compute_loss(model)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    return smokestep.Training(step, points(), state=(model, opt_state))


class Graph(NamedTuple):
    nodes: jax.Array
    senders: jax.Array
    receivers: jax.Array
    globals: jax.Array
    count: jax.Array


def training_nnx_graph():
    """A graph as a named tuple, with columns that this network does not read."""

    class Messages(nnx.Module):
        def __init__(self, rngs):
            self.inner, self.outer = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(12, 1, rngs=rngs)

        def __call__(self, graph):
            sent = nnx.relu(self.inner(graph.nodes))[graph.senders]
            got = jax.ops.segment_sum(sent, graph.receivers, num_segments=len(graph.nodes))
            return self.outer(jnp.concatenate([graph.nodes, got], axis=-1))[:, 0]

    a, b, c = jax.random.split(jax.random.key(1), 3)
    ends = jax.random.randint(b, (2, 20), 0, 10)
    graph = Graph(jax.random.normal(a, (10, 4)), ends[0], ends[1], jnp.zeros((1, 2)), jnp.array([10]))
    batch = graph, jax.random.normal(c, (10,))

    def loss_fn(model, batch):
        graph, wanted = batch
        return jnp.mean((model(graph) - wanted) ** 2)

    return nnx_training(Messages(nnx.Rngs(0)), loss_fn, batch, batch_dim=-1)


def training_nnx_half_precision():
    """Parameters and outputs in bfloat16, the promise kept."""
    rngs = nnx.Rngs(0)
    half = jnp.bfloat16
    hidden = nnx.Linear(6, 16, rngs=rngs, dtype=half)
    model = nnx.Sequential(hidden, nnx.relu, nnx.Linear(16, 3, rngs=rngs, dtype=half), nnx.sigmoid)
    batch = points()[0], jax.random.uniform(jax.random.key(1), (16, 3))

    def loss_fn(model, batch):
        return jnp.mean((model(batch[0]).astype(jnp.float32) - batch[1]) ** 2)

    return nnx_training(model, loss_fn, batch, output_range=(0, 1))


def training_nnx_own_eval():
    """A class with an `eval` of its own that sets a flag besides, and one with an evaluation of that name."""

    class Flagged(Net):
        def eval(self, **attributes):
            super().eval(**attributes)
            self.sampling = False

    class Scored(Net):
        def eval(self, batch):
            return (self(batch[0]).argmax(-1) == batch[1]).mean()

    models = Flagged(nnx.Rngs(0)), Scored(nnx.Rngs(1))
    optimizers = tuple(nnx.Optimizer(each, optax.adam(1e-2), wrt=nnx.Param) for each in models)

    @nnx.jit
    def step(models, optimizers, batch):
        total = 0.0
        for model, optimizer in zip(models, optimizers, strict=True):
            loss, grads = nnx.value_and_grad(lambda model: entropy(model(batch[0]), batch[1]))(model)
            optimizer.update(model, grads)
            total += loss
        return total

    return smokestep.Training(step, points(), state=(models, optimizers))


def training_linen_bound():
    """model.bind, and a submodule of it called by itself."""

    class Pair(nn.Module):
        def setup(self):
            self.body, self.head = nn.Dense(8), nn.Dense(3)

        def __call__(self, x):
            return self.head(nn.relu(self.body(x)))

        def features(self, x):
            return nn.relu(self.body(x))

    model, (x, y) = Pair(), points()
    params = model.init(jax.random.key(0), x)

    def loss_fn(params, key, batch):
        bound = model.bind(params)
        return entropy(bound.head(bound.features(batch[0])), batch[1])

    return optax_training(params, loss_fn, (x, y))
