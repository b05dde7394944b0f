"""Steps whose way depends on numbers: `cond` and `switch` around losses, layers, updates and augmentations."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.training.train_state import TrainState
from jax import lax

import smokestep

SUSPICIONS = {
    "training_warm_up_of_the_head": {
        "gradient-cut": "true of the steps watched: the encoder is frozen until the head is warm, by a stop_gradient"
    },
}


def init(key=0, hidden=8):
    keys = jax.random.split(jax.random.key(key), 3)
    return {
        "inner": jax.random.normal(keys[0], (4, hidden)) * 0.5,
        "middle": jax.random.normal(keys[1], (hidden, hidden)) * 0.3,
        "outer": jax.random.normal(keys[2], (hidden, 1)) * 0.3,
    }


def forward(params, x):
    h = jnp.tanh(x @ params["inner"])
    h = jnp.tanh(h @ params["middle"])
    return h @ params["outer"]


def mean_squared(params, x, y):
    return jnp.mean((forward(params, x) - y) ** 2)


def regression(count=16):
    x = jax.random.normal(jax.random.key(70), (count, 4))
    return x, jnp.sin(x[:, :1]) + 0.5 * x[:, 1:2]


def zeros():
    return jnp.zeros((), jnp.int32)


def fitted(loss, tx=None, params=None):
    """Adam on a loss that is given the number of the step."""
    tx = tx or optax.adam(1e-2)
    params = params or init()

    @jax.jit
    def step(params, opt_state, count, batch):
        value, grads = jax.value_and_grad(loss)(params, count, *batch)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, count + 1, value

    return smokestep.Training(step, regression(), state=(params, tx.init(params), zeros()))


def training_curriculum_of_two_losses():
    """An easy loss first, the real one after a warm-up: only one of them runs in the first steps."""

    def easy(params, x, y):
        return jnp.mean(jnp.abs(forward(params, x) - jnp.clip(y, -0.5, 0.5)))

    return fitted(lambda params, n, x, y: lax.cond(n < 100, easy, mean_squared, params, x, y))


def training_auxiliary_head_that_joins_later():
    """A second head whose loss counts after a thousand steps; its parameters are in the optimizer from the start."""
    params = init() | {"aux": jax.random.normal(jax.random.key(9), (8, 4)) * 0.3}

    def loss(params, n, x, y):
        h = jnp.tanh(x @ params["inner"])
        rebuilt = lax.cond(n > 1000, lambda w: jnp.mean((h @ w - x) ** 2), lambda w: 0.0, params["aux"])
        return mean_squared(params, x, y) + 0.1 * rebuilt

    return fitted(loss, params=params)


def training_warm_up_of_the_head():
    """The encoder is frozen for the first steps: linear probing, then fine-tuning (Kumar et al. 2022)."""

    def loss(params, n, x, y):
        h = jnp.tanh(jnp.tanh(x @ params["inner"]) @ params["middle"])
        h = lax.cond(n < 100, lambda h: lax.stop_gradient(h), lambda h: h, h)
        return jnp.mean((h @ params["outer"] - y) ** 2)

    return fitted(loss)


def training_stochastic_depth():
    """Residual blocks that are left out at random, each by a draw of its own (Huang et al. 2016)."""

    class Deep(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(4, 8, rngs=rngs)
            self.blocks = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])
            self.out = nnx.Linear(8, 1, rngs=rngs)

        def __call__(self, x, key):
            h = nnx.relu(self.first(x))
            for block, own in zip(self.blocks, jax.random.split(key, 2)):
                graph, state = nnx.split(block)

                def run(h, state, graph=graph):
                    return h + nnx.relu(nnx.merge(graph, state)(h))

                h = lax.cond(jax.random.bernoulli(own, 0.7), run, lambda h, state: h, h, state)
            return self.out(h)

    model = Deep(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, key, batch):
        key, now = jax.random.split(key)
        x, y = batch
        loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(x, now) - y) ** 2))(model)
        optimizer.update(model, grads)
        return key, loss

    return smokestep.Training(step, regression(), state=(model, optimizer, jax.random.key(5)))


def training_augmentations_by_switch():
    """One of several augmentations, drawn for every batch."""
    tx, params = optax.adamw(1e-2), init()

    def flipped(key, x):
        return -x

    def noised(key, x):
        return x + 0.1 * jax.random.normal(key, x.shape)

    def masked(key, x):
        return x * jax.random.bernoulli(key, 0.8, x.shape)

    @jax.jit
    def step(params, opt_state, key, batch):
        key, which, own = jax.random.split(key, 3)
        x, y = batch

        def loss(params):
            moved = lax.switch(jax.random.randint(which, (), 0, 3), [flipped, noised, masked], own, x)
            return mean_squared(params, moved, y)

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, key, value

    return smokestep.Training(step, regression(), state=(params, tx.init(params), jax.random.key(1)))


def training_mixture_of_two_experts():
    """The batch's own kind picks the expert; the second kind does not occur in the first batches."""
    params = {"one": init(1), "two": init(2)}
    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        def loss(params):
            predicted = lax.cond(
                batch["kind"] == 0,
                lambda params, x: forward(params["one"], x),
                lambda params, x: forward(params["two"], x),
                params,
                batch["x"],
            )
            return jnp.mean((predicted - batch["y"]) ** 2)

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    x, y = regression()
    batch = {"x": x, "y": y, "kind": zeros()}
    return smokestep.Training(step, batch, state=(params, tx.init(params)))


def training_weights_that_count_under_a_condition():
    """Sample weights that are used only in batches with an outlier, and a mask that only asks for one."""
    tx, params = optax.adam(1e-2), init()

    @jax.jit
    def step(params, opt_state, batch):
        def loss(params):
            each = (forward(params, batch["x"]) - batch["y"])[:, 0] ** 2
            weighted = partial(jnp.average, weights=batch["weights"])
            return lax.cond(jnp.any(batch["mask"]), weighted, jnp.mean, each)

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    x, y = regression()
    batch = {"x": x, "y": y, "mask": jnp.arange(16) > 20, "weights": jnp.linspace(0.5, 1.5, 16)}
    return smokestep.Training(step, batch, state=(params, tx.init(params)))


def scaled(scale):
    """Dynamic loss scaling in float16: an update whose gradients overflow is left out, and the scale halved."""
    params = init()
    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, scale, batch):
        x, y = batch

        def loss(params):
            half = jax.tree.map(lambda each: each.astype(jnp.float16), params)
            error = forward(half, x.astype(jnp.float16)) - y.astype(jnp.float16)
            value = jnp.mean(error.astype(jnp.float32) ** 2)
            return value * scale, value

        grads, value = jax.grad(loss, has_aux=True)(params)
        grads = jax.tree.map(lambda each: each / scale, grads)
        finite = jnp.all(jnp.stack([jnp.isfinite(each).all() for each in jax.tree.leaves(grads)]))

        def update(params, opt_state):
            updates, opt_state = tx.update(grads, opt_state, params)
            return optax.apply_updates(params, updates), opt_state

        params, opt_state = lax.cond(finite, update, lambda *old: old, params, opt_state)
        return params, opt_state, jnp.where(finite, scale, scale / 2), value

    return smokestep.Training(step, regression(), state=(params, tx.init(params), jnp.float32(scale)))


def training_loss_scaling():
    """A loss scale that fits from the start."""
    return scaled(2.0**7)


def training_loss_scaling_that_overflows_first():
    """A loss scale that begins too high: the first update is left out."""
    return scaled(2.0**18)


def training_apply_if_finite():
    """Optax: `apply_if_finite` around the optimizer."""
    return fitted(lambda params, n, x, y: mean_squared(params, x, y), optax.apply_if_finite(optax.adam(1e-2), 3))


def training_apply_if_finite_of_a_root_at_zero():
    """The gradient of a norm at zero is NaN in the first step alone, and left out."""

    def loss(params, n, x, y):
        away = jnp.linalg.norm(params["outer"] * jnp.minimum(n, 1))
        return mean_squared(params, x, y) + 0.01 * away

    return fitted(loss, optax.apply_if_finite(optax.adam(1e-2), 3))


def training_multi_steps():
    """Optax: `MultiSteps`, an update after every second micro-batch."""
    return fitted(lambda params, n, x, y: mean_squared(params, x, y), optax.MultiSteps(optax.adamw(1e-2), 2))


def training_multi_steps_that_skip():
    """Optax: `MultiSteps` that leaves out micro-batches that are not finite."""
    tx = optax.MultiSteps(optax.sgd(1e-2), 2, should_skip_update_fn=optax.skip_not_finite)
    return fitted(lambda params, n, x, y: mean_squared(params, x, y), tx)


def training_state_kept_where_the_loss_is_not_finite():
    """Flax's TrainState, replaced only after a finite loss."""
    state = TrainState.create(apply_fn=forward, params=init(), tx=optax.sgd(0.05, momentum=0.9))

    @jax.jit
    def step(state, batch):
        loss, grads = jax.value_and_grad(mean_squared)(state.params, *batch)
        new = lax.cond(jnp.isfinite(loss), lambda s: s.apply_gradients(grads=grads), lambda s: s, state)
        return new, loss

    return smokestep.Training(step, regression(), state=state)


def training_delayed_policy_updates():
    """TD3: the critic at every step, the actor at every second (Fujimoto et al. 2018)."""
    params = {"actor": init(3), "critic": init(4)}
    tx = optax.adam(1e-3)

    @jax.jit
    def step(params, critic_state, actor_state, count, batch):
        x, y = batch
        loss, grads = jax.value_and_grad(mean_squared)(params["critic"], x, y)
        updates, critic_state = tx.update(grads, critic_state)
        critic = optax.apply_updates(params["critic"], updates)

        def improve(actor, opt_state):
            def regret(actor):
                return -forward(critic, x + 0.1 * jnp.tanh(forward(actor, x))).mean()

            updates, opt_state = tx.update(jax.grad(regret)(actor), opt_state)
            return optax.apply_updates(actor, updates), opt_state

        actor, actor_state = lax.cond(count % 2 == 1, improve, lambda *old: old, params["actor"], actor_state)
        return {"actor": actor, "critic": critic}, critic_state, actor_state, count + 1, loss

    state = params, tx.init(params["critic"]), tx.init(params["actor"]), zeros()
    return smokestep.Training(step, regression(), state=state)


def training_target_copied_now_and_then():
    """A target network that is copied every hundred steps, outside of jit."""
    tx, params = optax.adam(1e-3), init()

    def step(params, target, opt_state, count, batch):
        x, y = batch
        goal = y + 0.9 * lax.stop_gradient(forward(target, x))
        loss, grads = jax.value_and_grad(mean_squared)(params, x, goal)
        updates, opt_state = tx.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        target = lax.cond(count % 100 == 99, lambda new, old: new, lambda new, old: old, params, target)
        return params, target, opt_state, count + 1, loss

    return smokestep.Training(step, regression(), state=(params, jax.tree.map(jnp.array, params), tx.init(params), 0))


def training_descent_in_a_while_loop():
    """Plain gradient descent of several steps on one batch, in a `while_loop`."""

    @jax.jit
    def step(params, batch):
        grads = jax.grad(mean_squared)(params, *batch)

        def turn(carry):
            params, count = carry
            return jax.tree.map(lambda p, g: p - 0.01 * g, params, grads), count + 1

        params, _ = lax.while_loop(lambda carry: carry[1] < 3, turn, (params, 0))
        return params, mean_squared(params, *batch)

    return smokestep.Training(step, regression(), state=init())


def training_accumulation_in_a_scan():
    """Gradients of micro-batches are added up in a scan, which updates after every second."""
    tx, params = optax.adam(1e-2), init()

    @jax.jit
    def step(params, opt_state, batch):
        x, y = (each.reshape(4, 4, -1) for each in batch)

        def micro(carry, rows):
            params, opt_state, total, count = carry
            loss, grads = jax.value_and_grad(mean_squared)(params, *rows)
            total = jax.tree.map(jnp.add, total, grads)

            def update(params, opt_state, total):
                updates, opt_state = tx.update(jax.tree.map(lambda each: each / 2, total), opt_state)
                return optax.apply_updates(params, updates), opt_state, jax.tree.map(jnp.zeros_like, total)

            new = lax.cond(count % 2 == 1, update, lambda *old: old, params, opt_state, total)
            return (*new, count + 1), loss

        start = params, opt_state, jax.tree.map(jnp.zeros_like, params), 0
        (params, opt_state, _, _), losses = lax.scan(micro, start, (x, y))
        return params, opt_state, losses.mean()

    return smokestep.Training(step, regression(), state=(params, tx.init(params)))
