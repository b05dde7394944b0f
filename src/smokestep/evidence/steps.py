"""Steps: what happened to the loop and to every parameter, in order, over the recorded steps.

Scalars only. Magnitudes are maximum norms (the largest absolute entry), so zero means "every entry is exactly zero".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

EventKind = Literal[
    "step",  # a step of the training begins; subject: the name of the step
    "zero_grad",  # gradients cleared; subject: optimizer or model; parameters: those whose gradient was cleared
    "forward",  # a root model was called; subject: model; detail: training (bool), grad (bool: grad mode on)
    "backward",  # subject: ""; parameters: those that received gradient; detail: loss (float or None), chooses
    # (bool: what gets gradient is named on this line)
    "clip",  # gradient clipping; parameters: those clipped; detail: limit, and if it was given an iterator that was
    # at its end: exhausted (how the call names it)
    "unscale",  # GradScaler.unscale_; subject: optimizer
    "update",  # an optimizer's step; subject: optimizer; parameters: those it holds with a gradient;
    # detail: closure (bool), closure_backwards (int), skipped (bool: GradScaler found inf), scale (then: of the loss),
    # state and kept (bool: before, after it the optimizer kept something of earlier gradients)
    "manual",  # parameters written in place outside an optimizer; parameters: those written
    "scheduler",  # a learning-rate scheduler's step; subject: optimizer; detail: kind, explicit (bool: it names the
    # epoch), spent (int: after so many calls in all the rate is a thousandth, if that is sure)
    "mode",  # train() or eval(); subject: module path; detail: training (bool)
    "error",  # the step raised; detail: type, message
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing the loop did. `index` orders all events of the run; `step` counts from 0."""

    index: int
    step: int
    kind: EventKind
    line: Line | None = None
    subject: str = ""
    parameters: tuple[str, ...] = ()
    detail: Mapping[str, bool | int | float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One trainable tensor of the training, found in a model, held by an optimizer, or both.

    `registered` is False for a tensor that a model uses (or keeps in a list, dict or plain attribute) but does not
    list among its parameters; `in_model` is False for one that only an optimizer holds (a stale copy).
    `built` is the line that assigns it, or its layer, to its owner; `mentions` are the lines of the owner's class,
    other than `built`, that read that attribute: empty means never read, None means unknown (it could be read by
    getattr, iteration over children, or source that is not available).
    `explicit` is True if a user's `trains=` names it. `installed`: the class that owns it lies in a package.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    requires_grad: bool
    registered: bool = True
    in_model: bool = True
    model: str = ""
    owner: str = ""
    owner_class: str = ""
    installed: bool = False
    leaf: bool = True
    optimizers: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    built: Line | None = None
    mentions: tuple[Line, ...] | None = None
    explicit: bool = False
    container: str = ""  # "list", "dict", "tuple", "attribute" for an unregistered one


@dataclass(frozen=True, slots=True)
class Movement:
    """One parameter in one step.

    `gradient`: largest |gradient| when the optimizer that holds it stepped (its last such step in this step), None
    if there was none then, NaN or inf if not finite. `received`: largest |gradient| right after the last backward of
    the step that reached it, None if no backward reached it. `carried`: largest |gradient| already present when
    the step's first backward after an update began, None if absent: gradients left over from an earlier step.
    `update`: largest |after - before| over the step, exactly 0.0 if and only if bit-identical.
    `scale`: largest |value| before the step. `rate`: learning rate of its group at the update, None if not updated.
    `called`: the module that owns it ran in this step (None: it has no module).
    """

    step: int
    parameter: str
    gradient: float | None
    received: float | None
    update: float
    scale: float
    carried: float | None = None
    rate: float | None = None
    called: bool | None = None
    requires_grad: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """One parameter group of an optimizer: names held, and per recorded update its learning rate."""

    parameters: tuple[str, ...]
    rates: tuple[float, ...]
    weight_decay: float = 0.0
    momentum: bool = False  # keeps moving a parameter whose gradient is zero (momentum, Adam moments)
    maximize: bool = False  # climbs the loss
    betas: tuple[float, ...] = ()  # how much of the last averages is kept
    epsilon: float | None = None  # what keeps a divisor from zero, if it is added in the parameters' own type


@dataclass(frozen=True, slots=True)
class Optimizer:
    """One optimizer. `stale` names held tensors that no model uses, each paired with the model's own parameter of
    the same shape (or one that differs in one dimension) that no optimizer holds, if there is one (`""` if not)."""

    name: str
    kind: str
    groups: tuple[Group, ...]
    line: Line | None = None  # where it was constructed, if seen
    stale: tuple[tuple[str, str], ...] = ()
    updates: int = 0
    needs_closure: bool = False  # re-evaluates the loss inside step (LBFGS)
    filtered: bool = False  # its construction line, or the lines that build its list, pick by a condition
    born: int | None = None  # when it was constructed, in the order of the events


@dataclass(frozen=True, slots=True)
class Steps:
    """Everything the loop did. `count` steps were recorded; `losses` holds the loss of each (None if unknown).

    `kind`: "training" if the user handed over a step function (a step is one call of it), "live" if steps were
    inferred from a running loop. `scripted_loop` is True when smokestep itself owns the loop (parts-only verify).
    `error` is the exception that ended the recording, with its line, or None.
    """

    count: int
    events: tuple[Event, ...]
    parameters: tuple[Parameter, ...]
    movements: tuple[Movement, ...]
    optimizers: tuple[Optimizer, ...]
    losses: tuple[float | None, ...]
    kind: Literal["training", "live"] = "training"
    own_loop: bool = False
    error: str | None = None
    error_line: Line | None = None

    def of(self, *kinds: EventKind) -> tuple[Event, ...]:
        """The events of these kinds, in order."""
        return tuple(event for event in self.events if event.kind in kinds)

    def moves(self, parameter: str) -> tuple[Movement, ...]:
        """The movements of one parameter, a step each."""
        return tuple(move for move in self.movements if move.parameter == parameter)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of this name, if there is one."""
        return next((each for each in self.parameters if each.name == name), None)

    @classmethod
    def gather(cls, world: World, of: Of) -> Steps:
        """Taken from the recorded run."""
        return world.recording().steps
