"""One measurement in a process of its own: `python -m bench.measure WHAT TRAINING REPEATS` prints one line of JSON.

Times of what is compared are taken in turn in the same process, so that both sides see the same machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

import smokestep
from bench.models import TRAININGS
from smokestep import checks
from smokestep.backends import torch as backend

STEPS = 3


def plain(training: smokestep.Training, steps: int = STEPS) -> None:
    """The training's own steps, and nothing else."""
    for _ in range(steps):
        for step in training.steps.values():
            step(training.batch)


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def recorded(build: Callable[[], smokestep.Training]) -> tuple[float, float]:
    """Wall and processor seconds of the steps alone, recorded."""
    with backend.open_world(build, seed=0, steps=STEPS) as world:
        processor = time.process_time()
        recording = world.recording()
        return recording.seconds, time.process_time() - processor


def costs(name: str, repeats: int) -> dict[str, Any]:
    """Medians over interleaved repetitions: plain steps, the same recorded, and the whole examination."""
    build = TRAININGS[name]
    training = build()
    parameters = sum(p.numel() for model in training.model.values() for p in model.parameters())
    examined = smokestep.examine(build)
    if examined.findings or examined.steps != STEPS:
        raise SystemExit(f"{name}: expected a clean examination of {STEPS} steps, got {examined}")
    sides = ("plain", "recorded", "examined")
    wall: dict[str, list[float]] = {side: [] for side in sides}
    processor: dict[str, list[float]] = {side: [] for side in sides}
    built = []
    plain(training)
    for _ in range(repeats):
        started = time.perf_counter()
        training = build()
        built.append(time.perf_counter() - started)
        plain(training, 1)
        taken = (
            timed(lambda training=training: plain(training)),
            recorded(build),
            timed(lambda: smokestep.examine(build)),
        )
        for side, (seconds, busy) in zip(sides, taken, strict=True):
            wall[side].append(seconds)
            processor[side].append(busy)
    result: dict[str, Any] = {"training": name, "parameters": parameters, "steps": STEPS, "repeats": repeats}
    result |= {"threads": torch.get_num_threads(), "built": median(built), "plain": median(wall["plain"])}
    for side in sides[1:]:
        result[f"{side} ratio"] = _ratio(wall[side], wall["plain"])
        result[f"{side} processor ratio"] = _ratio(processor[side], processor["plain"])
    return result


def _ratio(one: list[float], other: list[float]) -> float:
    return median(a / b for a, b in zip(one, other, strict=True))


def fixed(name: str, repeats: int) -> dict[str, Any]:
    """The first examination of a tiny training in a fresh process, its imports made before, less its plain steps."""
    started = time.perf_counter()
    checks.load()
    imported = time.perf_counter() - started
    build = TRAININGS[name]
    plain(build())
    first, _ = timed(lambda: smokestep.examine(build))
    steps, _ = timed(lambda: plain(build()))
    later = [timed(lambda: smokestep.examine(build))[0] for _ in range(repeats)]
    return {"imported": imported, "first": first - steps, "later": median(later) - steps}


def alone(what: str, name: str) -> dict[str, Any]:
    """One run for its peak memory, which the parent reads."""
    if what == "plain":
        plain(TRAININGS[name]())
    elif what == "examined":
        smokestep.examine(TRAININGS[name])
    elif what == "in place":
        smokestep.examine(TRAININGS[name]())
    return {}


def main(what: str, name: str, repeats: int) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    if what == "costs":
        result = costs(name, repeats)
    elif what == "fixed":
        result = fixed(name, repeats)
    else:
        result = alone(what, name)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
