"""Steps in which optimizers work several times: in stages, on parts, on new gradients, or only to be looked at."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def network():
    he = jax.nn.initializers.he_normal()
    return {"w1": he(jax.random.key(0), (4, 16)), "b1": jnp.zeros(16), "w2": 0.5 * he(jax.random.key(1), (16, 3))}


def loss_fn(params, x, y):
    logits = jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def training(step, *state):
    batch = jax.random.normal(jax.random.key(2), (8, 4)), jax.random.randint(jax.random.key(3), (8,), 0, 3)
    return smokestep.Training(jax.jit(step), batch, state=state)


def training_chained_by_hand():
    """The transformations of a chain called one after the other, their states in a tuple."""
    moments, decay, rate = optax.scale_by_adam(), optax.add_decayed_weights(1e-4), optax.scale(-1e-2)

    def step(params, states, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        first, second, third = states
        updates, first = moments.update(grads, first, params)
        updates, second = decay.update(updates, second, params)
        updates, third = rate.update(updates, third, params)
        return optax.apply_updates(params, updates), (first, second, third), loss

    params = network()
    return training(step, params, (moments.init(params), decay.init(params), rate.init(params)))


def training_preconditioned_then_momentum():
    """Two stages that both have a state of their own, and a learning rate by hand."""
    scaled, momentum = optax.scale_by_rms(), optax.trace(0.9)

    def step(params, states, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, scales = scaled.update(grads, states["scales"], params)
        updates, velocity = momentum.update(updates, states["velocity"], params)
        updates = jax.tree.map(lambda u: -1e-3 * u, updates)
        return optax.apply_updates(params, updates), {"scales": scales, "velocity": velocity}, loss

    params = network()
    return training(step, params, {"scales": scaled.init(params), "velocity": momentum.init(params)})


def training_clipped_beforehand():
    """Clipping as a transformation of its own, before the optimizer."""
    clip, optimizer = optax.clip_by_global_norm(1.0), optax.adam(1e-2)

    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        grads, _ = clip.update(grads, clip.init(params))
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    params = network()
    return training(step, params, optimizer.init(params))


def training_updates_logged():
    """How large an update would be without clipping is computed to be logged, and thrown away."""
    optimizer = optax.adam(1e-2)

    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        plain, _ = optimizer.update(grads, opt_state, params)
        clipped = jax.tree.map(lambda g: jnp.clip(g, -0.1, 0.1), grads)
        updates, opt_state = optimizer.update(clipped, opt_state, params)
        return (
            optax.apply_updates(params, updates),
            opt_state,
            loss,
            jnp.sqrt(sum(jnp.sum(u**2) for u in jax.tree.leaves(plain))),
        )

    params = network()
    return training(step, params, optimizer.init(params))


def training_body_and_head():
    """One gradient, whose parts go to optimizers of their own."""
    body, head = optax.adam(1e-2), optax.sgd(0.1)

    def parts(tree):
        return {name: tree[name] for name in ("w1", "b1")}, {"w2": tree["w2"]}

    def step(params, states, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        first, second = parts(grads)
        second, head_state = head.update(second, states["head"])
        first, body_state = body.update(first, states["body"])
        return optax.apply_updates(params, first | second), {"body": body_state, "head": head_state}, loss

    params = network()
    return training(step, params, {"body": body.init(parts(params)[0]), "head": head.init(parts(params)[1])})


def training_two_passes_over_one_batch():
    """PPO's epochs: the batch is used twice, each time with gradients of its own."""
    optimizer = optax.adam(1e-2)

    def once(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    def step(params, opt_state, batch):
        params, opt_state, _ = once(params, opt_state, batch)
        return once(params, opt_state, batch)

    params = network()
    return training(step, params, optimizer.init(params))


def training_extragradient():
    """A step to look ahead, and one with the gradient found there."""
    optimizer = optax.sgd(1e-2)

    def step(params, opt_state, batch):
        updates, _ = optimizer.update(jax.grad(loss_fn)(params, *batch), opt_state, params)
        ahead = optax.apply_updates(params, updates)
        loss, grads = jax.value_and_grad(loss_fn)(ahead, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    params = network()
    return training(step, params, optimizer.init(params))


def training_sharpness_aware():
    """optax.contrib.sam in opaque mode, which asks for a second gradient itself."""
    adversary = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    optimizer = optax.contrib.sam(optax.sgd(1e-2), adversary, sync_period=2, opaque_mode=True)

    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        again = jax.grad(lambda moved, _: loss_fn(moved, *batch))
        updates, opt_state = optimizer.update(grads, opt_state, params, grad_fn=again)
        return optax.apply_updates(params, updates), opt_state, loss

    params = network()
    return training(step, params, optimizer.init(params))


def training_looking_ahead():
    """optax.lookahead: fast weights, and slow ones that follow every second step."""
    optimizer = optax.lookahead(optax.adam(1e-2), sync_period=2, slow_step_size=0.5)

    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params.fast, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    params = optax.LookaheadParams.init_synced(network())
    return training(step, params, optimizer.init(params))


def training_averaged():
    """An average of the weights follows the optimizer's update."""
    optimizer = optax.adam(1e-2)

    def step(params, average, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return params, optax.incremental_update(params, average, 0.01), opt_state, loss

    params = network()
    return training(step, params, jax.tree.map(jnp.copy, params), optimizer.init(params))
