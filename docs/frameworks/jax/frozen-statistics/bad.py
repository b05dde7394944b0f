import flax.linen as nn
import jax
import optax

import smokestep


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(x))
        return nn.Dense(2)(nn.relu(x))


def training():
    model, optimizer = Net(), optax.adam(1e-3)
    variables = model.init(jax.random.key(0), jax.random.normal(jax.random.key(1), (8, 3)), train=False)

    @jax.jit
    def step(params, batch_stats, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            both = {"params": params, "batch_stats": batch_stats}
            logits, changed = model.apply(both, x, train=True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), changed

        (loss, changed), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), batch_stats, opt_state, loss

    state = variables["params"], variables["batch_stats"], optimizer.init(variables["params"])
    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 3)), jax.random.randint(jax.random.key(2), (8,), 0, 2)),
        state=state,
    )
