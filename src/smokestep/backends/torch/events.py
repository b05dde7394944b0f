"""Events: the hooks and patches through which the recorder hears what the loop does.

All of them are put in by `listening` and taken out by it, also when the user's code raises. A patch calls the original
with the same arguments and gives back its result; a hook returns None.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim import Optimizer, lr_scheduler
from torch.optim import optimizer as optimizer_hooks
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from smokestep.backends.torch import frames, generators, keras, loaders
from smokestep.backends.torch.quiet import During, guarded


def patch(stack: ExitStack, owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name` by a function that calls `around(original, *args, **kwargs)`, until the stack unwinds."""
    original = owner.__dict__[name]
    listens = [around]  # the framework's compiler may keep the replacement: it must not keep the recording with it

    @wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return listens[0](original, *args, **kwargs) if listens else original(*args, **kwargs)

    setattr(owner, name, replacement)
    stack.callback(setattr, owner, name, original)
    stack.callback(listens.clear)


def _subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


@contextmanager
def listening(recorder: Any) -> Iterator[None]:
    """Tell the recorder of everything that happens to the loop while the block runs."""
    with ExitStack() as stack:
        for handle in (
            register_module_forward_pre_hook(guarded(recorder.tracer, recorder.running.entering)),
            register_module_forward_hook(
                guarded(recorder.tracer, recorder.running.left), with_kwargs=True, always_call=True
            ),
            register_optimizer_step_pre_hook(guarded(recorder.tracer, recorder.updating)),
            register_optimizer_step_post_hook(guarded(recorder.tracer, recorder.updated)),
            register_optimizer_step_post_hook(lambda *_: recorder.pause()),
        ):
            stack.callback(handle.remove)
            stack.callback(module_hooks._global_forward_hooks_with_kwargs.pop, handle.id, None)  # torch leaves it
        _loop(stack, recorder)
        generators.listen(stack, patch, recorder)
        loaders.listen(stack, patch, guarded(recorder.tracer, recorder.loaders.hear))
        keras.listen(stack, patch, recorder)
        _compiling(stack, recorder)
        yield


def _loop(stack: ExitStack, recorder: Any) -> None:
    def backward(original: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        with During(recorder.tracer, recorder.backward(tensors)):
            result = original(tensors, *args, **kwargs)
        recorder.pause()
        return result

    def zero_grad(original: Any, owner: Any, *args: Any, **kwargs: Any) -> Any:
        with During(recorder.tracer, recorder.clearing(owner)):
            return original(owner, *args, **kwargs)

    def train(original: Any, module: Any, mode: bool = True) -> Any:
        guarded(recorder.tracer, recorder.switching)(module, mode)
        return original(module, mode)

    def created(original: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        guarded(recorder.tracer, recorder.created)(optimizer, frames.position()[1])
        result = original(optimizer, *args, **kwargs)
        recorder.spent.gave(args[0] if args else kwargs.get("params"))
        return result

    def built(original: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        guarded(recorder.tracer, recorder.modes.built)(module, frames.line_of(frames.position()[1]))
        return original(module, *args, **kwargs)

    def scheduled(original: Any, scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        explicit = bool(args or kwargs.get("epoch") is not None) and not isinstance(
            scheduler, lr_scheduler.ReduceLROnPlateau
        )
        with During(recorder.tracer, recorder.scheduling(scheduler, explicit)):
            return original(scheduler, *args, **kwargs)

    def unscale(original: Any, scaler: Any, optimizer: Any) -> Any:
        if scaler.is_enabled() and not recorder.deaf:
            guarded(recorder.tracer, recorder.note)("unscale", optimizer)
        return original(scaler, optimizer)

    def scaled(original: Any, scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        with During(recorder.tracer, recorder.scaling(scaler, optimizer)):
            return original(scaler, optimizer, *args, **kwargs)

    def loaded(original: Any, module: Any, state: Any, strict: bool = True, *args: Any, **kwargs: Any) -> Any:
        result = original(module, state, strict, *args, **kwargs)
        guarded(recorder.tracer, recorder.loaded)(module, strict, state, result)
        return result

    def gave(original: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        state = original(module, *args, **kwargs)
        if not args and kwargs.get("destination") is None and not kwargs.get("keep_vars"):
            guarded(recorder.tracer, recorder.gave)(module, state)
        return state

    patch(stack, torch.autograd, "backward", backward)
    patch(stack, Optimizer, "zero_grad", zero_grad)
    patch(stack, nn.Module, "zero_grad", zero_grad)
    patch(stack, nn.Module, "train", train)
    patch(stack, nn.Module, "load_state_dict", loaded)
    patch(stack, nn.Module, "state_dict", gave)
    patch(stack, Optimizer, "__init__", created)
    patch(stack, nn.modules.batchnorm._NormBase, "__init__", built)
    kinds = [lr_scheduler.LRScheduler, *_subclasses(lr_scheduler.LRScheduler)]
    for kind in dict.fromkeys(each for each in kinds if "step" in each.__dict__):
        patch(stack, kind, "step", scheduled)
    scaler = torch.amp.GradScaler
    patch(stack, scaler, "unscale_", unscale)
    patch(stack, scaler, "step", scaled)


@contextmanager
def unheard() -> Iterator[None]:
    """Take off what `listening` put in, while the block runs: a compiler would compile it."""
    tables = (module_hooks._global_forward_pre_hooks, module_hooks._global_forward_hooks)
    tables += (optimizer_hooks._global_optimizer_pre_hooks, optimizer_hooks._global_optimizer_post_hooks)
    kept = [dict(each) for each in tables]
    kinds = [lr_scheduler.LRScheduler, *_subclasses(lr_scheduler.LRScheduler)]
    places = [(torch.autograd, "backward"), (nn.Module, "zero_grad"), (nn.Module, "train"), (Optimizer, "zero_grad")]
    places += [(kind, "step") for kind in dict.fromkeys(kinds) if "step" in kind.__dict__]
    with ExitStack() as stack:
        for table, hooks in zip(tables, kept, strict=True):
            table.clear()
            stack.callback(table.update, hooks)
        for owner, name in places:
            current = owner.__dict__[name]
            if current.__code__.co_filename == __file__:
                setattr(owner, name, current.__wrapped__)
                stack.callback(setattr, owner, name, current)
        yield


def _compiling(stack: ExitStack, recorder: Any) -> None:
    """Run what is compiled eagerly, so that it can be seen; importing the compiler is left to whoever uses it."""
    warnings.filterwarnings("ignore", r"Using `torch\.compile\(module\)` when there are global hooks")  # they are ours
    ours = warnings.filters[0]
    stack.callback(lambda: warnings.filters.remove(ours) if ours in warnings.filters else None)  # the user's stay
    entered = False

    def eager() -> None:
        nonlocal entered
        if not entered:
            entered = True
            stance = torch.compiler.set_stance("force_eager")
            stance.__enter__()
            stack.push(stance)

    def compile(original: Any, *args: Any, **kwargs: Any) -> Any:
        eager()
        recorder.compiled.append(frames.position()[1])
        return original(*args, **kwargs)

    if "torch._dynamo" in sys.modules:
        eager()
    patch(stack, torch, "compile", compile)
    patch(stack, nn.Module, "compile", compile)
