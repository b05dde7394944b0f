"""Measures every training and prints the table: `python -m bench`; `--write` renews docs/bench.md and its results.json.

This process stays small: every measurement has a process of its own, whose peak memory is read when it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
NAMES = ("conv small", "conv medium", "conv large", "transformer small", "transformer medium", "transformer large")
AIMS = {"recorded": 1.15, "examined": 2.5, "memory": 1.25, "fixed": 0.3}
MEGABYTE = 2**20


def child(*arguments: str) -> tuple[str, float, float]:
    """Output, wall seconds and peak resident bytes of a Python process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None and process.stderr is not None
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}\n{output}\n{errors}")
    unit = 1 if sys.platform == "darwin" else 1024
    return output, time.perf_counter() - started, usage.ru_maxrss * unit


def measured(name: str, repeats: int) -> dict[str, Any]:
    """Everything about one training."""
    row: dict[str, Any] = json.loads(child("-m", "bench.measure", "costs", name, str(repeats))[0])
    for what in ("plain", "examined", "in place"):
        row[f"{what} peak"] = child("-m", "bench.measure", what, name, "1")[2]
    script = ("bench.script", name, "--steps", str(row["steps"]))
    runs: dict[str, list[tuple[str, float, float]]] = {"script": [], "watched": []}
    for _ in range(max(3, repeats // 2)):
        runs["script"].append(child("-m", *script))
        runs["watched"].append(child("-m", "smokestep", "run", "--quiet", "-m", *script))
    for what, results in runs.items():
        row[what] = median(seconds for _, seconds, _ in results)
        row[f"{what} peak"] = median(peak for _, _, peak in results)
    copy = 4 * row["parameters"]
    for what, against in (("examined", "plain"), ("in place", "plain"), ("watched", "script")):
        row[f"{what} memory ratio"] = (row[f"{what} peak"] - copy) / row[f"{against} peak"]
    print(f"  {name}: done", file=sys.stderr, flush=True)
    return row


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "smokestep": version("smokestep"),
        "date": date.today().isoformat(),
        "load": round(os.getloadavg()[0], 1),
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    on, lines = result["machine"], []
    lines += [
        f"{on['threads']} of {on['cores']} cores ({on['processor']}), {on['memory']}, {on['system']};"
        f" Python {on['python']}, torch {on['torch']}, smokestep {on['smokestep']}; {on['date']}."
        f" Load when the measurement began: {on['load']}.",
        "",
        "| training | parameters | 3 plain steps | recorded | whole `examine`"
        " | both in processor time | peak of plain steps | of `examine` | in place |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["trainings"]:
        cells = [
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['plain']:.2f} s",
            f"{row['recorded ratio']:.2f} ×",
            f"{row['examined ratio']:.2f} ×",
            f"{row['recorded processor ratio']:.2f}, {row['examined processor ratio']:.2f} ×",
            f"{row['plain peak'] / MEGABYTE:.0f} MiB",
            f"{row['examined memory ratio']:.2f} ×",
            f"{row['in place memory ratio']:.2f} ×",
        ]
        lines.append(f"| {row['training']} | {' | '.join(cells)} |")
    lines += [
        "",
        "| training | the script, 3 steps | under `smokestep run` | ratio | peak of the script | under `run` |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in result["trainings"]:
        cells = [
            f"{row['script']:.2f} s",
            f"{row['watched']:.2f} s",
            f"{row['watched'] / row['script']:.2f} ×",
            f"{row['script peak'] / MEGABYTE:.0f} MiB",
            f"{row['watched memory ratio']:.2f} ×",
        ]
        lines.append(f"| {row['training']} | {' | '.join(cells)} |")
    fixed = result["fixed"]
    lines += [
        "",
        f"Fixed cost, a training of six parameters: {fixed['first']:.2f} s for the first examination in a process,"
        f" {fixed['later']:.2f} s for each later one; loading the checks takes {fixed['imported']:.2f} s before that.",
    ]
    return "\n".join([*lines, "", held(result)])


def held(result: dict[str, Any]) -> str:
    """Which aims the numbers meet, in words."""
    rows = result["trainings"]
    large = [row for row in rows if row["parameters"] >= 5e6]
    memory = [row[f"{what} memory ratio"] for row in rows for what in ("examined", "in place", "watched")]
    worst = {
        "recording, from 5 M parameters": (
            max((row["recorded ratio"] for row in large), default=0.0),
            AIMS["recorded"],
        ),
        "the whole examination, from 5 M parameters": (
            max((row["examined ratio"] for row in large), default=0.0),
            AIMS["examined"],
        ),
        "the whole examination, below": (
            max((row["examined ratio"] for row in rows if row not in large), default=0.0),
            AIMS["examined"],
        ),
        "memory": (max(memory, default=0.0), AIMS["memory"]),
        "fixed cost in seconds": (result["fixed"]["first"], AIMS["fixed"]),
    }
    told = [f"{name} {at:.2f} ({'held' if at <= aim else 'missed'}: {aim})" for name, (at, aim) in worst.items()]
    return f"Against the aims, at worst: {'; '.join(told)}."


NOTES = """\
A ratio is the median of the ratios of repetitions taken in turn in one process, both sides on as many threads. "Both in
processor time" are the same two ratios, which other work on the machine disturbs less; the first then includes putting
the evidence together. "Recorded" is the steps alone with every gauge connected. "Whole `examine`" is the call:
building the training, seeding, three recorded steps, the default experiments, all checks and the report, against
three plain steps of a training already built. Memory is the peak resident size of a process of its own, imports
included, less one copy of the parameters, against the peak of the process that runs the plain steps; "in place"
examines objects already built, which are put back afterwards. The script's times are those of whole processes,
`import torch` included.

To repeat: `make bench`. Aims: recording at most 1.15 × from 5 M parameters up, the whole examination at most 2.5 ×,
memory at most 1.25 ×, fixed cost at most 0.3 s."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what recording and examining cost.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="default: as many as there are cores")
    parser.add_argument("--only", default="", help="only trainings whose name contains this")
    parser.add_argument("--write", action="store_true", help="also renew docs/bench.md and bench/results.json")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    print("measuring; this takes some minutes", file=sys.stderr, flush=True)
    result: dict[str, Any] = {"machine": machine(), "aims": AIMS}
    result["trainings"] = [measured(name, args.repeats) for name in NAMES if args.only in name]
    result["fixed"] = json.loads(child("-m", "bench.measure", "fixed", "tiny", "9")[0])
    text = table(result)
    print(f"{text}\n\n{NOTES}")
    if args.write:
        (ROOT / "bench" / "results.json").write_text(json.dumps(result, indent=2) + "\n")
        (ROOT / "docs" / "bench.md").write_text(f"# What it costs\n\n{text}\n\n{NOTES}\n")


if __name__ == "__main__":
    main()
