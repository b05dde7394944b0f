"""Six convolutions on a dict of arrays, every one fed the input image: copied lines whose argument was not changed."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep

SIZES = {"conv1": (11, 8), "conv2": (5, 8), "conv3": (5, 16), "conv4": (3, 16), "conv5": (3, 16), "conv6": (1, 32)}


def conv(p, x):
    x = jax.lax.conv_general_dilated(x, p["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return x + p["bias"]


def init(key, chained):
    params, channels = {}, 3
    for name, (size, filters) in SIZES.items():
        key, now = jax.random.split(key)
        kernel = jax.nn.initializers.he_normal()(now, (size, size, channels, filters))
        params[name] = {"kernel": kernel, "bias": jnp.zeros(filters)}
        channels = filters if chained else 3
    return params | {"fc": {"kernel": jax.nn.initializers.lecun_normal()(key, (32, 4)), "bias": jnp.zeros(4)}}


def forward(params, image):
    net = jax.nn.relu(conv(params["conv1"], image))  # BUG: dead-branch conv1.kernel, conv1.bias
    net = jax.nn.relu(conv(params["conv2"], image))
    net = nn.max_pool(net, (2, 2), (2, 2))  # BUG: dead-branch conv2.kernel, conv2.bias
    net = jax.nn.relu(conv(params["conv3"], image))  # BUG: dead-branch conv3.kernel, conv3.bias
    net = jax.nn.relu(conv(params["conv4"], image))
    net = nn.max_pool(net, (2, 2), (2, 2))  # BUG: dead-branch conv4.kernel, conv4.bias
    net = jax.nn.relu(conv(params["conv5"], image))
    net = nn.max_pool(net, (2, 2), (2, 2))  # BUG: dead-branch conv5.kernel, conv5.bias
    net = jax.nn.relu(conv(params["conv6"], image))
    return net.mean(axis=(1, 2)) @ params["fc"]["kernel"] + params["fc"]["bias"]


def chained(params, image):
    net = jax.nn.relu(conv(params["conv1"], image))
    net = jax.nn.relu(conv(params["conv2"], net))
    net = nn.max_pool(net, (2, 2), (2, 2))
    net = jax.nn.relu(conv(params["conv3"], net))
    net = jax.nn.relu(conv(params["conv4"], net))
    net = nn.max_pool(net, (2, 2), (2, 2))
    net = jax.nn.relu(conv(params["conv5"], net))
    net = nn.max_pool(net, (2, 2), (2, 2))
    net = jax.nn.relu(conv(params["conv6"], net))
    return net.mean(axis=(1, 2)) @ params["fc"]["kernel"] + params["fc"]["bias"]


def training(apply):
    params = init(jax.random.key(0), apply is chained)
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        images, labels = batch

        def loss_fn(params):
            return optax.softmax_cross_entropy_with_integer_labels(apply(params, images), labels).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    images = jax.random.normal(jax.random.key(1), (8, 16, 16, 3))
    labels = jax.random.randint(jax.random.key(2), (8,), 0, 4)
    return smokestep.Training(step, (images, labels), state=(params, optimizer.init(params)))


def buggy():
    return training(forward)


def fixed():
    return training(chained)
