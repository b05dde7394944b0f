"""Writes docs/scripts.md from what the runner measured."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from tests.ecosystem.scripts_table import RUNS, Result, explanation, measured

ROOT = Path(__file__).parents[2]
PACKAGES = "torch lightning transformers accelerate pytorch-ignite skorch stable-baselines3 gymnasium timm peft".split()
PACKAGES += ["segmentation-models-pytorch", "torch-geometric", "diffusers"]

INTRODUCTION = """# Real scripts

Training scripts of many makes, written as people write them: plain loops, trainers of several libraries, reinforcement
learning, generative models, mixed precision, accumulation, averaged weights, checkpoints. They are in
`tests/ecosystem/scripts`; each was run as `smokestep run SCRIPT ARGUMENTS`, unchanged, in an empty folder and without a
network. `make scripts` does it again and writes this page. An empty cell was not measured.

"""


def write() -> None:
    """Write the page."""
    (ROOT / "docs" / "scripts.md").write_text(INTRODUCTION + "\n".join(_lines(measured())) + "\n")


def _lines(results: Sequence[Result]) -> Iterator[str]:
    scripts = {run.name: run.script for run in RUNS}
    defects, suspicions = (sum(len(each.found(kind)) for each in results) for kind in ("defect", "suspicion"))
    ended = sum(each.code == 0 for each in results)
    made = len({scripts[each.name] for each in results})
    yield (
        f"{len(results)} runs of {made} scripts: {defects} defects, {suspicions} suspicions; "
        f"{ended} ended with exit code 0."
    )
    compared = [(each.seconds, each.plain) for each in results if each.plain]
    if compared:
        ratios, more = [a / b for a, b in compared], [a - b for a, b in compared]
        yield ""
        yield (
            f"Start-up included, a run took {median(ratios):.2f} × the processor time of the script alone until it had "
            f"stepped as often (median of {len(compared)}; {min(ratios):.2f} to {max(ratios):.2f} ×), "
            f"{median(more):.1f} s more."
        )
    yield ""
    yield f"smokestep {version('smokestep')}; {', '.join(filter(None, map(_version, PACKAGES)))}; one thread."
    yield ""
    yield "| script | what it is | defects | suspicions | could not tell | processor seconds | alone |"
    yield "|---|---|--:|---|---|--:|--:|"
    told = set()
    for each in results:
        what = "" if scripts[each.name] in told else _purpose(scripts[each.name])
        told.add(scripts[each.name])
        names = ", ".join(f"`{found['check']}`" for found in each.found("suspicion")) or "0"
        opened = "" if each.opened is None else ", ".join(f"`{name}`" for name in each.opened) or "0"
        alone = "" if each.plain is None else f"{each.plain:.1f}"
        yield (
            f"| `{each.name}` | {what} | {len(each.found('defect'))} | {names} | {opened} | "
            f"{each.seconds:.1f} | {alone} |"
        )
    yield ""
    yield from _explained(results)


def _explained(results: Sequence[Result]) -> Iterator[str]:
    yield "## The suspicions"
    yield ""
    rows = [(each, found) for each in results for found in each.found("suspicion")]
    if not rows:
        yield "None."
        return
    yield "| script | suspicion | what it said | what it is |"
    yield "|---|---|---|---|"
    for each, found in rows:
        said = " ".join(found["message"].split()).replace("|", "\\|")
        why = explanation(each.name, found["check"]) or "**not explained**"
        yield f"| `{each.name}` | `{found['check']}` | {said} | {why} |"


def _purpose(script: str) -> str:
    tree = ast.parse((Path(__file__).parent / "scripts" / f"{script}.py").read_text())
    return (ast.get_docstring(tree) or "").replace("\n", " ").rstrip(".")


def _version(package: str) -> str:
    try:
        return f"{package} {version(package).partition('+')[0]}"
    except PackageNotFoundError:
        return ""
