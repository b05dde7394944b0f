"""Examines the zoo and the corpus of PyTorch with an accelerator as the default device: the verdicts must be the same.

`python -m tests.accelerator --device cuda --jobs N` (`make accelerator`, on a machine that has one). A training that
does not run there by itself (it names the CPU, or mixes the two) is counted, and nothing is concluded from it.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, TypeAlias

import torch
from tests.corpus.cases import CASES, expected
from tests.corpus.cases import load as load_case
from tests.zoo.registry import entries

import smokestep
from smokestep import privacy
from smokestep.checks import load

Job: TypeAlias = tuple[str, str]
Result: TypeAlias = tuple[str, str, str]
CHUNK = 40  # jobs of one process: a kernel that fails makes the device useless for all that follows in it


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


def judged(device: str, job: Job) -> Result:
    """One entry or one side of a case: its name, how it went, and what was otherwise."""
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


def alive(device: str) -> bool:
    """Whether the device still works for this process."""
    try:
        return torch.ones(1, device=device).item() == 1.0
    except RuntimeError:
        return False


def several(device: str, jobs: Sequence[Job]) -> tuple[list[Result], Sequence[Job]]:
    """The results of some jobs, one after the other in one process, and those left when one broke the device for it."""
    results = []
    for at, job in enumerate(jobs, start=1):
        try:
            results.append(judged(device, job))
        except Exception:
            results.append((job[1], "broke the device", f"{job[0]}: {traceback.format_exc(limit=-12)}"))
        if not alive(device):
            return results, jobs[at:]
    return results, ()


def main() -> int:
    """Examine all; 1 if any verdict is another one than on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    jobs = [("zoo", each.name) for each in entries()]
    jobs += [(side, case) for case in CASES for side in ("buggy", "fixed")]
    counts: Counter[str] = Counter()
    waiting: list[Sequence[Job]] = [jobs[at : at + CHUNK] for at in range(0, len(jobs), CHUNK)]
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        while waiting:
            futures = [pool.submit(several, arguments.device, each) for each in waiting]
            waiting = []
            for future in as_completed(futures):
                results, left = future.result()
                waiting += [left] if left else []
                for name, how, what in results:
                    counts[how] += 1
                    print(f"{name} {how} {what}" if what else "", end="\n" if what else "", flush=True)
    print(f"{len(jobs)} trainings on {arguments.device}: " + ", ".join(f"{n} {how}" for how, n in counts.items()))
    return int(counts["other"] + counts["broke the device"] > 0)


if __name__ == "__main__":
    sys.exit(main())
