"""Mixed precision, physics, graphs: derivatives inside of losses, and numbers of several types."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def dense(key, sizes):
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(k, (m, n)) / jnp.sqrt(m), "b": jnp.zeros(n)} for k, m, n in zip(keys, sizes, sizes[1:])
    ]


def forward(params, x):
    for layer in params[:-1]:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def points(count=16, features=6):
    x_key, y_key = jax.random.split(jax.random.key(71))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, 3)


def training_bfloat16_compute():
    """Parameters in float32, computed with in bfloat16, the loss in float32."""
    params = dense(jax.random.key(0), [6, 16, 3])
    tx = optax.adam(1e-3)

    def loss_fn(params, x, y):
        half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
        logits = forward(half, x.astype(jnp.bfloat16)).astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, points(), state=(params, tx.init(params)))


def training_bfloat16_module():
    """NNX layers told to compute in bfloat16 and to keep float32 parameters."""
    rngs = nnx.Rngs(1)
    model = nnx.Sequential(
        nnx.Linear(6, 16, dtype=jnp.bfloat16, rngs=rngs), nnx.relu, nnx.Linear(16, 3, dtype=jnp.bfloat16, rngs=rngs)
    )
    optimizer = nnx.Optimizer(model, optax.adamw(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            logits = model(x).astype(jnp.float32)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, points(), state=(model, optimizer))


def training_loss_scale():
    """A static loss scale around float16 computation, undone before the update."""
    params = dense(jax.random.key(2), [6, 16, 3])
    tx = optax.sgd(0.1)
    scale = 128.0

    def loss_fn(params, x, y):
        half = jax.tree.map(lambda p: p.astype(jnp.float16), params)
        logits = forward(half, x.astype(jnp.float16)).astype(jnp.float32)
        return scale * optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        grads = jax.tree.map(lambda g: g / scale, grads)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss / scale

    return smokestep.Training(step, points(), state=(params, tx.init(params)))


def training_physics_informed():
    """u'' = -u on points: second derivatives by the input inside of the loss, and two boundary values."""
    params = dense(jax.random.key(3), [1, 16, 16, 1])
    tx = optax.adam(1e-3)

    def u(params, t):
        return forward(params, t[None])[0]

    def loss_fn(params, t):
        second = jax.vmap(jax.grad(jax.grad(u, argnums=1), argnums=1), in_axes=(None, 0))(params, t)
        inside = jnp.mean((second + jax.vmap(u, in_axes=(None, 0))(params, t)) ** 2)
        start = u(params, jnp.zeros(()))
        slope = jax.grad(u, argnums=1)(params, jnp.zeros(()))
        return inside + start**2 + (slope - 1.0) ** 2

    @jax.jit
    def step(params, opt_state, t):
        loss, grads = jax.value_and_grad(loss_fn)(params, t)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    t = jax.random.uniform(jax.random.key(4), (12,), maxval=3.0)
    return smokestep.Training(step, t, state=(params, tx.init(params)))


def training_neural_ode():
    """Euler steps by lax.fori_loop of fixed length, differentiated through."""
    params = {"field": dense(jax.random.key(5), [6, 16, 6]), "out": dense(jax.random.key(6), [6, 3])}
    tx = optax.adam(1e-2)

    def loss_fn(params, x, y):
        x = jax.lax.fori_loop(0, 4, lambda i, h: h + 0.25 * forward(params["field"], h), x)
        return optax.softmax_cross_entropy_with_integer_labels(forward(params["out"], x), y).mean()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, points(), state=(params, tx.init(params)))


class GraphNetwork(nn.Module):
    @nn.compact
    def __call__(self, nodes, senders, receivers):
        for width in (16, 3):
            messages = nn.Dense(width)(nodes)[senders]
            gathered = jax.ops.segment_sum(messages, receivers, num_segments=nodes.shape[0])
            nodes = nn.Dense(width)(nodes) + gathered
            if width != 3:
                nodes = nn.relu(nodes)
        return nodes


def training_graph():
    """Messages along edges by segment_sum; half of the nodes have labels."""
    net = GraphNetwork()
    nodes, labels = points()
    a, b = jax.random.split(jax.random.key(7))
    senders, receivers = jax.random.randint(a, (24,), 0, 16), jax.random.randint(b, (24,), 0, 16)
    known = jnp.arange(16) % 2 == 0
    params = net.init(jax.random.key(8), nodes, senders, receivers)
    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        nodes, senders, receivers, labels, known = batch

        def loss_fn(params):
            logits = net.apply(params, nodes, senders, receivers)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return jnp.where(known, losses, 0.0).sum() / known.sum()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    batch = (nodes, senders, receivers, labels, known)
    return smokestep.Training(step, batch, state=(params, tx.init(params)), batch_dim=-1)


def training_lora_in_a_tree():
    """Low-rank adapters beside frozen arrays: only the adapters are differentiated."""
    base = dense(jax.random.key(9), [6, 16, 3])
    keys = jax.random.split(jax.random.key(10), 2)
    adapters = [
        {"a": jax.random.normal(key, (layer["w"].shape[0], 2)) / 2.0, "b": jnp.zeros((2, layer["w"].shape[1]))}
        for key, layer in zip(keys, base)
    ]
    tx = optax.adam(1e-2)

    def loss_fn(adapters, base, x, y):
        merged = [{"w": layer["w"] + a["a"] @ a["b"], "b": layer["b"]} for layer, a in zip(base, adapters)]
        return optax.softmax_cross_entropy_with_integer_labels(forward(merged, x), y).mean()

    @jax.jit
    def step(adapters, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(adapters, base, *batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(adapters, updates), opt_state, loss

    return smokestep.Training(step, points(), state=(adapters, tx.init(adapters)))


def training_second_order():
    """optax.lbfgs with its line search, as its documentation writes it."""
    params = dense(jax.random.key(11), [6, 8, 1])
    solver = optax.lbfgs()

    @jax.jit
    def step(params, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            return jnp.mean((forward(params, x)[:, 0] - y) ** 2)

        value, grad = optax.value_and_grad_from_state(loss_fn)(params, state=opt_state)
        updates, opt_state = solver.update(grad, opt_state, params, value=value, grad=grad, value_fn=loss_fn)
        return optax.apply_updates(params, updates), opt_state, value

    x, _ = points()
    return smokestep.Training(step, (x, x[:, 0] * x[:, 1]), state=(params, solver.init(params)))


def training_several_losses():
    """A shared body, a classifier and a regressor; the two losses are weighed by hand."""
    params = {
        "body": dense(jax.random.key(12), [6, 16]),
        "kind": dense(jax.random.key(13), [16, 3]),
        "size": dense(jax.random.key(14), [16, 1]),
    }
    tx = optax.adam(1e-2)

    def loss_fn(params, batch):
        h = jax.nn.relu(forward(params["body"], batch["x"]))
        kind = optax.softmax_cross_entropy_with_integer_labels(forward(params["kind"], h), batch["kind"]).mean()
        size = optax.huber_loss(forward(params["size"], h)[:, 0], batch["size"]).mean()
        return kind + 0.5 * size, {"kind": kind, "size": size}

    @jax.jit
    def step(params, opt_state, batch):
        (loss, parts), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss, **parts}

    x, y = points()
    batch = {"x": x, "kind": y, "size": x[:, 0] - x[:, 1]}
    return smokestep.Training(step, batch, state=(params, tx.init(params)))
