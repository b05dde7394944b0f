"""Modes that differ on purpose: frozen parts that stay in eval, two kinds of output, first-batch set-up, teachers."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def batch(n: int = 10):
    return torch.randn(n, 8), torch.randint(0, 3, (n,))


def images(n: int = 4):
    return torch.rand(n, 3, 8, 8) * 255, torch.randint(0, 3, (n,))


def classify(model: nn.Module, data=None, optimizer=None) -> smokestep.Training:
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.05)

    def step(data):
        x, y = data
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch() if data is None else data)


def backbone() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1))


class FrozenBackbone(nn.Module):
    """train() reaches the head only: the pretrained part is frozen and stays in inference mode."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = backbone().requires_grad_(False), nn.Sequential(nn.Dropout(0.1), nn.Linear(16, 3))

    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


@healthy()
def train_that_leaves_the_frozen_part_in_eval() -> smokestep.Training:
    model = FrozenBackbone()
    return classify(model, optimizer=torch.optim.Adam(model.head.parameters(), lr=1e-2))


class WithTeacher(nn.Module):
    """The average of the past lies in a submodule that is in eval whatever the model is told."""

    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(backbone(), nn.Linear(16, 3))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False).eval()

    def train(self, mode: bool = True):
        self.training = mode
        self.student.train(mode)
        return self

    @torch.no_grad()
    def update_teacher(self, decay: float = 0.99):
        for t, s in zip(self.teacher.state_dict().values(), self.student.state_dict().values()):
            t.copy_(decay * t + (1 - decay) * s if t.is_floating_point() else s)

    def forward(self, x):
        if not self.training:
            return self.teacher(x)
        with torch.no_grad():
            wanted = self.teacher(x)
        return self.student(x), wanted


@healthy()
def teacher_inside_the_model_always_in_eval() -> smokestep.Training:
    model = WithTeacher()
    optimizer = torch.optim.Adam(model.student.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        model.train()
        logits, wanted = model(x + 0.1 * torch.randn_like(x))
        loss = F.cross_entropy(logits, y) + F.mse_loss(logits.softmax(-1), wanted.softmax(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.update_teacher()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x).argmax(-1) == y).float().mean().item()
        return loss, accuracy

    return smokestep.Training(step, batch())


class FusedForInference(nn.Module):
    """Overrides train() to add up its two branches, and calls the parent as it should."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 3)
        self.register_buffer("fused", torch.zeros(16, 8), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.fuse())

    def fuse(self):
        self.fused.copy_((self.a.weight + self.b.weight).detach())

    def train(self, mode: bool = True):
        if not mode:
            self.fuse()
        return super().train(mode)

    def forward(self, x):
        if self.training:
            return self.out(F.relu(self.a(x) + self.b(x)))
        return self.out(F.relu(F.linear(x, self.fused, self.a.bias + self.b.bias)))


@healthy()
def two_branches_fused_by_eval() -> smokestep.Training:
    model = FusedForInference()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(data):
        x, y = data
        model.train()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            validation = F.cross_entropy(model(x), y).item()
        return loss, validation

    return smokestep.Training(step, batch())


class ProbabilitiesInEval(nn.Module):
    """Logits while training, probabilities in eval, as many detectors do."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        logits = self.net(x)
        return logits if self.training else logits.softmax(-1)


@healthy()
def logits_in_training_and_probabilities_in_eval() -> smokestep.Training:
    return classify(ProbabilitiesInEval())


class LossesInTraining(nn.Module):
    """The detector's interface: a dictionary of losses while training, a list of detections in eval."""

    def __init__(self):
        super().__init__()
        self.body, self.score, self.box = nn.Linear(8, 16), nn.Linear(16, 2), nn.Linear(16, 4)

    def forward(self, x, targets=None):
        h = F.relu(self.body(x))
        scores, boxes = self.score(h), self.box(h)
        if self.training:
            present = targets["labels"] == 1
            regression = F.smooth_l1_loss(boxes[present], targets["boxes"][present])
            return {"classification": F.cross_entropy(scores, targets["labels"]), "box": regression}
        return [{"score": s, "box": b} for s, b in zip(scores.softmax(-1)[:, 1], boxes)]


@healthy()
def losses_in_training_and_detections_in_eval() -> smokestep.Training:
    model = LossesInTraining()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def step(data):
        x, targets = data
        losses = model(x, targets)
        loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {name: value.item() for name, value in losses.items()}

    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    return smokestep.Training(step, (torch.randn(6, 8), {"labels": labels, "boxes": torch.rand(6, 4)}))


class AuxiliaryHead(nn.Module):
    """Inception: the auxiliary classifier answers only in training."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 16)
        self.aux, self.fc = nn.Linear(16, 3), nn.Linear(16, 3)

    def forward(self, x):
        h = F.relu(self.first(x))
        out = self.fc(F.relu(self.second(h)))
        return (out, self.aux(h)) if self.training else out


@healthy()
def auxiliary_classifier_only_in_training() -> smokestep.Training:
    model = AuxiliaryHead()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        optimizer.zero_grad()
        out, aux = model(x)
        loss = F.cross_entropy(out, y) + 0.3 * F.cross_entropy(aux, y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


class OwnNormalisation(nn.Module):
    """Normalises in place, on a copy that the model made itself."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([123.7, 116.3, 103.5]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([58.4, 57.1, 57.4]).view(1, 3, 1, 1))
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(8, 3)

    def forward(self, image):
        x = image.clone()
        x.sub_(self.mean).div_(self.std)
        x[:, :, 0] = 0  # the camera's broken row
        return self.fc(self.net(x))


@healthy()
def image_normalised_in_place_on_a_copy() -> smokestep.Training:
    return classify(OwnNormalisation(), images())


class FirstReluInPlace(nn.Module):
    """ReLU in place, but on the output of a layer, which is the model's own."""

    def __init__(self):
        super().__init__()
        self.norm, self.act = nn.BatchNorm1d(8), nn.LeakyReLU(0.1, inplace=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.act(self.norm(x)))


@healthy()
def activation_in_place_behind_the_first_layer() -> smokestep.Training:
    return classify(FirstReluInPlace())


class ActNorm(nn.Module):
    """Scale and shift set from the first batch it sees, then trained like any other parameter."""

    def __init__(self, dim: int):
        super().__init__()
        self.shift, self.log_scale = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, x):
        if self.training and not self.ready:
            with torch.no_grad():
                self.shift.copy_(-x.mean(0))
                self.log_scale.copy_(-(x.std(0) + 1e-6).log())
                self.ready.fill_(True)
        return (x + self.shift) * self.log_scale.exp()


@healthy()
def layer_set_up_by_its_first_batch() -> smokestep.Training:
    return classify(nn.Sequential(nn.Linear(8, 16), ActNorm(16), nn.ReLU(), nn.Linear(16, 3)))


class BuiltAtFirstCall(nn.Module):
    """The head is made when the first features arrive; the factory calls the model once before the optimizer."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), None

    def forward(self, x):
        h = F.relu(self.conv(x / 255)).flatten(1)
        if self.head is None:
            self.head = nn.Linear(h.shape[1], 3)
        return self.head(h)


@healthy()
def head_built_at_the_first_call() -> smokestep.Training:
    model = BuiltAtFirstCall()
    with torch.no_grad():
        model(torch.zeros(1, 3, 8, 8))
    return classify(model, images())


class RewardScaler(nn.Module):
    """A running mean and deviation of the inputs, taken up while training only."""

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("count", torch.tensor(1e-4))
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("m2", torch.ones(dim) * 1e-4)

    def forward(self, x):
        if self.training:
            total = self.count + len(x)
            delta = x.detach().mean(0) - self.mean
            self.m2 += x.detach().var(0, unbiased=False) * len(x) + delta**2 * self.count * len(x) / total
            self.mean += delta * len(x) / total
            self.count.copy_(total)
        return ((x - self.mean) / (self.m2 / self.count + 1e-8).sqrt()).clamp(-5, 5)


@healthy()
def inputs_normalised_by_running_statistics_of_its_own() -> smokestep.Training:
    return classify(nn.Sequential(RewardScaler(8), nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3)))


class PartialNorm(nn.Module):
    """TSN: only the first normalisation learns its statistics, the later ones keep theirs."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))

    def train(self, mode: bool = True):
        super().train(mode)
        later = [m for m in self.net if isinstance(m, nn.BatchNorm1d)][1:]
        for norm in later:
            norm.eval().requires_grad_(False)
        return self

    def forward(self, x):
        return self.net(x)


@healthy()
def only_the_first_normalisation_learns() -> smokestep.Training:
    model = PartialNorm().train()
    with torch.no_grad():
        model.net[2].running_mean.normal_()
    return classify(model, optimizer=torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05))


@healthy()
def averaged_weights_swapped_in_for_evaluation() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    average = {name: value.detach().clone() for name, value in model.named_parameters()}

    def step(data):
        x, y = data
        model.train()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for name, value in model.named_parameters():
                average[name].lerp_(value, 0.01)
        backup = {name: value.detach().clone() for name, value in model.named_parameters()}
        model.load_state_dict(average, strict=False)
        model.eval()
        with torch.no_grad():
            validation = F.cross_entropy(model(x), y).item()
        model.load_state_dict(backup, strict=False)
        return loss, validation

    return smokestep.Training(step, batch())
