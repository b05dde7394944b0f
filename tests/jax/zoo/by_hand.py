"""Updates and losses written by hand, without a library beside JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

import smokestep


def regression(count=16, features=5):
    x_key, w_key, n_key = jax.random.split(jax.random.key(3), 3)
    x = jax.random.normal(x_key, (count, features))
    return x, x @ jax.random.normal(w_key, (features,)) + 0.1 * jax.random.normal(n_key, (count,))


def signs(count=16, features=5):
    x, y = regression(count, features)
    return x, jnp.sign(y)


def training_linear_regression():
    """JAX, "Quickstart": gradient descent on a mean squared error."""
    params = {"w": jnp.zeros(5), "b": 0.0}

    def loss(params, x, y):
        return jnp.mean((x @ params["w"] + params["b"] - y) ** 2)

    @jax.jit
    def step(params, batch):
        grads = jax.grad(loss)(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    return smokestep.Training(step, regression(), state=params)


def training_logistic_regression():
    """JAX, "Automatic differentiation": labels, sigmoid and logarithm by hand; two arguments are differentiated."""

    def loss(w, b, x, y):
        p = jax.nn.sigmoid(x @ w + b)
        return -jnp.sum(jnp.log(jnp.where(y > 0, p, 1 - p)))

    def step(w, b, batch):
        x, y = batch
        value, (w_grad, b_grad) = jax.value_and_grad(loss, argnums=(0, 1))(w, b, x, y)
        return w - 0.01 * w_grad, b - 0.01 * b_grad, value

    w = 0.1 * jax.random.normal(jax.random.key(0), (5,))
    return smokestep.Training(step, signs(), state=(w, jnp.zeros(())))


def training_support_vectors():
    """A linear classifier under the hinge loss, with a penalty on its weights."""

    def loss(params, x, y):
        margin = y * (x @ params["w"] + params["b"])
        return jnp.mean(jnp.maximum(0.0, 1.0 - margin)) + 0.01 * jnp.sum(params["w"] ** 2)

    @jax.jit
    def step(params, batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, grads), value

    w = 0.1 * jax.random.normal(jax.random.key(1), (5,))
    return smokestep.Training(step, signs(), state={"w": w, "b": jnp.zeros(())})


def training_mnist_classifier():
    """jax/examples/mnist_classifier.py: log-softmax by hand, targets one-hot, predictions picked by a product."""

    def init(scale, sizes, key):
        keys = jax.random.split(key, 2 * (len(sizes) - 1))
        return [
            (scale * jax.random.normal(keys[2 * i], (m, n)), scale * jax.random.normal(keys[2 * i + 1], (n,)))
            for i, (m, n) in enumerate(zip(sizes[:-1], sizes[1:]))
        ]

    def predict(params, inputs):
        activations = inputs
        for w, b in params[:-1]:
            activations = jnp.tanh(jnp.dot(activations, w) + b)
        w, b = params[-1]
        logits = jnp.dot(activations, w) + b
        return logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)

    def loss(params, batch):
        inputs, targets = batch
        return -jnp.mean(jnp.sum(predict(params, inputs) * targets, axis=1))

    @jax.jit
    def update(params, batch):
        grads = jax.grad(loss)(params, batch)
        return [(w - 0.1 * dw, b - 0.1 * db) for (w, b), (dw, db) in zip(params, grads)]

    images = jax.random.normal(jax.random.key(4), (16, 20))
    labels = jax.nn.one_hot(jax.random.randint(jax.random.key(5), (16,), 0, 4), 4)
    return smokestep.Training(update, (images, labels), state=init(0.3, [20, 16, 4], jax.random.key(6)))


def training_momentum_by_hand():
    """Heavy ball: the velocity is a second tree of the state."""
    keys = jax.random.split(jax.random.key(2), 2)
    params = {
        "hidden": 0.4 * jax.random.normal(keys[0], (5, 16)),
        "out": 0.25 * jax.random.normal(keys[1], (16,)),
    }
    velocity = jax.tree.map(jnp.zeros_like, params)

    def loss(params, x, y):
        return jnp.mean(jnp.square(jnp.tanh(x @ params["hidden"]) @ params["out"] - y))

    @jax.jit
    def step(params, velocity, batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        velocity = jax.tree.map(lambda v, g: 0.9 * v - 0.02 * g, velocity, grads)
        return jax.tree.map(jnp.add, params, velocity), velocity, value

    return smokestep.Training(step, regression(), state=(params, velocity))


def training_adam_by_hand():
    """jax.example_libraries.optimizers.adam, unrolled."""
    params = 0.3 * jax.random.normal(jax.random.key(8), (5,))

    def loss(w, x, y):
        error = x @ w - y
        return jnp.mean(jnp.where(jnp.abs(error) < 1.0, 0.5 * error**2, jnp.abs(error) - 0.5))

    @jax.jit
    def step(i, params, m, v, batch):
        value, g = jax.value_and_grad(loss)(params, *batch)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - 0.9 ** (i + 1)), v / (1 - 0.999 ** (i + 1))
        return i + 1, params - 0.01 * m_hat / (jnp.sqrt(v_hat) + 1e-8), m, v, value

    zero = jnp.zeros_like(params)
    return smokestep.Training(step, regression(), state=(jnp.zeros(()), params, zero, zero))


def training_private_gradients():
    """jax/examples/differentially_private_sgd.py: gradients for each sample, clipped, summed, with noise."""
    params = {"w": 0.3 * jax.random.normal(jax.random.key(9), (5,)), "b": jnp.zeros(())}

    def loss(params, x, y):
        return (x @ params["w"] + params["b"] - y) ** 2

    def clipped(params, x, y):
        grads = jax.grad(loss)(params, x, y)
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)))
        return jax.tree.map(lambda g: g / jnp.maximum(norm, 1.0), grads)

    @jax.jit
    def step(params, key, batch):
        x, y = batch
        key, w_key, b_key = jax.random.split(key, 3)
        total = jax.tree.map(lambda g: g.sum(0), jax.vmap(clipped, in_axes=(None, 0, 0))(params, x, y))
        noise = {"w": jax.random.normal(w_key, (5,)), "b": jax.random.normal(b_key, ())}
        grads = jax.tree.map(lambda g, n: (g + 0.1 * n) / len(x), total, noise)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), key

    return smokestep.Training(step, regression(), state=(params, jax.random.key(10)))


def training_rematerialised():
    """jax.checkpoint around each block: values are computed again on the way back."""
    keys = jax.random.split(jax.random.key(11), 4)
    params = [0.4 * jax.random.normal(key, (8, 8)) for key in keys[:3]] + [0.3 * jax.random.normal(keys[3], (8, 1))]

    @jax.checkpoint
    def block(w, h):
        return h + jax.nn.gelu(h @ w)

    def loss(params, x, y):
        h = x
        for w in params[:-1]:
            h = block(w, h)
        return jnp.mean((h @ params[-1] - y) ** 2)

    @jax.jit
    def step(params, batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.01 * g, params, grads), value

    x, y = regression(features=8)
    return smokestep.Training(step, (x, y[:, None]), state=params)


def training_clipped_by_custom_vjp():
    """JAX, "Custom derivative rules": a function that clips the gradient that passes through it."""

    @jax.custom_vjp
    def clip_gradient(limit, x):
        return x

    clip_gradient.defvjp(lambda limit, x: (x, limit), lambda limit, g: (None, jnp.clip(g, -limit, limit)))
    keys = jax.random.split(jax.random.key(12), 2)
    params = {"a": 0.4 * jax.random.normal(keys[0], (5, 12)), "b": 0.3 * jax.random.normal(keys[1], (12,))}

    def loss(params, x, y):
        h = clip_gradient(0.5, jnp.sin(x @ params["a"]))
        return jnp.mean((h @ params["b"] - y) ** 2)

    @jax.jit
    def step(params, batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, grads), value

    return smokestep.Training(step, regression(), state=params)


def training_one_sample_at_a_time():
    """The model is written for one sample, and vmap makes it one for a batch."""
    keys = jax.random.split(jax.random.key(13), 2)
    params = [
        (0.4 * jax.random.normal(keys[0], (16, 5)), jnp.zeros(16)),
        (0.25 * jax.random.normal(keys[1], (1, 16)), jnp.zeros(1)),
    ]

    def predict(params, x):
        (w1, b1), (w2, b2) = params
        return (w2 @ jax.nn.swish(w1 @ x + b1) + b2)[0]

    def loss(params, x, y):
        predictions = jax.vmap(predict, in_axes=(None, 0))(params, x)
        return jnp.mean(jnp.square(predictions - y))

    @jax.jit
    def step(params, batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.02 * g, params, grads), value

    return smokestep.Training(step, regression(), state=params)


def training_several_updates_in_one_call():
    """lax.scan over whole updates: a call of the step makes four of them."""
    params = {"w": jnp.zeros(5), "b": jnp.zeros(())}

    def loss(params, x, y):
        return jnp.mean(jnp.abs(x @ params["w"] + params["b"] - y))

    @jax.jit
    def step(params, batch):
        def one(params, each):
            value, grads = jax.value_and_grad(loss)(params, *each)
            return jax.tree.map(lambda p, g: p - 0.05 * g, params, grads), value

        x, y = batch
        params, losses = jax.lax.scan(one, params, (x.reshape(4, 4, -1), y.reshape(4, 4)))
        return params, losses[-1]

    return smokestep.Training(step, regression(), state=params)


def training_meta_learning():
    """MAML: the gradient goes through an inner step of gradient descent."""
    keys = jax.random.split(jax.random.key(14), 2)
    params = {"a": 0.8 * jax.random.normal(keys[0], (1, 16)), "b": 0.25 * jax.random.normal(keys[1], (16, 1))}

    def loss(params, x, y):
        return jnp.mean((jnp.tanh(x @ params["a"]) @ params["b"] - y) ** 2)

    def adapted(params, x, y):
        grads = jax.grad(loss)(params, x, y)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    def outer(params, tasks):
        x1, y1, x2, y2 = tasks
        each = jax.vmap(lambda a, b, c, d: loss(adapted(params, a, b), c, d))
        return each(x1, y1, x2, y2).mean()

    @jax.jit
    def step(params, tasks):
        value, grads = jax.value_and_grad(outer)(params, tasks)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, grads), value

    x = jax.random.normal(jax.random.key(15), (4, 10, 1))
    phase = jnp.arange(4.0)[:, None, None]
    y = jnp.sin(x + phase)
    return smokestep.Training(step, (x[:, :5], y[:, :5], x[:, 5:], y[:, 5:]), state=params)
