"""Loops: where gradients are cleared, who writes the parameters, how often, and under which closure."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


class MLP(nn.Module):
    def __init__(self, n_in: int = 6, hidden: int = 16, n_out: int = 3):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, n_out)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


def classification_batch(n: int = 12):
    return torch.randn(n, 6), torch.randint(0, 3, (n,))


@healthy()
def plain_classifier() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        output = model(x)
        loss = criterion(output, y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, classification_batch())


@healthy()
def cleared_at_the_end() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return smokestep.Training(step, classification_batch())


@healthy()
def cleared_by_model_with_zeros() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        model.train()
        model.zero_grad(set_to_none=False)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, classification_batch())


@healthy()
def cleared_to_zero_by_optimizer() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad(set_to_none=False)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, classification_batch())


@healthy()
def cleared_by_hand() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        for p in model.parameters():
            p.grad = None
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, classification_batch())


@healthy()
def cleared_between_forward_and_backward() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.Adagrad(model.parameters(), lr=1e-2)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, classification_batch())


@healthy()
def closure_with_adam() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.Adam(model.parameters())
    x, y = classification_batch()

    def step():
        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    return smokestep.Training(step)


@healthy()
def lbfgs_closure() -> smokestep.Training:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
    x = torch.randn(20, 4)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]]) + 0.1 * torch.randn(20, 1)

    def step():
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    return smokestep.Training(step)


@healthy()
def accumulation_inside_one_step() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.Adam(model.parameters())
    micro_batches = [classification_batch(4) for _ in range(4)]

    def step(batches):
        optimizer.zero_grad()
        total = 0.0
        for x, y in batches:
            loss = F.cross_entropy(model(x), y) / len(batches)
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return total

    return smokestep.Training(step, micro_batches)


@healthy()
def accumulation_over_four_calls() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.Adam(model.parameters())
    state = {"i": 0}

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y) / 4
        loss.backward()
        state["i"] += 1
        if state["i"] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss

    return smokestep.Training(step, classification_batch(4))


@healthy()
def accumulation_over_two_calls() -> smokestep.Training:
    model = MLP()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    state = {"i": 0}

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y) / 2
        loss.backward()
        if (state["i"] + 1) % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        state["i"] += 1
        return loss

    return smokestep.Training(step, classification_batch(4))


@healthy()
def sgd_by_hand_under_no_grad() -> smokestep.Training:
    w1 = (torch.randn(6, 16) * 0.3).requires_grad_()
    b1 = torch.zeros(16, requires_grad=True)
    w2 = (torch.randn(16, 3) * 0.3).requires_grad_()
    b2 = torch.zeros(3, requires_grad=True)
    params = [w1, b1, w2, b2]

    def step(batch):
        x, y = batch
        hidden = torch.relu(x @ w1 + b1)
        logits = hidden @ w2 + b2
        loss = F.cross_entropy(logits, y)
        loss.backward()
        with torch.no_grad():
            for p in params:
                p -= 0.1 * p.grad
                p.grad.zero_()
        return loss

    return smokestep.Training(step, classification_batch())


@healthy()
def sgd_by_hand_through_data() -> smokestep.Training:
    model = MLP()

    def step(batch):
        x, y = batch
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        for p in model.parameters():
            p.data.add_(p.grad.data, alpha=-0.1)
        return loss

    return smokestep.Training(step, classification_batch())


@healthy()
def sgd_by_hand_with_autograd_grad() -> smokestep.Training:
    model = MLP()
    params = list(model.parameters())

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        grads = torch.autograd.grad(loss, params)
        with torch.no_grad():
            for p, g in zip(params, grads):
                p.sub_(g, alpha=0.1)
        return loss

    return smokestep.Training(step, classification_batch())


@healthy()
def adam_by_hand() -> smokestep.Training:
    model = MLP()
    m = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    v = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    t = 0

    def step(batch):
        nonlocal t
        x, y = batch
        t += 1
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            for name, p in model.named_parameters():
                m[name] = 0.9 * m[name] + 0.1 * p.grad
                v[name] = 0.999 * v[name] + 0.001 * p.grad**2
                m_hat = m[name] / (1 - 0.9**t)
                v_hat = v[name] / (1 - 0.999**t)
                p -= 1e-3 * m_hat / (v_hat.sqrt() + 1e-8)
        return loss

    return smokestep.Training(step, classification_batch())


class Lion(torch.optim.Optimizer):
    """A custom optimizer class, as papers' repositories ship them."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p)
                exp_avg = state["exp_avg"]
                p.mul_(1 - group["lr"] * group["weight_decay"])
                update = exp_avg.mul(beta1).add(p.grad, alpha=1 - beta1).sign_()
                p.add_(update, alpha=-group["lr"])
                exp_avg.mul_(beta2).add_(p.grad, alpha=1 - beta2)


@healthy()
def custom_optimizer_class() -> smokestep.Training:
    model = MLP()
    optimizer = Lion(model.parameters(), lr=1e-3, weight_decay=0.01)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, classification_batch())


class Trainer:
    """The class-shaped loop: the step is a bound method, and half of the state lives on self."""

    def __init__(self, model: nn.Module, lr: float):
        self.model = model
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.history: list[float] = []

    def training_step(self, batch):
        x, y = batch
        self.model.train()
        loss = self.criterion(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(self.model.parameters(), 0.5)
        self.optimizer.step()
        self.history.append(loss.item())
        return loss.detach()


@healthy()
def trainer_class_with_bound_step() -> smokestep.Training:
    trainer = Trainer(MLP(), lr=3e-3)
    return smokestep.Training(trainer.training_step, classification_batch())
