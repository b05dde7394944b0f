"""What becomes of the result of a line, read from its text."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from smokestep.evidence import source
from smokestep.findings import Line


def line(tmp_path: Path, text: str, mark: str = "<-") -> Line:
    """The line of `text` that carries the mark."""
    file = tmp_path / f"case_{abs(hash(text))}.py"
    file.write_text(textwrap.dedent(text))
    number = next(i for i, each in enumerate(text.splitlines(), 1) if mark in each)
    return Line(str(file), number)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("overwritten", "def f(x):\n    h = a(x)  # <-\n    h = b(x)\n    return h"),
        ("overwritten", "def f(x):\n    for a in some:\n        h = a(x)  # <-\n    return h"),
        ("overwritten", "def f(x):\n    h = a(x)  # <-\n    print(h.shape)\n    h = b(x)\n    return h"),
        ("overwritten", "def f(x):\n    with g():\n        h = a(x)  # <-\n    h = b(x)\n    return h"),
        ("read", "def f(x):\n    h = a(x)  # <-\n    h = b(h)\n    return h"),
        ("read", "def f(x):\n    for a in some:\n        x = a(x)  # <-\n    return x"),
        ("read", "def f(x):\n    h = a(x)  # <-\n    kept.append(h)"),
        ("unread", "def f(x):\n    h = a(x)  # <-\n    return x"),
        ("unread", "def f(x):\n    h = a(x)  # <-\n    print(float(h))\n    return x"),
        ("unread", "def f(x):\n    h = a(x)  # <-\n    assert h.shape == x.shape\n    return x"),
        ("bare", "def f(x):\n    a(x)  # <-\n    return x"),
        ("stored", "def f(self, x):\n    self.h = a(x)  # <-\n    return x"),
        ("stored", "def f(x):\n    kept.append(a(x))  # <-\n    return x"),
        ("returned", "def f(x):\n    return a(x)  # <-"),
        ("returned", "def f(x):\n    h = a(x)  # <-\n    return x, h"),
        ("conditional", "def f(x):\n    h = a(x)  # <-\n    if late:\n        x = x + h\n    return x"),
        ("conditional", "def f(x):\n    h = a(x)  # <-\n    return_later = x if late else h\n    x = 1"),
        ("discarded", "def f(x):\n    x, _ = a(x)  # <-\n    return x"),
        ("unknown", "def f(x):\n    for h in a(x):  # <-\n        pass"),
    ],
)
def test_what_becomes_of_a_result(tmp_path: Path, kind: str, text: str) -> None:
    assert source.becomes(line(tmp_path, text)).kind == kind


def test_the_other_branch_is_no_reader(tmp_path: Path) -> None:
    text = "def f(x):\n    if c:\n        h = a(x)  # <-\n    else:\n        g(h)\n    h = b(x)\n    return h"
    assert source.becomes(line(tmp_path, text)).kind == "overwritten"


def test_one_of_several_names(tmp_path: Path) -> None:
    use = source.becomes(line(tmp_path, "def f(x):\n    x, h = a(x)  # <-\n    return x"))
    assert (use.kind, use.name, use.several) == ("unread", "h", True)


def test_what_two_lines_both_read(tmp_path: Path) -> None:
    first = line(
        tmp_path, "def f(x):\n    net = relu(self.conv1(x))  # <-\n    net = relu(self.conv2(x))\n    return net"
    )
    use = source.becomes(first)
    assert use.at is not None and use.at.line == 3
    assert source.again(first, use.at, "net") == ("x", "conv2")


def test_no_grad_around_a_call_of_the_caller(tmp_path: Path) -> None:
    inner = line(tmp_path, "def forward(self, x):\n    return self.fc(x)  # <-")
    outer = line(tmp_path, "def step(x):\n    with torch.no_grad():\n        h = model(x)  # <-\n    return h")
    found = source.no_grad_region((inner, outer))
    assert found is not None
    assert (found[0].line, found[1].line) == (3, 2)


def test_no_grad_as_a_decorator(tmp_path: Path) -> None:
    found = source.no_grad_region((line(tmp_path, "@torch.no_grad()\ndef encode(x):\n    return fc(x)  # <-"),))
    assert found is not None and found[1].line == 1


def test_a_variable_that_switches_gradient_off_says_nothing(tmp_path: Path) -> None:
    assert source.no_grad_region((line(tmp_path, "with torch.set_grad_enabled(tune):\n    y = fc(x)  # <-"),)) is None
    assert source.no_grad_region((line(tmp_path, "with torch.set_grad_enabled(False):\n    y = fc(x)  # <-"),))


def test_gradient_is_not_off_under_another_with(tmp_path: Path) -> None:
    assert source.no_grad_region((line(tmp_path, "with torch.autocast('cpu'):\n    y = fc(x)  # <-"),)) is None


def test_the_only_line_that_freezes(tmp_path: Path) -> None:
    one = line(tmp_path, "for p in body.parameters():\n    p.requires_grad = False\ny = f(x)  # <-")
    assert source.freezes((one,)) == Line(one.file, 2, "p.requires_grad = False")
    two = line(tmp_path, "a.requires_grad_(False)\nb.requires_grad_(False)\ny = f(x)  # <-")
    assert source.freezes((two,)) is None


def test_a_file_that_cannot_be_read_says_nothing() -> None:
    gone = Line("<string>", 3)
    assert source.becomes(gone).kind == "unknown"
    assert source.no_grad_region((gone,)) is None
    assert source.function_of(gone) == ""


@pytest.mark.parametrize(
    ("sites", "text"),
    [
        (2, "def f(a, b):\n    return F.mse_loss(a, b) + 0.5 * F.mse_loss(b, a)  # <-"),
        (3, "def f(a, b):\n    loss = bce(a, b) + bce(b, a) + bce(a, a)  # <-"),
        (1, "def f(a, b):\n    return F.mse_loss(a, b) + F.l1_loss(a, b)  # <-"),
        (1, "def f(a, b):\n    return F.mse_loss(a, b) if late else F.mse_loss(b, a)  # <-"),
        (1, "def f(a, b):\n    return sum(F.mse_loss(a, c) + F.mse_loss(c, b) for c in b)  # <-"),
        (1, "def f(a, b):\n    return net(a) + net(b) + F.mse_loss(a, b)  # <-"),
        (1, "def f(a, b):\n    if F.mse_loss(a, b) > F.mse_loss(b, a): return a  # <-\n    return b"),
    ],
)
def test_losses_on_one_line_are_counted_where_all_of_them_are_called(tmp_path: Path, sites: int, text: str) -> None:
    assert source.loss_sites(line(tmp_path, text)) == sites
