"""Fates: what became of every trainable parameter over all recorded steps, and the line that explains it.

Derived from Steps and Flow by pure questions. A parameter trains if in any step it received a nonzero gradient at an
update of an optimizer that holds it and moved, or was moved by hand; only of the others is it asked why not, and
only in the steps in which an optimizer that holds them was stepped.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from smokestep.evidence import source
from smokestep.evidence.fate import NO_GRAD, Cluster, Fate, FateKind
from smokestep.evidence.flow import Flow
from smokestep.evidence.inquiry import Inquiry
from smokestep.evidence.modes import Modes
from smokestep.evidence.penalties import penalties
from smokestep.evidence.steps import Movement, Parameter, Steps
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Fates:
    """Every parameter's fate. `steps` is the number of steps judged, `complete` whether none ended in an error."""

    fates: tuple[Fate, ...]
    steps: int
    complete: bool = True

    def of(self, *kinds: FateKind) -> tuple[Fate, ...]:
        """The fates of these kinds."""
        return tuple(fate for fate in self.fates if fate.kind in kinds)

    def clusters(self, *kinds: FateKind) -> tuple[Cluster, ...]:
        """The fates of these kinds, together where one line explains them; those in packages, by top module."""
        found: defaultdict[object, list[Fate]] = defaultdict(list)
        for fate in self.of(*kinds):
            line = next((at for at, note in fate.related if note == NO_GRAD), fate.line)
            where: object = (line.file, line.line) if line else fate.owner
            if fate.installed:
                where = fate.parameter.split(".")[0]
            how = "" if fate.installed or line is not fate.line else fate.op
            found[fate.kind, where, fate.certain, how].append(fate)
        return tuple(Cluster(tuple(fates)) for fates in found.values())

    @classmethod
    def gather(cls, world: World, of: Of) -> Fates:
        """Derived from the recorded steps, their graphs and the modes that modules ran in."""
        return judge(of(Steps), of(Flow), of(Modes))


def judge(steps: Steps, flow: Flow, modes: Modes | None = None) -> Fates:
    """The fate of every parameter."""
    broken = {event.step for event in steps.of("error")}
    moves: dict[str, list[Movement]] = {parameter.name: [] for parameter in steps.parameters}
    for move in steps.movements:
        if move.step not in broken and move.parameter in moves:
            moves[move.parameter].append(move)
    by_hand = {name for event in steps.of("manual") for name in event.parameters}
    known: dict[str, Fate] = {}
    for parameter in steps.parameters:
        fate = _from_movements(parameter, moves[parameter.name], by_hand, steps)
        if fate is not None:
            known[parameter.name] = fate
    suspects = tuple(parameter for parameter in steps.parameters if parameter.name not in known)
    if suspects:
        trained = frozenset(name for name, fate in known.items() if fate.kind == "trains")
        runs = modes.runs if modes else ()
        training = {run.path.split(".")[0] for run in runs if run.training}
        evaluated = frozenset({run.path.split(".")[0] for run in runs} - training)
        inquiry = Inquiry(steps, flow, moves, suspects, trained, evaluated=evaluated)
        known.update((parameter.name, inquiry.explain(parameter)) for parameter in suspects)
    known.update(_penalised(steps, flow, moves, known))
    return Fates(
        tuple(known[parameter.name] for parameter in steps.parameters),
        steps.count - len(broken),
        not broken and steps.error is None,
    )


def _penalised(
    steps: Steps, flow: Flow, moves: dict[str, list[Movement]], known: dict[str, Fate]
) -> Iterator[tuple[str, Fate]]:
    """The parameters that seem to train, and do so by a penalty on their own size alone."""
    skipped = {graph.step: penalties(graph) for graph in flow.graphs}
    names = [each for each in steps.parameters if known[each.name].kind == "trains" and each.optimizers]
    if not any(skipped.values()):
        return
    inquiry = Inquiry(steps, flow, moves, names, frozenset(), skipped)
    for parameter in names:
        if not inquiry.reached(parameter):
            fate = inquiry.explain(parameter)
            if fate.kind in ("dropped", "cut") and fate.certain:
                yield parameter.name, replace(fate, got="gradient from a penalty on its size alone")


def _left_out(steps: Steps) -> Line | None:
    """The one line that takes gradients by what it names, where a framework has such, and so leaves out the rest."""
    lines = {event.line for event in steps.of("backward") if event.detail.get("chooses")}
    return lines.pop() if len(lines) == 1 else None


def _from_movements(parameter: Parameter, moves: list[Movement], by_hand: set[str], steps: Steps) -> Fate | None:
    """The fates that gradients and updates alone tell; None where the graph must be asked."""

    def fate(kind: FateKind, reason: str = "", line: Line | None = None, certain: bool = True) -> Fate:
        return Fate(
            parameter.name, kind, reason, line, certain=certain, installed=parameter.installed, owner=parameter.owner
        )

    moved = [move for move in moves if move.update != 0.0]
    if any(move.gradient not in (None, 0.0) and parameter.optimizers for move in moved):
        return fate("trains")
    if moved and (parameter.name in by_hand or not parameter.optimizers):
        return fate("trains", "moved by hand")
    if moves and not any(move.requires_grad for move in moves) or not (moves or parameter.requires_grad):
        lines = [event.line for event in steps.events if event.line and event.kind != "step"]
        return fate("frozen", "does not require gradient", source.freezes(lines) or _left_out(steps))
    if any(held == parameter.name and twin for each in steps.optimizers for held, twin in each.stale):
        return fate("aside", "an optimizer holds it in place of another")
    held = [move for move in moves if move.rate is not None]
    if parameter.optimizers and not held and not _stepped(parameter, steps):
        return fate("no update", "no optimizer that holds it was stepped")
    received = [move for move in moves if move.received not in (None, 0.0)]
    if not parameter.optimizers:
        if not received and not parameter.explicit:
            by_loop = not steps.optimizers and bool(by_hand)  # plain gradient descent, written out
            return None if by_loop and parameter.requires_grad else fate("aside")
        if received and any(twin == parameter.name for each in steps.optimizers for _, twin in each.stale):
            return fate("stale", "gets gradient, and the optimizer holds another tensor in its place", parameter.built)
        if received and not parameter.registered:
            return fate("unregistered", "gets gradient, and no optimizer holds it", parameter.built)
        return fate("unoptimized", "gets gradient, and no optimizer holds it", parameter.built) if received else None
    at_update = [move for move in moves if move.gradient not in (None, 0.0)]
    if at_update:
        rates = [move.rate or 0.0 for move in at_update]
        if max(rates) == 0:
            return fate("rate", "learning rate 0 at every update")
        if rates[0] < rates[-1]:
            return replace(fate("unexplained", "does not move yet: its learning rate is still growing"), op="update")
        return _lost(parameter, at_update, steps)
    if received:
        return fate("cleared", "gets gradient in backward, and has none at the update")
    return None


def _stepped(parameter: Parameter, steps: Steps) -> bool:
    updates = (event for event in steps.of("update") if event.subject in parameter.optimizers)
    return any(not event.detail.get("skipped") for event in updates)


# Bits of the fraction: numbers of size s lie 2**(floor(log2 s) - bits) apart.
FRACTION = {"bfloat16": 7, "float16": 10, "float32": 23, "float64": 52}
# A gradient this much smaller than the step's strongest is what rounding left of terms that cancel: of a bias before a
# normalization, of a last bias under a loss of differences. Measured there: up to 4 units in the last place of float32.
NOISE = {kind: 2.0 ** (4 - bits) for kind, bits in FRACTION.items() if bits > 10} | {
    "bfloat16": 2.0**-7,
    "float16": 2.0**-10,
}
# A float32 gradient this much smaller than the step's strongest may be on its way: a scale before a normalization has
# that of its eps, 1e-5 by default, over the variance; behind a gate that began at zero it grows with the gate.
# Measured there: up to 3e-6.
FAINT = 1e-4


def _strongest(steps: Steps, step: int) -> float:
    """The largest finite gradient that any parameter had in this step."""
    found = (abs(move.gradient) for move in steps.movements if move.step == step and move.gradient is not None)
    return max((each for each in found if math.isfinite(each)), default=0.0)


def _lost(parameter: Parameter, moves: list[Movement], steps: Steps) -> Fate:
    """Held, with gradient at the update, and bit-identical afterwards."""
    kinds = [each.kind for each in steps.optimizers if each.name in parameter.optimizers]
    move = max(moves, key=lambda each: (each.rate or 0.0) * abs(each.gradient or 0.0))
    rate, gradient = move.rate or 0.0, abs(move.gradient or 0.0)
    dtype = parameter.dtype.removeprefix("torch.")
    strongest = _strongest(steps, move.step)
    if gradient <= NOISE.get(dtype, 0.0) * strongest:
        return Fate(parameter.name, "cancelled", "its gradient is zero but for rounding", owner=parameter.owner)
    # Adam and its kin divide by the gradient's own size: their first updates are as large as the learning rate.
    size = rate * gradient if any("SGD" in kind for kind in kinds) else rate
    update = next((event for event in steps.of("update") if event.subject in parameter.optimizers), None)
    spacing = 0.0
    if dtype in FRACTION and math.isfinite(gradient) and move.scale > 0.0:
        spacing = 2.0 ** (math.floor(math.log2(move.scale)) - FRACTION[dtype])
    if size >= spacing:
        reason = "has gradient at the update, and does not move"
        return Fate(parameter.name, "unexplained", reason, op="update", owner=parameter.owner)
    if dtype in ("float32", "float64") and gradient <= FAINT * strongest:
        reason = f"does not move: its gradient is {gradient / strongest:.1g} of the strongest"
        return Fate(parameter.name, "unexplained", reason, op="update", owner=parameter.owner)
    return Fate(
        parameter.name,
        "lost",
        f"updates of about {size:.1g} are lost: {dtype} numbers of size {move.scale:.2g} lie {spacing:.1g} apart",
        update.line if update else None,
        op=dtype,
        step=move.step,
        owner=parameter.owner,
    )
