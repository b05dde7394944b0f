"""Facts: what a report tells besides findings: what was examined, with which versions, and what ended it."""

from __future__ import annotations

import contextlib
import inspect
import os
import platform
import sys
from types import FrameType
from typing import Any

from smokestep.findings import Line
from smokestep.report import Subject
from smokestep.training import Training
from smokestep.world import Live, Recording, World


def subject(training: Any) -> Subject:
    """The name and place of the function, or of the first step, that was handed over."""
    function = next(iter(training.steps.values())) if isinstance(training, Training) else training
    if isinstance(training, Training) and training.own_loop:
        return Subject("parts")
    function = getattr(function, "func", function)  # functools.partial
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    return Subject(name, code.co_filename if code else None, code.co_firstlineno if code else None)


def calling_frame() -> FrameType:
    """The innermost frame outside smokestep and `contextlib`: where the user wrote `with`."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith((os.path.dirname(__file__), contextlib.__file__)):
        frame = frame.f_back
    return frame


def model_sizes(recording: Recording) -> dict[str, int]:
    """The number of parameters of each model."""
    sizes: dict[str, int] = {}
    for parameter in recording.steps.parameters:
        if parameter.in_model:
            sizes[parameter.model] = sizes.get(parameter.model, 0) + parameter.size
    return sizes


def versions(world: World | Live | None = None) -> dict[str, str]:
    """Of smokestep, Python, the platform, and the framework if one is observed."""
    from smokestep import __version__

    own = {"smokestep": __version__, "python": platform.python_version(), "platform": platform.platform()}
    return {**own, **(world.describe() if world else {})}


def told(error: BaseException) -> str:
    """The exception in one line, as Python says it."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def line_of(error: BaseException) -> Line | None:
    """The innermost line of the user's own code in a traceback; where the code itself is malformed, that line."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return Line(error.filename, error.lineno)
    trace, line = error.__traceback__, None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((sys.prefix, sys.base_prefix, os.path.dirname(__file__), "<")):
            line = Line(file, trace.tb_lineno)
        trace = trace.tb_next
    return line
