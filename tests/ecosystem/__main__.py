"""Examines every model in worker processes, each under a time limit, and writes what came out into docs/ecosystem.md.

`python -m tests.ecosystem --only 'transformers/*'` renews the rows of those models alone; the others stay as they were.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import sys
import threading
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from .examined import Row
from .models import LIBRARIES, names
from .page import FIGURES, PAGE, explanations, figures, page, unexplained
from .sample import SAMPLE
from .worker import Worker

RESULTS = Path(__file__).parents[2] / ".ecosystem" / "results.jsonl"


def sweep(wanted: Sequence[str], jobs: int, limit: float) -> None:
    """Examine the models, and add each row to the results as it comes."""
    RESULTS.parent.mkdir(exist_ok=True)
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in wanted:
        tasks.put(name)
    writing, done = threading.Lock(), [0]

    def work() -> None:
        worker = Worker(limit)
        while True:
            try:
                name = tasks.get_nowait()
            except queue.Empty:
                return worker.stop()
            row = worker.row(name)
            with writing, RESULTS.open("a") as file:
                file.write(json.dumps(row.to_dict()) + "\n")
                done[0] += 1
                print(f"{done[0]:4d}/{len(wanted)} {told(row)}", flush=True)

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def told(row: Row) -> str:
    """A row in a line, for whoever watches."""
    found = ", ".join(f"{each.severity} {each.check}" for each in row.alarms)
    return f"{row.name}: {row.outcome} {row.why[:110]}{found} ({row.plain:.1f} s, {row.whole:.1f} s)"


def results() -> list[Row]:
    """The newest row of each model."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    newest = {row.name: row for row in map(Row.from_dict, map(json.loads, lines))}
    return [newest[name] for name in sorted(newest)]


def chosen(libraries: Sequence[str], only: Sequence[str], sample: bool, again: Iterable[str]) -> list[str]:
    """The names that the command line asks for."""
    if only and not any(set(each) & set("*?[") for each in only):
        every = tuple(only)  # importing every library to list its models takes longer than one model
    else:
        every = SAMPLE if sample else tuple(names(tuple(libraries) or LIBRARIES))
    stale = set(again)
    wanted = [each for each in every if each not in stale and (not only or any(fnmatch(each, one) for one in only))]
    return list(dict.fromkeys(wanted))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 for a defect that explained.toml does not explain."""
    parser = argparse.ArgumentParser(prog="python -m tests.ecosystem", description=__doc__)
    parser.add_argument("--library", nargs="*", default=[], choices=LIBRARIES, help="only these libraries")
    parser.add_argument("--only", nargs="*", default=[], metavar="PATTERN", help="only these models")
    parser.add_argument("--alarmed", action="store_true", help="only the models that raised an alarm the last time")
    parser.add_argument("--missing", action="store_true", help="only the models that have no row yet")
    parser.add_argument("--sample", action="store_true", help="only the fixed sample")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--limit", type=float, default=60, help="seconds of processor time that one model may take")
    parser.add_argument("--list", action="store_true", help="print the names, examine nothing")
    parser.add_argument("--write", action="store_true", help="renew docs/ecosystem.md from all rows")
    args = parser.parse_args(arguments)
    if not (args.library or args.only or args.sample or args.missing or args.alarmed or args.list):
        RESULTS.unlink(missing_ok=True)  # a whole sweep begins anew; --missing goes on with an unfinished one
    before = results()
    done = [row.name for row in before if args.missing or (args.alarmed and not row.alarms)]
    wanted = chosen(args.library, args.only, args.sample, done)
    if args.list:
        print(*wanted, sep="\n")
        return 0
    random.Random(0).shuffle(wanted)  # an unfinished sweep has then seen something of everything
    sweep(wanted, args.jobs, args.limit)
    rows = results()
    if args.write:
        PAGE.write_text(page(rows, explanations()))
        FIGURES.write_text(json.dumps(figures(rows), indent=1) + "\n")
    return int(any(unexplained(row, explanations()) for row in rows if row.name in set(wanted)))


if __name__ == "__main__":
    sys.exit(main())
