"""`[tool.smokestep]`, and allowances: what the user chose, checked against what exists.

An unknown key, check or option is an error that lists the known ones; nothing is silently ignored.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smokestep.check import Check
from smokestep.findings import Finding, Severity

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class ConfigError(ValueError):
    """A configuration that names something unknown or has a wrong type; the message lists what is known."""


class Allowance(ContextDecorator):
    """One permitted finding: a check, a pattern for the subject, and the reason. Made by `allow`.

    Handed over in `allow=[...]`, or as a context manager or decorator around the examination. One of a whole `project`
    stands in pyproject.toml.
    """

    def __init__(self, check: str, where: str, why: str, *, project: bool = False) -> None:
        self.check, self.where, self.why, self.project = check, where, why, project
        self._tokens: list[Token[tuple[Allowance, ...]]] = []

    def __repr__(self) -> str:
        return f"allow({self.check!r}, {self.where!r}, why={self.why!r})"

    def __enter__(self) -> Allowance:
        self._tokens.append(_AROUND.set((*_AROUND.get(), self)))
        return self

    def __exit__(self, *exception: object) -> None:
        _AROUND.reset(self._tokens.pop())

    def covers(self, finding: Finding) -> bool:
        """Whether it permits all that this finding is about: every subject, or the place if there are none."""
        names = finding.subjects or (finding.where.path or "",)
        return finding.check == self.check and all(map(self.matches, names))

    def matches(self, name: str) -> bool:
        """Whether its pattern fits this name."""
        return name == self.where or fnmatch.fnmatchcase(name, self.where)


_AROUND: ContextVar[tuple[Allowance, ...]] = ContextVar("smokestep_allowances", default=())


def allow(check: str, where: str = "*", *, why: str) -> Allowance:
    """Permit the findings of `check` on the subjects that match `where` (as in fnmatch: "conv1.*").

    The reason is required: `ValueError` if `why` is empty. An allowance that permits nothing is itself reported.
    """
    if not why.strip():
        raise ValueError(f'allow({check!r}, {where!r}) needs a reason: why="..." says why this is right here')
    return Allowance(check, where, why)


def around() -> tuple[Allowance, ...]:
    """The allowances entered as context managers or decorators, outermost first."""
    return _AROUND.get()


@dataclass(frozen=True, slots=True)
class Config:
    """The table `[tool.smokestep]` of one pyproject.toml, its types checked; `file` is where it was read."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    strict: bool = False
    seed: int = 0
    steps: int = 3
    plugins: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    allow: tuple[Allowance, ...] = ()
    file: str | None = None


def find(start: str | os.PathLike[str] | None = None) -> Config:
    """The configuration that holds at `start` (a file or folder; the working directory if None): the nearest
    pyproject.toml upwards that has a `[tool.smokestep]`, else the defaults."""
    here = Path(start or os.getcwd()).absolute()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and b"tool.smokestep" in file.read_bytes():
            return read(file)
    return Config()


def read(file: str | os.PathLike[str]) -> Config:
    """The configuration in one pyproject.toml. Raises `ConfigError`, naming the file and the key."""
    try:
        table = tomllib.loads(Path(file).read_text("utf-8")).get("tool", {}).get("smokestep", {})
        return _config(table, str(file))
    except (tomllib.TOMLDecodeError, ConfigError, ValueError) as error:
        raise ConfigError(f"{file}, [tool.smokestep]: {error}") from None


def _config(table: Mapping[str, Any], file: str) -> Config:
    default = Config()
    values: dict[str, Any] = {}
    for key, value in table.items():
        known(key, [name for name in Config.__slots__ if name != "file"], "key")
        if key == "allow":
            values[key] = tuple(_allowance(each) for each in _typed(key, value, [{}]))
        elif key == "options":
            tables = _typed(key, value, {})
            values[key] = {check: dict(_typed(f"options.{check}", each, {})) for check, each in tables.items()}
        elif isinstance(getattr(default, key), tuple):
            values[key] = tuple(_typed(key, value, [""]))
        else:
            values[key] = _typed(key, value, getattr(default, key))
    return Config(**values, file=file)


def _allowance(table: Mapping[str, Any]) -> Allowance:
    for key in table:
        known(key, ["check", "where", "why"], "key in [[tool.smokestep.allow]]")
    if "check" not in table:
        raise ConfigError('an [[tool.smokestep.allow]] needs check = "..." (and where, and why)')
    given = allow(table["check"], table.get("where", "*"), why=table.get("why", ""))
    return Allowance(given.check, given.where, given.why, project=True)


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


def _typed(key: str, value: Any, like: Any) -> Any:
    """`value` if it has the type of `like`, in a list that of its first element; a whole number is a number too."""
    wanted = list if isinstance(like, (list, tuple)) else type(like)
    allowed = {float: (int, float), list: (list, tuple)}.get(wanted, (wanted,))
    fits = like is None or (isinstance(value, allowed) and (wanted is bool) == isinstance(value, bool))
    items = type(like[0]) if wanted is list and like else object
    if not fits or (wanted is list and not all(isinstance(each, items) for each in value)):
        of = f" of {items.__name__}" if items is not object else ""
        raise ConfigError(f"{key} must be {_WORDS.get(wanted, wanted.__name__)}{of}, got {value!r}")
    return value


def known(word: str, words: Iterable[str], kind: str) -> None:
    """Raise `ConfigError` if `word` is not one of `words`, with the nearest and all known ones."""
    words = list(words)
    if word in words:
        return
    near = difflib.get_close_matches(word, words, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    raise ConfigError(f"unknown {kind} {word!r}{meant} Known: {', '.join(words)}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one examination is to do: configuration and keywords joined, every name known to exist."""

    checks: tuple[Check, ...]
    left_out: tuple[str, ...]
    on_request: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    allow: tuple[Allowance, ...]
    strict: bool
    seed: int
    steps: int

    def permitting(self, allow: Sequence[Allowance]) -> Settings:
        """These settings and more allowances. Raises `ConfigError` if one names no check."""
        names = [*(each.name for each in self.checks), *self.left_out, *self.on_request]
        for each in allow:
            known(each.check, names, "check in an allowance")
        return replace(self, allow=tuple(dict.fromkeys((*self.allow, *allow))))


def settle(
    config: Config,
    *,
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    allow: Sequence[Allowance] = (),
    strict: bool | None = None,
    seed: int | None = None,
    steps: int | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    checks: Sequence[Check] = (),
) -> Settings:
    """Join a configuration with an examination's keywords, which win; `ignore` adds up. Raises `ConfigError`.

    `select` and `ignore` take names of checks, of families, and "defect" or "suspicion"; `select` also "all", and
    "default": all but those that run on request. `checks` are added to the built-in ones and to those of the plugins.
    """
    every = {each.name: each for each in (*_builtin(), *_plugins(config.plugins), *checks)}
    selected = _chosen(every, _words(select) or config.select or ("default",))
    ignored = _chosen(every, (*config.ignore, *_words(ignore)))
    merged: dict[str, dict[str, Any]] = {}
    for table in (config.options, options or {}):
        for name, given in table.items():
            known(name, every, "check")
            for option, value in given.items():
                known(option, every[name].options, f"option of {name}")
                _typed(f"options.{name}.{option}", value, every[name].options[option])
            merged.setdefault(name, {}).update(given)
    steps = config.steps if steps is None else steps
    if steps < 1:
        raise ConfigError(f"steps must be at least 1 (3 shows what one cannot), got {steps}")
    settings = Settings(
        checks=tuple(each for name, each in every.items() if name in selected and name not in ignored),
        left_out=tuple(n for n, each in every.items() if n in ignored or n not in selected and not each.on_request),
        on_request=tuple(n for n, each in every.items() if each.on_request and n not in selected and n not in ignored),
        options=merged,
        allow=(),
        strict=config.strict if strict is None else strict,
        seed=config.seed if seed is None else seed,
        steps=steps,
    )
    return settings.permitting((*config.allow, *around(), *allow))


def _words(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _chosen(every: Mapping[str, Check], words: Sequence[str]) -> set[str]:
    families = dict.fromkeys(each.family for each in every.values())
    for word in words:
        known(word, [*every, *families, *(each.value for each in Severity), "default", "all"], "check or family")
    return {name for name, each in every.items() if not _answers(each).isdisjoint(words)}


def _answers(check: Check) -> set[str]:
    """The words that select a check: "defect" does not ask for what takes long."""
    quick = () if check.on_request else ("default", check.severity.value)
    return {check.name, check.family, "all", *quick}


def _builtin() -> tuple[Check, ...]:
    from smokestep.checks import load

    return load()


def _plugins(modules: Sequence[str]) -> tuple[Check, ...]:
    found: list[Check] = []
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(f"plugins: {name!r} cannot be imported: {error}") from error
        checks = [each for each in vars(module).values() if isinstance(each, Check)]
        if not checks:
            raise ConfigError(f"plugins: no check found in {name!r}; decorate a function there with @smokestep.check")
        found += checks
    return tuple(found)
