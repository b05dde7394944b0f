"""A stack of dilated convolutions over samples of a sound, trained with one-hot targets; one layer pads on both sides."""

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

import smokestep


class WaveNet(nn.Module):
    padding: str

    @nn.compact
    def __call__(self, x):
        x = nn.Embed(32, 16)(x)
        for dilation in (1, 2):
            h = nn.Conv(32, (2,), kernel_dilation=dilation, padding="CAUSAL")(x)
            gate, value = h[..., :16], h[..., 16:]
            x = x + nn.Dense(16)(nn.sigmoid(gate) * nn.tanh(value))
        x = nn.Conv(16, (3,), padding=self.padding)(x)  # BUG?: future-leak
        return nn.Dense(32)(nn.relu(x))


def training(padding):
    model = WaveNet(padding)
    sound = jax.random.randint(jax.random.key(1), (3, 12), 0, 32)
    params = model.init(jax.random.key(0), sound)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    def loss_fn(params, sound):
        logits = model.apply({"params": params}, sound)[:, :-1]
        return optax.softmax_cross_entropy(logits, jax.nn.one_hot(sound[:, 1:], 32)).mean()

    @jax.jit
    def step(state, sound):
        loss, grads = jax.value_and_grad(loss_fn)(state.params, sound)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(step, sound, state=state)


def buggy():
    return training("SAME")


def fixed():
    return training("CAUSAL")
