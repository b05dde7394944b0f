"""A denoising diffusion model on digits: a small U-Net with time embeddings, EMA weights, samples saved."""

import argparse
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class EMA:
    def __init__(self, beta):
        self.beta = beta
        self.step = 0

    def update_model_average(self, ma_model, current_model):
        for current_params, ma_params in zip(current_model.parameters(), ma_model.parameters()):
            old_weight, up_weight = ma_params.data, current_params.data
            ma_params.data = old_weight * self.beta + (1 - self.beta) * up_weight

    def step_ema(self, ema_model, model, step_start_ema=5):
        if self.step < step_start_ema:
            ema_model.load_state_dict(model.state_dict())
        else:
            self.update_model_average(ema_model, model)
        self.step += 1


class DoubleConv(nn.Module):
    def __init__(self, in_c, out_c, residual=False):
        super().__init__()
        self.residual = residual
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_c, out_c, 3, padding=1, bias=False), nn.GroupNorm(1, out_c), nn.GELU(),
            nn.Conv2d(out_c, out_c, 3, padding=1, bias=False), nn.GroupNorm(1, out_c),
        )  # fmt: skip

    def forward(self, x):
        return F.gelu(x + self.double_conv(x)) if self.residual else self.double_conv(x)


class Stage(nn.Module):
    def __init__(self, in_c, out_c, emb_dim=64):
        super().__init__()
        self.conv = nn.Sequential(DoubleConv(in_c, in_c, residual=True), DoubleConv(in_c, out_c))
        self.emb_layer = nn.Sequential(nn.SiLU(), nn.Linear(emb_dim, out_c))

    def forward(self, x, t):
        x = self.conv(x)
        return x + self.emb_layer(t)[:, :, None, None]


class UNet(nn.Module):
    def __init__(self, c=16, time_dim=64, num_classes=10):
        super().__init__()
        self.time_dim = time_dim
        self.inc = DoubleConv(1, c)
        self.down1, self.down2 = Stage(c, 2 * c), Stage(2 * c, 2 * c)
        self.mid = DoubleConv(2 * c, 2 * c)
        self.up1, self.up2 = Stage(4 * c, c), Stage(2 * c, c)
        self.outc = nn.Conv2d(c, 1, 1)
        self.label_emb = nn.Embedding(num_classes, time_dim)

    def pos_encoding(self, t, channels):
        inv_freq = 1.0 / (10000 ** (torch.arange(0, channels, 2).float() / channels))
        angles = t.repeat(1, channels // 2) * inv_freq
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)

    def forward(self, x, t, y=None):
        t = self.pos_encoding(t.unsqueeze(-1).float(), self.time_dim)
        if y is not None:
            t = t + self.label_emb(y)
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2), t)
        x3 = self.mid(self.down2(F.max_pool2d(x2, 2), t))
        x = F.interpolate(x3, scale_factor=2, mode="bilinear", align_corners=True)
        x = self.up1(torch.cat([x2, x], dim=1), t)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = self.up2(torch.cat([x1, x], dim=1), t)
        return self.outc(x)


class Diffusion:
    def __init__(self, noise_steps=200, beta_start=1e-4, beta_end=0.02, img_size=8):
        self.noise_steps, self.img_size = noise_steps, img_size
        self.beta = torch.linspace(beta_start, beta_end, noise_steps)
        self.alpha = 1.0 - self.beta
        self.alpha_hat = torch.cumprod(self.alpha, dim=0)

    def noise_images(self, x, t):
        sqrt_alpha_hat = torch.sqrt(self.alpha_hat[t])[:, None, None, None]
        sqrt_one_minus = torch.sqrt(1 - self.alpha_hat[t])[:, None, None, None]
        eps = torch.randn_like(x)
        return sqrt_alpha_hat * x + sqrt_one_minus * eps, eps

    def sample_timesteps(self, n):
        return torch.randint(low=1, high=self.noise_steps, size=(n,))

    def sample(self, model, n, labels):
        model.eval()
        with torch.no_grad():
            x = torch.randn((n, 1, self.img_size, self.img_size))
            for i in reversed(range(1, self.noise_steps)):
                t = torch.full((n,), i)
                noise = model(x, t, labels)
                alpha, alpha_hat, beta = (v[t][:, None, None, None] for v in (self.alpha, self.alpha_hat, self.beta))
                z = torch.randn_like(x) if i > 1 else torch.zeros_like(x)
                x = 1 / torch.sqrt(alpha) * (x - (1 - alpha) / torch.sqrt(1 - alpha_hat) * noise) + torch.sqrt(beta) * z
        model.train()
        return x.clamp(-1, 1)


def train(args):
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    dataloader = DataLoader(
        TensorDataset(images, torch.tensor(digits.target)), batch_size=args.batch_size, shuffle=True
    )
    model = UNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    mse = nn.MSELoss()
    diffusion = Diffusion()
    ema = EMA(0.995)
    ema_model = copy.deepcopy(model).eval().requires_grad_(False)
    for epoch in range(args.epochs):
        running = 0.0
        for images, labels in dataloader:
            t = diffusion.sample_timesteps(images.shape[0])
            x_t, noise = diffusion.noise_images(images, t)
            if torch.rand(1).item() < 0.1:
                labels = None
            predicted_noise = model(x_t, t, labels)
            loss = mse(noise, predicted_noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            ema.step_ema(ema_model, model)
            running += loss.item()
        print(f"epoch {epoch}: mse {running / len(dataloader):.4f}, bits {math.log2(1 + running):.2f}")
        torch.save(diffusion.sample(ema_model, 4, torch.arange(4)), f"samples_{epoch}.pt")
        torch.save(model.state_dict(), "ckpt.pt")
        torch.save(ema_model.state_dict(), "ema_ckpt.pt")
        torch.save(optimizer.state_dict(), "optim.pt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-4)
    train(parser.parse_args())
