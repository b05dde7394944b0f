"""The command line: run, check, list, explain, new.

Exit codes: 0 nothing wrong, 1 defects (or suspicions under --strict), 2 wrong usage or configuration, 3 the script
failed, or nothing could be judged because it never took a training step, 4 smokestep itself failed, 130 interrupted.
"""

from __future__ import annotations

import difflib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import click

from smokestep import __version__, config, engine, explain, factories, facts, launch, scaffold
from smokestep.check import Check
from smokestep.config import ConfigError, Settings
from smokestep.findings import Severity, Verdict
from smokestep.privacy import BACKENDS
from smokestep.report import Outcome, Report, Subject
from smokestep.world import Live

CLEAN, DEFECTS, USAGE, FAILED, BROKEN, INTERRUPTED = 0, 1, 2, 3, 4, 130
LINGER = 5.0  # seconds that a script's exit handlers and threads get after the report
Format: TypeAlias = Literal["text", "json"]
Command = TypeVar("Command", bound=Callable[..., Any])


def main() -> None:
    """The entry point: leaves with the exit code even if the script left threads behind that never end."""
    try:
        code = cli.main(standalone_mode=False) or CLEAN
    except click.ClickException as error:
        error.show()
        code = USAGE
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:  # `smokestep list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = CLEAN
    except Exception as error:  # not the script's: those are told in the report
        sys.excepthook(type(error), error, error.__traceback__)
        code = BROKEN
    end = threading.Timer(LINGER, launch.leave, [code])
    end.daemon = True
    end.start()
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="smokestep")
def cli() -> None:
    """Smoke-test the first steps of a neural network's training: what is silently wrong, and on which line.

    \b
    smokestep run train.py --lr 3e-4      watch the first steps of your script, unchanged
    smokestep check tests/trainings.py    examine the functions there that build a smokestep.Training
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no ← or · still gets its report


def _choices(command: Command) -> Command:
    """The options that every examining command has."""
    for option in reversed(
        (
            click.option(
                "--select",
                multiple=True,
                metavar="NAME",
                help="Only these checks, families, severities; or all.",
            ),
            click.option("--ignore", multiple=True, metavar="NAME", help="Not these checks, families or severities."),
            click.option("--strict", is_flag=True, default=None, help="Suspicions count as defects."),
            click.option("--steps", type=click.IntRange(1), help="How many steps to watch (default 3)."),
            click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True),
            click.option("--output", type=click.Path(dir_okay=False), help="Write the report to this file."),
        )
    ):
        command = option(command)
    return command


@cli.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})
@click.option("-m", "as_module", is_flag=True, help="SCRIPT is the name of a module, as in `python -m`.")
@click.option("--quiet", is_flag=True, help="Hide what the script and its child processes print.")
@click.option("--seed", type=int, help="Seed all random generators before the script starts (default: leave them be).")
@_choices
@click.argument("target", metavar="SCRIPT")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def run(
    target: str,
    arguments: tuple[str, ...],
    as_module: bool,
    quiet: bool,
    seed: int | None,
    format_: Format,
    output: str | None,
    **choices: Any,
) -> None:
    """Watch the first steps of a training script, and report.

    The script is run unchanged and, once every optimizer has taken --steps steps, it is stopped.

    Give smokestep's options before SCRIPT; everything after it goes to the script. SCRIPT may be a file, a folder or
    zip file with a __main__.py, or with -m a module. The script's output is shown as ever, followed by the report;
    with --format json the script's standard output goes to standard error, so that standard output is the report and
    nothing else. Nothing is written to your folder.

    Exit codes: 0 nothing wrong, 1 defects (or suspicions under --strict), 2 wrong usage, 3 the script failed or took
    no training step, 130 interrupted.
    """
    if not as_module and not os.path.exists(target):
        raise click.UsageError(f"there is no script {target!r} in {os.getcwd()}{_near_files(target)}")
    started = time.perf_counter()
    output = _writable(output) if output else None
    place = None if as_module else os.path.abspath(target)
    settings = _settled(place, **choices)
    name = target if as_module else os.path.basename(target)

    def conclude(live: Live | None, ending: launch.Ending) -> tuple[str, int]:
        subject = Subject(name, place, live=True)
        if live is None:
            report = Report(Verdict.OPEN, training=subject, seed=seed, versions=facts.versions())
            updates, trained = 0, False
        else:
            going = ending.how in ("interrupted", "kept running")
            report = engine.judge(live, settings, subject=subject, seed=seed, started=started, experiments=not going)
            updates, trained = _taken(live)
        if ending.how == "raised" and ending.error is not None:
            report = engine.ended_by(report, ending.error)
        if not report.notes:  # they say so when the recording failed
            if not updates and not (trained and report.findings):  # what only predicts has no fault of training
                untold = Outcome(Verdict.NOT_APPLICABLE, "the script took no training step")
                outcomes = {each.name: untold for each in settings.checks}
                report = replace(report, verdict=Verdict.OPEN, findings=(), checks=outcomes, steps=0)
                if report.error:
                    report = replace(report, error=replace(report.error, completed=0))
            notes = [*_notes(name, updates, trained, ending, live is not None), *_misplaced(name, arguments, ending)]
            report = replace(report, notes=tuple(notes))
        return _written([report], format_, output), _exit_code(report, ending)

    shown: launch.Stream = "hidden" if quiet else "to stderr" if format_ == "json" and not output else "shown"
    try:
        text, code = launch.run(
            target, arguments, conclude, as_module=as_module, steps=settings.steps, seed=seed, output=shown
        )
    except launch.NotFound as error:
        raise click.UsageError(f"{error} (in {os.getcwd()})") from None
    click.echo(text, nl=False)
    click.get_current_context().exit(code)


def _writable(output: str) -> str:
    """The whole path, for the script may change the folder. What cannot be written is told before anything is run."""
    path = os.path.abspath(output)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise click.UsageError(f"--output {output}: there is no folder {folder}")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise click.UsageError(f"--output {output}: no permission to write there")
    return path


def _taken(live: Live) -> tuple[int, bool]:
    """How many updates were seen, and whether there was any training at all."""
    try:
        steps = live.recording().steps
    except Exception:  # the report tells it
        return 0, False
    return len(steps.of("update", "manual")), bool(steps.of("backward", "update", "manual"))


def _notes(name: str, updates: int, trained: bool, ending: launch.Ending, watched: bool) -> Iterator[str]:
    if os.environ.get("WORLD_SIZE", "1") != "1":
        yield f"rank {os.environ.get('RANK')} of {os.environ['WORLD_SIZE']}"
    taken = f"after {updates} optimizer step{'' if updates == 1 else 's'}"
    if ending.how == "kept running":
        yield f"{name} went on after it had been stopped (a bare `except:`?), so smokestep ended the process"
    elif ending.how == "interrupted":
        yield f"interrupted {taken}"
    elif ending.how == "exited" and ending.error is not None:
        yield f"{name} called sys.exit({getattr(ending.error, 'code', '')!r}) {taken}"
    elif ending.how == "finished" and updates:
        yield f"{name} ended by itself {taken}"
    elif ending.how == "finished" and watched:
        yield f"{name} ended without one optimizer step"
    elif ending.how == "finished":
        yield f"{name} ended, and imported no framework that smokestep can watch ({', '.join(BACKENDS)})"
    if not trained and ending.how in ("finished", "exited"):
        yield (
            "try: the arguments with which it really trains; if it trains in a process of its own, run that script "
            "instead, or give `smokestep check` a function that builds the training"
        )


def _misplaced(name: str, arguments: tuple[str, ...], ending: launch.Ending) -> Iterator[str]:
    """An option of smokestep's behind the script goes to the script, which may not know it."""
    known = {name for each in run.params if isinstance(each, click.Option) for name in each.opts if name != "-m"}
    ours = [each for each in arguments if each.partition("=")[0] in known]
    if ours and ending.how == "exited":
        yield f"{ours[0]} was given to {name}: smokestep's own options go before the script"


def _exit_code(report: Report, ending: launch.Ending | None = None) -> int:
    how = ending.how if ending else "raised" if report.error else "finished"
    if how == "interrupted":
        return INTERRUPTED
    if how in ("raised", "exited"):
        return FAILED
    if report.verdict is Verdict.FAIL:
        return DEFECTS
    return CLEAN if report.verdict is Verdict.PASS and report.steps else FAILED


@cli.command()
@click.option("--seed", type=int, help="Seed of the examination (default 0).")
@_choices
@click.argument("targets", nargs=-1, required=True, metavar="FILE[:NAME]...")
def check(targets: tuple[str, ...], seed: int | None, format_: Format, output: str | None, **choices: Any) -> None:
    """Examine functions that build a smokestep.Training.

    Without NAME: every function of FILE that takes no arguments and is annotated `-> smokestep.Training`, or is
    called `training` or `training_...`. The JSON is one report, or a list of reports if there are several functions.
    """
    output = _writable(output) if output else None
    reports = []
    with redirect_stdout(sys.stderr):
        for target in targets:
            try:
                found = factories.load(target)
            except factories.NoFactory as error:
                raise click.UsageError(str(error)) from None
            for factory in found:
                reports.append(_examined(factory, seed=seed, **choices))
    click.echo(_written(reports, format_, output), nl=False)
    click.get_current_context().exit(max(map(_exit_code, reports)))


def _examined(factory: Callable[[], Any], **choices: Any) -> Report:
    subject = facts.subject(factory)
    try:
        with _usage_errors(subject.file):
            return engine.examine(factory, **choices)
    except click.ClickException:
        raise
    except Exception as error:
        error.__traceback__ = launch.users_frames(error.__traceback__)
        if error.__traceback__ is None:  # what was handed over is wrong, not what the user's code did
            raise click.UsageError(str(error)) from None
        sys.excepthook(type(error), error, error.__traceback__)
        return engine.ended_by(Report(Verdict.OPEN, training=subject, versions=facts.versions()), error)


@contextmanager
def _usage_errors(place: str | None) -> Iterator[None]:
    """A configuration's own modules can be imported from its folder; its faults are told as faults of usage."""
    try:
        found = config.find(place)
        if found.plugins and found.file:
            sys.path.append(str(Path(found.file).parent))
        yield
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def _settled(place: str | None, **choices: Any) -> Settings:
    with _usage_errors(place):
        return config.settle(config.find(place), **choices)


def _written(reports: list[Report], format_: Format, output: str | None) -> str:
    """The text for standard output: the reports, or one line that says to which file they went."""
    if format_ == "json":
        render = import_module("smokestep.render.json").render
        texts = [render(each) for each in reports]
        text = texts[0] if len(texts) == 1 else "[" + ",\n".join(texts) + "]"
    else:
        render = import_module("smokestep.render.text").render
        texts = [render(each, **({"width": 100, "color": False} if output else {})) for each in reports]
        text = ("" if output else "\n") + "\n\n".join(texts)
    if not output:
        return text + "\n"
    Path(output).write_text(text + "\n", encoding="utf-8")
    failed, unjudged = (sum(each.verdict is verdict for each in reports) for verdict in (Verdict.FAIL, Verdict.OPEN))
    told = f"{failed} of {len(reports)} failed" + (f", {unjudged} could not be judged" if unjudged else "")
    return f"{told}; the report is in {output}\n" if format_ == "text" else ""


def _all_checks() -> dict[str, Check]:
    with _usage_errors(None):
        whole = replace(config.find(), select=("all",), ignore=())
        return {each.name: each for each in config.settle(whole).checks}


@cli.command("list")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def list_(format_: Format) -> None:
    """List the checks by family."""
    checks = sorted(_all_checks().values(), key=lambda each: (each.family, each.name))
    if format_ == "json":
        import json

        keys = ("name", "family", "severity", "since", "on_request", "summary")
        rows = [{key: getattr(each, key) for key in keys} | {"options": dict(each.options)} for each in checks]
        click.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for family, members in groupby(checks, lambda each: each.family):
        table.add_row(f"[bold]{family}[/]")
        for each in members:
            unsure = "" if each.severity is Severity.DEFECT else " [yellow]?[/]"
            asked = " *" if each.on_request else ""
            table.add_row(f"  {each.name}{unsure}{asked}", each.summary.removeprefix("Finds "))
    _show(table)
    click.echo("\n? a suspicion: heuristic, fails only under --strict; the others are certain when they speak")
    click.echo("* on request: takes longer, and runs only if selected by name or family, or by --select all")
    click.echo("smokestep explain CHECK shows one of them in full")


@cli.command("explain")
@click.argument("name", metavar="CHECK")
def explain_(name: str) -> None:
    """Show what a check finds, why, and how to allow it."""
    from rich.markdown import Markdown

    checks, name = _all_checks(), name.replace("_", "-")
    if name not in checks:
        near = difflib.get_close_matches(name, checks, n=3, cutoff=0.4)
        meant = f"did you mean {', '.join(near)}? " if near else ""
        raise click.UsageError(f"there is no check {name!r}; {meant}`smokestep list` names them all")
    _show(Markdown(explain.page(checks[name])))


def _show(content: Any) -> None:
    """In colour on a terminal; elsewhere plain, without the blanks that paint a background."""
    from rich.console import Console

    console = Console(width=min(Console().width, 100))
    with console.capture() as page:
        console.print(content)
    text = page.get()
    click.echo(text if console.is_terminal else "\n".join(map(str.rstrip, text.splitlines())))


@cli.command()
@click.argument("name", metavar="CHECK")
@click.option("--family", help="The family it belongs to (in smokestep's own source tree).")
def new(name: str, family: str | None) -> None:
    """Start a check of your own.

    Writes its file, with a small rule that works as it stands, and says what to do next.
    """
    try:
        file, after = scaffold.write(name, family, Path.cwd())
    except FileExistsError as error:
        raise click.UsageError(f"{error.filename} exists already, and is left as it is") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"wrote {os.path.relpath(file)}\n{after}")


def _near_files(target: str) -> str:
    folder = os.path.dirname(target) or "."
    files = os.listdir(folder) if os.path.isdir(folder) else []
    asked = os.path.basename(target)
    near = [f"{asked}.py"] if f"{asked}.py" in files else difflib.get_close_matches(asked, files, n=1, cutoff=0.7)
    return f"; did you mean {os.path.join(os.path.dirname(target), near[0])!r}?" if near else ""
