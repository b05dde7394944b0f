"""`@check`: turns a plain function into a check; its signature says what it needs and which options it has.

Positional parameters are the evidence it reads, by annotated type; keyword-only parameters are its options, with
their defaults. A check reads evidence and yields findings, and nothing else: no framework, no files, no clock.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from smokestep.findings import Finding, NotApplicable, Open, Severity

Said: TypeAlias = Finding | Open | NotApplicable
Judge: TypeAlias = Callable[..., Iterable[Said]]


class CheckError(TypeError):
    """A check whose signature or page does not have the required form; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it needs, what can be configured, and the page that explains it.

    `explains` names checks whose findings on the same subjects are consequences of this one's: the report tells
    them under it. `partial`: it judges single calls, so it also judges a step that raised midway; the others are then
    shown the complete steps only. `on_request`: it takes longer than the rest, and runs only when it is selected by its
    name or its family, or by "all".
    """

    name: str
    family: str
    severity: Severity
    since: str
    needs: tuple[type[Any], ...]
    options: Mapping[str, Any]
    explains: tuple[str, ...]
    partial: bool
    on_request: bool
    page: str
    judge: Judge

    @property
    def summary(self) -> str:
        """The first sentence of its page."""
        return self.page.strip().split("\n\n")[0].replace("\n", " ")


def check(
    *,
    severity: Literal["defect", "suspicion"],
    since: str,
    explains: tuple[str, ...] = (),
    partial: bool = False,
    on_request: bool = False,
) -> Callable[[Judge], Check]:
    """Make a check of a generator function; its module's docstring is its page, its module's folder its family.

    Raises `CheckError` if a positional parameter has no evidence type or an option has no default.
    """

    def wrap(judge: Judge) -> Check:
        hints = typing.get_type_hints(judge)
        needs: list[type[Any]] = []
        options: dict[str, Any] = {}
        for parameter in inspect.signature(judge).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                if parameter.default is parameter.empty:
                    raise CheckError(f"{judge.__name__}: give the option {parameter.name!r} a default")
                options[parameter.name] = parameter.default
            elif parameter.name in hints and isinstance(hints[parameter.name], type):
                needs.append(hints[parameter.name])
            else:
                raise CheckError(f"{judge.__name__}: annotate {parameter.name!r} with the evidence it needs")
        module = judge.__module__
        return Check(
            name=judge.__name__.replace("_", "-"),
            family=module.split(".")[-2] if "." in module else "custom",
            severity=Severity(severity),
            since=since,
            needs=tuple(needs),
            options=options,
            explains=explains,
            partial=partial,
            on_request=on_request,
            page=inspect.cleandoc(sys.modules[module].__doc__ or judge.__doc__ or ""),
            judge=judge,
        )

    return wrap
