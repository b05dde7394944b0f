"""Views that are written in place: the interpreter of torch 2.13 dies when a hook is put on one without care."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import smokestep  # noqa: E402


def training() -> smokestep.Training:
    layer = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)

    def step(x):  # type: ignore[no-untyped-def]
        optimizer.zero_grad()
        scores = layer(x).view(4, 2, 4).view(2, 2, 2, 4).transpose(2, 1)
        scores[:, :1] = torch.zeros(2, 1, 2, 4).where(torch.eye(2, 4).bool(), scores[:, :1])
        loss = scores.pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 4))


def test_a_view_that_is_written_in_place_is_recorded() -> None:
    report = smokestep.examine(training)
    assert not report.error
    assert not report.findings
