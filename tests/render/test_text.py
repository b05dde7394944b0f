"""The report as people read it: at every width, in colour and plain, and in every state a report can be in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smokestep.config import allow
from smokestep.findings import Finding, Line, Place, Severity, Verdict
from smokestep.render import json as as_json
from smokestep.render import text
from smokestep.report import Outcome, Raised, Report, Subject

NET = """\
class Net(nn.Module):
    def forward(self, x):
        net = F.relu(self.conv1(x))
        net = F.relu(self.conv2(x))
        return net.mean((2, 3))
"""
CHECKS: Mapping[str, Outcome] = {
    **{f"passed-{index}": Outcome(Verdict.PASS) for index in range(30)},
    **{f"other-{index}": Outcome(Verdict.NOT_APPLICABLE, "no such layer") for index in range(9)},
}


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The file that holds the user's network, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return str(tmp_path / "net.py")


def line(file: str, number: int) -> Line:
    return Line(file, number, NET.splitlines()[number - 1].strip())


def dead_branch(file: str) -> Finding:
    return Finding(
        "`net = F.relu(self.conv1(x))` is computed, and nothing that reaches the loss uses it",
        where=Place.of("conv1.weight, conv1.bias", line(file, 3)),
        cause=line(file, 3),
        hint="feed `net`, not `x`, to conv2",
        severity=Severity.DEFECT,
        subjects=("conv1.weight", "conv1.bias"),
        related=((line(file, 4), "reads `x` again"),),
        consequences=("zero-gradient (conv1.weight): its gradient is zero",),
        check="dead-branch",
    )


SUSPICION = Finding(
    "20 of 64 units are zero for every sample",
    where=Place("encoder.layers.0.attention.query.weight, b, c, d, e, f"),
    severity=Severity.SUSPICION,
    check="zero-gradient",
)


def report(*findings: Finding, **changes: Any) -> Report:
    values: dict[str, Any] = {
        "verdict": Verdict.FAIL if findings else Verdict.PASS,
        "findings": findings,
        "checks": CHECKS,
        "training": Subject("train.py", "train.py", 1, {"Net": 12345}, {"optimizer": "Adam"}),
        "seed": 0,
        "steps": 3,
        "cost": {"total": 1.41},
        "versions": {"smokestep": "0.1.0", "python": "3.12.0", "platform": "x", "framework": "torch 2.13.0+cpu"},
        **changes,
    }
    return Report(**values)


def test_a_defect_is_told_whole(net: str) -> None:
    told = text.render(report(dead_branch(net)), width=120, color=False).splitlines()
    assert told == [
        "1 defect in train.py · 30 passed · 9 not applicable · 0 open   (1.4 s, seed 0, torch 2.13.0)",
        "    looked at 3 steps of Net (12,345 parameters), trained by Adam",
        "",
        "dead-branch   conv1.weight, conv1.bias" + " " * 74 + "net.py:3",
        "    `net = F.relu(self.conv1(x))` is computed, and nothing that reaches the loss uses it",
        "      2 |  def forward(self, x):",
        "    > 3 |      net = F.relu(self.conv1(x))",
        "      4 |      net = F.relu(self.conv2(x))   ← reads `x` again",
        "    try: feed `net`, not `x`, to conv2",
        "    hence: zero-gradient (conv1.weight): its gradient is zero",
        '    allow: smokestep.allow("dead-branch", "conv1.*", why="…")',
        "",
        "more on a check: smokestep explain dead-branch",
    ]


def test_what_was_found_in_a_script_is_allowed_in_pyproject(net: str) -> None:
    live = Subject("train.py", "train.py", live=True)
    told = text.render(report(dead_branch(net), SUSPICION, training=live), width=120, color=False)
    assert '    allow: check = "dead-branch", where = "conv1.*", why = "…"' in told
    assert told.endswith(
        "to allow one: [[tool.smokestep.allow]] in pyproject.toml: check, where, why\n"
        "more on a check: smokestep explain NAME"
    )


@pytest.mark.parametrize(
    ("subjects", "pattern"),
    [
        (("conv1.weight",), "conv1.weight"),
        (("conv1.weight", "conv1.bias"), "conv1.*"),
        (("D.0.weight", "D.2.bias"), "D.*"),
        (("rnns[0].weight", "rnns[1].weight"), "rnns*"),
        (("net.rnns[0].weight", "net.rnns[1].weight"), "net.*"),
        (("body.weight", "head.weight"), "*"),
    ],
)
def test_the_advised_pattern_covers_what_was_found(net: str, subjects: tuple[str, ...], pattern: str) -> None:
    finding = replace(dead_branch(net), subjects=subjects)
    assert f'"dead-branch", "{pattern}"' in text.render(report(finding), width=120, color=False)
    assert allow("dead-branch", pattern, why="tested").covers(finding)


def test_a_clean_report_is_two_lines_and_says_what_was_looked_at() -> None:
    told = text.render(report(), width=120, color=False).splitlines()
    assert len(told) == 2
    assert told[0].startswith("no defect in train.py · 30 passed")
    assert "3 steps of Net (12,345 parameters), trained by Adam" in told[1]


def test_suspicions_come_last_and_say_that_they_are_no_proof(net: str) -> None:
    told = text.render(report(dead_branch(net), SUSPICION), width=80, color=False)
    assert told.index("dead-branch") < told.index("suspicious: may well be right") < told.index("zero-gradient   enc")
    assert "b, c, and 3 more" in told


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_every_line_fits(net: str, width: int) -> None:
    long = replace(
        dead_branch(net),
        message="word " * 60,
        hint="word " * 40,
        where=Place("a_module.with_a.rather_long.name.weight, another_module.with.a_long_name.bias"),
    )
    opened = {f"long-check-name-{index}": Outcome(Verdict.OPEN, "some reason " * 9) for index in range(3)}
    whole = report(long, SUSPICION, checks={**CHECKS, **opened}, notes=("note " * 30,), left_out=("a",))
    assert max(map(len, text.render(whole, width=width, color=False).splitlines())) <= width


def test_a_place_is_never_broken(net: str) -> None:
    long = os.path.join(*["a_directory_with_a_long_name"] * 5, "train.py")
    found = replace(dead_branch(net), cause=line(long, 3), where=Place.of("conv1.weight", line(long, 3)), related=())
    told = text.render(report(found, training=Subject("train", long)), width=80, color=False).splitlines()
    assert told.count(f"{long}:3") == 1
    assert told[:2] == ["1 defect in", f"{long}:train"]


def test_what_could_not_be_told_is_grouped_by_reason() -> None:
    opened = {f"check-{index}": Outcome(Verdict.OPEN, "the model is scripted") for index in range(9)}
    told = text.render(report(checks={**CHECKS, **opened}), width=100, color=False)
    assert told.count("the model is scripted") == 1
    assert "check-0, check-1, check-2, and 6 more: the model is scripted" in told


def test_a_step_that_raised_is_told_first(net: str) -> None:
    raised = Raised("ValueError: shapes (3, 4) and (4, 5)", 1, line(net, 4))
    told = text.render(report(verdict=Verdict.OPEN, error=raised), width=80, color=False)
    assert told.startswith("failed   ValueError: shapes (3, 4) and (4, 5)")
    assert "> 4 |  net = F.relu(self.conv2(x))" in told
    assert "It ended after 1 complete step" in told
    assert "no defect so far" in told


def test_nothing_seen_is_never_shown_as_clean() -> None:
    unjudged = {name: Outcome(Verdict.NOT_APPLICABLE, "no step") for name in CHECKS}
    nothing = report(verdict=Verdict.OPEN, checks=unjudged, steps=0, notes=("train.py ended without one step",))
    told = text.render(nothing, width=120, color=False).splitlines()
    assert told[0].startswith("nothing could be judged in train.py")
    assert told[1] == "    train.py ended without one step"


def test_allowed_and_left_out_are_said(net: str) -> None:
    told = text.render(report(allowed=((dead_branch(net), "a probe"),), left_out=("x", "y")), width=100, color=False)
    assert "allowed: dead-branch   conv1.weight, conv1.bias   because: a probe" in told
    assert "left out: 2 checks" in told


def test_experiments_are_told_with_their_cost_and_what_they_assume() -> None:
    told = text.render(
        report(
            experiments={"influence": 0.123, "padding": 0.04},
            inferred=("took it so",),
            on_request=("overfit", "resume"),
        ),
        width=100,
        color=False,
    ).splitlines()
    assert told[2:4] == ["    took it so", "    experiments: influence 0.12 s, padding 0.04 s"]
    assert told[-1] == "on request: overfit, resume (select=, or --select all)"


def test_a_changed_or_absent_source_is_shown_as_it_was_recorded(net: str) -> None:
    elsewhere = Line(str(Path(net).parent / "gone.py"), 7, "loss = net(x).sum()")
    told = text.render(report(replace(dead_branch(net), cause=elsewhere, related=())), width=80, color=False)
    assert "> 7 |  loss = net(x).sum()" in told


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[1;32m" in text.render(report(), width=80, color=True)
    assert "\x1b" not in text.render(report(), width=80, color=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;32m" not in text.render(report(), width=80, color=True)


def test_brackets_in_messages_are_no_markup() -> None:
    strange = replace(SUSPICION, message="[bold]x[/] :smile: batch[0]")
    assert "[bold]x[/] :smile: batch[0]" in text.render(report(strange), width=80, color=False)


def test_the_json_is_the_reports_own(net: str) -> None:
    whole = report(dead_branch(net))
    assert json.loads(as_json.render(whole)) == whole.to_dict()
