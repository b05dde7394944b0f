"""One thread for every process: the tests run side by side, and tiny models gain nothing from a second one."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
