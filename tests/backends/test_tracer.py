"""The dataflow graph: what each public call reads and makes, and on whose line. Facts of small steps."""

from __future__ import annotations

import sys
import warnings
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.backends.recorded import graph, leads, names, op, parameter, record
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from smokestep.evidence.flow import Graph


def used(build: Callable[[torch.Tensor], torch.Tensor], *, steps: int = 1) -> Graph:
    """The graph of `build(w).sum().backward()`, w a parameter that a model holds."""
    model = nn.Module()
    model.w = parameter(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        build(model.w).sum().backward()
        optimizer.step()

    return graph(step, steps=steps)


def here() -> int:
    return sys._getframe(1).f_lineno


def test_an_operation_reads_its_arguments_and_makes_its_result() -> None:
    found = used(lambda w: torch.relu(w * 2))
    product, relu = op(found, "mul"), op(found, "relu")
    assert relu.reads == product.makes and found.values[product.reads[0]].kind == "parameter"


@pytest.mark.parametrize(
    "call", [lambda w: F.relu(w), lambda w: w.relu(), lambda w: torch.relu(w)], ids=["functional", "method", "torch"]
)
def test_the_spellings_of_a_call_have_one_name(call: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert "relu" in names(used(call))


def test_a_parameter_is_a_source_with_its_name() -> None:
    assert [value.name for value in used(lambda w: w * 2).sources("parameter")] == ["w"]


def test_a_parameter_is_a_source_in_every_step() -> None:
    found = used(lambda w: w * 2, steps=3)
    assert [value.name for value in found.sources("parameter")] == ["w"]


def test_an_in_place_call_makes_a_new_version() -> None:
    def build(w: torch.Tensor) -> torch.Tensor:
        h = w * 2
        h.add_(1)
        return torch.sigmoid(h)

    found = used(build)
    added = op(found, "add_")
    assert added.inplace and op(found, "sigmoid").reads == added.makes != op(found, "mul").makes


def test_writing_into_a_view_is_seen_by_who_reads_the_whole() -> None:
    def build(w: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(4, 3)
        h[:, 0] = torch.tanh(w)[:, 0]
        return torch.sigmoid(h)

    assert leads(used(build), "tanh", by_gradient=True)


def test_writing_through_a_kept_view_is_seen_by_who_reads_the_whole() -> None:
    def build(w: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(4, 3)
        column = h[:, 0]
        column.copy_(torch.tanh(w)[:, 0])
        return torch.sigmoid(h)

    assert leads(used(build), "tanh")


def test_what_is_overwritten_does_not_reach_the_loss() -> None:
    def build(w: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(w)
        h = torch.sigmoid(w)
        return h

    found = used(build)
    assert not leads(found, "tanh") and leads(found, "sigmoid")


def test_an_out_argument_is_what_was_made() -> None:
    def build(w: torch.Tensor) -> torch.Tensor:
        out = torch.empty(4, 3)
        with torch.no_grad():
            torch.exp(w, out=out)
        return w * torch.sigmoid(out)

    assert leads(used(build), "exp", "sigmoid")


def test_a_cast_that_changes_nothing_is_no_version() -> None:
    found = used(lambda w: torch.sigmoid((w * 2).float().contiguous().to("cpu")))
    assert op(found, "sigmoid").reads == op(found, "mul").makes


@pytest.mark.parametrize(
    ("cut", "name"),
    [
        (lambda h: h.detach(), "detach"),
        (lambda h: h.data, "data"),
        (lambda h: h.argmax(1, keepdim=True).float(), "argmax"),
        (lambda h: torch.round(h.detach()), "round"),
        (lambda h: (h > 0).float(), "gt"),
    ],
)
def test_a_cut_leads_by_value_and_not_by_gradient(cut: Callable[[torch.Tensor], torch.Tensor], name: str) -> None:
    found = used(lambda w: w * cut(torch.tanh(w)))
    assert leads(found, "tanh") and leads(found, name) and not leads(found, "tanh", by_gradient=True)


@pytest.mark.parametrize(
    ("escape", "name"),
    [
        (lambda h: h.sum().item(), "item"),
        (lambda h: float(h.detach().sum()), "__float__"),
        (lambda h: torch.tensor(h.tolist()), "tolist"),
        (lambda h: torch.from_numpy(h.detach().numpy()), "numpy"),
        (lambda h: torch.from_numpy(h.detach().numpy().copy() * 2), "numpy"),
        (lambda h: torch.tensor(h.detach().numpy()), "numpy"),
        (lambda h: torch.as_tensor(h.sum().item()), "item"),
    ],
    ids=["item", "float", "tolist", "from_numpy", "numpy arithmetic", "tensor of numpy", "as_tensor of item"],
)
def test_a_number_that_leaves_torch_escapes(escape: Callable[[torch.Tensor], Any], name: str) -> None:
    assert op(used(lambda w: w * escape(torch.tanh(w))), name).escapes


@pytest.mark.parametrize(
    "escape",
    [
        lambda h: h.sum().item(),
        lambda h: float(h.detach().sum()),
        lambda h: torch.tensor(h.tolist()),
        lambda h: torch.from_numpy(h.detach().numpy()),
        lambda h: torch.tensor(h.detach().numpy()),
        lambda h: torch.as_tensor(h.sum().item()),
    ],
    ids=["item", "float", "tolist", "from_numpy", "tensor of numpy", "as_tensor of item"],
)
def test_a_number_that_comes_back_is_linked(escape: Callable[[torch.Tensor], Any]) -> None:
    assert leads(used(lambda w: w * escape(torch.tanh(w))), "tanh")


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_passes_gradient(reentrant: bool) -> None:
    found = used(lambda w: checkpoint(torch.exp, torch.tanh(w), use_reentrant=reentrant))
    assert leads(found, "tanh", by_gradient=True)


def test_the_inside_of_a_checkpoint_is_seen() -> None:
    assert leads(used(lambda w: checkpoint(torch.tanh, w, use_reentrant=False)), "tanh")


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: torch.Tensor) -> torch.Tensor:
        return torch.exp(h) * 2

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: torch.Tensor) -> torch.Tensor:
        return h.view_as(h)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return -grad


class Nested(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            return Double.apply(h.detach()).detach()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad


captured = Double.apply


@pytest.mark.parametrize("apply", [Double.apply, captured, Reverse.apply, Nested.apply])
def test_a_custom_function_passes_gradient(apply: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert leads(used(lambda w: torch.sigmoid(apply(torch.tanh(w)))), "tanh", by_gradient=True)


def test_a_custom_function_is_one_operation_of_its_name() -> None:
    found = used(lambda w: torch.sigmoid(Double.apply(torch.tanh(w))))
    assert op(found, "Double").outer == "Double" and "exp" not in names(found)


def test_a_custom_function_twice_in_a_row_is_two_operations() -> None:
    found = used(lambda w: Double.apply(Double.apply(torch.tanh(w))))
    first, second = op(found, "Double"), op(found, "Double", 1)
    assert not set(first.makes).isdisjoint(second.reads) and leads(found, "tanh", by_gradient=True)


def test_a_custom_function_stands_on_the_line_that_applies_it() -> None:
    at = here() + 1
    found = used(lambda w: Double.apply(w))
    line = op(found, "Double").line
    assert line is not None and line.line == at


def test_a_functional_call_reads_the_tensors_it_is_given() -> None:
    layer = nn.Linear(3, 2)
    found = used(lambda w: torch.func.functional_call(layer, {"weight": torch.tanh(w)[:2]}, (torch.ones(1, 3),)))
    assert leads(found, "tanh", by_gradient=True)


def test_a_transform_is_opaque() -> None:
    found = used(lambda w: w * torch.func.grad(lambda v: torch.tanh(v).sum())(w))
    assert [name for name, _ in found.opaque] != []


def test_a_scripted_module_is_opaque_and_reads_its_parameters() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.Linear(3, 2))
    found = graph(lambda x: scripted(x).sum().backward(), torch.ones(2, 3))
    call = op(found, "scripted module")
    read = {found.values[value].name for value in call.reads}
    assert found.opaque[0][0] == "scripted module" and {"weight", "bias"} <= read


def test_a_compiled_model_is_seen_inside() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    compiled = torch.compile(model, backend="eager")
    assert leads(graph(lambda x: compiled(x).sum().backward(), torch.ones(2, 3)), "tanh", by_gradient=True)


def test_a_hook_that_replaces_an_output_is_followed() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    model[0].register_forward_hook(lambda module, args, output: torch.exp(output))
    found = graph(lambda x: model(x).sum().backward(), torch.ones(2, 3))
    assert op(found, "tanh").reads == op(found, "exp").makes


def test_a_parametrized_weight_leads_from_its_originals() -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    found = graph(lambda x: model(x).sum().backward(), torch.ones(2, 3))
    needed = found.backward_of(found.roots, found.passes_gradient)
    read = {value.name for value in found.sources("parameter") if value.id in needed}
    assert {"parametrizations.weight.original0", "parametrizations.weight.original1"} <= read


def test_a_packed_sequence_passes_on_its_tensor() -> None:
    model = nn.LSTM(3, 2, batch_first=True)

    def step(x: torch.Tensor) -> None:
        packed = pack_padded_sequence(torch.tanh(x * 1.5), torch.tensor([4, 2]), batch_first=True)
        output, _ = pad_packed_sequence(model(packed)[0], batch_first=True)
        output.sum().backward()

    assert leads(graph(step, torch.randn(2, 4, 3)), "tanh")


def test_attention_is_followed() -> None:
    model = nn.MultiheadAttention(4, 2, batch_first=True)
    found = graph(lambda x: model(x, x, x)[0].sum().backward(), torch.randn(2, 3, 4))
    needed = found.backward_of(found.roots, found.passes_gradient)
    names = {value.name for value in found.sources("parameter") if value.id in needed}
    assert names == {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}


def test_autocast_does_not_cut() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())

    def step(x: torch.Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(x).float().sum()
        loss.backward()

    found = graph(step, torch.ones(2, 3))
    needed = found.backward_of(found.roots, found.passes_gradient)
    assert {value.name for value in found.sources("parameter") if value.id in needed} == {"0.weight", "0.bias"}


Pair = namedtuple("Pair", "first second")


@dataclass
class Result:
    logits: torch.Tensor


@pytest.mark.parametrize("wrap", [lambda h: {"y": h}["y"], lambda h: Result(h).logits, lambda h: Pair(h, 1).first])
def test_what_a_model_returns_in_a_structure_is_its_output(wrap: Callable[[torch.Tensor], Any]) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> Any:
            return {"logits": self.layer(x)}

    model = Model()
    found = graph(lambda x: wrap(model(x)["logits"]).sum().backward(), torch.ones(2, 3))
    assert found.calls[0].outputs == op(found, "linear").makes


@pytest.mark.parametrize("make", [lambda h: {"logits": h}, Result, lambda h: Pair(h, 1), lambda h: [h], lambda h: (h,)])
def test_structured_outputs_are_found(make: Callable[[torch.Tensor], Any]) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> Any:
            h = self.layer(x)
            h.sum().backward()
            return make(h)

    model = Model()
    found = graph(lambda x: model(x), torch.ones(2, 3))
    assert found.calls[0].outputs == op(found, "linear").makes


def test_a_batch_element_has_its_path() -> None:
    model = nn.Linear(3, 2)
    found = graph(lambda b: model(b["x"][0]).sum().backward(), {"x": (torch.ones(2, 3),)})
    assert [value.name for value in found.sources("input") if value.name] == ["batch['x'][0]"]


def test_empty_and_scalar_and_integer_tensors_are_values() -> None:
    found = used(lambda w: torch.cat([w[:0], w * w.sum()[None, None]]) * torch.arange(3))
    assert {(), (0, 3)} <= {value.shape for value in found.values.values()} and leads(found, "sum")


def test_one_statement_over_several_lines_stands_on_its_own_line() -> None:
    at = here() + 2
    found = used(
        lambda w: torch.tanh(
            w,
        )
    )
    line = op(found, "tanh").line
    assert line is not None and line.line == at


def test_a_decorator_of_torch_hides_no_line() -> None:
    @torch.no_grad()
    def ema(w: torch.Tensor) -> torch.Tensor:
        return torch.exp(w)  # here

    found = op(used(lambda w: w * ema(w)), "exp")
    assert found.line is not None and found.line.code.endswith("# here") and not found.grad


def test_code_without_a_file_is_told_as_such() -> None:
    space: dict[str, Any] = {}
    exec(compile("import torch\ndef build(w): return torch.exp(w)", "<cell 1>", "exec"), space)
    line = op(used(space["build"]), "exp").line
    assert line is not None and (line.file, line.line) == ("<cell 1>", 2)


def test_the_stack_tells_the_callers() -> None:
    def inner(w: torch.Tensor) -> torch.Tensor:
        return torch.exp(w)

    at = here() + 1
    found = op(used(lambda w: inner(w)), "exp")
    assert [line.line for line in found.stack][1] == at and found.stack[0] == found.caller


def test_backward_of_a_list_of_losses_has_two_roots() -> None:
    w = parameter(3)
    found = graph(lambda: torch.autograd.backward([torch.tanh(w).sum(), torch.exp(w).sum()]))
    assert len(found.backwards) == 1 and len(found.backwards[0].roots) == 2


def test_a_graph_may_be_used_twice() -> None:
    w = parameter(3)

    def step() -> None:
        h = torch.tanh(w)
        h.sum().backward(retain_graph=True)
        torch.exp(h).sum().backward()

    found = graph(step)
    assert len(found.backwards) == 2 and leads(found, "tanh")


def test_a_gradient_that_is_trained_on_is_linked() -> None:
    model = nn.Linear(3, 1)

    def step(x: torch.Tensor) -> None:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(torch.tanh(model(x)).sum(), x, create_graph=True)
        (slope**2).sum().backward()

    found = graph(step, torch.ones(2, 3))
    needed = found.backward_of(found.roots)
    assert "weight" in {value.name for value in found.sources("parameter") if value.id in needed}


def test_what_an_earlier_step_made_is_carried() -> None:
    w, kept = parameter(3), [torch.zeros(3)]

    def step() -> None:
        h = torch.tanh(w + kept[0])
        h.sum().backward()
        kept[0] = h.detach()

    found = record(step, steps=2).flow.graphs[1]
    assert [value.kind for value in found.values.values() if value.kind == "carried"] != []
