"""Six Equinox convolutions and three poolings, every convolution fed the input image."""

from __future__ import annotations

import equinox as eqx
import jax
import optax

import smokestep


class ConvNet(eqx.Module):
    conv1: eqx.nn.Conv2d
    conv2: eqx.nn.Conv2d
    conv3: eqx.nn.Conv2d
    conv4: eqx.nn.Conv2d
    conv5: eqx.nn.Conv2d
    conv6: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    fc: eqx.nn.Linear

    def __init__(self, key, channels=(3, 3, 3)):
        keys = jax.random.split(key, 7)
        a, b, c = channels
        self.conv1 = eqx.nn.Conv2d(3, 8, 11, padding=5, key=keys[0])
        self.conv2 = eqx.nn.Conv2d(a, 8, 5, padding=2, key=keys[1])
        self.conv3 = eqx.nn.Conv2d(a, 16, 5, padding=2, key=keys[2])
        self.conv4 = eqx.nn.Conv2d(b, 16, 3, padding=1, key=keys[3])
        self.conv5 = eqx.nn.Conv2d(b, 16, 3, padding=1, key=keys[4])
        self.conv6 = eqx.nn.Conv2d(c, 32, 1, key=keys[5])
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.fc = eqx.nn.Linear(32, 4, key=keys[6])

    def __call__(self, image):
        net = jax.nn.relu(self.conv1(image))  # BUG: dead-branch conv1.weight, conv1.bias
        net = jax.nn.relu(self.conv2(image))
        net = self.pool(net)  # BUG: dead-branch conv2.weight, conv2.bias
        net = jax.nn.relu(self.conv3(image))  # BUG: dead-branch conv3.weight, conv3.bias
        net = jax.nn.relu(self.conv4(image))
        net = self.pool(net)  # BUG: dead-branch conv4.weight, conv4.bias
        net = jax.nn.relu(self.conv5(image))
        net = self.pool(net)  # BUG: dead-branch conv5.weight, conv5.bias
        net = jax.nn.relu(self.conv6(image))
        return self.fc(net.mean(axis=(1, 2)))


class ChainedConvNet(ConvNet):
    def __call__(self, image):
        net = jax.nn.relu(self.conv1(image))
        net = jax.nn.relu(self.conv2(net))
        net = self.pool(net)
        net = jax.nn.relu(self.conv3(net))
        net = jax.nn.relu(self.conv4(net))
        net = self.pool(net)
        net = jax.nn.relu(self.conv5(net))
        net = self.pool(net)
        net = jax.nn.relu(self.conv6(net))
        return self.fc(net.mean(axis=(1, 2)))


def training(model):
    optim = optax.adam(1e-3)

    @eqx.filter_value_and_grad
    def compute_loss(model, images, labels):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(images), labels).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    images = jax.random.normal(jax.random.key(1), (8, 3, 16, 16))
    labels = jax.random.randint(jax.random.key(2), (8,), 0, 4)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, (images, labels), state=(model, opt_state))


def buggy():
    return training(ConvNet(jax.random.key(0)))


def fixed():
    return training(ChainedConvNet(jax.random.key(0), channels=(8, 16, 16)))
