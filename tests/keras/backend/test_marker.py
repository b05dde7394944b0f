"""The pytest marker with Keras: a marked test begins as a process does: names counted from scratch, the same numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

KERNELS = []


@pytest.mark.smokestep
@pytest.mark.parametrize("turn", [0, 1])
def test_a_marked_test_begins_anew(turn):
    model = keras.Sequential([layers.Input((3,)), layers.Dense(4)])
    assert model.layers[0].name == "dense"
    KERNELS.append(model.layers[0].kernel.value.numpy())
    assert np.array_equal(KERNELS[0], KERNELS[turn])
