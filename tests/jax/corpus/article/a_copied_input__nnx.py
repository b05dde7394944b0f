"""Six NNX convolutions and three poolings, every convolution fed the input image."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


class ConvNet(nnx.Module):
    chained = False

    def __init__(self, rngs):
        a, b, c = (8, 16, 16) if self.chained else (3, 3, 3)
        self.conv1 = nnx.Conv(3, 8, (11, 11), rngs=rngs)
        self.conv2 = nnx.Conv(a, 8, (5, 5), rngs=rngs)
        self.conv3 = nnx.Conv(a, 16, (5, 5), rngs=rngs)
        self.conv4 = nnx.Conv(b, 16, (3, 3), rngs=rngs)
        self.conv5 = nnx.Conv(b, 16, (3, 3), rngs=rngs)
        self.conv6 = nnx.Conv(c, 32, (1, 1), rngs=rngs)
        self.fc = nnx.Linear(32, 4, rngs=rngs)

    def __call__(self, image):
        net = nnx.relu(self.conv1(image))  # BUG: dead-branch conv1.kernel, conv1.bias
        net = nnx.relu(self.conv2(image))
        net = nnx.max_pool(net, (2, 2), (2, 2))  # BUG: dead-branch conv2.kernel, conv2.bias
        net = nnx.relu(self.conv3(image))  # BUG: dead-branch conv3.kernel, conv3.bias
        net = nnx.relu(self.conv4(image))
        net = nnx.max_pool(net, (2, 2), (2, 2))  # BUG: dead-branch conv4.kernel, conv4.bias
        net = nnx.relu(self.conv5(image))
        net = nnx.max_pool(net, (2, 2), (2, 2))  # BUG: dead-branch conv5.kernel, conv5.bias
        net = nnx.relu(self.conv6(image))
        return self.fc(net.mean(axis=(1, 2)))


class ChainedConvNet(ConvNet):
    chained = True

    def __call__(self, image):
        net = nnx.relu(self.conv1(image))
        net = nnx.relu(self.conv2(net))
        net = nnx.max_pool(net, (2, 2), (2, 2))
        net = nnx.relu(self.conv3(net))
        net = nnx.relu(self.conv4(net))
        net = nnx.max_pool(net, (2, 2), (2, 2))
        net = nnx.relu(self.conv5(net))
        net = nnx.max_pool(net, (2, 2), (2, 2))
        net = nnx.relu(self.conv6(net))
        return self.fc(net.mean(axis=(1, 2)))


def training(model):
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        images, labels = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    images = jax.random.normal(jax.random.key(1), (8, 16, 16, 3))
    labels = jax.random.randint(jax.random.key(2), (8,), 0, 4)
    return smokestep.Training(step, (images, labels), state=(model, optimizer))


def buggy():
    return training(ConvNet(nnx.Rngs(0)))


def fixed():
    return training(ChainedConvNet(nnx.Rngs(0)))
