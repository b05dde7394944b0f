"""The second door: the training of the digits scripts as a test.

`test_fixed_network_trains` is the test that one writes; the other shows what it says of the network with the bug.
"""

import importlib.util
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import smokestep

EXAMPLES = Path(__file__).parents[1]


def network(script):
    """The `ConvNet` of one of the two scripts."""
    spec = importlib.util.spec_from_file_location(script, EXAMPLES / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ConvNet()


def training(script):
    model = network(script)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(16, 1, 8, 8), torch.randint(0, 10, (16,))))


def test_fixed_network_trains():
    smokestep.verify(lambda: training("digits_fixed"))


def test_copied_lines_are_found():
    with pytest.raises(smokestep.TrainingDefect) as raised:
        smokestep.verify(lambda: training("digits"))
    assert {finding.check for finding in raised.value.report.findings} == {"dead-branch"}
