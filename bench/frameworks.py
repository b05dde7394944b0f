"""Measures what examining costs on JAX and on Keras: `python -m bench.frameworks jax` (or `keras`).

A step is compiled there, and examined without compilation: so the whole examination is set against three first steps,
which a script pays as well, and against three later ones. `--write` renews the page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.__main__ import ROOT, machine
from bench.other_models import TRAININGS

PAGES = {"jax": "JAX", "keras": "Keras on TensorFlow"}


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


def seconds(run: Callable[[], Any]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def costs(framework: str, name: str, repeats: int) -> dict[str, Any]:
    """One training, in this process: three first steps, then three later ones and the whole examination in turn."""
    import smokestep

    build = TRAININGS[framework][name]
    run = steps(build(), 3)
    first = seconds(run)
    report = smokestep.examine(build)
    assert report.error is None and not report.findings, report
    later, examined = [], []
    for _ in range(repeats):
        later.append(seconds(run))
        examined.append(seconds(lambda: smokestep.examine(build)))
    ratios = [one / other for one, other in zip(examined, later, strict=True)]
    return {
        "training": name,
        "parameters": sum(report.training.models.values()),
        "first": first,
        "later": median(later),
        "examined": median(examined),
        "to first": median(examined) / first,
        "to later": median(ratios),
    }


def table(framework: str, rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    on = machine()
    package = "jax" if framework == "jax" else "tensorflow"
    lines = [
        f"## {PAGES[framework]}",
        "",
        f"{on['threads']} of {on['cores']} cores ({on['processor']}), {on['memory']}; Python {on['python']}, "
        f"{package} {version(package)}, smokestep {on['smokestep']}; {on['date']}. Load when it ended: {on['load']}.",
        "",
        "| training | parameters | 3 first steps, compiling | 3 later steps | whole `examine` | to first | to later |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = [f"{row['parameters'] / 1e6:.2f} M", *(f"{row[key]:.2f} s" for key in ("first", "later", "examined"))]
        cells += [f"{row['to first']:.2f} ×", f"{row['to later']:.1f} ×"]
        lines.append(f"| {row['training']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure every training of a framework, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=sorted(PAGES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", default="", help="measure this training in this process, and print its row as JSON")
    parser.add_argument("--write", action="store_true", help="also renew docs/bench-FRAMEWORK.md")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(costs(arguments.framework, arguments.one, arguments.repeats)))
        return
    rows = []
    for name in TRAININGS[arguments.framework]:
        command = [sys.executable, "-m", "bench.frameworks", arguments.framework, "--one", name]
        done = subprocess.run(
            [*command, "--repeats", str(arguments.repeats)], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    text = table(arguments.framework, rows)
    print(text)
    if arguments.write:
        head = f"# What it costs: {PAGES[arguments.framework]}\n\n"
        Path(ROOT / "docs" / f"bench-{arguments.framework}.md").write_text(head + text.partition("\n\n")[2])


if __name__ == "__main__":
    main()
