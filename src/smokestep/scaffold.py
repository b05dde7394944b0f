"""Writes the file of a new check: a small rule that works as it stands, to be replaced by one's own.

It overwrites nothing, and what it writes passes the tests that every check must pass.
"""

from __future__ import annotations

import keyword
from pathlib import Path

TREE = Path("src/smokestep/checks")  # in a checkout of smokestep itself; elsewhere the check is the user's own


def write(name: str, family: str | None, folder: Path) -> tuple[Path, str]:
    """Write the file of the check called `name` below `folder`; give its path and what to do next.

    Raises `ValueError` for a name or family that cannot be used, `FileExistsError` rather than overwrite.
    """
    from smokestep import __version__

    function = name.replace("-", "_")
    if not function.isidentifier() or function != function.lower() or keyword.iskeyword(function):
        raise ValueError(f"{name!r} cannot name a check; give lower-case words joined by '-', such as stale-gradients")
    tree = folder / TREE
    if tree.is_dir():
        families = sorted(each.parent.name for each in tree.glob("*/__init__.py"))
        if family not in families:
            raise ValueError(f"say to which family it belongs: --family {' | '.join(families)}; got {family!r}")
        file = tree / family / f"{function}.py"
        after = (
            f'1. add the line "{family}.{function}" to the sorted table in {TREE / "__init__.py"}\n'
            f"2. write your rule, its Bad and its Good into {file.relative_to(folder)}\n"
            f"3. pytest tests/checks -k {function}\n"
            "4. add a line to CHANGELOG.md"
        )
    elif family is not None:
        raise ValueError("--family is for smokestep's own checks; in your project the module's folder is the family")
    else:
        file = folder / f"{function}.py"
        after = (
            f"1. write your rule, its Bad and its Good into {file.name}\n"
            f'2. in pyproject.toml:   [tool.smokestep]\n                        plugins = ["{function}"]\n'
            f"3. smokestep explain {name}\n"
            "4. it runs with every examination; `examine(..., checks=[...])` takes it without configuration"
        )
    with open(file, "x", encoding="utf-8") as out:
        version = ".".join(__version__.split(".")[:2])
        template = Path(__file__).with_suffix(".txt").read_text("utf-8")
        out.write(template.replace("{since}", version).replace("{function}", function))
    return file, after
