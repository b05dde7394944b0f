"""Runs a script without smokestep until every optimizer that stepped has done so STEPS times: `until.py STEPS SCRIPT ARGS`."""

import os
import runpy
import sys
from collections import Counter

from torch.optim.optimizer import register_optimizer_step_post_hook

steps = int(sys.argv[1])
sys.argv = sys.argv[2:]
sys.path[0] = os.path.dirname(sys.argv[0])
taken = Counter()


def leave(optimizer, *_):
    taken[id(optimizer)] += 1
    if min(taken.values()) >= steps:
        sys.stdout.flush()
        os._exit(0)


register_optimizer_step_post_hook(leave)
runpy.run_path(sys.argv[0], run_name="__main__")
