"""Segmentation of drawn shapes with segmentation_models_pytorch: Dice and cross-entropy, metrics from its own functions."""

import argparse

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch.utils.data import DataLoader, Dataset


class Shapes(Dataset):
    def __init__(self, n, size=64, seed=0):
        self.n, self.size, self.seed = n, size, seed

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        rng = np.random.default_rng(self.seed + index)
        yy, xx = np.mgrid[: self.size, : self.size]
        image = rng.normal(0.4, 0.1, (3, self.size, self.size)).astype(np.float32)
        mask = np.zeros((1, self.size, self.size), dtype=np.float32)
        for _ in range(rng.integers(1, 4)):
            cy, cx, r = rng.integers(8, self.size - 8, 2).tolist() + [rng.integers(5, 12)]
            inside = (yy - cy) ** 2 + (xx - cx) ** 2 < r**2
            image[:, inside] += 0.4
            mask[0, inside] = 1
        return torch.from_numpy(image), torch.from_numpy(mask)


class Model(torch.nn.Module):
    def __init__(self, arch, encoder_name):
        super().__init__()
        self.net = smp.create_model(arch, encoder_name=encoder_name, encoder_weights=None, in_channels=3, classes=1)
        self.register_buffer("std", torch.full((1, 3, 1, 1), 0.25))
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.45))

    def forward(self, image):
        return self.net((image - self.mean) / self.std)


def epoch_loop(model, loader, dice, bce, optimizer=None):
    tp, fp, fn, tn, losses = [], [], [], [], []
    model.train(optimizer is not None)
    for image, mask in loader:
        with torch.set_grad_enabled(optimizer is not None):
            logits = model(image)
            loss = dice(logits, mask) + bce(logits, mask)
        if optimizer is not None:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
        prob = logits.sigmoid()
        stats = smp.metrics.get_stats((prob > 0.5).long(), mask.long(), mode="binary")
        for kept, each in zip((tp, fp, fn, tn), stats):
            kept.append(each)
    iou = smp.metrics.iou_score(*(torch.cat(each) for each in (tp, fp, fn, tn)), reduction="micro-imagewise")
    return np.mean(losses), iou.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", default="unet")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = Model(args.arch, args.encoder)
    dice = smp.losses.DiceLoss(smp.losses.BINARY_MODE, from_logits=True)
    bce = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs, eta_min=1e-5)
    train = DataLoader(Shapes(64), batch_size=args.batch_size, shuffle=True, num_workers=2)
    valid = DataLoader(Shapes(16, seed=10_000), batch_size=args.batch_size)
    best = 0
    for epoch in range(args.epochs):
        train_loss, train_iou = epoch_loop(model, train, dice, bce, optimizer)
        valid_loss, valid_iou = epoch_loop(model, valid, dice, bce)
        scheduler.step()
        print(f"{epoch}: train {train_loss:.3f} iou {train_iou:.3f} valid {valid_loss:.3f} iou {valid_iou:.3f}")
        if valid_iou >= best:
            best = valid_iou
            torch.save(model.state_dict(), "best_model.pth")


if __name__ == "__main__":
    main()
