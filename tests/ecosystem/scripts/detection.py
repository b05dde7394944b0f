"""Detection in one stage: a grid of cells, with objectness, box and class losses weighted and masked, on drawn squares and discs."""

import argparse
import json

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

GRID, SIZE, CLASSES = 8, 64, 2


class Scenes(Dataset):
    def __init__(self, n, seed):
        self.n, self.seed = n, seed

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        rng = np.random.default_rng(self.seed + i)
        image = rng.normal(0.3, 0.05, (1, SIZE, SIZE)).astype(np.float32)
        yy, xx = np.mgrid[:SIZE, :SIZE]
        boxes = []
        for _ in range(rng.integers(1, 4)):
            kind, (cx, cy), r = rng.integers(2), rng.uniform(10, SIZE - 10, 2), rng.uniform(4, 9)
            inside = (abs(xx - cx) < r) & (abs(yy - cy) < r) if kind else (xx - cx) ** 2 + (yy - cy) ** 2 < r * r
            image[0, inside] = 0.9
            boxes.append([cx / SIZE, cy / SIZE, 2 * r / SIZE, 2 * r / SIZE, kind])
        return torch.from_numpy(image), torch.tensor(boxes, dtype=torch.float32)


def collate(batch):
    """Images stack; boxes stay a list, for each image has another number of them."""
    images, boxes = zip(*batch)
    return torch.stack(images), list(boxes)


class Detector(nn.Module):
    def __init__(self, width=16):
        super().__init__()

        def conv(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.1))

        self.backbone = nn.Sequential(conv(1, width), conv(width, 2 * width), conv(2 * width, 4 * width))
        self.obj_head = nn.Conv2d(4 * width, 1, 1)
        self.box_head = nn.Conv2d(4 * width, 4, 1)
        self.cls_head = nn.Conv2d(4 * width, CLASSES, 1)
        nn.init.constant_(self.obj_head.bias, -4.0)

    def forward(self, x):
        f = self.backbone(x)
        return self.obj_head(f).squeeze(1), self.box_head(f).sigmoid(), self.cls_head(f)


def assign(boxes):
    """The target of every cell, image by image."""
    obj = torch.zeros(len(boxes), GRID, GRID)
    box = torch.zeros(len(boxes), 4, GRID, GRID)
    cls = torch.full((len(boxes), GRID, GRID), -100, dtype=torch.long)
    for n, rows in enumerate(boxes):
        for cx, cy, w, h, kind in rows.tolist():
            i, j = int(cy * GRID), int(cx * GRID)
            obj[n, i, j] = 1
            box[n, :, i, j] = torch.tensor([cx * GRID - j, cy * GRID - i, w, h])
            cls[n, i, j] = int(kind)
    return obj, box, cls


def focal_loss(logits, targets, alpha=0.25, gamma=2.0):
    p = logits.sigmoid()
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    return (alpha_t * ce * (1 - p_t) ** gamma).sum()


class Criterion(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, outputs, boxes):
        obj_logits, box_pred, cls_logits = outputs
        obj, box, cls = assign(boxes)
        num_boxes = max(obj.sum().item(), 1.0)
        mask = obj.bool()
        losses = {
            "loss_obj": focal_loss(obj_logits, obj) / num_boxes,
            "loss_box": F.smooth_l1_loss(
                box_pred.permute(0, 2, 3, 1)[mask], box.permute(0, 2, 3, 1)[mask], reduction="sum"
            )
            / num_boxes,
            "loss_cls": F.cross_entropy(cls_logits, cls, ignore_index=-100),
        }
        return losses, sum(losses[k] * self.weights[k] for k in losses)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    found, total = 0, 0
    for images, boxes in loader:
        obj_logits, _, cls_logits = model(images)
        obj, _, cls = assign(boxes)
        hit = (obj_logits.sigmoid() > 0.3) & obj.bool() & (cls_logits.argmax(1) == cls)
        found, total = found + hit.sum().item(), total + obj.sum().item()
    return found / total


def main(args):
    torch.manual_seed(args.seed)
    train = DataLoader(Scenes(256, 0), args.batch_size, shuffle=True, collate_fn=collate, drop_last=True)
    valid = DataLoader(Scenes(64, 5000), args.batch_size, collate_fn=collate)
    model = Detector()
    criterion = Criterion({"loss_obj": 1.0, "loss_box": 5.0, "loss_cls": 1.0})
    param_dicts = [
        {"params": [p for n, p in model.named_parameters() if "backbone" not in n]},
        {"params": [p for n, p in model.named_parameters() if "backbone" in n], "lr": args.lr_backbone},
    ]
    optimizer = torch.optim.AdamW(param_dicts, lr=args.lr, weight_decay=1e-4)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1e-3, total_iters=8)
    decay = torch.optim.lr_scheduler.MultiStepLR(optimizer, [20])
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, decay], milestones=[8])
    for epoch in range(args.epochs):
        model.train()
        for step, (images, boxes) in enumerate(train):
            loss_dict, loss = criterion(model(images), boxes)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip_max_norm)
            optimizer.step()
            scheduler.step()
            if step % 4 == 0:
                print(
                    json.dumps({"epoch": epoch, "step": step, **{k: round(v.item(), 4) for k, v in loss_dict.items()}})
                )
        print("recall", round(evaluate(model, valid), 3))
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, "checkpoint.pth")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", default=1e-3, type=float)
    parser.add_argument("--lr_backbone", default=5e-4, type=float)
    parser.add_argument("--batch_size", default=16, type=int)
    parser.add_argument("--epochs", default=2, type=int)
    parser.add_argument("--clip_max_norm", default=0.1, type=float)
    parser.add_argument("--seed", default=42, type=int)
    main(parser.parse_args())
