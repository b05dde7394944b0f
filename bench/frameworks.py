"""Measures what examining costs on JAX and on Keras: `python -m bench.frameworks jax` (or `keras`).

A step is compiled there at its first call. So the first examination in a process, which compiles what it tries, is set
against building and three first steps, which a script pays as well, and later ones against three later steps. `--write`
renews the page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.__main__ import ROOT, child, machine
from bench.other_models import TRAININGS

PAGES = {"jax": "JAX", "keras": "Keras on TensorFlow"}
HEAD = (
    "training",
    "parameters",
    "building and 3 first steps, compiling",
    "first `examine`",
    "ratio",
    "3 later steps",
    "later `examine`",
    "ratio",
    "in processor time",
    "peak of the steps",
    "of `examine`",
    "the script, 3 steps",
    "under `smokestep run`",
)


def steps(training: Any, count: int) -> Callable[[], None]:
    """A function that makes so many plain steps, as the user's loop would, each on what the last one gave."""
    state = training.state

    def run() -> None:
        nonlocal state
        for _ in range(count):
            for step in training.steps.values():
                returned = step(*training.arguments(step, state))
                if training.has_state:
                    state = returned[0]
        if training.has_state:
            wait(state)

    return run


def wait(tree: Any) -> None:
    """Until the numbers are there."""
    import jax

    jax.block_until_ready(tree)


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def costs(framework: str, name: str, repeats: int) -> dict[str, Any]:
    """One training, in this process: steps and examinations in turn, when both have been made once."""
    import smokestep

    build = TRAININGS[framework][name]
    run = steps(build(), 3)
    run()
    report = smokestep.examine(build)
    assert report.error is None and not report.findings, report
    run()  # what the framework compiles anew after its first examination
    later, examined = [], []
    for _ in range(repeats):
        later.append(timed(run))
        examined.append(timed(lambda: smokestep.examine(build)))
    pairs = list(zip(examined, later, strict=True))
    return {
        "parameters": sum(report.training.models.values()),
        "later": median(wall for wall, _ in later),
        "examined": median(wall for wall, _ in examined),
        "to later": median(one[0] / other[0] for one, other in pairs),
        "in processor time": median(one[1] / other[1] for one, other in pairs),
    }


def alone(framework: str, name: str, what: str) -> None:
    """One run in this process, and how many seconds it took without imports: `steps`, as a script would make them on
    what it has built, or `examine`, which builds it too."""
    import_module({"jax": "optax", "keras": "keras"}[framework])
    import smokestep

    build = TRAININGS[framework][name]
    seconds, _ = timed(lambda: steps(build(), 3)() if what == "steps" else smokestep.examine(build))
    print(seconds)


def measured(framework: str, name: str, repeats: int) -> dict[str, Any]:
    """Everything about one training, each measurement in a process of its own."""
    ours = ("-m", "bench.frameworks", framework, "--one", name)
    row: dict[str, Any] = json.loads(child(*ours, "--repeats", str(repeats))[0].splitlines()[-1])
    row["training"] = name
    runs: dict[str, list[Any]] = {"steps": [], "examine": [], "run": []}
    for _ in range(max(3, repeats // 2)):
        for what in ("steps", "examine"):
            runs[what].append(child(*ours, "--alone", what))
        runs["run"].append(child("-m", "smokestep", "run", "--quiet", *ours, "--alone", "steps"))
    row["first"], row["fresh"] = (
        median(float(run[0].split()[-1]) for run in runs[what]) for what in ("steps", "examine")
    )
    row["script"], row["watched"] = (median(run[1] for run in runs[what]) for what in ("steps", "run"))
    row["peak"], peak = (median(run[2] for run in runs[what]) for what in ("steps", "examine"))
    row["memory"] = (peak - 4 * row["parameters"]) / row["peak"]
    print(f"  {name}: done", file=sys.stderr, flush=True)
    return row


def table(framework: str, rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    on = machine()
    package = "jax" if framework == "jax" else "tensorflow-cpu"
    lines = [
        f"# What it costs: {PAGES[framework]}",
        "",
        f"{on['threads']} of {on['cores']} cores ({on['processor']}), {on['memory']}; Python {on['python']}, "
        f"{package} {version(package)}, smokestep {on['smokestep']}; {on['date']}. Load when it ended: {on['load']}.",
        "",
        f"| {' | '.join(HEAD)} |",
        f"|---|{'--:|' * (len(HEAD) - 1)}",
    ]
    for row in rows:
        cells = [
            row["training"],
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['first']:.2f} s",
            f"{row['fresh']:.2f} s",
            f"{row['fresh'] / row['first']:.1f} ×",
            f"{row['later']:.2f} s",
            f"{row['examined']:.2f} s",
            f"{row['to later']:.1f} ×",
            f"{row['in processor time']:.1f} ×",
            f"{row['peak'] / 2**20:.0f} MiB",
            f"{row['memory']:.2f} ×",
            f"{row['script']:.2f} s",
            f"{row['watched'] / row['script']:.2f} ×",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "A step is compiled at its first call, and what builds a training is compiled too, so the first `examine` of a "
        "process is set against what a script does before its fourth step, both without the framework's imports. A "
        '"later" one, for which the framework has compiled most of its own functions, is set against three steps that '
        "are compiled already: the ratio is the median of repetitions taken in turn in one process. Memory is the peak "
        "resident size of a process of its own, imports included, less one copy of the parameters, against that of the "
        "plain steps. The script's times are those of whole processes, imports included.",
        "",
        f"To repeat: `make bench-{framework}`.",
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure every training of a framework."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=sorted(PAGES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", default="", help="measure this training in this process, and print its row as JSON")
    parser.add_argument("--alone", default="", choices=("steps", "examine"), help="only run that training so")
    parser.add_argument("--write", action="store_true", help="also renew docs/bench-FRAMEWORK.md")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    if arguments.alone:
        alone(arguments.framework, arguments.one, arguments.alone)
        return
    if arguments.one:
        print(json.dumps(costs(arguments.framework, arguments.one, arguments.repeats)))
        return
    text = table(
        arguments.framework,
        [measured(arguments.framework, name, arguments.repeats) for name in TRAININGS[arguments.framework]],
    )
    print(text)
    if arguments.write:
        Path(ROOT / "docs" / f"bench-{arguments.framework}.md").write_text(text)


if __name__ == "__main__":
    main()
