import jax
import optax

import smokestep


def loss_fn(params, ids, count):
    logits = params["embed"][ids[:, :-1]] @ params["out"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).sum() / count


def training():
    params = {
        "embed": jax.random.normal(jax.random.key(0), (9, 8)),
        "out": 0.3 * jax.random.normal(jax.random.key(1), (8, 9)),
    }
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, texts):
        count = sum(ids[:, 1:].size for ids in texts)
        grads = [jax.grad(loss_fn)(params, ids, count) for ids in texts]
        total = jax.tree.map(lambda *each: sum(each), *grads)
        updates, opt_state = optimizer.update(total, opt_state)
        return optax.apply_updates(params, updates), opt_state

    texts = [jax.random.randint(jax.random.key(2), (2, 12), 0, 9), jax.random.randint(jax.random.key(3), (2, 3), 0, 9)]
    return smokestep.Training(step, texts, state=(params, optimizer.init(params)))
