"""The trainings that are measured in other frameworks than PyTorch: small and medium, plainly written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import smokestep


def jax_convolutions(width: int) -> smokestep.Training:
    """Three convolutions and a head, plain pytrees and Optax; 32 images of 16 × 16."""
    import jax
    import jax.numpy as jnp
    import optax

    sizes = (3, width, 2 * width, 4 * width)
    keys = jax.random.split(jax.random.key(0), 6)
    params: dict[str, Any] = {
        f"conv{i}": jax.random.normal(keys[i], (3, 3, fan, out)) * (2 / (9 * fan)) ** 0.5
        for i, (fan, out) in enumerate(zip(sizes, sizes[1:], strict=False))
    }
    params["head"] = jax.random.normal(keys[3], (4 * width, 10)) * (1 / (4 * width)) ** 0.5
    optimizer = optax.adam(1e-3)

    def loss_fn(params: Any, batch: Any) -> Any:
        images, labels = batch
        x = images
        for i in range(3):
            x = jax.lax.conv_general_dilated(
                x, params[f"conv{i}"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x)
        logits = x.mean((1, 2)) @ params["head"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(state: Any, batch: Any) -> Any:
        params, opt_state = state
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    batch = jax.random.normal(keys[4], (32, 16, 16, 3)), jnp.arange(32) % 10
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def jax_transformer(width: int, depth: int) -> smokestep.Training:
    """A causal transformer over 256 words; 8 sequences of 32."""
    import jax
    import jax.numpy as jnp
    import optax

    keys = iter(jax.random.split(jax.random.key(0), 4 * depth + 4))

    def normal(*shape: int) -> Any:
        return jax.random.normal(next(keys), shape) * shape[0] ** -0.5

    params: dict[str, Any] = {
        "words": normal(256, width),
        "places": normal(32, width),
        "head": normal(width, 256),
        "blocks": [
            {"qkv": normal(width, 3 * width), "out": normal(width, width), "up": normal(width, 4 * width)}
            | {"down": normal(4 * width, width)}
            for _ in range(depth)
        ],
    }
    optimizer = optax.adamw(1e-3)
    heads = 4

    def block(weights: Any, x: Any) -> Any:
        rows, length, _ = x.shape
        y = jax.nn.standardize(x)
        q, k, v = (part.reshape(rows, length, heads, -1) for part in jnp.split(y @ weights["qkv"], 3, -1))
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v).reshape(x.shape)
        x = x + mixed @ weights["out"]
        return x + jax.nn.gelu(jax.nn.standardize(x) @ weights["up"]) @ weights["down"]

    def loss_fn(params: Any, tokens: Any) -> Any:
        x = params["words"][tokens[:, :-1]] + params["places"][: tokens.shape[1] - 1]
        for weights in params["blocks"]:
            x = block(weights, x)
        logits = jax.nn.standardize(x) @ params["head"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    @jax.jit
    def step(state: Any, tokens: Any) -> Any:
        params, opt_state = state
        loss, grads = jax.value_and_grad(loss_fn)(params, tokens)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    tokens = jax.random.randint(next(keys), (8, 32), 0, 256)
    return smokestep.Training(step, tokens, state=(params, optimizer.init(params)))


def keras_convolutions(width: int) -> smokestep.Training:
    """Three convolutions and a head, compiled; 32 images of 16 × 16."""
    import keras
    import numpy

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            *(
                keras.layers.Conv2D(size, 3, 2, "same", activation="relu", kernel_initializer="he_normal")
                for size in (width, 2 * width, 4 * width)
            ),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = numpy.random.default_rng(0).normal(size=(32, 16, 16, 3)).astype("float32")
    return smokestep.Training(lambda batch: model.train_on_batch(*batch), (images, numpy.arange(32) % 10), model=model)


TRAININGS: dict[str, dict[str, Callable[[], smokestep.Training]]] = {
    "jax": {
        "conv small": partial(jax_convolutions, 32),
        "conv medium": partial(jax_convolutions, 192),
        "transformer small": partial(jax_transformer, 64, 2),
        "transformer medium": partial(jax_transformer, 256, 6),
    },
    "keras": {"conv small": partial(keras_convolutions, 32), "conv medium": partial(keras_convolutions, 192)},
}
