"""Runs `smokestep run` on every training script beside it, each in a folder of its own, and writes docs/scripts.md.

`python -m tests.ecosystem.scripts_run [NAME ...]` runs those whose command line holds a NAME, keeps what it measured
in results.json, and writes the page from it. It ends with 1 if a script has a defect, a suspicion that nobody
explained, or an ending that is not the watch's own. `make scripts` makes the environment for it.
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
from pathlib import Path

from tests.ecosystem.scripts_page import write
from tests.ecosystem.scripts_table import RUNS, Result, Run, keep

HERE = Path(__file__).parent / "scripts"
LIMIT = 900.0  # seconds; the slowest took 60 on an idle machine
OWN = {f"torchinductor_{getpass.getuser()}"}  # torch makes it as soon as an optimizer is built, without us, too


def environment(temporary: str) -> dict[str, str]:
    """One thread, no network, temporary files where they can be counted."""
    path = os.pathsep.join(filter(None, [str(HERE / "beside"), os.environ.get("PYTHONPATH", "")]))
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "MPLBACKEND": "agg"}
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": temporary, **offline}


def command(run: Run, report: Path) -> list[str]:
    """The command line as a user would type it."""
    smokestep = ["-m", "smokestep", "run", "--format", "json", "--output", str(report)]
    if run.launcher == "torchrun":
        smokestep[:0] = ["-m", "torch.distributed.run", "--nproc_per_node=1", "--master_port=29544"]
    return [sys.executable, *smokestep, *script(run)]


def script(run: Run) -> list[str]:
    """The script and its own arguments."""
    return [str(HERE / f"{run.script}.py"), *run.arguments.split()]


def used() -> float:
    """Processor seconds of all children so far: other work on the machine does not count."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def called(words: list[str], folder: str, temporary: str) -> tuple[int, float, str]:
    """Exit code, processor seconds and output of a command."""
    began = used()
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment(temporary),
            timeout=LIMIT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, used() - began, done.stdout
    except subprocess.TimeoutExpired as error:
        return -1, used() - began, str(error.stdout or "")


def watched(run: Run) -> tuple[Result, str]:
    """Run one script under smokestep; also what it printed."""
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.json"
        code, seconds, output = called(command(run, report), work, temporary)
        read = json.loads(report.read_text()) if report.exists() else {}
        left = sorted(each.name for each in Path(temporary).iterdir() if each != report and each.name not in OWN)
    findings = [{key: each[key] for key in ("severity", "check", "message")} for each in read.get("findings", [])]
    opened = [name for name, check in read.get("checks", {}).items() if check["verdict"] == "open"]
    return Result(run.name, code, round(seconds, 1), read.get("steps", 0), findings, opened, left), output


def alone(run: Run, steps: int) -> float:
    """Processor seconds of the script without smokestep, until every optimizer has taken so many steps."""
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as temporary:
        words = [sys.executable, str(HERE / "beside" / "until.py"), str(steps or 3), *script(run)]
        return round(called(words, work, temporary)[1], 1)


def main() -> int:
    """Run the chosen scripts, keep what was measured, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of command lines; all without")
    parser.add_argument("--plain", action="store_true", help="measure each script alone, too")
    parser.add_argument("--show", action="store_true", help="show what each script and smokestep printed")
    args = parser.parse_args()
    bad = False
    for run in RUNS:
        if args.names and not any(each in run.name for each in args.names):
            continue
        result, output = watched(run)
        result.plain = alone(run, result.steps) if args.plain and not run.launcher else None
        keep(result)
        bad = bad or bool(result.bad)
        print(f"{result.bad or 'ok':30} {result.seconds:6.1f} s  {run.name}", flush=True)
        for each in result.findings:
            print(f"    {each['severity']} {each['check']}: {each['message']}", flush=True)
        if result.left:
            print(f"    left behind among the temporary files: {', '.join(result.left)}", flush=True)
        if args.show or result.code not in (0, 1):
            print(output[-4000:], flush=True)
    write()
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
