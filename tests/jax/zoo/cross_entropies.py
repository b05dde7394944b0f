"""Cross-entropies written by hand, and what looks like one: log-probabilities that are weighed, mixed or compared."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep

CLASSES = 4
SUSPICIONS = {
    "training_episode_return": {
        "inverted-loss": "the return of the example is negative, so the actions taken are really to become rarer"
    },
}


def network(classes=CLASSES, features=6):
    he = jax.nn.initializers.he_normal()
    keys = jax.random.split(jax.random.key(0), 2)
    return {"w1": he(keys[0], (features, 16)), "b1": jnp.zeros(16), "w2": 0.5 * he(keys[1], (16, classes))}


def scores(params, x):
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"]


def labelled(count=16, features=6, classes=CLASSES):
    x_key, y_key = jax.random.split(jax.random.key(1))
    return jax.random.normal(x_key, (count, features)), jax.random.randint(y_key, (count,), 0, classes)


def training(loss_fn, batch, params=None):
    params = network() if params is None else params
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def training_one_hot():
    """Flax, "MNIST example" before Optax: `-jnp.mean(jnp.sum(one_hot * log_softmax, axis=-1))`."""

    def loss(params, x, y):
        return -jnp.mean(jnp.sum(jax.nn.one_hot(y, CLASSES) * jax.nn.log_softmax(scores(params, x)), axis=-1))

    return training(loss, labelled())


def training_indexed():
    """Log-probabilities indexed by sample and label."""

    def loss(params, x, y):
        return -jnp.mean(jax.nn.log_softmax(scores(params, x))[jnp.arange(y.shape[0]), y])

    return training(loss, labelled())


def training_taken_along():
    """The label's entry taken along the last axis, and the token axis averaged with the rest, as in small GPTs."""
    params = network() | {"embedding": 0.5 * jax.random.normal(jax.random.key(5), (CLASSES, 6))}

    def loss(params, tokens):
        logits = scores(params, params["embedding"][tokens[:, :-1]])
        taken = jnp.take_along_axis(jax.nn.log_softmax(logits, axis=-1), tokens[:, 1:, None], axis=-1)
        return -taken[..., 0].mean()

    return training(loss, (jax.random.randint(jax.random.key(2), (4, 9), 0, CLASSES),), params)


def training_tutorial_mean():
    """JAX, "Training a simple neural network": the mean over classes too, so the loss is a fraction of the usual."""

    def loss(params, x, targets):
        logits = scores(params, x)
        return -jnp.mean((logits - jax.nn.logsumexp(logits, axis=1, keepdims=True)) * targets)

    x, y = labelled()
    return training(loss, (x, jax.nn.one_hot(y, CLASSES)))


def training_sample_by_sample():
    """A loss of one sample under vmap, negated inside of it."""

    def single(params, x, y):
        return -jax.nn.log_softmax(scores(params, x))[y]

    def loss(params, x, y):
        return jax.vmap(single, in_axes=(None, 0, 0))(params, x, y).mean()

    return training(loss, labelled())


def training_classes_first():
    """Scores with the classes first, normalised and picked along that axis; there are as many classes as samples."""

    def loss(params, x, y):
        logs = jax.nn.log_softmax(scores(params, x).T, axis=0)
        return -jnp.mean(logs[y, jnp.arange(y.shape[0])])

    return training(loss, labelled(count=CLASSES))


def training_classes_first_one_hot():
    """The same with a one-hot target, transposed, and the mean over all entries."""

    def loss(params, x, y):
        logs = jax.nn.log_softmax(scores(params, x).T, axis=0)
        return -jnp.mean(jax.nn.one_hot(y, CLASSES).T * logs)

    return training(loss, labelled(count=CLASSES))


def training_policy_gradient():
    """Spinning Up's first policy gradient: log-probabilities of the actions, weighed by returns of either sign."""

    def loss(params, states, actions, returns):
        logs = jax.nn.log_softmax(scores(params, states))
        picked = jnp.sum(jax.nn.one_hot(actions, CLASSES) * logs, axis=-1)
        return -jnp.mean(picked * returns)

    states, actions = labelled()
    return training(loss, (states, actions, jax.random.normal(jax.random.key(3), (16,))))


def training_policy_with_entropy():
    """A2C's policy loss: an advantage, and an entropy bonus whose target is the policy itself."""

    def loss(params, states, actions, advantages):
        logits = scores(params, states)
        logs = jax.nn.log_softmax(logits)
        picked = jnp.take_along_axis(logs, actions[:, None], axis=-1)[:, 0]
        entropy = -jnp.mean(jnp.sum(jax.nn.softmax(logits) * logs, axis=-1))
        return -jnp.mean(picked * advantages) - 0.01 * entropy

    states, actions = labelled()
    return training(loss, (states, actions, jax.random.normal(jax.random.key(3), (16,))))


def training_episode_return():
    """REINFORCE on one episode: the summed log-probability, times the return of the whole, which was bad."""

    def loss(params, states, actions, total):
        logs = jax.nn.log_softmax(scores(params, states))
        return -jnp.sum(logs[jnp.arange(16), actions]) * total

    states, actions = labelled()
    return training(loss, (states, actions, jnp.asarray(-0.7)))


def training_distilled():
    """Distillation: the teacher's probabilities, at a temperature, under the student's log-softmax."""
    teacher = network()
    params = {
        "student": network()["w1"],
        "b1": jnp.zeros(16),
        "w2": 0.3 * jax.random.normal(jax.random.key(7), (16, 4)),
    }

    def student(params, x):
        return jnp.tanh(x @ params["student"] + params["b1"]) @ params["w2"]

    def loss(params, x):
        soft = jax.nn.softmax(scores(teacher, x) / 2.0)
        return -4.0 * jnp.mean(jnp.sum(soft * jax.nn.log_softmax(student(params, x) / 2.0), axis=-1))

    return training(loss, (labelled()[0],), params)


def training_smoothed_labels():
    """Label smoothing by hand."""

    def loss(params, x, y):
        soft = 0.9 * jax.nn.one_hot(y, CLASSES) + 0.1 / CLASSES
        return -jnp.mean(jnp.sum(soft * jax.nn.log_softmax(scores(params, x)), axis=-1))

    return training(loss, labelled())


def training_masked_tokens():
    """A language model's loss over the tokens that are no padding (-1, whose one-hot row is empty)."""
    params = network() | {"embedding": 0.5 * jax.random.normal(jax.random.key(5), (CLASSES, 6))}

    def loss(params, tokens, targets):
        logs = jax.nn.log_softmax(scores(params, params["embedding"][tokens]))
        return -jnp.sum(jax.nn.one_hot(targets, CLASSES) * logs) / jnp.sum(targets >= 0)

    tokens = jax.random.randint(jax.random.key(2), (4, 9), 0, CLASSES)
    targets = jnp.where(jnp.arange(8) < jnp.array([8, 6, 7, 5])[:, None], tokens[:, 1:], -1)
    return training(loss, (tokens[:, :-1], targets), params)


def training_weighted_classes():
    """Rare classes weigh more."""
    weights = jnp.array([0.5, 1.0, 2.0, 1.0])

    def loss(params, x, y):
        taken = jnp.take_along_axis(jax.nn.log_softmax(scores(params, x)), y[:, None], axis=1)[:, 0]
        return -jnp.sum(weights[y] * taken) / jnp.sum(weights[y])

    return training(loss, labelled())


def training_focal():
    """The focal loss by hand, which weighs each sample by how wrong it is."""

    def loss(params, x, y):
        taken = jax.nn.log_softmax(scores(params, x))[jnp.arange(y.shape[0]), y]
        return -jnp.mean((1.0 - jnp.exp(taken)) ** 2 * taken)

    return training(loss, labelled())


def training_contrasted_views():
    """InfoNCE: each row's own view is its label, picked by the identity."""

    def loss(params, x):
        one, other = scores(params, x), scores(params, x + 0.1)
        one, other = (z / jnp.linalg.norm(z, axis=-1, keepdims=True) for z in (one, other))
        logs = jax.nn.log_softmax(one @ other.T / 0.5, axis=-1)
        return -jnp.mean(jnp.sum(jnp.eye(x.shape[0]) * logs, axis=-1))

    return training(loss, (labelled()[0],))


def training_contrasted_columns():
    """CLIP's symmetric loss: rows and columns of one square of similarities."""

    def loss(params, x, y):
        pictures = scores(params, x)
        words = params["words"][y]
        similar = pictures @ words.T
        places = jnp.arange(x.shape[0])
        rows = jax.nn.log_softmax(similar, axis=1)[places, places]
        columns = jax.nn.log_softmax(similar, axis=0)[places, places]
        return -0.5 * (rows.mean() + columns.mean())

    x, _ = labelled(count=6)
    words = {"words": 0.5 * jax.random.normal(jax.random.key(8), (6, CLASSES))}
    return training(loss, (x, jnp.arange(6)), network() | words)


def training_mixed_up():
    """mixup: two cross-entropies of one prediction, weighed by the share of the mixture."""

    def loss(params, x, y, share):
        logs = jax.nn.log_softmax(scores(params, share * x + (1 - share) * x[::-1]))
        rows = jnp.arange(y.shape[0])
        return -(share * logs[rows, y].mean() + (1 - share) * logs[rows, y[::-1]].mean())

    return training(loss, (*labelled(), jnp.asarray(0.7)))


def training_pseudo_labels():
    """FixMatch: the classes of weakly changed samples are the labels of strongly changed ones, where they are sure."""

    def loss(params, x, y, unlabelled):
        supervised = -jnp.mean(jax.nn.log_softmax(scores(params, x))[jnp.arange(y.shape[0]), y])
        weak = jax.lax.stop_gradient(jax.nn.softmax(scores(params, unlabelled)))
        strong = jax.nn.log_softmax(scores(params, unlabelled + 0.3))
        taken = jnp.take_along_axis(strong, weak.argmax(-1)[:, None], axis=-1)[:, 0]
        return supervised - 0.5 * jnp.mean(jnp.where(weak.max(-1) > 0.3, taken, 0.0))

    x, y = labelled()
    return training(loss, (x, y, jax.random.normal(jax.random.key(6), (16, 6))))


def training_auxiliary_penalty():
    """A cross-entropy by hand beside weight decay by hand."""

    def loss(params, x, y):
        picked = jnp.sum(jax.nn.one_hot(y, CLASSES) * jax.nn.log_softmax(scores(params, x)), axis=-1)
        return -picked.mean() + 1e-3 * sum(jnp.sum(w**2) for w in jax.tree.leaves(params))

    return training(loss, labelled())


def training_several_right_answers():
    """Multi-label classification in which every positive class counts under one softmax."""

    def loss(params, x, several):
        logs = jax.nn.log_softmax(scores(params, x))
        return -jnp.mean(jnp.sum(several * logs, axis=-1) / several.sum(-1))

    x, _ = labelled()
    return training(loss, (x, jnp.tile(jnp.array([[1.0, 0, 1, 0], [0, 1, 0, 1]]), (8, 1))))
