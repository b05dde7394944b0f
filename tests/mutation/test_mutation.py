"""Each operator does what it says, lines stay where they were, and a handful of mutants are found."""

from __future__ import annotations

import ast
from functools import cache

import pytest
from tests.mutation.edits import applied
from tests.mutation.mutants import Mutant, Row, drawn, fate, judged, sites
from tests.mutation.operators import OPERATORS
from tests.mutation.page import page
from tests.mutation.program import Program

LOSS = "loss = F.mse_loss(out, y)"
# operator -> a statement, the modules that its calls call, and every way in which the operator writes it anew
WRITTEN: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "detached": ("h = self.fc(x)", {"self.fc(x)": "Linear"}, ["h = self.fc(x).detach()"]),
    "data": ("h = self.fc(x)", {"self.fc(x)": "Linear"}, ["h = self.fc(x).data"]),
    "through-numpy": (
        "h = self.fc(x)",
        {"self.fc(x)": "Linear"},
        ["h = torch.from_numpy(self.fc(x).detach().numpy())"],
    ),
    "through-list": ("h = self.fc(x)", {"self.fc(x)": "Linear"}, ["h = torch.tensor(self.fc(x).tolist())"]),
    "under-no-grad": ("h = self.fc(x)", {"self.fc(x)": "Linear"}, ["with torch.no_grad(): h = self.fc(x)"]),
    "dropped-result": ("x = F.relu(self.fc(x))", {"self.fc(x)": "Linear"}, ["F.relu(self.fc(x))"]),
    "skipped-layer": ("x = F.relu(self.fc(x))", {"self.fc(x)": "Linear"}, ["x = F.relu(x)"]),
    "old-input": ("h = self.fc(h)", {"self.fc(h)": "Linear"}, ["h = self.fc(x)"]),
    "zeros-for-input": ("out = model(x)", {"model(x)": "Net"}, ["out = model(torch.zeros_like(x))"]),
    "removed-residual": ("x = x + self.fc(x)", {"self.fc(x)": "Linear"}, ["x = self.fc(x)"]),
    "undetached": ("y = (a + b).detach()", {}, ["y = (a + b)"]),
    "frozen": ("fc = nn.Linear(2, 3)", {}, ["fc = nn.Linear(2, 3).requires_grad_(False)"]),
    "zero-weight": (
        "fc = nn.Linear(2, 3)",
        {},
        ["fc = (made := nn.Linear(2, 3), nn.init.zeros_(made.weight))[0]"],
    ),
    "constant-weight": (
        "fc = nn.Linear(2, 3)",
        {},
        ["fc = (made := nn.Linear(2, 3), nn.init.constant_(made.weight, 0.1))[0]"],
    ),
    "removed-activation": (
        "x = F.relu(x).tanh() + self.act(x)",
        {"self.act(x)": "GELU"},
        ["x = F.relu(x) + self.act(x)", "x = x.tanh() + self.act(x)", "x = F.relu(x).tanh() + x"],
    ),
    "unregistered": ("a = nn.ModuleList([fc])", {}, ["a = list([fc])"]),
    "evaluation-mode": ("model.train()", {}, ["model.eval()"]),
    "removed-mask": (
        "h = attend(q, is_causal=True).masked_fill(m, 0)",
        {},
        ["h = attend(q, is_causal=True)", "h = attend(q, is_causal=False).masked_fill(m, 0)"],
    ),
    "inverted-mask": ("m = torch.tril(w)", {}, ["m = torch.triu(w)"]),
    "softmax-dimension": ("p = a.softmax(-1)", {}, ["p = a.softmax(0)", "p = a.softmax((-2))"]),
    "reduced-dimension": ("p = a.mean(dim=1)", {}, ["p = a.mean(dim=0)"]),
    "reshaped": ("a = a.transpose(1, 2)", {}, ["a = a.reshape(a.transpose(1, 2).shape)"]),
    "other-permutation": (
        "a = a.permute(1, 2, 0)",
        {},
        ["a = a.permute(2, 1, 0)", "a = a.permute(0, 2, 0)"],
    ),
    "target-with-dimension": (LOSS, {}, ["loss = F.mse_loss(out, y.unsqueeze(-1))"]),
    "unsqueezed": ("out = self.fc(x).squeeze(1)", {}, ["out = self.fc(x)"]),
    "unshifted": ("y = ids[:, 1:]", {}, ["y = ids[:, :-1]"]),
    "double-softmax": (
        "loss = criterion(out, y)",
        {"criterion(out, y)": "CrossEntropyLoss"},
        ["loss = criterion(out.softmax(1), y)"],
    ),
    "swapped-arguments": (LOSS, {}, ["loss = F.mse_loss(y, out)"]),
    "shifted-target": (LOSS, {}, ["loss = F.mse_loss(out, y.roll(1, -1))"]),
    "zeros-for-target": (LOSS, {}, ["loss = F.mse_loss(out, torch.zeros_like(y))"]),
    "own-target": (LOSS, {}, ["loss = F.mse_loss(out, out.detach())"]),
    "sum-for-mean": (LOSS, {}, ["loss = F.mse_loss(out, y, reduction='sum')"]),
    "undivided": ("loss = a / 4", {}, ["loss = a"]),
    "item": ("loss = a + b", {}, ["loss = a + b.item()", "loss = a.item() + b"]),
    "flipped-sign": ("loss.backward()", {}, ["(-loss).backward()"]),
    "rewrapped-loss": ("loss.backward()", {}, ["loss.detach().requires_grad_().backward()"]),
    "no-zero-grad": ("optimizer.zero_grad()", {}, ["pass"]),
    "cleared": (
        "loss.backward()\n    opt.step()",
        {},
        ["loss.backward(); opt.zero_grad()\n    opt.step()"],
    ),
    "no-step": ("optimizer.step()", {}, ["pass"]),
    "step-not-called": ("optimizer.step()", {}, ["optimizer.step"]),
    "no-backward": ("loss.backward()", {}, ["pass"]),
    "early-step": ("loss.backward()\n    opt.step()", {}, ["opt.step()\n    loss.backward()"]),
    "part-of-parameters": ("opt = Adam(net.parameters())", {}, ["opt = Adam(list(net.parameters())[2:])"]),
    "parameters-of-copy": (
        "opt = Adam(net.parameters())",
        {},
        ["opt = Adam(__import__('copy').deepcopy(net).parameters())"],
    ),
    "zero-rate": ("opt = SGD(ps, lr=0.1)", {}, ["opt = SGD(ps, lr=(0.0 * 0.1))"]),
    "thousandfold-rate": ("opt = Adam(ps)", {}, ["opt = Adam(ps, lr=1000 * 0.001)"]),
    "tiny-rate": ("opt = SGD(ps, lr=0.1)", {}, ["opt = SGD(ps, lr=(1e-06 * 0.1))"]),
    "maximized": ("opt = Adam(ps)", {}, ["opt = Adam(ps, maximize=True)"]),
    "seeded-step": ("opt.zero_grad()", {}, ["torch.manual_seed(0); opt.zero_grad()"]),
}


def program(statements: str, called: dict[str, str]) -> Program:
    """A function of these statements, all of which run, as a program whose calls call these modules."""
    name = "step" if "model" in statements else "forward"
    source = f"def {name}(self, x):\n    {statements}\n"
    tree = ast.parse(source)
    calls = {node: called[ast.unparse(node)] for node in ast.walk(tree) if ast.unparse(node) in called}
    return Program("tiny", source, tree, frozenset(range(1, 9)), calls)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_does_what_it_says(name: str) -> None:
    statements, called, expected = WRITTEN[name]
    tiny = program(statements, called)
    written = [applied(tiny.source, edits) for edits in OPERATORS[name].mutations(tiny)]
    assert written == [tiny.source.replace(statements, each) for each in expected]


def test_what_stands_on_several_lines_keeps_them() -> None:
    tiny = program(
        "loss = F.mse_loss(\n        out,\n        y.squeeze(\n            1),  # why\n    )\n    loss.backward()", {}
    )
    for name in ("unsqueezed", "zeros-for-target", "sum-for-mean", "swapped-arguments"):
        (edits,) = OPERATORS[name].mutations(tiny)
        lines = applied(tiny.source, edits).splitlines()
        assert ast.parse("\n".join(lines)) and lines[6].strip() == "loss.backward()", lines


watched = cache(sites)


def of(name: str, file: str, entry: str) -> list[Mutant]:
    return [each for each in watched((file, entry)) if each.operator == name]


def test_only_what_an_entry_runs_is_mutated() -> None:
    own = watched(("loops.py", "plain_classifier"))
    assert {each.operator for each in own} >= {"detached", "removed-activation", "no-step", "zeros-for-target"}
    assert {line for each in own for line in each.lines} <= {*range(15, 28), *range(30, 45)}


def test_a_mutant_may_not_run_or_change_nothing() -> None:
    first, second = of("skipped-layer", "loops.py", "plain_classifier")
    assert fate(second) == "invalid" and "fc1" not in second.source.splitlines()[second.edits[0].start[0] - 1]
    assert [fate(each) for each in of("evaluation-mode", "loops.py", "plain_classifier")] == ["equivalent"]
    assert [fate(each) for each in of("no-step", "loops.py", "plain_classifier")] == ["changed"]


@pytest.mark.parametrize(
    ("operator", "nth", "check"),
    [
        ("detached", 1, "gradient-cut"),
        ("no-zero-grad", 0, "stale-gradients"),
        ("no-step", 0, "no-step"),
        ("parameters-of-copy", 0, "stale-optimizer"),
    ],
)
def test_a_mutant_is_found_on_its_line(operator: str, nth: int, check: str) -> None:
    row = judged(of(operator, "loops.py", "plain_classifier")[nth])
    assert row.right and check in {each.check for each in row.default}, row


def test_the_same_seed_draws_the_same_and_no_edit_twice() -> None:
    own = [*watched(("loops.py", "plain_classifier")), *watched(("loops.py", "cleared_at_the_end"))]
    assert drawn(own, 3) == drawn(own, 3) != drawn(own, 4)
    queue = drawn(own, 0)["removed-activation"]  # both entries train the same class
    assert len(queue) == 1


def test_the_page_tells_a_survivor_with_its_reason() -> None:
    (mutant,) = of("sum-for-mean", "loops.py", "cleared_at_the_end")
    text = page([Row(mutant, (), (), "")], {("sum-for-mean", "changed"): 1}, 0, 1, 1)
    assert "| sum-for-mean° |" in text and "cleared_at_the_end" in text
