"""Training: what the user hands over, checked for form and nothing else.

Whatever can be seen to be wrong without running the step is refused here, on the line where the user wrote it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from smokestep.backends import module_for

if TYPE_CHECKING:
    from smokestep.config import Allowance

Interval = tuple[float | None, float | None]
Task = Literal["classification", "regression", "language-model", "other"]

_NOTHING: Any = object()


@dataclass(frozen=True, init=False, slots=True)
class Training:
    """One training, as the user runs it.

    `step`: a function that does one whole training step (clear, forward, loss, backward, update), called with `batch`
    if one is given, else with nothing; it may return the loss. Or a mapping of such functions by name, called in turn.
    With `state` (JAX: parameters, optimizer state, keys in any tree) a step is called as `step(state, batch)`, or
    `step(*state, batch)` if `state` is a tuple and the signature asks for it, and returns the new state, also beside
    other results, or of a tuple the elements that changed.
    The rest is optional and is discovered while the step runs: `model` and `optimizer` (one, or a mapping by name),
    `loss(output, target)`, `forward(inputs)`. Declarations: `trains` (what a step must train; all else must then stay
    bit-identical) and `untouched`: names, patterns ("encoder.*"), parameters or modules, or a mapping of these by step
    name; `output_range`: the promised (low, high) of the model's output, None for no bound, or one interval for each
    output; `task`; `causal`; `batch_dim`: the dimension of the model's inputs and outputs that counts samples, -1 for
    none (a graph, one set); `allow`: what `smokestep.allow` made.

    A single step, model or optimizer is kept under the name "". `own_loop` is True when smokestep wrote the step.
    Raises `TypeError` or `ValueError`, saying what was given and what is expected.
    """

    steps: Mapping[str, Callable[..., Any]]
    batch: Any
    has_batch: bool
    state: Any
    has_state: bool
    model: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    loss: Callable[..., Any] | None
    forward: Callable[..., Any] | None
    trains: Mapping[str, Sequence[Any]]
    untouched: Mapping[str, Sequence[Any]]
    output_range: Interval | Sequence[Interval] | None
    task: Task | None
    causal: bool | None
    batch_dim: int | None
    allow: tuple[Allowance, ...]
    own_loop: bool

    def __init__(
        self,
        step: Callable[..., Any] | Mapping[str, Callable[..., Any]],
        batch: Any = _NOTHING,
        *,
        state: Any = _NOTHING,
        model: Any = None,
        optimizer: Any = None,
        loss: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
        trains: Any = None,
        untouched: Any = None,
        output_range: Interval | Sequence[Interval] | None = None,
        task: Task | None = None,
        causal: bool | None = None,
        batch_dim: int | None = None,
        allow: Sequence[Allowance] = (),
    ) -> None:
        steps = _steps(step)
        has_batch = batch is not _NOTHING
        if has_batch:
            _not_empty(batch)
        has_state = state is not _NOTHING
        for word, function in (("loss", loss), ("forward", forward)):
            if function is not None and not callable(function):
                raise TypeError(f"{word} must be a function, got {kind(function)}")
        if task is not None and task not in get_args(Task):
            raise ValueError(f"task must be one of {', '.join(map(repr, get_args(Task)))}, got {task!r}")
        if batch_dim is not None and (isinstance(batch_dim, bool) or not isinstance(batch_dim, int) or batch_dim < -1):
            raise ValueError(f"batch_dim must be a dimension, counted from 0, or -1 for none, got {batch_dim!r}")
        values = {
            "steps": steps,
            "batch": batch if has_batch else None,
            "has_batch": has_batch,
            "state": state if has_state else None,
            "has_state": has_state,
            "model": _named(model, "model"),
            "optimizer": _named(optimizer, "optimizer"),
            "loss": loss,
            "forward": forward,
            "trains": _roles(trains, steps, "trains"),
            "untouched": _roles(untouched, steps, "untouched"),
            "output_range": _range(output_range),
            "task": task,
            "causal": causal,
            "batch_dim": batch_dim,
            "allow": tuple(allow),
            "own_loop": False,
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)
        for name, each in steps.items():
            _callable_so(each, self.arguments(each), f"step {name!r}" if name else "step", has_state)

    def arguments(self, step: Callable[..., Any], state: Any = None) -> tuple[Any, ...]:
        """What a step is called with: `state` (else the one given), whole or element by element, and the batch."""
        state = self.state if state is None else state
        batch = (self.batch,) * self.has_batch
        whole = not self.has_state or not isinstance(state, tuple) or _takes(step, 1 + self.has_batch)
        return (*((state,) * self.has_state if whole else state), *batch)


def from_parts(model: Any, loss: Any, optimizer: Any, batch: Any) -> Training:
    """The training smokestep writes itself around plain parts: `batch` is (inputs, targets).

    A compiled Keras model brings its own loss and optimizer; every other framework's parts are all to be given.
    """
    parts = {"model": model, "loss": loss, "optimizer": optimizer, "batch": batch}
    compiled = getattr(model, "train_on_batch", None) and loss is None and optimizer is None
    missing = [word for word in parts if parts[word] is None and not (compiled and word in ("loss", "optimizer"))]
    if missing:
        raise TypeError(
            f"{' and '.join(missing)} missing: hand over model=, loss=, optimizer= and batch=, "
            "or a Training (or a function that builds one)"
        )
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"batch must be a pair (inputs, targets), got {kind(batch)}; for any other, write a Training")
    step = module_for((model, optimizer), "parts").step(model, loss, optimizer)
    training = Training(step, tuple(batch), model=model, optimizer=optimizer, loss=loss)
    object.__setattr__(training, "own_loop", True)
    return training


def kind(value: Any) -> str:
    """What a value is, for an error message: "an int"."""
    return f"{'an' if type(value).__name__[0] in 'aeiouAEIOU' else 'a'} {type(value).__name__}"


def _steps(step: Any) -> Mapping[str, Callable[..., Any]]:
    if isinstance(step, Mapping):
        if not step:
            raise ValueError("step is an empty mapping: give at least one step function by name")
        for name in step:
            if not isinstance(name, str) or not name:
                raise TypeError(f"step names must be non-empty strings, got {name!r}")
        return dict(step)
    if hasattr(step, "parameters") and not inspect.isroutine(step):
        raise TypeError(
            f"step must be a function that does one training step, got the model {kind(step)}; "
            "for plain parts call verify(model=..., loss=..., optimizer=..., batch=...)"
        )
    return {"": step}


def _takes(step: Any, count: int) -> bool:
    """Whether a function can be called with so many positional arguments."""
    try:
        inspect.signature(step).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _callable_so(step: Any, arguments: tuple[Any, ...], name: str, has_state: bool = False) -> None:
    if not callable(step):
        raise TypeError(f"{name} must be a function that does one training step, got {kind(step)}")
    if inspect.iscoroutinefunction(step) or inspect.isgeneratorfunction(step):
        raise TypeError(f"{name} must do its work when called; it is a coroutine or generator function")
    try:
        signature = inspect.signature(step)
    except ValueError:  # some built-in callables have no signature
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        called = "with the batch" if arguments else "with nothing, as no batch was given"
        called = f"with the state (or its {len(arguments)} parts, the batch among them)" if has_state else called
        raise TypeError(f"{name} is called {called}, but its signature is {signature}: {error}") from None


def _not_empty(batch: Any) -> None:
    leaves = list(batch.values()) if isinstance(batch, Mapping) else batch
    leaves = leaves if isinstance(leaves, (tuple, list)) else [leaves]
    shapes = [tuple(leaf.shape) for leaf in leaves if hasattr(leaf, "shape")]
    if not leaves or (shapes and all(0 in shape for shape in shapes)):
        raise ValueError(f"the batch is empty ({shapes or kind(batch)}): a step on no samples shows nothing")


def _named(value: Any, word: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        raise TypeError(f"{word} must be one {word} or a mapping by name, got {kind(value)}")
    return {"": value}


def _roles(value: Any, steps: Mapping[str, Any], word: str) -> Mapping[str, Sequence[Any]]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in steps]
        if unknown:
            known = ", ".join(map(repr, steps)) if "" not in steps else "only one, without a name"
            raise ValueError(f"{word} names the steps {unknown}; the steps are: {known}")
        return {name: _several(each) for name, each in value.items()}
    if len(steps) > 1 and word == "trains":
        raise ValueError(f"there are several steps: give trains as a mapping by step name ({', '.join(steps)})")
    several = _several(value)
    return dict.fromkeys(steps, several)


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset, Iterator)) else (value,)


def _range(value: Any) -> Any:
    if value is None:
        return None
    many = isinstance(value, (list, tuple)) and any(isinstance(each, (tuple, list)) for each in value)
    for pair in value if many else [value]:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"output_range must be (low, high), None for no bound, or one for each output: {value!r}")
        low, high = pair
        if low is not None and high is not None and not low < high:
            raise ValueError(f"output_range needs low < high, got {pair!r}")
    return value
