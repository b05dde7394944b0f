"""Smaller libraries: equivariant networks, neural operators, flows, differential equations, spikes, image text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

import torch
from torch import nn

import smokestep

from .loops import classifier, regression

CONVOLUTIONAL = (
    "resnet10",
    "preresnet10",
    "seresnet10",
    "resnext14_16x4d",
    "shufflenetv2_wd2",
    "mobilenet_wd4",
    "squeezenet_v1_0",
    "darknet_ref",
    "mobilenetv2_wd4",
    "igcv3_wd4",
    "menet108_8x1_g3",
    "condensenet74_c4_g4",
    "fbnet_cb",
    "mnasnet_small",
    "ghostnet",
    "sknet50",
    "airnet50_1x64d_r2",
    "bagnet9",
    "dla34",
    "hardnet39ds",
    "vovnet27s",
    "spnasnet",
    "sinet",
    "peleenet",
    "selecsls42",
)
VISION = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "vgg11_bn",
    "vit_b_32",
)


def models() -> Iterator[tuple[str, Callable[[], smokestep.Training]]]:
    """What is installed of them."""
    if find_spec("torchvision"):
        yield from ((f"torchvision/{name}", partial(vision, name)) for name in VISION)
    if find_spec("pytorchcv"):
        yield from ((f"pytorchcv/{name}", partial(convolutional, name)) for name in CONVOLUTIONAL)
    if find_spec("e3nn"):
        yield "e3nn/network", equivariant
        yield "e3nn/tensor-product", tensor_product
    if find_spec("neuralop"):
        yield from ((f"neuralop/{name}", partial(operator, name)) for name in ("FNO", "TFNO", "UNO"))
    if find_spec("zuko"):
        yield from (
            (f"zuko/{name}", partial(flow, name)) for name in ("MAF", "NSF", "NICE", "NAF", "GMM", "CNF", "SOSPF")
        )
    if find_spec("torchdiffeq"):
        yield "torchdiffeq/odeint", partial(differential, "odeint")
        yield "torchdiffeq/odeint_adjoint", partial(differential, "odeint_adjoint")
    if find_spec("snntorch"):
        yield "snntorch/leaky", spikes
    if find_spec("gpytorch"):
        yield "gpytorch/exact", process
    if find_spec("open_clip"):
        yield "open_clip/contrastive", contrastive


def vision(name: str) -> smokestep.Training:
    import torchvision

    side = {"googlenet": 64, "alexnet": 96}.get(name, 64)
    model = getattr(torchvision.models, name)(
        weights=None,
        num_classes=5,
        **({"aux_logits": False, "init_weights": True} if name == "googlenet" else {}),
        **({"image_size": 64} if name.startswith("vit") else {}),
    )
    return classifier(model, torch.randn(4, 3, side, side), 5)


def convolutional(name: str) -> smokestep.Training:
    from pytorchcv.model_provider import get_model

    return classifier(
        get_model(name, pretrained=False, num_classes=5, in_size=(224, 224)), torch.randn(4, 3, 224, 224), 5
    )


def equivariant() -> smokestep.Training:
    from e3nn import o3
    from e3nn.nn import Gate

    gate = Gate("8x0e", [torch.relu], "4x0e", [torch.sigmoid], "4x1o")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = o3.FullyConnectedTensorProduct("4x0e + 4x1o", "0e + 1o", gate.irreps_in)
            self.gate = gate
            self.second = o3.Linear(gate.irreps_out, "0e")

        def forward(self, x, direction):
            harmonics = o3.spherical_harmonics("0e + 1o", direction, normalize=True)
            return self.second(self.gate(self.first(x, harmonics)))

    return regression(Net(), (torch.randn(8, 16), torch.randn(8, 3)), torch.randn(8, 1))


def tensor_product() -> smokestep.Training:
    from e3nn import o3

    return regression(
        o3.FullyConnectedTensorProduct("4x0e + 2x1o", "4x0e + 2x1o", "2x0e + 1x1o"),
        (torch.randn(8, 10), torch.randn(8, 10)),
        torch.randn(8, 5),
    )


def operator(name: str) -> smokestep.Training:
    from neuralop import models as operators

    options = {
        "FNO": {"n_modes": (4, 4), "hidden_channels": 8, "in_channels": 1, "out_channels": 1, "n_layers": 2},
        "TFNO": {"n_modes": (4, 4), "hidden_channels": 8, "in_channels": 1, "out_channels": 1, "n_layers": 2},
        "UNO": {
            "in_channels": 1,
            "out_channels": 1,
            "hidden_channels": 8,
            "n_layers": 3,
            "uno_out_channels": [8, 8, 8],
            "uno_n_modes": [[4, 4]] * 3,
            "uno_scalings": [[1, 1], [0.5, 0.5], [2, 2]],
        },
    }[name]
    return regression(getattr(operators, name)(**options), torch.randn(4, 1, 16, 16), torch.randn(4, 1, 16, 16))


def flow(name: str) -> smokestep.Training:
    import zuko

    options = {"GMM": {"components": 3}, "CNF": {"hidden_features": (16,)}}.get(
        name, {"transforms": 2, "hidden_features": (16, 16)}
    )
    model = getattr(zuko.flows, name)(3, context=2, **options)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, context = batch
        loss = -model(context).log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(16, 3), torch.randn(16, 2)))


def differential(name: str) -> smokestep.Training:
    import torchdiffeq

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

        def forward(self, t, y):
            return self.net(y**3)

    field = Field()
    optimizer = torch.optim.RMSprop(field.parameters(), lr=1e-3)

    def step(batch):
        start, target = batch
        optimizer.zero_grad()
        path = getattr(torchdiffeq, name)(field, start, torch.linspace(0, 1, 5), method="rk4")
        loss = (path - target).abs().mean()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(8, 2), torch.rand(5, 8, 2)))


def spikes() -> smokestep.Training:
    import snntorch

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.leak = nn.Linear(12, 16), snntorch.Leaky(beta=0.9)
            self.second, self.out = nn.Linear(16, 4), snntorch.Leaky(beta=0.9)

        def forward(self, x):
            one, two, spikes = self.leak.init_leaky(), self.out.init_leaky(), []
            for _ in range(6):
                spike, one = self.leak(self.first(x), one)
                spike, two = self.out(self.second(spike), two)
                spikes.append(two)
            return torch.stack(spikes).sum(0)

    return classifier(Net(), torch.rand(8, 12) * 3, 4)


def process() -> smokestep.Training:
    import gpytorch

    class Model(gpytorch.models.ExactGP):
        def __init__(self, x, y, likelihood):
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

        def forward(self, x):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    x = torch.linspace(0, 1, 20)
    y = torch.sin(x * 6) + torch.randn(20) * 0.1
    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = Model(x, y, likelihood)
    model.train(), likelihood.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    mll = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)

    def step():
        optimizer.zero_grad()
        loss = -mll(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


def contrastive() -> smokestep.Training:
    import open_clip

    tower = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
    model = open_clip.CLIP(embed_dim=16, vision_cfg=tower, text_cfg=text)
    criterion = open_clip.ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        images, words = batch
        optimizer.zero_grad()
        loss = criterion(*model(images, words))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(4, 3, 32, 32), torch.randint(1, 64, (4, 8))))
