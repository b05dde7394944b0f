"""Every fate of a parameter, and every healthy look-alike, on evidence written by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from smokestep.evidence.fates import Fates, judge
from smokestep.evidence.flow import Backward, Call, Flow, Graph, Op, Value
from smokestep.evidence.steps import Event, Group, Movement, Optimizer, Parameter, Steps
from smokestep.findings import Line

HERE = "net.py"


@dataclass
class Step:
    """Writes the graph of one step: each method gives the id of the value it makes."""

    number: int = 0
    values: dict[int, Value] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    backwards: list[Backward] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    opaque: list[tuple[str, Line | None]] = field(default_factory=list)
    serial: int = 0

    def __post_init__(self) -> None:
        self.serial = 1000 * self.number

    def new(self) -> int:
        self.serial += 1
        return self.serial

    def value(self, kind: Any, name: str = "", **more: Any) -> int:
        serial = self.new()
        self.values[serial] = Value(serial, self.number, kind, name, **more)
        return serial

    def x(self) -> int:
        return self.value("input", "batch[0]", shape=(4, 3))

    def parameter(self, name: str, **more: Any) -> int:
        return self.value("parameter", name, requires_grad=True, **more)

    def op(self, name: str, *reads: int, line: int = 0, history: bool | None = None, **more: Any) -> int:
        about = {key: more.pop(key) for key in ("shape", "dtype", "peak", "gradient") if key in more}
        serial = self.new()
        grad = any(self.values[each].requires_grad for each in reads) if history is None else history
        made = self.value("made", op=serial, requires_grad=grad, **about)
        where = Line(HERE, line, f"line {line}") if line else None
        self.ops.append(Op(serial, self.number, name, reads, (made,), where, where, **{"module": "net", **more}))
        return made

    def backward(self, *roots: int) -> Step:
        self.backwards.append(Backward(self.new(), roots))
        return self

    def graph(self) -> Graph:
        return Graph(
            self.number, self.values, tuple(self.ops), tuple(self.backwards), tuple(self.calls), tuple(self.opaque)
        )


def parameter(name: str, **more: Any) -> Parameter:
    told = {"shape": (3, 3), "dtype": "float32", "size": 9, "requires_grad": True, "optimizers": ("adam",)}
    return Parameter(name, **{**told, "owner": name.rpartition(".")[0], **more})


def moves(name: str, steps: int = 3, **more: Any) -> list[Movement]:
    told = {"gradient": None, "received": None, "update": 0.0, "scale": 0.5, "rate": 0.1}
    return [Movement(number, name, **{**told, **more}) for number in range(steps)]


def trains(name: str, steps: int = 3) -> list[Movement]:
    return moves(name, steps, gradient=0.1, received=0.1, update=0.01)


def judged(
    steps: list[Step], parameters: list[Parameter], movements: list[Movement], *,
    events: tuple[Event, ...] = (), optimizers: tuple[Optimizer, ...] | None = None, error: str | None = None,
) -> Fates:  # fmt: skip
    updates = tuple(Event(each.serial + 500, each.number, "update", Line(HERE, 99), "adam") for each in steps)
    held = Optimizer("adam", "Adam", (Group(tuple(p.name for p in parameters if p.optimizers), (0.1,)),))
    told = Steps(
        len(steps), (*updates, *events), tuple(parameters), tuple(movements),
        (held,) if optimizers is None else optimizers, (1.0,) * len(steps), error=error,
    )  # fmt: skip
    return judge(told, Flow(tuple(each.graph() for each in steps)))


def the(fates: Fates, name: str) -> Any:
    return next(fate for fate in fates.fates if fate.parameter == name)


def program(write: Any, names: tuple[str, ...] = ("w",), **movement: Any) -> Any:
    """The fate of the first name in a program that `write` writes for each of three steps."""
    steps = []
    for number in range(3):
        step = Step(number)
        write(step)
        steps.append(step)
    found = [each for name in names for each in (moves(name, **movement) if name == names[0] else trains(name))]
    return the(judged(steps, [parameter(name) for name in names], found), names[0])


# ── what measurements alone tell ───────────────────────────────────────────────────────────────────────────────
def test_one_step_with_gradient_and_movement_is_enough() -> None:
    # LoRA's A, a zero-initialised gate, an embedding row, warm-up from rate 0: still at first, moving later
    late = [*moves("w", 2, gradient=0.0, received=0.0), *[replace(trains("w", 1)[0], step=2)]]
    assert the(judged([], [parameter("w")], late), "w").kind == "trains"


def test_weight_decay_alone_is_no_training() -> None:
    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        step.op("relu", step.op("linear", step.x(), w), line=7)
        step.backward(step.op("mse_loss", step.op("linear", step.x(), v)))

    assert program(write, ("w", "v"), update=0.001).kind == "dropped"
    assert program(write, ("w", "v"), gradient=0.0, update=0.001).kind == "dropped"


def test_moved_by_hand_trains() -> None:
    teacher = parameter("ema.w", optimizers=())
    by_hand = Event(5, 0, "manual", parameters=("ema.w",))
    assert (
        the(judged([], [teacher], moves("ema.w", update=0.1, rate=None), events=(by_hand,)), "ema.w").kind == "trains"
    )


def test_frozen() -> None:
    assert program(lambda step: None, requires_grad=False).kind == "frozen"


def test_frozen_in_some_steps_only_is_not_frozen() -> None:
    toggled = [replace(each, requires_grad=each.step == 1) for each in moves("w", received=None)]
    assert the(judged([], [parameter("w")], toggled), "w").kind != "frozen"


def test_cleared_between_backward_and_update() -> None:
    assert program(lambda step: None, received=0.3).kind == "cleared"


def test_rate_zero_in_every_step() -> None:
    assert program(lambda step: None, received=0.3, gradient=0.3, rate=0.0).kind == "rate"


def test_gradient_and_in_no_optimizer() -> None:
    for registered, kind in ((True, "unoptimized"), (False, "unregistered")):
        alone = parameter("w", optimizers=(), registered=registered)
        fates = judged([], [alone], moves("w", received=0.3, rate=None))
        assert the(fates, "w").kind == kind


def test_stale_twin() -> None:
    stale = Optimizer("adam", "Adam", (Group(("old",), (0.1,)),), stale=(("old", "w"),))
    both = [parameter("w", optimizers=()), parameter("old", in_model=False)]
    fates = judged([], both, [*moves("w", received=0.2, rate=None), *moves("old")], optimizers=(stale,))
    assert [fate.kind for fate in fates.fates] == ["stale", "aside"]


def test_update_lost_to_rounding() -> None:
    half = parameter("norm.weight", dtype="bfloat16")
    fate = the(
        judged([Step()], [half], moves("norm.weight", received=1.0, gradient=1.0, rate=1e-3, scale=1.0)), half.name
    )
    assert (fate.kind, fate.op, fate.line) == ("lost", "bfloat16", Line(HERE, 99))


def test_faint_gradient_beside_a_strong_one_is_not_lost() -> None:
    """Behind a gate that is still opening, or before a normalization, whose eps alone lets it through."""
    sgd = Optimizer("adam", "SGD", ())
    names = [parameter("norm.weight"), parameter("v")]
    faint = moves("norm.weight", received=6e-7, gradient=6e-7, rate=0.05, scale=1.0)
    beside = judged([Step()], names, [*faint, *trains("v")], optimizers=(sgd,))
    alone = judged([Step()], names[:1], faint, optimizers=(sgd,))
    assert (the(beside, "norm.weight").kind, the(beside, "norm.weight").op) == ("unexplained", "update")
    assert the(alone, "norm.weight").kind == "lost"


def test_large_enough_update_that_does_not_show_is_unexplained() -> None:
    assert program(lambda step: None, received=1.0, gradient=1.0, rate=1e-3).kind == "unexplained"


def test_no_update_of_its_optimizer_is_not_judged() -> None:
    other = parameter("g.w", optimizers=("sgd",))
    fates = judged([Step()], [other], moves("g.w", rate=None), optimizers=(Optimizer("sgd", "SGD", ()),))
    assert the(fates, "g.w").kind == "no update"


def test_a_target_network_is_set_aside() -> None:
    assert the(judged([], [parameter("w", optimizers=())], moves("w", rate=None)), "w").kind == "aside"


# ── never used ─────────────────────────────────────────────────────────────────────────────────────────────────
def unused(mentions: tuple[Line, ...] | None, **more: Any) -> Any:
    step = Step()
    step.backward(step.op("mse_loss", step.op("linear", step.x(), step.parameter("v"))))
    some = [parameter("fc.w", built=Line(HERE, 3, "self.fc = Linear()"), mentions=mentions), parameter("v")]
    return the(judged([step], some, [*moves("fc.w", 1, **more), *trains("v", 1)]), "fc.w")


def test_unused_where_nothing_mentions_it() -> None:
    assert unused(()).kind == "unused"
    assert unused(()).line == Line(HERE, 3, "self.fc = Linear()")


def test_conditional_where_something_may_read_it() -> None:
    assert unused(None).kind == "conditional"
    assert unused((Line(HERE, 40),)).kind == "conditional"
    assert unused((), called=True).kind == "conditional"  # it ran, so something reads it


# ── dropped ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_dropped_at_the_last_op_of_its_path() -> None:
    def write(step: Step) -> None:
        x, w, v = step.x(), step.parameter("w"), step.parameter("v")
        step.op("relu", step.op("conv2d", x, w, line=27), line=28)
        step.backward(step.op("cross_entropy", step.op("conv2d", x, v, line=29), line=40))

    fate = program(write, ("w", "v"))
    assert (fate.kind, fate.line.line, fate.op, fate.certain) == ("dropped", 28, "relu", True)


def test_dropped_though_it_is_looked_at() -> None:
    def write(step: Step) -> None:
        x, w, v = step.x(), step.parameter("w"), step.parameter("v")
        auxiliary = step.op("mse_loss", step.op("linear", x, w, line=5), line=6)
        step.op("item", auxiliary, line=7, history=False, escapes=True, module="")
        step.backward(step.op("mse_loss", step.op("linear", x, v)))

    fate = program(write, ("w", "v"))
    assert (fate.kind, fate.line.line) == ("dropped", 6)
    assert [(line.line, note) for line, note in fate.related] == [(7, "only looks at it (`item`)")]


def test_an_accuracy_is_no_use_of_a_head() -> None:
    def write(step: Step) -> None:
        x, w, v = step.x(), step.parameter("w"), step.parameter("v")
        logits = step.op("linear", x, w, line=5)
        step.op("mean", step.op("eq", step.op("argmax", logits, history=False), x, history=False), history=False)
        step.backward(step.op("mse_loss", step.op("linear", x, v)))

    assert (program(write, ("w", "v")).kind, program(write, ("w", "v")).line.line) == ("dropped", 5)


def test_the_norm_of_a_weight_for_a_log_is_no_use_of_it() -> None:
    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        step.op("item", step.op("norm", w, module=""), history=False, escapes=True, module="")
        step.backward(step.op("mse_loss", step.op("linear", step.x(), v)))

    assert program(write, ("w", "v")).kind == "conditional"


def test_kept_for_a_later_step_is_not_dropped() -> None:
    steps = []
    for number in range(2):
        step = Step(number)
        w, v = step.parameter("w"), step.parameter("v")
        kept = step.op("linear", step.x(), w, line=5)
        step.backward(step.op("mse_loss", step.op("linear", step.x(), v)))
        steps.append(step)
        if number == 0:
            first = kept
    steps[1].values[first] = Value(first, 1, "carried")
    fates = judged(steps[:2], [parameter("w"), parameter("v")], [*moves("w", 1), *trains("v", 2)])
    assert the(fates, "w").kind in ("conditional", "dropped")
    only_first = judged([steps[0], replace(steps[1], ops=[])], [parameter("w")], moves("w", 1))
    assert the(only_first, "w").kind in ("conditional", "opaque")


# ── cut ────────────────────────────────────────────────────────────────────────────────────────────────────────
def cut(name: str, **more: Any) -> Any:
    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        h = step.op("linear", step.x(), w, line=5)
        h = step.op(name, h, line=6, history=False, **more)
        step.backward(step.op("mse_loss", step.op("linear", h, v, line=7)))

    return program(write, ("w", "v"))


def test_cut_at_the_op_that_loses_the_history() -> None:
    for name, word in (
        ("detach", "`detach`"), ("data", "`.data`"), ("item", "`.item()`"), ("tensor", "`torch.tensor`"),
    ):  # fmt: skip
        fate = cut(name)
        assert (fate.kind, fate.line.line, fate.op) == ("cut", 6, name)
        assert word.lower().strip("`") in fate.reason.lower() or name in fate.reason


def test_cut_by_the_type_of_the_result() -> None:
    assert "whole numbers" in cut("argmax", dtype="int64").reason
    assert "True or False" in cut("gt", dtype="bool").reason
    assert "whole numbers" in cut("long", dtype="int64").reason


def test_cut_under_no_grad() -> None:
    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        h = step.op("linear", step.x(), w, line=5, history=False, grad=False)
        step.backward(step.op("mse_loss", step.op("linear", h, v)))

    fate = program(write, ("w", "v"))
    assert (fate.kind, fate.line.line) == ("cut", 5)
    assert "turned off" in fate.reason
    assert not fate.certain  # no text says `no_grad`: it may have been a variable's choice


def test_a_side_branch_that_is_detached_is_not_the_cause_of_a_drop() -> None:
    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        h = step.op("linear", step.x(), w, line=5)
        step.op("detach", h, line=6, history=False)
        step.backward(step.op("mse_loss", step.op("linear", step.x(), v)))

    assert (program(write, ("w", "v")).kind, program(write, ("w", "v")).line.line) == ("dropped", 5)


def test_the_detach_of_another_networks_step_is_not_the_cause() -> None:
    """The discriminator reads `fake.detach()`, which is right; the generator's own loss lost it at `round`."""
    step = Step()
    g, d = step.parameter("g"), step.parameter("d")
    fake = step.op("linear", step.x(), g, line=5)
    step.backward(step.op("bce", step.op("linear", step.op("detach", fake, line=6, history=False), d)))
    first = Event(step.new(), 0, "update", subject="opt_d")
    flat = step.op("argmax", fake, line=8, history=False, dtype="int64")
    step.backward(step.op("bce", step.op("linear", flat, d), line=9))
    second = Event(step.new(), 0, "update", subject="opt_g")
    some = [parameter("g", optimizers=("opt_g",)), parameter("d", optimizers=("opt_d",))]
    told = Steps(1, (first, second), tuple(some), (*moves("g", 1), *trains("d", 1)), (), (1.0,))
    assert the(judge(told, Flow((step.graph(),))), "g").line.line == 8


def test_a_target_network_held_by_the_optimizer_is_healthy() -> None:
    def write(step: Step) -> None:
        w, v = step.parameter("target.fc.w"), step.parameter("online.fc.w")
        h = step.op("linear", step.x(), w, line=5, history=False, grad=False)
        step.backward(step.op("mse_loss", h, step.op("linear", step.x(), v)))

    assert program(write, ("target.fc.w", "online.fc.w"), scale=0.5).kind == "aside"
    assert program(write, ("target.fc.w", "online.fc.w"), scale=0.7).kind == "cut"  # no copy: another network


def test_a_number_that_comes_back_is_a_cut() -> None:
    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        scores = step.op("linear", step.x(), w, line=5)
        step.op("tolist", scores, line=6, history=False, escapes=True)
        made = step.op("tensor", line=8)
        step.backward(step.op("mse_loss", step.op("linear", made, v)))

    fate = program(write, ("w", "v"))
    assert (fate.kind, fate.line.line) == ("cut", 6)


# ── opaque ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_was_not_seen_is_open() -> None:
    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        step.op("linear", step.x(), w, line=5)
        hidden = step.value("unknown", requires_grad=True)
        step.backward(step.op("mse_loss", hidden, step.op("linear", step.x(), v)))

    assert program(write, ("w", "v")).kind == "opaque"


def test_a_scripted_module_makes_an_unread_parameter_open() -> None:
    def write(step: Step) -> None:
        step.opaque.append(("scripted module", None))
        step.parameter("w")
        step.backward(step.op("mse_loss", step.op("linear", step.x(), step.parameter("v"))))

    assert program(write, ("w", "v")).kind == "opaque"


def test_a_step_without_a_graph_is_open() -> None:
    def write(step: Step) -> None:
        step.backward()

    assert program(write).kind == "opaque"


def test_a_step_that_raised_is_not_judged() -> None:
    step = Step()
    step.op("linear", step.x(), step.parameter("w"), line=5)
    raised = Event(50, 0, "error")
    fates = judged([step], [parameter("w")], moves("w", 1), events=(raised,), error="ValueError")
    assert (the(fates, "w").kind, fates.complete) == ("no update", False)


# ── zero ───────────────────────────────────────────────────────────────────────────────────────────────────────
def zero(name: str, *, factor: Any = None, peak: float = 1.0, made: float = 1.0, **more: Any) -> Any:
    """A parameter whose gradient vanishes at the op `name`, in the middle of a chain."""

    def write(step: Step) -> None:
        w, v = step.parameter("w"), step.parameter("v")
        h = step.op("linear", step.x(), w, line=5, peak=peak, gradient=0.0, shape=(4, 3))
        others = (factor(step),) if factor else ()
        h = step.op(name, h, *others, line=6, peak=made, gradient=0.2, **{"shape": (4, 3), **more})
        step.backward(step.op("mse_loss", step.op("linear", h, v, gradient=1.0), gradient=1.0))

    return program(write, ("w", "v"), received=0.0, gradient=0.0)


def test_flat_functions_are_cuts() -> None:
    for name in ("round", "floor", "ceil", "sign", "trunc"):
        fate = zero(name)
        assert (fate.kind, fate.line.line) == ("cut", 6)


def test_multiplied_by_zero() -> None:
    masked = zero("mul", factor=lambda step: step.value("input", peak=0.0), made=0.0)
    assert (masked.kind, masked.line.line, masked.reason) == ("zero", 6, "is multiplied by exactly 0")
    assert zero("mul", args={"1": 0.0}, made=0.0).reason == "is multiplied by exactly 0"
    assert zero("mul", made=0.0).reason == "is multiplied by exactly 0"  # seen from the result alone


def test_a_zero_gate_that_trains_is_waited_for() -> None:
    assert zero("mul", factor=lambda step: step.parameter("v", peak=0.0), made=0.0).kind == "waiting"


def test_dead_relu() -> None:
    assert zero("relu", made=0.0).kind == "zero"
    assert zero("relu", made=0.0, module="").kind == "waiting"  # a hinge in the loss that is satisfied


def test_other_known_reasons() -> None:
    assert "range" in zero("clamp").reason
    assert "single entry" in zero("softmax", shape=(4, 1), args={"dim": 1}).reason
    assert "saturated" in zero("sigmoid").reason


def test_nothing_to_work_on_is_open() -> None:
    def write(step: Step) -> None:  # an expert that gets no token
        w, v = step.parameter("w"), step.parameter("v")
        h = step.op("linear", step.x(), w, gradient=0.0, shape=(0, 3), peak=0.0)
        step.backward(step.op("cat", step.op("relu", h, shape=(0, 3), gradient=1.0), step.op("linear", step.x(), v)))

    assert program(write, ("w", "v"), received=0.0, gradient=0.0).kind == "waiting"


def test_zero_for_an_unknown_reason_is_not_certain() -> None:
    fate = zero("frobnicate")
    assert (fate.kind, fate.reason, fate.certain) == ("zero", "", False)


# ── telling them together ──────────────────────────────────────────────────────────────────────────────────────
def test_weight_and_bias_of_one_line_are_one_cluster() -> None:
    step = Step()
    x, w, b, v = step.x(), step.parameter("conv.weight"), step.parameter("conv.bias"), step.parameter("v")
    step.op("relu", step.op("conv2d", x, w, b, line=5), line=6)
    step.backward(step.op("mse_loss", step.op("linear", x, v)))
    some = [parameter("conv.weight"), parameter("conv.bias"), parameter("v")]
    found = judged([step], some, [*moves("conv.weight", 1), *moves("conv.bias", 1), *trains("v", 1)])
    (cluster,) = found.clusters("dropped")
    assert cluster.title == "conv.weight, conv.bias"
    assert cluster.told("…").subjects == ("conv.weight", "conv.bias")


def test_what_lies_in_a_package_is_a_suspicion_told_once() -> None:
    step = Step()
    for number in range(2):
        step.op("linear", step.x(), step.parameter(f"bert.pooler.{number}.weight"))
        step.ops[-1] = replace(step.ops[-1], line=Line("site-packages/bert.py", number, installed=True))
    step.backward(step.op("mse_loss", step.op("linear", step.x(), step.parameter("v"))))
    names = ["bert.pooler.0.weight", "bert.pooler.1.weight"]
    found = judged(
        [step],
        [*(parameter(name) for name in names), parameter("v")],
        [*moves(names[0], 1), *moves(names[1], 1), *trains("v", 1)],
    )
    (cluster,) = found.clusters("dropped")
    assert cluster.names == tuple(names)
    assert str(cluster.told("…").severity.value) == "suspicion"  # type: ignore[union-attr]


def test_many_parameters_cost_no_more_than_one_pass() -> None:
    step = Step()
    h = step.x()
    for number in range(300):
        h = step.op("linear", h, step.parameter(f"enc.{number}"), line=number + 1)
    h = step.op("detach", h, line=900, history=False)
    step.backward(step.op("mse_loss", step.op("linear", h, step.parameter("v"))))
    names = [f"enc.{number}" for number in range(300)]
    found = judged([step], [parameter(name) for name in names], [each for name in names for each in moves(name, 1)])
    assert {(fate.kind, fate.line.line if fate.line else 0) for fate in found.fates} == {("cut", 900)}


# ── penalties ──────────────────────────────────────────────────────────────────────────────────────────────────
def penalised(dead: bool, *, scaled: bool = False) -> Any:
    """Weight decay by hand over two layers, of which one may have no other use."""
    steps = []
    for number in range(2):
        step = Step(number)
        x, w, v = step.x(), step.parameter("w", shape=(3, 3)), step.parameter("v", shape=(3, 3))
        h = step.op("relu", step.op("linear", x, w, line=5), line=6)
        loss = step.op("mse_loss", step.op("linear", x if dead else h, v), shape=())
        for each in (w, v):
            term = step.op("sum", step.op("pow", each, shape=(3, 3), module=""), shape=(), module="")
            step.op("mul", loss, term, shape=()) if scaled else None
            loss = step.op("mul", loss, term, shape=()) if scaled else step.op("add", loss, term, shape=())
        steps.append(step.backward(loss))
    return the(judged(steps, [parameter("w"), parameter("v")], [*trains("w", 2), *trains("v", 2)]), "w")


def test_a_penalty_on_its_size_is_no_use_of_a_parameter() -> None:
    fate = penalised(dead=True)
    assert (fate.kind, fate.line.line, fate.got) == ("dropped", 6, "gradient from a penalty on its size alone")


def test_a_penalty_beside_a_use_is_healthy() -> None:
    assert penalised(dead=False).kind == "trains"
    assert penalised(dead=True, scaled=True).kind == "trains"  # multiplied with the loss: more than a penalty


def test_a_growing_learning_rate_is_waited_for() -> None:
    warm = [replace(each, rate=1e-9 * (each.step + 1)) for each in moves("w", received=1.0, gradient=1.0)]
    assert the(judged([Step()], [parameter("w")], warm), "w").kind == "unexplained"
