"""The pytest plugin: three habits for a test that trains, and one file with every report of the session.

pytest loads this module in every run of everyone who has smokestep installed, so it imports nothing but pytest, and
puts hooks around tests only in a run that asks for them: the first test that needs smokestep imports it.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest

MARKER = (
    "smokestep(seed=0, seconds=None): seed every random generator, put global state back and fail on what the test "
    "left changed, report a test that took longer than its seconds."
)
T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options for a run, four settings for a tree."""
    group = parser.getgroup("smokestep", "smokestep: habits for tests that train")
    group.addoption(
        "--smokestep-seed", type=int, metavar="N", help="the seed of every marked test, above marker and configuration"
    )
    group.addoption(
        "--smokestep-report", metavar="PATH", help="write every report that verify or examine made to this JSON file"
    )
    parser.addini("smokestep_all", "treat every test as marked with @pytest.mark.smokestep", type="bool", default=False)
    parser.addini("smokestep_seed", "the seed of marked tests that name none (0)", default="0")
    parser.addini("smokestep_seconds", "the time budget of marked tests that name none (none)", default="inf")
    parser.addini("smokestep_strict", "a test over its time budget fails", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Results are gathered where they arrive: under xdist that is the controller, which runs no test."""
    config.addinivalue_line("markers", MARKER)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(config), "smokestep-results")


def pytest_collection_finish(session: pytest.Session) -> None:
    """A run without a marked test, and without a report file to write, gets no hooks around its tests."""
    config = session.config
    used = config.getini("smokestep_all") or config.getoption("smokestep_report")
    marked = [item for item in session.items if _checked(item)]
    if marked or used:
        config.pluginmanager.register(Habits(config), "smokestep-habits")


class Habits:
    """The hooks around a test."""

    def __init__(self, config: pytest.Config) -> None:
        self.every = bool(config.getini("smokestep_all"))
        self.strict = bool(config.getini("smokestep_strict"))
        self.collect = bool(config.getoption("smokestep_report"))
        self.forced: int | None = config.getoption("smokestep_seed")
        self.seed = _number(config, "smokestep_seed", int)
        self.seconds = _number(config, "smokestep_seconds", float)

    def wanted(self, item: pytest.Item) -> tuple[int, float] | None:
        """The seed and the seconds of a marked test; None for one that is not marked."""
        marker = item.get_closest_marker("smokestep")
        if marker is None:
            return (self.seed if self.forced is None else self.forced, self.seconds) if self.every else None
        seed, seconds = marker.kwargs.get("seed", self.seed), marker.kwargs.get("seconds", self.seconds)
        return seed if self.forced is None else self.forced, seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Reports are collected, and random generators put back, around set-up, call and tear-down together."""
        with ExitStack() as stack:
            if self.collect:
                from smokestep.ledger import collected

                item.stash[REPORTS] = stack.enter_context(collected())
            if self.wanted(item):
                from smokestep.privacy import guard

                stack.enter_context(guard(settings=False))
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Fixtures draw from a stream of their own: the first numbers of the test must not repeat theirs."""
        if wanted := self.wanted(item):
            from smokestep.privacy import seed_everything

            seed_everything(wanted[0] + 1)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """The test itself is seeded, guarded and timed; what a fixture set stays for as long as the fixture lives."""
        if not (wanted := self.wanted(item)):
            return (yield)
        from smokestep.privacy import guard, reset, seed_everything

        seed, budget = wanted
        started = time.perf_counter()
        try:
            with guard() as leaks:
                reset()
                seed_everything(seed)
                result = yield
        finally:
            taken = time.perf_counter() - started
            problems = [f"left changed (put back now): {', '.join(leaks.settings)}"] if leaks.settings else []
            if taken > budget:
                item.stash[OVERRUN] = f"took {taken:.2f} s; its budget is {budget:g} s"
                problems += [item.stash[OVERRUN]] if self.strict else []
            item.stash[PROBLEMS] = "; ".join(problems)
        if problems:
            pytest.fail(f"smokestep: {item.name} {item.stash[PROBLEMS]}", pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """A failure says which seed it ran under; the report carries what the controller is to gather."""
        report: pytest.TestReport = yield
        if report.failed and (wanted := self.wanted(item)):
            again = f"pytest {shlex.quote(item.nodeid)} --smokestep-seed={wanted[0]}"
            report.sections.append(("smokestep", f"seed {wanted[0]}; the same again: {again}"))
        problems = item.stash.get(PROBLEMS, "")
        if report.failed and problems and call.excinfo and problems not in str(call.excinfo.value):
            report.sections.append(("smokestep", f"the test also {problems}"))
        if call.when == "call" and OVERRUN in item.stash:
            vars(report)["smokestep_overrun"] = item.stash[OVERRUN]
        if made := item.stash.get(REPORTS, []):
            vars(report)["smokestep_reports"] = [each.to_dict() for each in made]
            made.clear()
        return report


class Results:
    """What the tests had to say, gathered in the process that prints."""

    def __init__(self, config: pytest.Config) -> None:
        given = config.getoption("smokestep_report")
        self.path = config.invocation_params.dir / given if given else None
        self.reports: list[dict[str, Any]] = []
        self.overruns: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Extra attributes of a report survive the way from a worker."""
        said = vars(report)
        if overrun := said.get("smokestep_overrun"):
            self.overruns.append(f"{report.nodeid} {overrun}")
        for made in said.get("smokestep_reports", ()):
            self.reports.append({"test": report.nodeid, "report": made})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Overruns are told also when everything passed."""
        if self.overruns:
            terminalreporter.section("smokestep: over their time budget")
            for each in sorted(self.overruns):
                terminalreporter.line(each)

    def pytest_sessionfinish(self) -> None:
        """Written also when tests failed, or were stopped."""
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            reports = sorted(self.reports, key=lambda each: str(each["test"]))
            self.path.write_text(json.dumps({"schema": 1, "reports": reports}, indent=2) + "\n", encoding="utf-8")


OVERRUN = pytest.StashKey[str]()
PROBLEMS = pytest.StashKey[str]()
REPORTS = pytest.StashKey["list[Any]"]()


def _number(config: pytest.Config, name: str, kind: Callable[[str], T]) -> T:
    given = str(config.getini(name))
    try:
        return kind(given)
    except ValueError:
        raise pytest.UsageError(f"{name} must be a number, got {given!r}") from None


def _checked(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("smokestep")
    if marker and (marker.args or not {"seed", "seconds"}.issuperset(marker.kwargs)):
        given = [*map(repr, marker.args), *(f"{key}={value!r}" for key, value in marker.kwargs.items())]
        raise pytest.UsageError(
            f"{item.nodeid}: @pytest.mark.smokestep({', '.join(given)}) takes the keywords seed=, seconds= and no other"
        )
    return marker is not None
