"""A step that is spread over several devices, in a process of its own: JAX settles their number when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("jax")

PROGRAM = """
import json
import jax, jax.numpy as jnp
import smokestep
from jax.sharding import PartitionSpec

assert jax.device_count() == 2
mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
inputs = jnp.arange(24.0).reshape(8, 3) / 24
targets = inputs.sum(1, keepdims=True)

def loss_of(params, inputs, targets):
    return jnp.mean((jnp.tanh(inputs @ params["w"]) @ params["v"] - targets) ** 2)

def training(drop=False):
    def local(params, inputs, targets):
        grads = jax.grad(loss_of)(params, inputs, targets)
        return jax.tree.map(lambda g: jax.lax.pmean(g, "data"), grads)

    @jax.jit
    def step(params, batch):
        spread = jax.shard_map(
            local, mesh=mesh, in_specs=(PartitionSpec(), *[PartitionSpec("data")] * 2), out_specs=PartitionSpec()
        )
        grads = spread(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    params = {"w": 0.1 * jnp.arange(1.0, 13.0).reshape(3, 4), "v": 0.1 * jnp.arange(1.0, 5.0).reshape(4, 1)}
    return smokestep.Training(step, (inputs, targets), state=params)

report = smokestep.examine(training)
print(json.dumps({"findings": [str(each) for each in report.findings], "error": report.error and str(report.error),
                  "steps": report.steps, "failed": [c.reason for c in report.checks.values() if "failed" in c.reason]}))
"""


def test_a_step_over_two_devices_is_recorded():
    flags = f"--xla_force_host_platform_device_count=2 {os.environ.get('XLA_FLAGS', '')}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {"findings": [], "error": None, "steps": 3, "failed": []}
