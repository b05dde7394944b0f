"""Around the step: loaders, augmentation, validation in between, metrics, logging; and convolutional nets they feed."""

from __future__ import annotations

from collections import defaultdict

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import smokestep

from ..registry import healthy


class ConvNet(nn.Module):
    def __init__(self, classes: int = 3):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 12, 3, padding=1)
        self.dropout = nn.Dropout(0.25)
        self.fc = nn.Linear(12 * 2 * 2, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(self.dropout(torch.flatten(x, 1)))


class Squares(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, i):
        generator = torch.Generator().manual_seed(i)
        image = torch.randn(1, 8, 8, generator=generator)
        label = i % 3
        image[0, 2 * label : 2 * label + 3] += 2.0
        return image, label


@healthy()
def data_loader_with_two_workers() -> smokestep.Training:
    loader = DataLoader(Squares(), batch_size=8, shuffle=True, num_workers=2)
    model = ConvNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def batches():
        while True:
            yield from loader

    source = batches()

    def step():
        images, labels = next(source)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


@healthy()
def epoch_over_a_loader_as_one_step() -> smokestep.Training:
    data = TensorDataset(torch.randn(20, 1, 8, 8), torch.randint(0, 3, (20,)))
    loader = DataLoader(data, batch_size=8, shuffle=True, drop_last=True)
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def train_one_epoch():
        model.train()
        running = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            running += loss.item() * len(images)
        return running / len(loader)

    return smokestep.Training(train_one_epoch)


@healthy()
def random_augmentation_inside_the_step() -> smokestep.Training:
    model = ConvNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def augment(x):
        if torch.rand(1) < 0.5:
            x = x.flip(-1)
        shift = int(torch.randint(-1, 2, (1,)))
        x = torch.roll(x, shift, dims=-2)
        erase = torch.rand_like(x) < 0.05
        return x.masked_fill(erase, 0.0) + 0.05 * torch.randn_like(x)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(augment(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 1, 8, 8), torch.randint(0, 3, (8,))))


@healthy()
def validation_in_eval_mode_between_steps() -> smokestep.Training:
    model = ConvNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    validation = torch.randn(6, 1, 8, 8), torch.randint(0, 3, (6,))
    history = []

    @torch.no_grad()
    def evaluate():
        model.eval()
        logits = model(validation[0])
        accuracy = (logits.argmax(1) == validation[1]).float().mean().item()
        return F.cross_entropy(logits, validation[1]).item(), accuracy

    def step(batch):
        x, y = batch
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        history.append(evaluate())
        return loss

    return smokestep.Training(step, (torch.randn(8, 1, 8, 8), torch.randint(0, 3, (8,))))


@healthy()
def metrics_and_logging_in_every_step() -> smokestep.Training:
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    log: dict[str, list[float]] = defaultdict(list)
    confusion = torch.zeros(3, 3, dtype=torch.long)

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        total_norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
        optimizer.step()
        predictions = logits.argmax(dim=1)
        confidence = logits.softmax(dim=1).max(dim=1).values
        log["loss"].append(loss.item())
        log["accuracy"].append((predictions == labels).float().mean().item())
        log["confidence"].append(confidence.detach().mean().item())
        log["gradient"].append(float(total_norm))
        log["weights"].append(sum(p.data.abs().mean().item() for p in model.parameters()))
        for t, p in zip(labels.tolist(), predictions.tolist()):
            confusion[t, p] += 1
        log["roc"].append(logits.detach().cpu().numpy().std())
        return loss

    return smokestep.Training(step, (torch.randn(8, 1, 8, 8), torch.randint(0, 3, (8,))))


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.bn2.weight)  # zero-gamma: the block starts as the identity

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += x
        return F.relu(out)


@healthy()
def residual_network_with_zero_gamma() -> smokestep.Training:
    stem = nn.Conv2d(1, 8, 3, padding=1)
    model = nn.Sequential(stem, Residual(8), Residual(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 1, 8, 8), torch.randint(0, 3, (8,))))


class ConvLSTMCell(nn.Module):
    def __init__(self, n_in: int, hidden: int):
        super().__init__()
        self.gates = nn.Conv2d(n_in + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x, state):
        h, c = state
        i, f, o, g = self.gates(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


@healthy()
def conv_lstm_by_hand() -> smokestep.Training:
    cell, out = ConvLSTMCell(1, 4), nn.Conv2d(4, 1, 1)
    optimizer = torch.optim.Adam([*cell.parameters(), *out.parameters()], lr=1e-3)

    def step(frames):
        h = c = torch.zeros(frames.size(0), 4, 6, 6)
        predictions = []
        for t in range(frames.size(1) - 1):
            h, c = cell(frames[:, t], (h, c))
            predictions.append(out(h))
        loss = F.mse_loss(torch.stack(predictions, 1), frames[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(2, 4, 1, 6, 6))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, 16), nn.ReLU(), nn.Linear(16, channels), nn.Sigmoid())

    def forward(self, x):
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class MobileBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels, bias=False)
        self.norm = nn.GroupNorm(2, 2 * channels)
        self.excite = SqueezeExcite(2 * channels)
        self.project = nn.Conv2d(2 * channels, channels, 1, bias=False)

    def forward(self, x):
        return x + self.project(self.excite(F.hardswish(self.norm(self.depthwise(self.expand(x))))))


@healthy()
def detector_with_matched_boxes() -> smokestep.Training:
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), MobileBlock(8))
    score_head, box_head = nn.Conv2d(8, 3, 1), nn.Conv2d(8, 4, 1)
    modules = nn.ModuleList([backbone, score_head, box_head])
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-3)

    def step(batch):
        images, boxes, labels = batch
        features = backbone(images)
        scores = score_head(features).flatten(2).transpose(1, 2)
        predicted = box_head(features).flatten(2).transpose(1, 2).sigmoid()
        with torch.no_grad():  # each object takes the cell that fits best
            cost = torch.cdist(predicted, boxes) - scores.softmax(-1).gather(2, labels[:, None].expand(-1, 16, -1))
            matched = cost.argmin(dim=1)
        rows = torch.arange(len(images))[:, None]
        targets = torch.full(scores.shape[:2], 2)
        targets[rows, matched] = labels
        loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), weight=torch.tensor([1.0, 1.0, 0.1]))
        loss = loss + 5 * F.l1_loss(predicted[rows, matched], boxes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(2, 3, 8, 8), torch.rand(2, 2, 4), torch.randint(0, 2, (2, 2))))
