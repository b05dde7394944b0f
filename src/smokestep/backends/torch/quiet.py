"""Quiet: the recorder's own work, unheard by the user's modes, tensor subclasses and gradient history.

Whatever it does with tensors between two lines of the user's, it does inside `quiet`; whatever it does in a hook or a
patch goes through `guarded` or `During`, so that a failure of its own never becomes the user's.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

Tensor = torch.Tensor
_KEYS = tuple(torch._C._TorchDispatchModeKey.__members__.values())


class quiet:
    """Gradients off, and the user's function modes, dispatch modes and tensor subclasses not asked."""

    __slots__ = ("_grad", "_inner", "_unheard")

    def __enter__(self) -> None:
        self._unheard = torch._C.DisableTorchFunction()
        self._unheard.__enter__()
        self._inner: list[Any] = []
        if torch.is_inference_mode_enabled():  # what is kept must be usable outside of it
            self._inner.append(torch._C._InferenceMode(False))
            self._inner[-1].__enter__()
        if torch._C._len_torch_dispatch_stack():
            self._inner.append(_disable_current_modes())
            self._inner[-1].__enter__()
        self._grad = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)

    def __exit__(self, *error: Any) -> None:
        torch._C._set_grad_enabled(self._grad)
        for each in reversed(self._inner):
            each.__exit__(None, None, None)
        self._unheard.__exit__(None, None, None)


def unreal() -> bool:
    """Whether what runs computes nothing: the framework traces it, with stand-ins for tensors."""
    if torch._C._get_tracing_state() is not None:
        return True
    if not torch._C._len_torch_dispatch_stack():
        return False
    return any(torch._C._get_dispatch_mode(key) is not None for key in _KEYS) or torch.compiler.is_compiling()


def plain(tensor: Any) -> bool:
    """Whether operations on a tensor are the framework's own: a wrapper's would run its author's code."""
    kind = type(tensor)
    return kind is Tensor or kind is torch.nn.Parameter or kind.__torch_dispatch__ is Tensor.__torch_dispatch__


def guarded(tracer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that gives None and ends the recording when it fails, and does nothing once the recording has ended so."""

    @wraps(function)
    def hook(*args: Any, **kwargs: Any) -> Any:
        if tracer.off:
            return None
        try:
            return function(*args, **kwargs)
        except Exception as error:
            tracer.broke(error)
            return None

    return hook


class During:
    """A context of the recorder's around a call of the user's: what fails in it ends the recording, not the call."""

    __slots__ = ("_context", "_tracer")

    def __init__(self, tracer: Any, context: AbstractContextManager[Any]) -> None:
        self._tracer, self._context = tracer, context

    def __enter__(self) -> None:
        if self._tracer.off:
            self._context = None
            return
        try:
            self._context.__enter__()
        except Exception as error:
            self._context = None
            self._tracer.broke(error)

    def __exit__(self, *error: Any) -> None:
        if self._context is not None:
            try:
                self._context.__exit__(*error)
            except Exception as own:
                if own is not error[1]:
                    self._tracer.broke(own)


def said(error: Exception) -> str:
    """What failed and where, without the frames: they hold the user's tensors."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({os.path.basename(last[0].filename)}:{last[0].lineno})" if last else ""
    return f"{type(error).__name__}: {error}{where}"
