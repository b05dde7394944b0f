"""Small random models with one fault put in are caught on the line that was broken; without it there is no finding.

Each example is written as a source file, as a user's would be, so that lines can be named.
"""

from __future__ import annotations

import linecache
import sys
import warnings
from dataclasses import dataclass, field
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import smokestep
from smokestep.report import Report

QUICK = settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

LAYERS = {
    "linear": "nn.Linear({i}, {o})",
    "double": "nn.Sequential(nn.Linear({i}, 6), nn.Tanh(), nn.Linear(6, {o}))",
    "convolution": "nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 2, 3, padding=1), nn.Flatten(), "
    "nn.LazyLinear({o}))",
    "bilinear": "Twice({i}, {o})",
}
NORMS = ("", "nn.BatchNorm1d({o})", "nn.LayerNorm({o})", "nn.GroupNorm(1, {o})")
ACTIVATIONS = ("torch.tanh({h})", "F.gelu({h})", "F.leaky_relu({h})", "torch.sigmoid({h})", "F.softplus({h})")


@dataclass(frozen=True)
class Block:
    kind: str
    width: int
    norm: str
    activation: str
    residual: bool


@dataclass(frozen=True)
class Program:
    """The lines of a training; `fault` names what is broken, in which block."""

    inputs: int
    blocks: tuple[Block, ...]
    optimizer: str
    fault: str = ""
    at: int = 0
    marks: dict[str, int] = field(default_factory=dict)

    def source(self) -> str:
        built, run = [], ["h = x"]
        width = self.inputs
        for n, block in enumerate(self.blocks):
            mine = self.fault if n == self.at else ""
            name = f"layer{n}"
            made = LAYERS[block.kind].format(i=width, o=block.width)
            if mine == "list":
                built.append(f"self.{name} = [{made}]  # MARK")
                call = f"self.{name}[0](h)"
            else:
                built.append(f"self.{name} = {made}")
                call = f"self.{name}(h)"
            if block.norm:
                built.append(f"self.norm{n} = {block.norm.format(o=block.width)}")
            if mine == "detach":
                run.append(f"new = {call}.detach()  # MARK")
            else:
                run.append(f"new = {call}")
            if block.norm:
                run.append(f"new = self.norm{n}(new)")
            run.append(f"new = {block.activation.format(h='new')}")
            run.append("h = h + new" if block.residual and block.width == width else "h = new")
            width = block.width
        built.append(f"self.head = nn.Linear({width}, 3)")
        after = f"model.layer{self.at} = copy.deepcopy(model.layer{self.at})" if self.fault == "replace" else ""
        mark = "  # MARK" if after else ""
        lines = [
            "import copy",
            "import torch, smokestep",
            "from torch import nn",
            "import torch.nn.functional as F",
            "class Twice(nn.Module):",
            "    def __init__(self, i, o):",
            "        super().__init__()",
            "        self.left, self.right = nn.Linear(i, o), nn.Linear(i, o)",
            "    def forward(self, x):",
            "        return self.left(x) * torch.sigmoid(self.right(x))",
            "class Net(nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
            *(f"        {line}" for line in built),
            "    def forward(self, x):",
            *(f"        {line}" for line in run),
            "        return self.head(h)",
            "def training():",
            "    model = Net()",
            f"    x, y = torch.randn(8, {self.inputs}), torch.randint(0, 3, (8,))",
            "    model(x)  # lazy layers take their shape",
            f"    optimizer = torch.optim.{self.optimizer}(model.parameters(), lr=0.05){mark}",
            *([f"    {after}"] if after else []),
            "    def step(batch):",
            "        optimizer.zero_grad()",
            "        loss = F.cross_entropy(model(batch[0]), batch[1])",
            "        loss.backward()",
            "        optimizer.step()",
            "        return loss",
            "    return smokestep.Training(step, (x, y))",
        ]
        return "\n".join(lines) + "\n"


blocks = st.builds(
    Block,
    kind=st.sampled_from(sorted(LAYERS)),
    width=st.sampled_from([4, 5, 8]),
    norm=st.sampled_from(NORMS),
    activation=st.sampled_from(ACTIVATIONS),
    residual=st.booleans(),
)
programs = st.builds(
    Program,
    inputs=st.sampled_from([4, 5, 8]),
    blocks=st.lists(blocks, min_size=1, max_size=4).map(tuple),
    optimizer=st.sampled_from(["SGD", "Adam", "AdamW", "RMSprop"]),
)
EXPECTED = {
    "detach": "gradient-cut",
    "list": "unregistered-parameter",
    "replace": "stale-optimizer",
}


def examined(program: Program) -> tuple[Report, set[int]]:
    """The report on a program, and the lines that are marked as broken."""
    source = program.source()
    name = f"generated_{abs(hash(source))}.py"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module = ModuleType(name)
    module.__file__ = name
    sys.modules[name] = module
    try:
        exec(compile(source, name, "exec"), vars(module))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = smokestep.examine(module.training)
    finally:
        del sys.modules[name]
    return report, {n for n, line in enumerate(source.splitlines(), 1) if line.endswith("# MARK")}


def with_source(program: Program, report: Report) -> str:
    numbered = [f"{n:3} {line}" for n, line in enumerate(program.source().splitlines(), 1)]
    return "\n".join([str(report), *numbered])


@QUICK
@given(programs)
def test_a_correct_training_gives_no_finding(program: Program) -> None:
    report, _ = examined(program)
    assert report.findings == () and report.error is None, with_source(program, report)


@pytest.mark.parametrize("fault", EXPECTED)
@QUICK
@given(data=st.data(), program=programs)
def test_a_fault_is_caught_on_its_line(fault: str, data: st.DataObject, program: Program) -> None:
    at = data.draw(st.integers(0, len(program.blocks) - 1))
    broken = Program(program.inputs, program.blocks, program.optimizer, fault, at)
    report, marked = examined(broken)
    told = [each for each in report.defects if each.check == EXPECTED[fault]]
    assert len(told) == 1, with_source(broken, report)
    assert told[0].cause is not None and told[0].cause.line in marked, with_source(broken, report)
    assert any(f"layer{at}" in subject for subject in told[0].subjects), with_source(broken, report)
