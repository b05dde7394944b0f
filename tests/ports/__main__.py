"""Measures the ports and writes docs/ports.md: `python -m tests.ports`.

`--before` keeps the first run: it measures only the ports that `before.json` does not hold yet, and adds them to it.
What stands there is never overwritten.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .cases import PORTS
from .measure import SELECTIONS, Result, both
from .page import PAGE, page

BEFORE = Path(__file__).parent / "before.json"


def kept() -> dict[str, Any]:
    """The first run of each port, as it was written down."""
    return json.loads(BEFORE.read_text()) if BEFORE.is_file() else {}


def run(names: Sequence[str], jobs: int) -> dict[str, Any]:
    """What smokestep says of these ports, each in a fresh process or one of a few."""
    measured = {}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for name, values in zip(names, pool.map(both, names), strict=True):
            measured[name] = values
            print(name, *(_line(values[select]) for select in SELECTIONS), sep="  ", file=sys.stderr, flush=True)
    return measured


def _line(values: Mapping[str, Any]) -> str:
    result = Result.of(values)
    told = ", ".join(result.told) or "-"
    return f"[{told}{' LINE' if result.line else ''}; fixed: {', '.join(result.alarms) or 'silent'}{_error(result)}]"


def _error(result: Result) -> str:
    return f"; {result.error}" if result.error else ""


def results(measured: Mapping[str, Any]) -> dict[str, dict[str, Result]]:
    """The JSON values as results."""
    return {name: {select: Result.of(values[select]) for select in SELECTIONS} for name, values in measured.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; it fails only if a port could not be run, never for a fault that is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.ports", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these ports; the page is then left as it is")
    parser.add_argument("--before", action="store_true", help="write down the first run of ports that have none yet")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    args = parser.parse_args(arguments)
    names = args.names or list(PORTS)
    first = kept()
    if args.before:
        first |= run([name for name in names if name not in first], args.jobs)
        BEFORE.write_text(json.dumps(dict(sorted(first.items())), indent=1) + "\n")
        return 0
    now = run(names, args.jobs)
    if not args.names:
        PAGE.write_text(page(results(first), results(now)))
    return int(any(values[select]["error"] for values in now.values() for select in SELECTIONS))


if __name__ == "__main__":
    sys.exit(main())
