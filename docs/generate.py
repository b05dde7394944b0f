"""Makes the pages that are read off the code: one a check, the index of checks, the public names, the report's schema.

A hook of mkdocs; nothing is written beside the sources. A check's page ends with what its own `Bad` example really
prints, run while the site is built.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import smokestep
from smokestep import explain
from smokestep.check import Check
from smokestep.checks import load
from smokestep.testing import examples, run_example

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import other_frameworks as frameworks  # noqa: E402


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the checks into the navigation, a folder a family."""
    families: list[Any] = ["checks/index.md"]
    for family, checks in groupby(load(), key=lambda each: each.family):
        families.append({family: [f"checks/{check.name}.md" for check in checks]})
    for entry in config.nav or []:
        if "Checks" in entry:
            entry["Checks"] = families
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    pages = {f"checks/{check.name}.md": check_page(check) for check in load()}
    pages["checks/index.md"] = check_index()
    pages["reference/api.md"] = api_page()
    pages["reference/frameworks.md"] = frameworks.table()
    pages["reference/report.md"] = report_page(json.loads((ROOT / "docs/report-schema.json").read_text()))
    pages["changelog.md"] = (ROOT / "CHANGELOG.md").read_text()
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def check_page(check: Check) -> str:
    """What `smokestep explain` shows, then what was measured of it, then the report that the `Bad` example gives."""
    printout = f"## What the bad example prints\n\n```text\n{printed(check)}\n```\n"
    return "\n".join([explain.page(check), *frameworks.on_page(check), *measured(check), printout])


def measured(check: Check) -> Iterator[str]:
    """The figures of one check, from the files that `make detection` and `make ecosystem` write."""
    counted = json.loads((ROOT / "docs/figures.json").read_text())
    found = counted["checks"].get(check.name)
    if found is None:
        return
    text = (
        f"## Measured\n\nTold {found['told']} of {found['pairs']} wrong programs, with the right line in "
        f"{found['placed']}; {found['twins_silent']} of {found['pairs']} repaired twins are silent."
    )
    if "judged" in found:
        declared = f", and {found['declared']} where its suspicion is true or tolerable" if found["declared"] else ""
        text += (
            f" Came to a judgement on {found['judged']} of {counted['healthy']} healthy trainings: {found['false']} "
            f"false findings{declared}."
        )
        others = json.loads((ROOT / "docs/ecosystem.json").read_text())
        spoke, silent = (others[key].get(check.name, 0) for key in ("spoke", "passed"))
        told = f"spoke on {spoke}, each [explained](../ecosystem.md)" if spoke else "spoke on none"
        text += f" Of {others['models']} models of other people's libraries it passed {silent} and {told}."
    yield f"{text} ([Detection](../detection.md))\n"


def printed(check: Check) -> str:
    """The report of the `Bad` example, without the temporary folder it ran in."""
    with contextlib.redirect_stdout(None):
        report = str(run_example(examples(check)["Bad"], check.name.replace("-", "_")))
    return re.sub(r"\S*smokestep-example-\w+" + re.escape(os.sep), "", report)


def check_index() -> str:
    """All checks in one table a family."""
    text = (
        "# Checks\n\nA **defect** is certain from what was measured, and fails the test. "
        "A **suspicion** is a heuristic: it is shown, and fails only under `strict`.\n"
    )
    for family, checks in groupby(load(), key=lambda each: each.family):
        listed = ((f"[`{c.name}`]({c.name}.md)", f"{c.severity.value}", c.summary) for c in checks)
        text += f"\n## {family}\n\n" + rows("check", "severity", "", listed)
    return text


def api_page() -> str:
    """The public names with their signatures and docstrings."""
    text = "# Public names\n\n`import smokestep` gives these and no other.\n"
    for name in sorted(smokestep.__all__, key=str.lower):
        value = getattr(smokestep, name)
        text += f"\n## {name}\n\n"
        if not (inspect.isclass(value) and issubclass(value, BaseException)):
            text += f"```python\n{name}{signature(value)}\n```\n\n"
        text += f"{inspect.getdoc(value)}\n"
    return text


def signature(value: Any) -> str:
    """The signature, one parameter a line when it is long."""
    written = inspect.signature(value)
    words: list[str] = []
    for parameter in written.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        typed = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = "..." if "object object" in repr(parameter.default) else repr(parameter.default)
        given = "" if parameter.default is parameter.empty else f" = {default}"
        words.append(f"{prefix}{parameter.name}{typed}{given}")
    gives = "" if written.return_annotation in (written.empty, None, "None") else f" -> {written.return_annotation}"
    short = f"({', '.join(words)}){gives}"
    return short if len(short) <= 80 else "(\n" + "".join(f"    {word},\n" for word in words) + f"){gives}"


def report_page(schema: Mapping[str, Any]) -> str:
    """The JSON of a report, key by key, from its schema."""
    text = (
        f"# The report as JSON\n\n{schema.get('description', '')}\n\n"
        "`Report.to_json()`, `--format json` and `--smokestep-report` write it; `Report.from_json()` reads it back. "
        f"The schema is `docs/report-schema.json` in the repository.\n\n## Report\n\n{keys(schema)}"
    )
    for name, each in schema.get("$defs", {}).items():
        text += f"\n## {name}\n\n{each.get('description', '')}\n\n" + (keys(each) if "properties" in each else "")
    return text


def keys(schema: Mapping[str, Any]) -> str:
    """One table row a key, and a row for each key of an object that has no name of its own."""
    return rows("key", "type", "", listed(schema, ""))


def listed(schema: Mapping[str, Any], inside: str) -> Iterator[tuple[str, str, str]]:
    """The rows of a schema's keys, those of nested objects after their own."""
    for name, each in schema["properties"].items():
        yield f"`{inside}{name}`", kind(each), each.get("description", "")
        nested = [each, each.get("items"), each.get("additionalProperties"), *each.get("anyOf", ())]
        for within, part in zip((".", "[].", ".*.", *["."] * len(nested)), nested, strict=False):
            if isinstance(part, dict) and "properties" in part:
                yield from listed(part, f"{inside}{name}{within}")


def rows(*heads_and_rows: Any) -> str:
    """A table: the headings, then an iterable of rows."""
    *heads, each = heads_and_rows
    lines = [heads, ["---"] * len(heads), *each]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def kind(schema: Mapping[str, Any]) -> str:
    """The type of one value in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(kind(each) for each in schema[word])
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}" if isinstance(schema.get("items"), dict) else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind(schema['additionalProperties'])}"
    given = schema.get("type", "any")
    return " or ".join(given) if isinstance(given, list) else str(given)
