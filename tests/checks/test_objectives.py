"""The checks of objectives written by hand, on small graphs: what each finds, and the look-alikes that it lets pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.loss.bottomless_loss import bottomless_loss
from smokestep.checks.loss.constant_penalty import constant_penalty
from smokestep.checks.loss.mask_after_mean import mask_after_mean
from smokestep.checks.loss.mismatched_variance import mismatched_variance
from smokestep.checks.loss.pooled_penalty import pooled_penalty
from smokestep.checks.loss.self_similarity import self_similarity
from smokestep.checks.loss.undetached_advantage import undetached_advantage
from smokestep.checks.roles.unopposed_labels import unopposed_labels
from smokestep.checks.sequence.attention_softmax import attention_softmax
from smokestep.checks.sequence.multiplied_mask import multiplied_mask
from smokestep.checks.sequence.order_blind import order_blind
from smokestep.checks.wiring.reversed_estimator import reversed_estimator
from smokestep.evidence.flow import Backward, Flow, Graph, Op, Value, ValueKind
from smokestep.evidence.losses import Losses
from smokestep.evidence.order import Ordered, Orders
from smokestep.evidence.roles import Push, Roles
from smokestep.evidence.steps import Event
from smokestep.findings import Finding, Line

Shape = tuple[int, ...]
X, W = 1, 2  # data and a weight, of which all else is made
NOTHING = Losses(())


class Written:
    """A graph written call by call; every call has a line of its own."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.values: dict[int, Value] = {}
        self.source(X, "input", (8, 4))
        self.source(W, "parameter", (4, 4))

    def source(self, number: int, kind: ValueKind, shape: Shape, **more: Any) -> int:
        trains = kind == "parameter"
        self.values[number] = Value(number, 0, kind, f"v{number}", shape=shape, requires_grad=trains, **more)
        return number

    def __call__(self, name: str, *reads: int, shape: Shape = (8, 4), **args: Any) -> int:
        number = 10 + len(self.ops)
        line = Line("train.py", number, name)
        self.ops.append(Op(number, 0, name, reads, (number,), line, line, args=args))
        passes = name not in ("detach", "argmin", "eq") and not (name == "grad" and not args.get("create_graph"))
        trains = passes and any(self.values[read].requires_grad for read in reads)
        self.values[number] = Value(
            number, 0, "made", op=number, shape=shape, requires_grad=trains, gradient=0.1 if trains else None
        )
        return number

    def loss(self, *terms: int) -> Flow:
        total = terms[0]
        for each in terms[1:]:
            total = self("add", total, each, shape=())
        return Flow((Graph(0, self.values, tuple(self.ops), (Backward(0, (total,)),)),))


def told(check: Any, *evidence: Any) -> list[int]:
    """The lines that are named as causes."""
    said = [each for each in check.judge(*evidence) if isinstance(each, Finding)]
    return [each.cause.line if each.cause else 0 for each in said]


# ── penalties on derivatives ───────────────────────────────────────────────────────────────────────────────────────
def penalised(norms: Shape, scores: Shape = (8, 1), factor: float = 10.0, cut: bool = False, **args: Any) -> Flow:
    w = Written()
    score = w("linear", X, W, shape=scores)
    slope = w("grad", w("sum", score, shape=()), X, shape=(8, 4), **args)
    norm = w("norm", slope, shape=norms)
    penalty = w("mean", w("pow", w("sub", norm, shape=norms, **{"1": 1}), shape=norms, **{"1": 2}), shape=())
    penalty = w("detach", penalty, shape=()) if cut else penalty
    return w.loss(w("mean", score, shape=()), w("mul", penalty, shape=(), **{"1": factor}))


def test_a_penalty_without_a_graph_is_told_at_the_derivative() -> None:
    assert told(constant_penalty, penalised((8,))) == [12]
    assert told(constant_penalty, penalised((8,), create_graph=True)) == []
    assert told(constant_penalty, penalised((8,), cut=True)) == []  # somebody said so
    assert told(constant_penalty, penalised((8,), factor=0.0)) == []  # switched off


@pytest.mark.parametrize(
    ("norms", "scores", "lines"),
    [((8,), (8, 1), []), ((8, 1), (8, 1), []), ((), (8, 1), [13]), ((4,), (8, 1), [13]), ((8, 5), (8, 5, 1), [])],
)
def test_a_norm_belongs_to_a_sample_or_to_an_output(norms: Shape, scores: Shape, lines: list[int]) -> None:
    assert told(pooled_penalty, penalised(norms, scores, create_graph=True)) == lines


# ── divergences ────────────────────────────────────────────────────────────────────────────────────────────────────
def coded(sign: float = -0.5, half: float | None = 0.5) -> Flow:
    """1 + v - m**2 - exp(v), summed and multiplied by a number; and a sample."""
    w = Written()
    mean, log_var = w("linear", X, W), w("linear", X, W)
    scale = log_var if half is None else w("exp", w("mul", log_var, **{"1": half}) if half != 1 else log_var)
    sample = w("add", mean, w("mul", w("randn_like", X), scale))
    inner = w("sub", w("add", log_var, **{"1": 1}), w("pow", mean, **{"1": 2}))
    total = w("sum", w("sub", inner, w("exp", log_var)), shape=())
    return w.loss(w("mse_loss", sample, X, shape=()), w("mul", total, shape=(), **{"1": sign}))


def test_a_divergence_with_the_sign_of_the_bound_has_no_least_value() -> None:
    assert len(told(bottomless_loss, coded(sign=0.5))) == 1
    assert told(bottomless_loss, coded(sign=-0.5)) == []


@pytest.mark.parametrize(("half", "found"), [(0.5, 0), (1, 1), (None, 1), (2.0, 1)])
def test_the_scale_is_the_root_of_the_variance(half: float | None, found: int) -> None:
    assert len(told(mismatched_variance, coded(half=half))) == found


def test_a_logarithm_and_its_exponential_must_balance() -> None:
    for name, lines in (("add", 0), ("sub", 1)):
        w = Written()
        log_scale = w("linear", X, W)
        error = w("pow", w("div", w("sub", X, w("linear", X, W)), w("exp", log_scale)), **{"1": 2})
        assert len(told(bottomless_loss, w.loss(w("mean", w(name, error, log_scale), shape=())))) == lines, name


# ── contrasts, weights, estimators ─────────────────────────────────────────────────────────────────────────────────
def contrasted(*mask: str) -> Flow:
    w = Written()
    z = w("linear", X, W)
    similar = w("div", w("matmul", z, w("t", z, shape=(4, 8)), shape=(8, 8)), shape=(8, 8), **{"1": 0.5})
    for name in mask:
        similar = w(name, similar, w("eq", X, shape=(8, 8)), shape=(8, 8))
    return w.loss(w("mean", w("logsumexp", similar, shape=(8,)), shape=()))


def test_samples_among_their_own_candidates() -> None:
    assert told(self_similarity, contrasted(), NOTHING) == [12]
    assert told(self_similarity, contrasted("masked_fill"), NOTHING) == []


def masked(weight: Shape, reduced: bool = True) -> Flow:
    w = Written()
    w.source(3, "input", weight)
    errors = w("pow", w("sub", w("linear", X, W), X), **{"1": 2})
    mean = w("mean", errors, shape=()) if reduced else errors
    return w.loss(w("sum", w("mul", mean, 3, shape=weight), shape=()))


def test_a_mask_that_meets_the_mean_picks_nothing_out() -> None:
    assert told(mask_after_mean, masked((8,)), NOTHING) == [14]
    assert told(mask_after_mean, masked((8, 4)), NOTHING) == [14]
    assert told(mask_after_mean, masked((3,)), NOTHING) == []  # weights of something else
    assert told(mask_after_mean, masked((1,)), NOTHING) == []
    assert told(mask_after_mean, masked((8, 4), reduced=False), NOTHING) == []


@pytest.mark.parametrize(("kept", "first", "found"), [("z", "q", 0), ("q", "z", 1), ("q", "q", 1), ("z", "z", 1)])
def test_an_estimator_keeps_what_it_was_made_from(kept: str, first: str, found: int) -> None:
    w = Written()
    z = w("linear", X, W)
    q = w("embedding", w("argmin", z, shape=(8,)), W)
    at = {"z": z, "q": q}
    cut = w("detach", w("sub", at[first], q if first == "z" else z))
    flow = w.loss(w("mean", w("add", at[kept], cut), shape=()))
    assert len(told(reversed_estimator, flow)) == found


def advantaged(cut: bool, fitted: bool = True) -> Flow:
    w = Written()
    chosen = w("gather", w("log_softmax", w("linear", X, W)), shape=(8,))
    advantage = w("sub", w.source(3, "input", (8,)), w("squeeze", w("linear", X, W), shape=(8,)), shape=(8,))
    weight = w("detach", advantage, shape=(8,)) if cut else advantage
    policy = w("neg", w("mean", w("mul", chosen, weight, shape=(8,)), shape=()), shape=())
    if not fitted:
        return w.loss(policy)
    return w.loss(policy, w("mean", w("pow", advantage, shape=(8,), **{"1": 2}), shape=()))


def test_an_advantage_weighs_and_does_not_learn() -> None:
    assert told(undetached_advantage, advantaged(cut=False), Roles()) == [16]
    assert told(undetached_advantage, advantaged(cut=True), Roles()) == []
    assert told(undetached_advantage, advantaged(cut=False, fitted=False), Roles()) == []


# ── attention ──────────────────────────────────────────────────────────────────────────────────────────────────────
def attending(dim: int, before: str = "", after: str = "", key: Shape = (5, 5)) -> Flow:
    w = Written()
    q, k, v = (w("linear", X, W, shape=(2, 5, 4)) for _ in range(3))
    mask = w("tril", w("ones", shape=key), shape=key)
    scores = w("matmul", q, w("transpose", k, shape=(2, 4, 5), **{"1": 1, "2": 2}), shape=(2, 5, 5))
    scores = w(before, scores, mask, shape=(2, 5, 5)) if before else scores
    weights = w("softmax", scores, shape=(2, 5, 5), dim=dim)
    other = w("sum", weights, shape=(2, 5, 1), dim=-1) if after == "div" else mask
    weights = w(after, weights, other, shape=(2, 5, 5)) if after else weights
    return w.loss(w("mean", w("matmul", weights, v, shape=(2, 5, 4)), shape=()))


def test_a_softmax_runs_over_the_keys() -> None:
    assert [len(told(attention_softmax, attending(dim))) for dim in (-1, 2, 1, -2)] == [0, 0, 1, 1]
    assert told(attention_softmax, attending(1, after="div")) == []  # normalised anew


def test_a_mask_excludes_before_the_softmax() -> None:
    assert len(told(multiplied_mask, attending(-1, before="mul"))) == 1
    assert len(told(multiplied_mask, attending(-1, after="mul"))) == 1
    assert told(multiplied_mask, attending(-1, before="masked_fill")) == []
    assert told(multiplied_mask, attending(-1, before="masked_fill", after="mul")) == []
    assert told(multiplied_mask, attending(-1, after="mul", key=(5, 1))) == []  # over the queries alone


def test_only_a_model_that_did_not_notice_is_blind() -> None:
    seen = Ordered("net", "ids", 9, True, True, Line("net.py", 7))
    assert told(order_blind, Orders((seen,))) == [7]
    assert told(order_blind, Orders((replace(seen, blind=False),))) == []


# ── adversaries ────────────────────────────────────────────────────────────────────────────────────────────────────
def game(real: dict[str, Any], fake: dict[str, Any], maker: dict[str, Any]) -> Roles:
    def push(network: str, place: int, line: int, **more: Any) -> Push:
        at = Line("train.py", line)
        return Push(0, network, at, at, Event(place, 0, "update"), (f"{network}.w",), **more)

    made = push("maker", 2, 30, through=(("judge", maker.pop("way", None)),), **maker)
    pushes = push("judge", 1, 10, **real), push("judge", 1, 20, over=frozenset({"maker"}), **fake), made
    return Roles(pushes, {"judge": frozenset({"judge.w"}), "maker": frozenset({"maker.w"})})


def test_adversaries_want_different_things() -> None:
    real, fake = {"target": 1.0}, dict[str, Any](target=0.0)
    fake["sign"] = 1
    assert told(unopposed_labels, game(real, fake, {"target": 1.0, "way": -1})) == []
    assert told(unopposed_labels, game(real, fake, {"target": 0.0, "way": 1})) == [30]
    assert told(unopposed_labels, game(real, fake, {"target": 0.0, "way": -1})) == []  # the minimax game
    assert told(unopposed_labels, game(real, {"target": 1.0}, {"target": 1.0})) == [20]
    assert told(unopposed_labels, game({"target": 1.0}, {"target": -1.0}, {"target": 0.0})) == []  # least squares


def test_adversaries_without_labels_pull_in_opposite_directions() -> None:
    real, fake = {"sign": -1, "linear": True}, {"sign": 1, "linear": True}
    assert told(unopposed_labels, game(real, fake, {"way": -1})) == []
    assert told(unopposed_labels, game(real, fake, {"way": 1})) == [30]
    assert told(unopposed_labels, game(real, fake, {"way": 1, "fitted": True})) == []
    assert told(unopposed_labels, game({"sign": 1}, fake, {"way": 1})) == []  # it does not tell them apart
