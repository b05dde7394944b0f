"""Runs `smokestep run` on every training script beside it, each in a folder of its own, and writes docs/scripts.md.

`python -m tests.ecosystem.scripts_run [NAME ...] [--write] [--show]`; it ends with 1 if a script has a defect, a
suspicion that nobody explained, or an ending that is not the watch's own. `make scripts` makes the environment for it.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ecosystem.scripts_page import write
from tests.ecosystem.scripts_table import RUNS, Run, explanation

HERE = Path(__file__).parent / "scripts"
OWN = {f"torchinductor_{getpass.getuser()}"}  # torch makes it as soon as an optimizer is built, without us, too
LIMIT = 400.0  # seconds; the slowest script took less than a tenth of it on two idle cores


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one run; `plain` is how long the script takes alone until the same optimizer step."""

    run: Run
    code: int
    seconds: float
    plain: float
    report: dict[str, Any]
    left: list[str] = field(default_factory=list)
    output: str = ""

    def found(self, severity: str) -> list[dict[str, Any]]:
        """The findings of one severity."""
        return [each for each in self.report.get("findings", []) if each["severity"] == severity]

    @property
    def unexplained(self) -> list[str]:
        """Names of the checks whose suspicion nobody explained."""
        return [each["check"] for each in self.found("suspicion") if not explanation(self.run, each["check"])]

    @property
    def bad(self) -> str:
        """What is wrong with it, or nothing."""
        if self.code != 0:
            return f"exit code {self.code}"
        return f"unexplained: {', '.join(self.unexplained)}" if self.unexplained else ""


def environment(folder: str) -> dict[str, str]:
    """One thread, no network, temporary files where they can be counted."""
    path = os.pathsep.join(filter(None, [str(HERE / "beside"), os.environ.get("PYTHONPATH", "")]))
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "WANDB_MODE": "offline", "MPLBACKEND": "agg"}
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": folder, **offline}


def command(run: Run, report: Path) -> list[str]:
    """The command line as a user would type it."""
    smokestep = ["-m", "smokestep", "run", "--format", "json", "--output", str(report)]
    script = [str(HERE / f"{run.script}.py"), *run.arguments.split()]
    if run.launcher == "torchrun":
        launcher = ["-m", "torch.distributed.run", "--nproc_per_node=1", "--master_port=29544"]
        return [sys.executable, *launcher, *smokestep, *script]
    return [sys.executable, *smokestep, *script]


def called(words: list[str], folder: str, temporary: str) -> tuple[int, float, str]:
    """Exit code, processor seconds and output of a command."""
    began = used()
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment(temporary), timeout=LIMIT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, used() - began, done.stdout
    except subprocess.TimeoutExpired as error:
        return -1, used() - began, str(error.stdout or "")


def used() -> float:
    """Processor seconds of all children so far: other work on the machine does not count."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def result(run: Run, *, compare: bool) -> Result:
    """Run one script under smokestep, and if asked alone until the step at which it was stopped."""
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.json"
        code, seconds, output = called(command(run, report), work, temporary)
        read = json.loads(report.read_text()) if report.exists() else {}
        left = sorted(each.name for each in Path(temporary).iterdir() if each != report and each.name not in OWN)
    plain = 0.0
    if compare and not run.launcher and code in (0, 1):
        with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as temporary:
            alone = [sys.executable, str(HERE / "beside" / "until.py"), str(read["steps"] or 3)]
            script = [str(HERE / f"{run.script}.py"), *run.arguments.split()]
            _, plain, _ = called([*alone, *script], work, temporary)
    return Result(run, code, seconds, plain, read, left, output)


def main() -> int:
    """Run the chosen scripts; the page is written only when all were run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; all without")
    parser.add_argument("--write", action="store_true", help="write docs/scripts.md")
    parser.add_argument("--plain", action="store_true", help="measure each script alone, too")
    parser.add_argument("--show", action="store_true", help="show what each script and smokestep printed")
    args = parser.parse_args()
    results = []
    for run in RUNS:
        if args.names and not any(each in run.name for each in args.names):
            continue
        got = result(run, compare=args.write or args.plain)
        results.append(got)
        print(f"{got.bad or 'ok':40}  {got.seconds:6.1f} s  plain {got.plain:5.1f} s  {run.name}", flush=True)
        for each in (*got.found("defect"), *got.found("suspicion")):
            print(f"    {each['severity']} {each['check']}: {each['message']}", flush=True)
        if got.left:
            print(f"    left behind in TMPDIR: {', '.join(got.left)}", flush=True)
        if args.show or got.code not in (0, 1):
            print(got.output[-4000:], flush=True)
    if args.write and not args.names:
        write(results)
    return 1 if any(each.bad for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
