"""Mutates the zoo's healthy trainings, examines the mutants, and writes what was found into docs/mutation.md.

`python -m tests.mutation --count N --seed S`; the same seed, zoo and versions give the same page.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from .mutants import Fate, Mutant, Row, bounded, drawn, fate, files, judged, sites
from .operators import OPERATORS
from .page import page

PAGE = Path(__file__).parents[2] / "docs" / "mutation.md"
TRIED = 6  # mutants tried for each one wanted: many do not run, or change nothing


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. A survivor is told on the page and fails nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=24, help="mutants that change behaviour, of each operator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", nargs="*", metavar="OPERATOR", help=", ".join(OPERATORS))
    parser.add_argument("--trainings", type=int, default=None, help="entries of the zoo to draw from, all by default")
    parser.add_argument("--entry", nargs="*", help="only these entries of the zoo")
    parser.add_argument("--write", action="store_true", help="also renew docs/mutation.md")
    parser.add_argument("--show", action="store_true", help="print every mutant with what was found")
    args = parser.parse_args(arguments)
    if unknown := set(args.only or ()) - set(OPERATORS):
        parser.error(f"no such operator: {', '.join(sorted(unknown))}; there are {', '.join(OPERATORS)}")
    fates: Counter[tuple[str, Fate]] = Counter()
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), bounded) as pool:
        places = sorted((file, name) for name, file in files().items() if not args.entry or name in args.entry)
        random.Random(args.seed).shuffle(places)
        places = sorted(places[: args.trainings])
        every = [mutant for own in pool.map(sites, places, chunksize=4) for mutant in own]
        queues = drawn([each for each in every if not args.only or each.operator in args.only], args.seed)
        tried = [mutant for own in queues.values() for mutant in own[: TRIED * args.count]]
        print(f"  {len(every)} mutants of {len(places)} trainings; {len(tried)} are tried", file=sys.stderr, flush=True)
        chosen: list[Mutant] = []
        for mutant, became in zip(tried, pool.map(fate, tried, chunksize=8), strict=True):
            if fates[mutant.operator, "changed"] < args.count:
                fates[mutant.operator, became] += 1
                chosen += [mutant] if became == "changed" else []
        rows: list[Row] = []
        for row in pool.map(judged, chosen, chunksize=2):
            rows.append(row)
            if args.show:
                print(shown(row), file=sys.stderr, flush=True)
            if len(rows) % 50 == 0:
                print(f"  {len(rows)} of {len(chosen)} examined", file=sys.stderr, flush=True)
    text = page(rows, fates, args.seed, args.count, len(places))
    print(text)
    if args.write:
        PAGE.write_text(text)
    return 0


def shown(row: Row) -> str:
    """One mutant and what was found in it."""
    told = [f"    {each.severity} {each.check} line {each.line}: {each.message}" for each in row.default]
    told += [f"    on request: {each.severity} {each.check} line {each.line}: {each.message}" for each in row.requested]
    word = "found, right line" if row.right else "found" if row.found else "SURVIVED"
    error = [f"    error: {row.error}"] if row.error else []
    return "\n".join([f"{row.mutant.operator}: {row.mutant.shown}: {word}", *told, *error])


if __name__ == "__main__":
    sys.exit(main())
