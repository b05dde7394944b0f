"""What models, modules, parameters and optimizers are called: by the user's own words."""

from __future__ import annotations

import copy
from typing import Any

import torch
from tests.backends.recorded import parameter, record
from torch import nn

from smokestep.evidence.steps import Steps


def called(*models: nn.Module, **keywords: Any) -> Steps:
    """The steps of a loop that calls these models one after another and trains them all."""

    def step() -> None:
        h = torch.ones(2, 3)
        for each in models:
            h = each(h)
        h.sum().backward()

    return record(step, **keywords).steps


def names(steps: Steps) -> set[str]:
    return {each.name for each in steps.parameters}


def test_one_model_has_the_names_of_its_parameters() -> None:
    assert names(called(nn.Sequential(nn.Linear(3, 3)))) == {"0.weight", "0.bias"}


def test_several_models_come_first() -> None:
    encoder, decoder = nn.Linear(3, 3), nn.Linear(3, 3)
    steps = called(encoder, decoder, model={"encoder": encoder, "decoder": decoder})
    assert names(steps) == {"encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"}


def test_a_variable_names_a_model() -> None:
    encoder, decoder = nn.Linear(3, 3), nn.Linear(3, 3)

    def step() -> None:
        decoder(encoder(torch.ones(2, 3))).sum().backward()

    assert {event.subject for event in record(step).steps.of("forward")} == {"encoder", "decoder"}


def test_an_attribute_of_the_trainer_names_a_model() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.actor, self.critic = nn.Linear(3, 3), nn.Linear(3, 3)
            self.actor_optimizer = torch.optim.SGD(self.actor.parameters(), lr=0.1)

        def step(self) -> None:
            self.critic(self.actor(torch.ones(2, 3))).sum().backward()
            self.actor_optimizer.step()

    steps = record(Trainer().step).steps
    assert names(steps) == {"actor.weight", "actor.bias", "critic.weight", "critic.bias"}
    assert [each.name for each in steps.optimizers] == ["actor_optimizer"]


def test_two_models_of_one_class_have_two_names() -> None:
    steps = called(*[nn.Linear(3, 3) for _ in range(2)])
    assert len({each.name.partition(".")[0] for each in steps.parameters}) == 2


def test_a_wrapper_is_not_told() -> None:
    model = torch.compile(nn.Sequential(nn.Linear(3, 3)), backend="eager")
    assert names(called(model)) == {"0.weight", "0.bias"}


def test_a_submodule_called_by_itself_belongs_to_its_model() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    steps = called(model[0], model[1])
    assert names(steps) == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_a_copy_that_averages_is_a_model_of_its_own() -> None:
    student = nn.Linear(3, 3)
    teacher = copy.deepcopy(student).requires_grad_(False)
    steps = called(student, teacher, model={"student": student, "teacher": teacher})
    assert {each.model for each in steps.parameters} == {"student", "teacher"}


def test_tied_weights_are_one_parameter_with_two_names() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    tied = called(model).parameter("0.weight")
    assert tied is not None and tied.aliases == ("1.weight",)


def test_a_shared_module_has_one_name() -> None:
    layer = nn.Linear(3, 3)
    assert names(called(nn.Sequential(layer, nn.ReLU(), layer))) == {"0.weight", "0.bias"}


def test_lists_of_parameters_are_registered() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all = nn.ParameterList([parameter(3), parameter(3)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.all[0] + self.all[1]

    steps = called(Model())
    assert names(steps) == {"all.0", "all.1"} and all(each.registered for each in steps.parameters)


class Keeper(nn.Module):
    """Keeps a trainable tensor in a place that `parameters()` does not look at."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        own = torch.zeros(3, requires_grad=True)
        self.kept: Any = {"list": [own], "tuple": (own,), "dict": {"a": own}, "attribute": own}[place]
        self.place = place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        own = {"list": 0, "tuple": 0, "dict": "a"}.get(self.place)
        return self.layer(x) + (self.kept if own is None else self.kept[own])


def test_an_unregistered_tensor_has_the_path_a_reader_would_write() -> None:
    found = {}
    for place in ("list", "tuple", "dict", "attribute"):
        (stray,) = [each for each in called(Keeper(place)).parameters if not each.registered]
        found[stray.container] = stray.name
    assert found == {"list": "kept[0]", "tuple": "kept[0]", "dict": "kept['a']", "attribute": "kept"}


def test_a_layer_in_a_plain_list_belongs_to_its_model() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)
            self.layers = [nn.Linear(3, 3)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.layers[0](x))

    strays = {each.name for each in called(Model()).parameters if not each.registered}
    assert strays == {"layers[0].weight", "layers[0].bias"}


def test_an_optimizer_is_named_by_its_variable() -> None:
    model = nn.Linear(3, 3)
    schedule_free = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        model(torch.ones(2, 3)).sum().backward()
        schedule_free.step()

    assert [each.name for each in record(step).steps.optimizers] == ["schedule_free"]


def test_a_tensor_that_only_an_optimizer_holds_is_named_by_its_place() -> None:
    model, lost = nn.Linear(3, 3), parameter(3)
    optimizer = torch.optim.SGD([*model.parameters(), lost], lr=0.1)

    def step() -> None:
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()

    stale = [each for each in record(step).steps.parameters if not each.in_model]
    assert [each.name for each in stale] == ["optimizer.param_groups[0]['params'][2]"]


def test_a_buffer_has_its_name() -> None:
    model = nn.BatchNorm1d(3)
    graph = record(lambda: model(torch.randn(4, 3)).sum().backward()).flow.graphs[0]
    assert {"running_mean", "running_var"} <= {value.name for value in graph.sources("buffer")}
