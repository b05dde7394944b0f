"""A plain training script of a few steps, to run with and without `smokestep run`."""

from __future__ import annotations

import argparse
import os

import torch

from bench.models import TRAININGS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("training")
    parser.add_argument("--steps", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    training = TRAININGS[args.training]()
    (step,) = training.steps.values()
    for _ in range(args.steps):
        step(training.batch)


if __name__ == "__main__":
    main()
