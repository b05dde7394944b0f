"""Examines the zoo and the corpus of PyTorch with an accelerator as the default device: the verdicts must be the same.

`python -m tests.accelerator --device cuda --jobs N` (`make accelerator`, on a machine that has one). A training that
does not run there by itself (it names the CPU, or mixes the two) is counted, and nothing is concluded from it.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch
from tests.corpus.cases import CASES, expected
from tests.corpus.cases import load as load_case
from tests.zoo.registry import entries

import smokestep
from smokestep import privacy
from smokestep.checks import load


def runs(build: Callable[[], Any]) -> bool:
    """Whether a training makes one step there by itself, and has a parameter or a batch on the device."""
    with privacy.guard():
        privacy.seed_everything(0)
        try:
            training = build()
            for step in training.steps.values():
                step(*training.arguments(step))
        except Exception:
            return False
    return True


def judged(device: str, job: tuple[str, str]) -> tuple[str, str, str]:
    """One entry or one side of a case: its name, how it went ("as on the CPU", "not run there", "other"), and what."""
    kind, name = job
    torch.set_default_device(device)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if kind == "zoo":
        entry = next(each for each in entries() if each.name == name)
        build, wanted = entry.build, sorted(entry.suspicions)
        choices: dict[str, Any] = {"steps": entry.steps}
    else:
        build = getattr(load_case(name), kind)
        marks = sorted(check for check, _ in expected(CASES[name]))
        wanted = marks if kind == "buggy" else []
        requested = {each.name for each in load() if each.on_request}
        choices = {"select": ["default", *sorted({*marks} & requested)]}
    if not runs(build):
        return name, "not run there", ""
    report = smokestep.examine(build, **choices)
    found = sorted(each.check for each in report.findings)
    if report.error is None and found == wanted:
        return name, "as on the CPU", ""
    said = "; ".join(f"{each.severity} {each.check}: {each.message[:120]}" for each in report.findings)
    return name, "other", f"{kind}: wanted {wanted}, found {found}, error {report.error}\n    {said}"


def main() -> int:
    """Examine all; 1 if any verdict is another one than on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    jobs = [("zoo", each.name) for each in entries()]
    jobs += [(side, case) for case in CASES for side in ("buggy", "fixed")]
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for name, how, what in pool.map(partial(judged, arguments.device), jobs, chunksize=8):
            counts[how] += 1
            if how == "other":
                print(f"{name} {what}", flush=True)
    print(f"{len(jobs)} trainings on {arguments.device}: " + ", ".join(f"{n} {how}" for how, n in counts.items()))
    return int(counts["other"] > 0)


if __name__ == "__main__":
    sys.exit(main())
