"""Writes docs/scripts.md from what the runner measured."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.ecosystem.scripts_table import explanation

if TYPE_CHECKING:
    from tests.ecosystem.scripts_run import Result

ROOT = Path(__file__).parents[2]
PACKAGES = "torch lightning transformers accelerate pytorch-ignite skorch stable-baselines3 gymnasium timm peft".split()
PACKAGES += ["segmentation-models-pytorch", "torch-geometric", "diffusers"]

INTRODUCTION = """# Real scripts

Training scripts of many makes, written as people write them: plain loops, trainers of several libraries, reinforcement
learning, generative models, mixed precision, accumulation, averaged weights, checkpoints. They are in
`tests/ecosystem/scripts`; each was run as `smokestep run SCRIPT ARGUMENTS`, unchanged, in an empty folder and without a
network. `make scripts` does it again and writes this page.

"""


def write(results: Sequence[Result]) -> None:
    """Write the page."""
    (ROOT / "docs" / "scripts.md").write_text(INTRODUCTION + "\n".join(_lines(results)) + "\n")


def _lines(results: Sequence[Result]) -> Iterator[str]:
    scripts = len({each.run.script for each in results})
    defects, suspicions = (sum(len(each.found(kind)) for each in results) for kind in ("defect", "suspicion"))
    yield f"{len(results)} runs of {scripts} scripts: {defects} defects, {suspicions} suspicions."
    times = [each.seconds / each.plain for each in results if each.plain]
    more = [each.seconds - each.plain for each in results if each.plain]
    yield (
        f"Start-up included, a run took {median(times):.2f} × the processor time of the script alone until every "
        f"optimizer had stepped as often (median; {min(times):.2f} to {max(times):.2f} ×): {median(more):.1f} s more "
        f"({min(more):.1f} to {max(more):.1f} s)."
    )
    yield ""
    yield f"smokestep {version('smokestep')}; {', '.join(filter(None, map(_version, PACKAGES)))}."
    yield ""
    yield "| script | what it is | steps | defects | suspicions | passed | could not tell | processor seconds | alone |"
    yield "|---|---|--:|--:|---|--:|--:|--:|--:|"
    told = set()
    for each in results:
        verdicts = [check["verdict"] for check in each.report["checks"].values()]
        names = ", ".join(f"`{found['check']}`" for found in each.found("suspicion")) or "0"
        what = "" if each.run.script in told else _purpose(each.run.script)
        told.add(each.run.script)
        alone = f"{each.plain:.1f}" if each.plain else ""
        yield (
            f"| `{each.run.name}` | {what} | {each.report['steps']} | {len(each.found('defect'))} | {names} | "
            f"{verdicts.count('pass')} | {verdicts.count('open')} | {each.seconds:.1f} | {alone} |"
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
        why = explanation(each.run, found["check"]) or "**not explained**"
        yield f"| `{each.run.name}` | `{found['check']}` | {said} | {why} |"


def _purpose(script: str) -> str:
    tree = ast.parse((Path(__file__).parent / "scripts" / f"{script}.py").read_text())
    return (ast.get_docstring(tree) or "").replace("\n", " ").rstrip(".")


def _version(package: str) -> str:
    try:
        return f"{package} {version(package).partition('+')[0]}"
    except PackageNotFoundError:
        return ""
