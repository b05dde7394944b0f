"""The page of one check, as Markdown: its docstring, with what the code itself knows put around it."""

from __future__ import annotations

import inspect
import re

from smokestep.check import Check


def page(check: Check) -> str:
    """Title, severity, the check's own page, its options with defaults and sources, and how to allow it."""
    facts = [f"**{check.severity.value}**", check.family, f"since {check.since}"]
    if check.on_request:
        facts.append("runs on request")
    if check.explains:
        facts.append(f"tells under itself: {', '.join(f'`{name}`' for name in check.explains)}")
    parts = [f"# {check.name}", " · ".join(facts), check.page.strip()]
    if check.options:
        parts.append(_options(check))
    parts.append(
        "## How to allow it\n\n```python\n"
        f'smokestep.allow("{check.name}", "encoder.*", why="the reason, for whoever reads this next")\n```\n\n'
        "Hand it over in `allow=[...]`, or put it around the examination with `with`; or in `pyproject.toml`:\n\n"
        f'```toml\n[[tool.smokestep.allow]]\ncheck = "{check.name}"\nwhere = "encoder.*"\nwhy = "the reason"\n```'
    )
    return "\n\n".join(parts) + "\n"


def _options(check: Check) -> str:
    comments = _comments(check)
    rows = [f"| `{name}` | `{default!r}` | {comments.get(name, '')} |" for name, default in check.options.items()]
    return "\n".join(
        [
            "## Options",
            "",
            f"Set in `[tool.smokestep.options.{check.name}]` of `pyproject.toml`, or with `options=`.",
            "",
            "| option | default | why this value |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def _comments(check: Check) -> dict[str, str]:
    """The comment on each option: beside it in the check's source, above it, or above the check and naming it."""
    try:
        source = inspect.getsource(check.judge)
    except (OSError, TypeError):
        return {}
    lines = (inspect.getcomments(check.judge) or "").splitlines()
    whole = " ".join(line.strip("# ") for line in lines)
    found = {name: whole.removeprefix(f"`{name}`: ") for name in check.options if f"`{name}`" in whole}
    above: list[str] = []
    for line in source.splitlines():
        code, _, comment = line.partition("#")
        words = [comment.strip()] if comment.strip() else []
        if not code.strip():
            above += words
            continue
        for name in check.options:
            if (above or words) and name not in found and re.search(rf"\b{name}\s*:[^:]+=", code):
                found[name] = " ".join([*above, *words])
        above = []
    return found
