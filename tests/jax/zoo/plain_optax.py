"""Plain pytrees and Optax, as its own examples write them."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import optax

import smokestep

SUSPICIONS = {
    "training_injected_rate": {
        "high-initial-loss": "true: the output layer is drawn for a ReLU, and this key gives it wide scores"
    }
}


def init_mlp(key, sizes):
    params = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):
        key, w_key = jax.random.split(key)
        w = jax.random.normal(w_key, (fan_in, fan_out)) * jnp.sqrt(2.0 / fan_in)
        params.append({"w": w, "b": jnp.zeros(fan_out)})
    return params


def mlp(params, x):
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def blobs(classes=3, features=4, count=16):
    x_key, y_key = jax.random.split(jax.random.key(7))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


def loss_fn(params, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(mlp(params, x), y).mean()


def training_adam_under_jit():
    """Optax, "Getting started": Adam, the whole step under jit."""
    params = init_mlp(jax.random.key(0), [4, 16, 3])
    optimizer = optax.adam(1e-2)
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return params, opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_without_jit():
    """The same step as a plain Python function: slow, and as right."""
    params = init_mlp(jax.random.key(1), [4, 8, 8, 3])
    optimizer = optax.rmsprop(1e-3)
    opt_state = optimizer.init(params)

    def step(state, batch):
        params, opt_state = state
        grads = jax.grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_jit_on_the_gradient_only():
    """jit around value_and_grad; the update is made outside of it."""
    params = init_mlp(jax.random.key(2), [4, 16, 3])
    optimizer = optax.sgd(0.1, momentum=0.9, nesterov=True)
    opt_state = optimizer.init(params)
    value_and_grad = jax.jit(jax.value_and_grad(loss_fn))

    def step(params, opt_state, batch):
        loss, grads = value_and_grad(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss, "grad_norm": optax.tree.norm(grads)}

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_warmup_cosine():
    """A schedule that begins at rate zero and rises."""
    params = init_mlp(jax.random.key(3), [4, 16, 3])
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.05, warmup_steps=2, decay_steps=100)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_decay_mask():
    """AdamW whose weight decay leaves the biases out."""
    params = init_mlp(jax.random.key(4), [4, 16, 3])

    def matrices(params):
        return jax.tree.map(lambda p: p.ndim > 1, params)

    optimizer = optax.adamw(1e-2, weight_decay=0.05, mask=matrices)
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_two_rates():
    """multi_transform: one rate for the body, another for the head."""
    body, head = init_mlp(jax.random.key(5), [4, 16, 16]), init_mlp(jax.random.key(6), [16, 3])
    params = {"body": body, "head": head}
    optimizer = optax.multi_transform(
        {"slow": optax.adam(1e-4), "fast": optax.adam(1e-2)}, {"body": "slow", "head": "fast"}
    )
    opt_state = optimizer.init(params)

    def loss_of(params, x, y):
        features = jax.nn.relu(mlp(params["body"], x))
        return optax.softmax_cross_entropy(mlp(params["head"], features), jax.nn.one_hot(y, 3)).mean()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_frozen_body():
    """Transfer learning: set_to_zero keeps the body as it is."""
    params = {"body": init_mlp(jax.random.key(7), [4, 16, 16]), "head": init_mlp(jax.random.key(8), [16, 3])}
    labels = {"body": "frozen", "head": "trained"}
    optimizer = optax.multi_transform({"trained": optax.adam(1e-2), "frozen": optax.set_to_zero()}, labels)
    opt_state = optimizer.init(params)

    def loss_of(params, x, y):
        features = jax.lax.stop_gradient(jax.nn.relu(mlp(params["body"], x)))
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params["head"], features), y).mean()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_multi_steps():
    """MultiSteps: gradients of two calls make one update."""
    params = init_mlp(jax.random.key(9), [4, 16, 3])
    optimizer = optax.MultiSteps(optax.sgd(0.1), every_k_schedule=2)
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_micro_batches_by_scan():
    """Gradients summed over micro-batches by lax.scan, and divided by their number."""
    params = init_mlp(jax.random.key(10), [4, 16, 3])
    optimizer = optax.sgd(0.1)
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, opt_state, batch):
        x, y = batch
        micro = x.reshape(4, -1, x.shape[-1]), y.reshape(4, -1)

        def add(total, each):
            loss, grads = jax.value_and_grad(loss_fn)(params, each)
            return jax.tree.map(jnp.add, total, grads), loss

        total, losses = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), micro)
        grads = jax.tree.map(lambda g: g / 4, total)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, losses.mean()

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_label_smoothing():
    """optax.smooth_labels before softmax_cross_entropy."""
    params = init_mlp(jax.random.key(11), [4, 16, 3])
    optimizer = optax.lion(1e-3)
    opt_state = optimizer.init(params)

    def smoothed(params, x, y):
        labels = optax.smooth_labels(jax.nn.one_hot(y, 3), 0.1)
        return jnp.mean(optax.softmax_cross_entropy(mlp(params, x), labels))

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(smoothed)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_averaged_weights():
    """An exponential moving average of the weights beside the weights."""
    params = init_mlp(jax.random.key(12), [4, 16, 3])
    optimizer = optax.adam(1e-2)
    state = {"params": params, "average": params, "opt": optimizer.init(params), "step": jnp.zeros((), jnp.int32)}

    @jax.jit
    def step(state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(state["params"], batch)
        updates, opt = optimizer.update(grads, state["opt"])
        params = optax.apply_updates(state["params"], updates)
        average = optax.incremental_update(params, state["average"], step_size=0.01)
        return {"params": params, "average": average, "opt": opt, "step": state["step"] + 1}, {"loss": loss}

    return smokestep.Training(step, blobs(), state=state)


def training_donated_state():
    """The step gives its state's memory away to the new one."""
    params = init_mlp(jax.random.key(13), [4, 16, 3])
    optimizer = optax.adam(1e-2)
    opt_state = optimizer.init(params)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_injected_rate():
    """inject_hyperparams: the loop sets the learning rate in the state."""
    params = init_mlp(jax.random.key(14), [4, 16, 3])
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=1e-2)
    opt_state = optimizer.init(params)

    @jax.jit
    def update(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    def step(params, opt_state, batch):
        opt_state.hyperparams["learning_rate"] = opt_state.hyperparams["learning_rate"] * 0.9
        return update(params, opt_state, batch)

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_accuracy_as_aux():
    """has_aux: accuracy comes out of the differentiated function, for the log only."""
    params = init_mlp(jax.random.key(15), [4, 16, 3])
    optimizer = optax.adagrad(0.1)
    opt_state = optimizer.init(params)

    def loss_and_metrics(params, x, y):
        logits = mlp(params, x)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        return loss, {"loss": loss, "accuracy": jnp.mean(jnp.argmax(logits, axis=-1) == y)}

    @jax.jit
    def step(params, opt_state, batch):
        grads, metrics = jax.grad(loss_and_metrics, has_aux=True)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, metrics

    return smokestep.Training(step, blobs(), state=(params, opt_state))


def training_noisy_inputs():
    """A key in the state, split in every step, for noise on the inputs and dropout."""
    params = init_mlp(jax.random.key(16), [4, 32, 3])
    optimizer = optax.adam(1e-3)

    def noisy(params, key, x, y):
        noise_key, drop_key = jax.random.split(key)
        x = x + 0.05 * jax.random.normal(noise_key, x.shape)
        h = jax.nn.relu(x @ params[0]["w"] + params[0]["b"])
        keep = jax.random.bernoulli(drop_key, 0.8, h.shape)
        h = jnp.where(keep, h / 0.8, 0.0)
        logits = h @ params[1]["w"] + params[1]["b"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(params, opt_state, key, batch):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(noisy)(params, now, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, key, loss

    return smokestep.Training(step, blobs(), state=(params, optimizer.init(params), jax.random.key(17)))


def training_key_folded_with_the_step():
    """One key for the run, folded with the number of the step."""
    params = init_mlp(jax.random.key(18), [4, 32, 3])
    optimizer = optax.adam(1e-3)
    run_key = jax.random.key(19)

    def noisy(params, key, x, y):
        x = x + 0.05 * jax.random.normal(key, x.shape)
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params, x), y).mean()

    @jax.jit
    def step(params, opt_state, count, batch):
        loss, grads = jax.value_and_grad(noisy)(params, jax.random.fold_in(run_key, count), *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, count + 1, loss

    return smokestep.Training(step, blobs(), state=(params, optimizer.init(params), jnp.zeros((), jnp.int32)))
